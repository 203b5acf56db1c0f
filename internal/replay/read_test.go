package replay

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadMooncake(t *testing.T) {
	text := "\xef\xbb\xbf" + `{"timestamp": 4000, "input_length": 600, "output_length": 0, "hash_ids": [0, 7]}

{"timestamp": 1000.5, "input_length": 1500, "output_length": 9, "hash_ids": [0, 1, 2], "more": {}}
{"timestamp": 1000.5, "input_length": 0, "output_length": 9, "hash_ids": []}
`
	got, err := Read(strings.NewReader(text), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := &Trace{Format: "mooncake", Block: 512, Lane: 2, Requests: []Request{
		{Input: 1500, Output: 9, Runs: []Span{{0, 3}}},
		{At: 2999500 * time.Microsecond, Input: 600, Output: 1, Runs: []Span{{0, 1}, {7, 1}}},
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestReadAzure(t *testing.T) {
	text := "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:17:03.9799600,130,10\r\n2023-11-16 18:17:04.0319600,64,8\r\n"
	zoned := "GeneratedTokens,TIMESTAMP,ContextTokens\n10,2024-05-10 00:00:00.10+00:00,130\n8,2024-05-10 02:00:00.152+02:00,64\n"
	want := &Trace{Format: "azure", Block: azureBlock, Lane: 1, Requests: []Request{
		{Input: 130, Output: 10, Runs: []Span{{0, 2}}},
		{At: 52 * time.Millisecond, Input: 64, Output: 8, Runs: []Span{{2, 1}}},
	}}
	for _, text := range []string{text, zoned} {
		got, err := Read(strings.NewReader(text), ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
}

const session = `{"id":"a","block_size":64,"tool_tokens":60,"system_tokens":10,"requests":[` +
	`{"t":0,"in":200,"out":40,"runs":[1,3],"think_time":0},` +
	`{"t":9,"in":300,"out":5,"runs":[1,4],"think_time":77},` +
	`{"t":10,"sub":[{"in":64,"out":1,"runs":[90,1],"think_time":2},{"in":130,"out":1,"runs":[90,2],"think_time":3}]},` +
	`{"t":11,"sub":[{"in":64,"out":1,"runs":[70,1]}]},` +
	`{"t":12,"in":310,"out":5,"runs":[1,3,8,1],"think_time":1},` +
	`{"t":13,"in":900,"out":5,"runs":[1,9],"think_time":1}]}`

func TestReadAgentic(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(session)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := Read(&packed, ReadOptions{MaxInput: 500})
	if err != nil {
		t.Fatal(err)
	}
	s := time.Second
	want := &Trace{Format: "agentic", Block: 64, Sessions: []Session{{ID: "a", Lane: 3, Steps: []Step{
		{{{Input: 200, Output: 40, Runs: []Span{{1, 3}}, Goes: []Span{{1, 4}}}}},
		{{{Think: 30 * s, Input: 300, Output: 5, Runs: []Span{{1, 4}}}}},
		{
			{{Think: 2 * s, Input: 64, Output: 1, Runs: []Span{{90, 1}}, Goes: []Span{{90, 2}}}, {Think: 3 * s, Input: 130, Output: 1, Runs: []Span{{90, 2}}}},
			{{Input: 64, Output: 1, Runs: []Span{{70, 1}}}},
		},
		{{{Think: s, Input: 310, Output: 5, Runs: []Span{{1, 3}, {8, 1}}}}},
	}}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if n := got.Size(); n != 6 {
		t.Errorf("%d requests", n)
	}
	short, err := Read(strings.NewReader(session), ReadOptions{Turns: 2})
	if err != nil || len(short.Sessions[0].Steps) != 2 {
		t.Errorf("two turns: %+v, %v", short, err)
	}
}

func TestReadSaysWhatIsWrongAndWhere(t *testing.T) {
	moon := func(s string) string {
		return `{"timestamp":0,"input_length":600,"output_length":1,"hash_ids":[0,1]}` + "\n" + s
	}
	cases := []struct{ text, want string }{
		{"", "the trace is empty"},
		{"\n\n", "the trace is empty"},
		{"hello", "line 1: unknown format"},
		{moon("{"), "line 2: unexpected end"},
		{moon("\n\n" + `{"input_length":600,"output_length":1,"hash_ids":[0,1]}`), "line 4: no timestamp"},
		{moon(`{"timestamp":0,"input_length":600,"output_length":1,"hash_ids":[0,1,2]}`), "line 2: 3 hash_ids for 600 tokens"},
		{moon(`{"timestamp":0,"input_length":-1,"output_length":1,"hash_ids":[]}`), "line 2: -1 tokens in"},
		{moon(`{"timestamp":0,"input_length":99999999,"output_length":1,"hash_ids":[]}`), "line 2: 99999999 tokens in"},
		{moon(`{"timestamp":1e300,"input_length":1,"output_length":1,"hash_ids":[]}`), "line 2: 1e+300 is no time"},
		{`{"timestamp":0,"input_length":0,"output_length":1,"hash_ids":[]}`, "no request that can be played"},
		{"TIMESTAMP,ContextTokens\n", "line 1: no column generatedtokens"},
		{"TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,1,2\n", `line 2: "yesterday" is no time`},
		{"TIMESTAMP,ContextTokens,GeneratedTokens\n1,2\n", "line 2: strconv.Atoi"},
		{session + "\n" + session, `line 2: the session's id "a" is empty or stands twice`},
		{strings.Replace(session, `"block_size":64`, `"block_size":0`, 1), "line 1: a block of 0 tokens"},
		{session + "\n" + strings.NewReplacer(`"a"`, `"b"`, `size":64`, `size":16`).Replace(session), "line 2: blocks of 16 tokens after blocks of 64"},
		{strings.Replace(session, "[1,3]", "[1,9]", 1), "line 1: runs name more blocks than 200 tokens have"},
		{strings.Replace(session, "[1,3]", "[1,-3]", 1), "line 1: runs name more blocks"},
		{strings.Replace(session, "[1,3]", "[1]", 1), "line 1: runs has a start without a length"},
		{strings.Replace(session, `"think_time":77`, `"think_time":-1`, 1), "line 1: a think time of -1 s"},
	}
	for _, c := range cases {
		_, err := Read(strings.NewReader(c.text), ReadOptions{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: %v, want %q", c.text, err, c.want)
		}
	}
}

// FuzzRead: whatever the bytes, a trace that is read can be played: counts are
// in range and ids do not name more than the prompt has.
func FuzzRead(f *testing.F) {
	f.Add([]byte(session))
	f.Add([]byte(`{"timestamp":0,"input_length":600,"output_length":1,"hash_ids":[0,1]}`))
	f.Add([]byte("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9,130,10\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		trace, err := Read(bytes.NewReader(text), ReadOptions{})
		if err != nil {
			return
		}
		last := time.Duration(0)
		check := func(r *Request) {
			n := 0
			for _, s := range r.Runs {
				n += s.Count
			}
			if r.Input < 1 || r.Output < 1 || r.Think < 0 || r.At < last || n > r.Input/trace.Block+1 {
				t.Fatalf("%+v", r)
			}
			last = r.At
		}
		for i := range trace.Requests {
			check(&trace.Requests[i])
		}
		for _, s := range trace.Sessions {
			for _, step := range s.Steps {
				for _, b := range step {
					for i := range b {
						check(&b[i])
					}
				}
			}
		}
	})
}
