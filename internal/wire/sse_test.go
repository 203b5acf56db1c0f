package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// block is an event as a test compares it: "-" stands for an absent field.
type block struct{ name, data, id string }

func show(b []byte) string {
	if b == nil {
		return "-"
	}
	return "=" + string(b)
}

var vectors = []struct {
	name, in string
	want     []block // those with a field; comments and empty lines yield none
	rest     string
}{
	{"one event", "data: hello\n\n", []block{{"-", "=hello", "-"}}, ""},
	{"all fields", "event: add\ndata: 1\nid: 7\n\n", []block{{"=add", "=1", "=7"}}, ""},
	{"order and repetition", "id: 1\nevent: a\ndata: x\nevent: b\nid: 2\n\n", []block{{"=b", "=x", "=2"}}, ""},
	{"several data lines", "data: a\ndata:\ndata: b\n\n", []block{{"-", "=a\n\nb", "-"}}, ""},
	{"data lines apart", "data: a\nid: 1\ndata: b\n\n", []block{{"-", "=a\nb", "=1"}}, ""},
	{"two joined events", "data: a\ndata: b\n\ndata: c\ndata: d\n\n", []block{{"-", "=a\nb", "-"}, {"-", "=c\nd", "-"}}, ""},
	{"one space after the colon", "data:a\n\ndata: b\n\ndata:  c \n\ndata:\td\n\n", []block{{"-", "=a", "-"}, {"-", "=b", "-"}, {"-", "= c ", "-"}, {"-", "=\td", "-"}}, ""},
	{"field without colon", "data\n\ndata\ndata\n\nevent\nid\ndata: x\n\n", []block{{"-", "=", "-"}, {"-", "=\n", "-"}, {"=", "=x", "="}}, ""},
	{"empty data", "data:\n\ndata: \n\n", []block{{"-", "=", "-"}, {"-", "=", "-"}}, ""},
	{"colons in the value", "data: a: b:c\n\n", []block{{"-", "=a: b:c", "-"}}, ""},
	{"comments", ": hi\n\n:\ndata: x\n:data: y\n\n: OPENROUTER PROCESSING\n\n", []block{{"-", "=x", "-"}}, ""},
	{"names are exact", "Data: a\n data: b\ndata : c\ndatax: d\n\ndata: e\n\n", []block{{"-", "=e", "-"}}, ""},
	{"unknown fields", "foo: a\nretry: soon\nretry: 100\nretry: -1\ndata: x\n\n", []block{{"-", "=x", "-"}}, ""},
	{"event without data", "event: ping\n\n", []block{{"=ping", "-", "-"}}, ""},
	{"id with NUL", "id: a\x00b\ndata: x\n\nid: 1\nid: \x00\ndata: y\n\n", []block{{"-", "=x", "-"}, {"-", "=y", "=1"}}, ""},
	{"NUL in data", "data: a\x00b\n\n", []block{{"-", "=a\x00b", "-"}}, ""},
	{"empty lines", "\n\n\ndata: x\n\n\n\n", []block{{"-", "=x", "-"}}, ""},
	{"byte order mark", "\xEF\xBB\xBFdata: x\n\n\xEF\xBB\xBFdata: y\n\n", []block{{"-", "=x", "-"}}, ""},
	{"two byte order marks", "\xEF\xBB\xBF\xEF\xBB\xBFdata: x\n\n", nil, ""},
	{"byte order mark alone", "\xEF\xBB\xBF\ndata: x\n\n", []block{{"-", "=x", "-"}}, ""},
	{"part of a byte order mark", "\xEF\xBBdata: x\n\ndata: y\n\n", []block{{"-", "=y", "-"}}, ""},
	{"characters of several bytes", "data: \u65e5\u672c\U0001F600\n\n", []block{{"-", "=\u65e5\u672c\U0001F600", "-"}}, ""},
	{"not UTF-8", "data: \xff\xfe\n\n", []block{{"-", "=\xff\xfe", "-"}}, ""},
	{"no last empty line", "data: x\n\ndata: y\n", []block{{"-", "=x", "-"}}, "data: y\n"},
	{"no last line end", "data: x\n\ndata: y", []block{{"-", "=x", "-"}}, "data: y"},
	{"nothing", "", nil, ""},
	{"mixed line ends", "data: a\ndata: b\rdata: c\r\ndata: d\n\r\ndata: e\r\rdata: f\r\n\ndata: g\r\n\r\n", []block{{"-", "=a\nb\nc\nd", "-"}, {"-", "=e", "-"}, {"-", "=f", "-"}, {"-", "=g", "-"}}, ""},
	{"long lines", "data: " + strings.Repeat("x", 9000) + "\ndata: y\n\nevent: z\ndata: " + strings.Repeat("w", 5000) + "\n\n", []block{{"-", "=" + strings.Repeat("x", 9000) + "\ny", "-"}, {"=z", "=" + strings.Repeat("w", 5000), "-"}}, ""},
}

type failer interface{ Fatalf(string, ...any) }

// readAll reads src to its end, checks what must hold in every stream of events, and
// returns the events that have a field and the rest.
func readAll(t failer, src io.Reader, input []byte, limit int) (out []block, rest string, err error) {
	var r EventReader
	r.Reset(src, limit)
	var raws []byte
	for err == nil {
		err = r.Fill()
		var events []Event
		consumed := len(r.Buffered()) - len(r.Rest()) // not 0 after a Fill that fails
		for ev, ok := r.Next(); ok; ev, ok = r.Next() {
			if ev.Offset != consumed || !bytes.Equal(r.Buffered()[consumed:consumed+len(ev.Raw)], ev.Raw) || len(ev.Raw) == 0 {
				t.Fatalf("Raw %q is not at %d", ev.Raw, ev.Offset)
			}
			consumed += len(ev.Raw)
			events = append(events, ev)
		}
		for _, ev := range events { // only now: all must live until the next Fill
			raws = append(raws, ev.Raw...)
			if ev.Name != nil || ev.Data != nil || ev.ID != nil {
				out = append(out, block{show(ev.Name), show(ev.Data), show(ev.ID)})
			}
		}
		if !bytes.Equal(r.Buffered()[consumed:], r.Rest()) {
			t.Fatalf("Rest is %q after %d of %q", r.Rest(), consumed, r.Buffered())
		}
	}
	if got := append(raws, r.Rest()...); !bytes.HasPrefix(input, got) || err == io.EOF && len(got) != len(input) {
		t.Fatalf("the Raws and Rest are %q, the input %q", got, input)
	}
	if again := r.Fill(); again != err {
		t.Fatalf("first %v, then %v", err, again)
	}
	return out, string(r.Rest()), err
}

// pieces gives one piece to each Read, or as much of it as fits.
type pieces struct{ left [][]byte }

func (p *pieces) Read(b []byte) (int, error) {
	for len(p.left) > 0 && len(p.left[0]) == 0 {
		p.left = p.left[1:]
	}
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[0])
	p.left[0] = p.left[0][n:]
	return n, nil
}

func TestVectorsReadTheSameForEveryCut(t *testing.T) {
	for _, v := range vectors {
		variants := map[string]func(string) string{"as written": func(s string) string { return s }}
		if !strings.Contains(v.in, "\r") {
			variants["CR"] = func(s string) string { return strings.ReplaceAll(s, "\n", "\r") }
			variants["CR LF"] = func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
		}
		for ends, variant := range variants {
			in, rest := []byte(variant(v.in)), variant(v.rest)
			check := func(how string, src io.Reader) {
				got, left, err := readAll(t, src, in, 0)
				left = strings.TrimPrefix(left, "\n") // of a CR LF that was cut
				if err != io.EOF || !slices.Equal(got, v.want) || left != rest {
					t.Errorf("%s, %s, %s: %.200q, rest %.60q, %v; want %.200q, rest %.60q", v.name, ends, how, got, left, err, v.want, rest)
				}
			}
			check("whole", bytes.NewReader(in))
			check("one byte per read", iotest.OneByteReader(bytes.NewReader(in)))
			check("half reads", iotest.HalfReader(bytes.NewReader(in)))
			check("EOF with the data", iotest.DataErrReader(bytes.NewReader(in)))
			check("one byte, EOF with it", iotest.DataErrReader(iotest.OneByteReader(bytes.NewReader(in))))
			step := max(1, len(in)/500)
			for cut := 0; cut <= len(in); cut += step {
				check(fmt.Sprintf("cut at %d", cut), &pieces{[][]byte{in[:cut], in[cut:]}})
			}
		}
	}
}

func TestRawIsTheExactBlock(t *testing.T) {
	for _, c := range []struct {
		reads []string
		want  string // Raws in quotes, after each read
	}{
		{[]string{"data: a\r\n\r\ndata: b\n\n: c\r\r"}, `["data: a\r\n\r\n" "data: b\n\n" ": c\r\r"]`},
		{[]string{"data: a\r\n\r", "\ndata: b\r\n\r", "\n"}, `["data: a\r\n\r"]["\ndata: b\r\n\r"]["\n"]`},
		{[]string{"data: a\r\r", "data: b\r\r"}, `["data: a\r\r"]["data: b\r\r"]`},
		{[]string{"data: a\r", "\n\n"}, `[]["data: a\r\n\n"]`},
		{[]string{"data: a\r\n\r", "\n", "\n"}, `["data: a\r\n\r"]["\n"]["\n"]`},
		{[]string{"\n\r\n\r", "\r", "\n"}, `["\n" "\r\n" "\r"]["\r"]["\n"]`},
		{[]string{"\xEF\xBB", "\xBFdata: a\n", "\n"}, `[][]["\ufeffdata: a\n\n"]`},
	} {
		src := &pieces{}
		for _, s := range c.reads {
			src.left = append(src.left, []byte(s))
		}
		var r EventReader
		r.Reset(src, 0)
		var got strings.Builder
		for r.Fill() == nil {
			raws := []string{}
			for ev, ok := r.Next(); ok; ev, ok = r.Next() {
				raws = append(raws, string(ev.Raw))
			}
			fmt.Fprintf(&got, "%q", raws)
		}
		if got.String() != c.want || len(r.Rest()) != 0 {
			t.Errorf("reads %q give %s, want %s; rest %q", c.reads, got.String(), c.want, r.Rest())
		}
	}
}

func TestAnEventAboveTheLimitIsAnErrorForEveryCut(t *testing.T) {
	in := []byte("data: 12\n\n: 345678\n\ndata: 1\r\n\r\ndata: 1234\n\ndata: x\n\n")
	all := []block{{"-", "=12", "-"}, {"-", "=1", "-"}, {"-", "=1234", "-"}, {"-", "=x", "-"}}
	for cut := range in {
		got, _, err := readAll(t, &pieces{[][]byte{in[:cut], in[cut:]}}, in, 11)
		if !slices.Equal(got, all) || err != io.EOF {
			t.Errorf("limit 11, cut at %d: %q, %v", cut, got, err)
		}
		got, _, err = readAll(t, &pieces{[][]byte{in[:cut], in[cut:]}}, in, 10)
		if !slices.Equal(got, all[:2]) || err != ErrEventTooLarge {
			t.Errorf("limit 10, cut at %d: %q, %v", cut, got, err)
		}
	}
	endless := io.MultiReader(strings.NewReader("data: "), &repeat{chunk: bytes.Repeat([]byte("x"), 1000)})
	var r EventReader
	r.Reset(endless, 100_000)
	var err error
	for err == nil {
		if err = r.Fill(); err == nil {
			if _, ok := r.Next(); ok {
				t.Fatal("an event without an end")
			}
		}
	}
	if err != ErrEventTooLarge || len(r.Buffered()) > 101_000 {
		t.Errorf("%v with %d bytes buffered", err, len(r.Buffered()))
	}
}

func TestSourceErrorsComeAfterTheBytes(t *testing.T) {
	broken := errors.New("connection reset")
	for _, src := range []io.Reader{
		io.MultiReader(strings.NewReader("data: a\n\ndata: b"), iotest.ErrReader(broken)),
		&both{"data: a\n\ndata: b", broken},
	} {
		got, rest, err := readAll(t, src, []byte("data: a\n\ndata: b"), 0)
		if err != broken || len(got) != 1 || rest != "data: b" {
			t.Errorf("%q, rest %q, %v", got, rest, err)
		}
	}
	_, _, err := readAll(t, &both{}, nil, 0)
	if err != io.ErrNoProgress {
		t.Errorf("a source that never gives anything: %v", err)
	}
}

// both returns bytes and error together.
type both struct {
	text string
	err  error
}

func (b *both) Read(p []byte) (int, error) {
	n := copy(p, b.text)
	b.text = b.text[n:]
	return n, b.err
}

func TestOneFillIsOneRead(t *testing.T) {
	src := &pieces{[][]byte{[]byte("data: a\n\nda"), []byte("ta: b\n\n")}}
	var r EventReader
	r.Reset(src, 0)
	if err := r.Fill(); err != nil || string(r.Buffered()) != "data: a\n\nda" {
		t.Errorf("buffered %q, %v", r.Buffered(), err)
	}
	r.Next()
	if err := r.Fill(); err != nil || string(r.Buffered()) != "data: b\n\n" {
		t.Errorf("buffered %q, %v", r.Buffered(), err)
	}
}

func TestReleaseKeepsOnlySmallBuffers(t *testing.T) {
	for _, c := range []struct {
		size int
		kept bool
	}{{100, true}, {30_000, true}, {200_000, false}} {
		in := "data: " + strings.Repeat("x", c.size) + "\ndata: y\n\n"
		var r EventReader
		r.Reset(strings.NewReader(in), 0)
		for r.Fill() == nil {
			r.Next()
		}
		r.Release()
		if (cap(r.buf) > 0) != c.kept || cap(r.buf) > maxKept || cap(r.joined) > maxKept || r.src != nil {
			t.Errorf("an event of %d bytes leaves buffers of %d and %d", c.size, cap(r.buf), cap(r.joined))
		}
		if r.Fill() == nil {
			t.Error("a released reader reads")
		}
		if _, ok := r.Next(); ok {
			t.Error("a released reader has events")
		}
		r.Reset(strings.NewReader("\xEF\xBB\xBFdata: z\n\n"), 0)
		if err := r.Fill(); err != nil {
			t.Fatal(err)
		}
		if ev, ok := r.Next(); !ok || string(ev.Data) != "z" {
			t.Errorf("after reuse: %q, %v", ev.Data, ok)
		}
	}
}

func TestEventsDoNotAllocateInAWarmBuffer(t *testing.T) {
	for _, chunk := range []string{"data: {\"x\":1}\n\n", "event: a\r\nid: 1\r\ndata: b\r\n\r\n", "data: a\ndata: b\n\n", ": c\n\ndata: d\n\nda", "ta: x\n\n"} {
		src := &repeat{chunk: []byte(chunk)}
		var r EventReader
		r.Reset(src, 0)
		events := 0
		turn := func() {
			if err := r.Fill(); err != nil {
				t.Fatal(err)
			}
			for _, ok := r.Next(); ok; _, ok = r.Next() {
				events++
			}
		}
		turn()
		if n := testing.AllocsPerRun(100, turn); n != 0 || events < 100 {
			t.Errorf("%q: %v allocations, %d events", chunk, n, events)
		}
	}
}

func TestSmallReadsAreScannedOnce(t *testing.T) {
	// One event of 1 MiB in reads of one byte: a rescan per read would look at 10^12 bytes.
	const size = 1 << 20
	var r EventReader
	r.Reset(iotest.OneByteReader(strings.NewReader("data: "+strings.Repeat("x", size)+"\n\n")), 0)
	events := 0
	for r.Fill() == nil {
		ev, ok := r.Next()
		if ok {
			events++
			if len(ev.Data) != size {
				t.Errorf("data of %d bytes", len(ev.Data))
			}
		}
		if r.scanned != len(r.buf) {
			t.Fatalf("scanned %d of %d", r.scanned, len(r.buf))
		}
	}
	if events != 1 {
		t.Errorf("%d events", events)
	}
}

func TestAppendEventReadsBack(t *testing.T) {
	for _, c := range []struct{ name, data, want string }{
		{"", "x", "data: x\n\n"},
		{"ping", "", "event: ping\ndata: \n\n"},
		{"", "a\nb\n", "data: a\ndata: b\ndata: \n\n"},
		{"n", "a\r\nb\rc", "event: n\ndata: a\ndata: b\ndata: c\n\n"},
		{"n\ndata: forged", " x", "event: n\ndata:  x\n\n"},
		{"\r", "x", "data: x\n\n"},
	} {
		if got := string(AppendEvent([]byte("> "), c.name, []byte(c.data))); got != "> "+c.want {
			t.Errorf("AppendEvent(%q, %q) = %q, want %q", c.name, c.data, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SampledFrom([]rune("ab: \n\r\x00\u65e5"))
		name := rapid.StringOf(rapid.SampledFrom([]rune("ab: \x00\u65e5"))).Draw(t, "name")
		data := rapid.StringOf(letters).Draw(t, "data")
		in := AppendEvent(nil, name, []byte(data))
		want := block{"-", "=" + strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(data), "-"}
		if name != "" {
			want.name = "=" + name
		}
		got, rest, err := readAll(t, bytes.NewReader(in), in, 0)
		if err != io.EOF || rest != "" || len(got) != 1 || got[0] != want {
			t.Fatalf("%q reads back as %q, rest %q, %v", in, got, rest, err)
		}
	})
}

// reference reads a whole stream in the plainest way: after the rules, not the code.
func reference(in string) (out []block) {
	in = strings.TrimPrefix(in, byteOrderMark)
	in = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(in)
	lines := strings.Split(in, "\n")
	ev := block{"-", "-", "-"}
	for _, line := range lines[:len(lines)-1] {
		if line == "" {
			if ev != (block{"-", "-", "-"}) {
				out = append(out, ev)
			}
			ev = block{"-", "-", "-"}
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = "=" + strings.TrimPrefix(value, " ")
		switch {
		case name == "event":
			ev.name = value
		case name == "id" && !strings.Contains(value, "\x00"):
			ev.id = value
		case name == "data" && ev.data == "-":
			ev.data = value
		case name == "data":
			ev.data += "\n" + value[1:]
		}
	}
	return out
}

// checkCuts reads in, cut into reads as sizes says, and compares with the reference.
func checkCuts(t failer, in []byte, sizes []byte) {
	want := reference(string(in))
	src, left := &pieces{}, in
	for i := 0; len(left) > 0; i++ {
		n := len(left)
		if i < len(sizes) {
			n = min(n, int(sizes[i]))
		}
		src.left = append(src.left, left[:n])
		left = left[n:]
	}
	for how, src := range map[string]io.Reader{
		"as cut": src, "whole": bytes.NewReader(in), "one byte": iotest.OneByteReader(bytes.NewReader(in)),
	} {
		if got, _, err := readAll(t, src, in, 0); err != io.EOF || !slices.Equal(got, want) {
			t.Fatalf("%q, %s: %q, %v; want %q", in, how, got, err, want)
		}
	}
}

func TestAnyStreamReadsTheSameForAnyCuts(t *testing.T) {
	parts := rapid.SampledFrom([]string{"\n", "\r", "\r\n", "\n\n", "\r\n\r\n", "data", ":", " ", "data: x", "event: e", "id: 1", "id: \x00", ": c", "\xEF\xBB\xBF", "\u65e5", "0123456789012345678"})
	rapid.Check(t, func(t *rapid.T) {
		in := strings.Join(rapid.SliceOf(parts).Draw(t, "parts"), "")
		checkCuts(t, []byte(in), rapid.SliceOf(rapid.Byte()).Draw(t, "sizes"))
	})
}

// FuzzEventReader checks that every cut gives what the reference gives, and that a small
// limit gives the same events and the same error for every cut.
func FuzzEventReader(f *testing.F) {
	for _, v := range vectors {
		if len(v.in) < 1000 {
			f.Add([]byte(v.in), []byte{1, 7, 0, 3}, byte(9))
		}
	}
	f.Add([]byte("data: a\r\n\r\ndata: b\r\r\n\n"), []byte{10, 1, 1}, byte(1))
	f.Fuzz(func(t *testing.T, in, sizes []byte, limit byte) {
		checkCuts(t, in, sizes)
		whole, _, err := readAll(t, bytes.NewReader(in), in, int(limit))
		single, _, err1 := readAll(t, iotest.OneByteReader(bytes.NewReader(in)), in, int(limit))
		if !slices.Equal(whole, single) || err != err1 {
			t.Fatalf("limit %d: whole %q, %v; byte by byte %q, %v", limit, whole, err, single, err1)
		}
	})
}
