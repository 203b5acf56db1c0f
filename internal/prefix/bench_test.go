package prefix_test

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"tailplane/internal/prefix"
)

// prose is a body of chat with so many bytes of words in long turns.
func prose(size int) []byte {
	b := []byte(`{"model":"m","temperature":0.7,"stream":true,"messages":[{"role":"system","content":"You are helpful."}`)
	for turn := 0; len(b) < size-2; turn++ {
		role := [2]string{"user", "assistant"}[turn%2]
		b = fmt.Appendf(b, `,{"role":"%s","content":"`, role)
		for n := 0; n < 4000 && len(b) < size-4; n += 26 {
			b = append(b, "a line of words, some more"...)
		}
		b = append(b, strconv.Itoa(turn)+`"}`...)
	}
	return append(b, "]}"...)
}

// agentic is a body of an agent in Anthropic's form: tools, then short calls and
// long results full of escapes.
func agentic(size int) []byte {
	b := []byte(`{"model":"m","max_tokens":8192,"system":[{"type":"text","text":"You write code.","cache_control":{"type":"ephemeral"}}],"tools":[`)
	for i := range 20 {
		b = fmt.Appendf(b, `{"name":"tool_%d","description":"%s","input_schema":{"type":"object","properties":{`, i, bytes.Repeat([]byte("What it does. "), 40))
		for p := range 6 {
			b = fmt.Appendf(b, `"argument_%d":{"type":"string","description":"One of the arguments of the tool."},`, p)
		}
		b = append(b, `"last":{"type":"integer","minimum":0}},"required":["last"]}},`...)
	}
	b = append(b[:len(b)-1], `],"messages":[{"role":"user","content":"Mend the test."}`...)
	line := []byte(`\tif err := json.Unmarshal(b, &v); err != nil {\n\t\treturn fmt.Errorf(\"reading %q: %w\", name, err)\n\t}\n`)
	for turn := 0; len(b) < size-2; turn++ {
		b = fmt.Appendf(b, `,{"role":"assistant","content":[{"type":"text","text":"I look."},{"type":"tool_use","id":"toolu_%d","name":"tool_1","input":{"path":"a/b.go","from":%d}}]}`, turn, turn)
		b = fmt.Appendf(b, `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_%d","content":"`, turn)
		for n := 0; n < 2500 && len(b) < size-200; n += len(line) {
			b = append(b, line...)
		}
		b = append(b, `"}]}`...)
	}
	return append(b, "]}"...)
}

const replicas = 8

var bodies = []struct {
	name string
	body []byte
}{
	{"chat-4KB", prose(4 << 10)},
	{"chat-400KB", prose(400 << 10)},
	{"agent-400KB", agentic(400 << 10)},
}

// decide is what the package does for one request.
func decide(x *prefix.Index, c *prefix.Chain, body []byte) int {
	prefix.FromBody(c, 1, body)
	best, most := 0, -1
	for r := range replicas {
		if hit := x.Lookup(r, c); hit > most {
			best, most = r, hit
		}
	}
	x.Insert(best, c)
	return most
}

// busy is an index whose replicas are full of other prompts.
func busy() *prefix.Index {
	x := prefix.NewIndex()
	var c prefix.Chain
	for r := range replicas {
		x.Resize(r, 8<<20)
		for i := range 200 {
			prefix.FromBody(&c, uint64(r*1000+i+2), bodies[0].body)
			x.Insert(r, &c)
			prefix.FromBody(&c, uint64(r*1000+i+2), bodies[1].body)
			if i%10 == 0 {
				x.Insert(r, &c)
			}
			x.Head(r, c.Marks[i].Hash, c.Marks[i].End)
		}
	}
	return x
}

func BenchmarkDecide(b *testing.B) {
	for _, bb := range bodies {
		b.Run(bb.name, func(b *testing.B) {
			x, c := busy(), new(prefix.Chain)
			b.SetBytes(int64(len(bb.body)))
			b.ReportAllocs()
			quantiles(b, func() { decide(x, c, bb.body) })
		})
	}
}

func BenchmarkFromBody(b *testing.B) {
	for _, bb := range bodies {
		b.Run(bb.name, func(b *testing.B) {
			c := new(prefix.Chain)
			b.SetBytes(int64(len(bb.body)))
			b.ReportAllocs()
			quantiles(b, func() { prefix.FromBody(c, 1, bb.body) })
		})
	}
}

// quantiles runs f and reports how long the middle and the slow runs took: the
// mean says nothing of a bar at p99.
func quantiles(b *testing.B, f func()) {
	took := make([]time.Duration, 0, 1<<16)
	for b.Loop() {
		start := time.Now()
		f()
		if len(took) < cap(took) {
			took = append(took, time.Since(start))
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-us")
}
