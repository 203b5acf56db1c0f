package wire

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// chatBody makes a chat request of about size bytes with model last: turns of English prose
// and code, with an escape every 100 bytes and 2 % of the bytes not ASCII. A mixed
// one has turns in other scripts, which make 15 % of its bytes not ASCII.
func chatBody(size int, mixed bool) []byte {
	turns := []string{
		"Please explain what the following function does, step by step, and say where it could fail. Keep the answer short and precise; the reader knows the language well but not this code base \u2013 so \"small steps\", please.",
		"func add(a, b int) int {\n\tif a == 0 {\n\t\treturn b\n\t}\n\tfmt.Println(\"sum:\", a+b)\n\treturn a + b\n}\n",
		"The quick brown fox jumps over the lazy dog, then comes back and writes a long report about it, paragraph after paragraph.\n\nSecond paragraph.",
		"It\u2019s a caf\u00e9 at the corner of two streets. Nobody knows when it opened, and the owner says that it has always been there, which is not a useful answer to the question that was asked.",
	}
	if mixed {
		turns[3] = "Der Wert h\u00e4ngt von der L\u00e4nge ab \u2013 caf\u00e9, na\u00efve, \u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8 and an emoji \U0001F600 in the middle of a line of plain text that goes on."
	}
	b := []byte(`{"temperature":0.7,"max_tokens":1024,"stream":true,"messages":[{"role":"system","content":"You are a helpful assistant."}`)
	for i := 0; len(b) < size-60; i++ {
		role := "user"
		if i%2 == 1 {
			role = "assistant"
		}
		b = append(b, fmt.Sprintf(`,{"role":%q,"content":`, role)...)
		text := turns[i%len(turns)]
		for len(text) < 600 && len(b)+len(text) < size-200 {
			text += " " + turns[(i+len(text))%len(turns)]
		}
		b = append(AppendString(b, text), '}')
	}
	return append(b, `],"user":"customer-17","model":"gpt-4o-mini"}`...)
}

// tokenWalk is the reference: the same members found with jsontext tokens.
func tokenWalk(d *jsontext.Decoder, src *bytes.Reader, body, dst []byte) []byte {
	src.Reset(body)
	d.Reset(src, jsontext.AllowDuplicateNames(true))
	if _, err := d.ReadToken(); err != nil {
		panic(err)
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			panic(err)
		}
		hit := name.String() == "model"
		v, err := d.ReadValue()
		if err != nil {
			panic(err)
		}
		if hit {
			end := int(d.InputOffset())
			dst = append(append(append(dst, body[:end-len(v)]...), `"other-model"`...), body[end:]...)
		}
	}
	if _, err := d.ReadToken(); err != nil {
		panic(err)
	}
	if _, err := d.ReadToken(); err != io.EOF {
		panic(err)
	}
	return dst
}

// BenchmarkRewriteModel validates a body, finds five members and replaces model; it prints
// the bar of 1 us + 0.25 us per KB that it used up, and the time of the reference over ours.
func BenchmarkRewriteModel(b *testing.B) {
	names := []string{"model", "stream", "user", "max_tokens", "stream_options"}
	for name, body := range map[string][]byte{
		"English 1KB": chatBody(1<<10, false), "English 100KB": chatBody(100<<10, false),
		"mixed 1KB": chatBody(1<<10, true), "mixed 100KB": chatBody(100<<10, true),
	} {
		b.Run(name, func(b *testing.B) {
			found := make([]Member, len(names))
			out := make([]byte, 0, len(body)+64)
			with := []byte(`"other-model"`)
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			var ours, theirs time.Duration
			for b.Loop() {
				start := time.Now()
				if _, err := Scan(body, names, found); err != nil {
					b.Fatal(err)
				}
				out = Splice(out[:0], body, Edit{At: found[0].Value, With: with})
				ours += time.Since(start)
			}
			d, src := jsontext.NewDecoder(bytes.NewReader(nil)), bytes.NewReader(nil)
			ref := make([]byte, 0, len(body)+64)
			rounds := max(10, b.N/10)
			for range rounds {
				start := time.Now()
				ref = tokenWalk(d, src, body, ref[:0])
				theirs += time.Since(start)
			}
			if !bytes.Equal(ref, out) {
				b.Fatal("the reference makes another body")
			}
			per := float64(ours.Nanoseconds()) / float64(b.N)
			b.ReportMetric(per/(1000+250*float64(len(body))/1024), "bar")
			b.ReportMetric(float64(theirs.Nanoseconds())/float64(rounds)/per, "jsontext/ours")
		})
	}
}

// BenchmarkEvents reads chunks of 285 bytes, one event per read.
func BenchmarkEvents(b *testing.B) {
	chunk := AppendEvent(nil, "", append([]byte(`{"choices":[{"delta":{"content":"`), append(bytes.Repeat([]byte("x"), 230), `"}}]}`...)...))
	src := &repeat{chunk: chunk}
	var r EventReader
	r.Reset(src, 0)
	b.ReportAllocs()
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		if err := r.Fill(); err != nil {
			b.Fatal(err)
		}
		for ev, ok := r.Next(); ok; ev, ok = r.Next() {
			if len(ev.Data) != len(chunk)-8 {
				b.Fatalf("data of %d bytes", len(ev.Data))
			}
		}
	}
}

// repeat gives the same chunk to every Read.
type repeat struct{ chunk []byte }

func (r *repeat) Read(p []byte) (int, error) { return copy(p, r.chunk), nil }
