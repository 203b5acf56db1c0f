package dialect

import (
	"bytes"
	"strings"
	"testing"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

func TestResponsesGlanceAndSplice(t *testing.T) {
	c := ResponsesCodec{}
	body := []byte(` {"input" : [ {"model":"x"} ], "stream": true, "model" : "a", "max_output_tokens": 50 } `)
	var at At
	g, err := c.Glance(body, &at)
	if err != nil || g.Model != "a" || !g.Stream || g.MaxTokens != 50 || g.Bytes != len(body) || g.Op != llm.OpGenerate || g.Dialect != llm.Responses {
		t.Errorf("glance %+v, %v", g, err)
	}
	want := strings.Replace(string(body), `"a"`, `"b\"c"`, 1)
	if got := string(c.Splice(nil, body, &at, Rewrite{Model: `b"c`, Usage: true}).Append([]byte("x"))); got != "x"+want {
		t.Errorf("splice %s", got)
	}
	if got := string(c.Splice(nil, body, &at, Rewrite{Usage: true}).Append(nil)); got != string(body) {
		t.Errorf("a splice of nothing changes %s", got)
	}
	for _, bad := range []string{``, `[]`, `{}`, `{"model":7}`, `{"model":""}`, `{"model":"a","model":"b"}`, `{"model":"a","stream":1}`} {
		if _, err := c.Glance([]byte(bad), &at); err == nil {
			t.Errorf("%s passes", bad)
		}
	}
	for _, odd := range []string{`null`, `0`, `-1`, `1e99`, `"x"`} {
		if g, err := c.Glance([]byte(`{"model":"a","stream":null,"max_output_tokens":`+odd+`}`), &at); err != nil || g.MaxTokens != 0 {
			t.Errorf("%s: %+v, %v", odd, g, err)
		}
	}
}

func TestResponsesTapSeesWhatDecodingSees(t *testing.T) {
	for _, named := range []bool{true, false} {
		var tap Tap
		var er wire.EventReader
		er.Reset(strings.NewReader(responsesStream), 0)
		sights := map[Sight]int{}
		for er.Fill() == nil {
			for ev, ok := er.Next(); ok; ev, ok = er.Next() {
				if named && ev.Data != nil {
					ev.Name = []byte(scalarText(responsesMember(bytes.Clone(ev.Data), "type")))
				}
				sights[ResponsesCodec{}.TapEvent(&tap, ev)]++
			}
		}
		reply, err := Collect(ResponsesCodec{}.Events(strings.NewReader(responsesStream)))
		if err != nil {
			t.Fatal(err)
		}
		if tap.Usage != reply.Usage || !tap.HasUsage || tap.Model != "m" || tap.Tokens != 8 || sights[SightContent] != 8 || sights[SightEnd] != 1 {
			t.Errorf("tap %+v, sights %v, usage %+v", tap, sights, reply.Usage)
		}
	}
	var tap Tap
	failed := wire.Event{Name: []byte("response.failed"), Data: []byte(`{"response":{"status":"failed","usage":{"input_tokens":5}}}`)}
	if s := (ResponsesCodec{}).TapEvent(&tap, failed); s != SightFault || tap.Usage.Input != 5 || tap.Stop != llm.StopError {
		t.Errorf("a failed answer: %v, %+v", s, tap)
	}
	if s := (ResponsesCodec{}).TapEvent(&tap, wire.Event{Data: []byte(`{"type":"error"}`)}); s != SightFault {
		t.Errorf("an error is %v", s)
	}
}

func TestResponsesTapAllocatesNothing(t *testing.T) {
	events := []wire.Event{
		{Name: []byte("response.output_text.delta"), Data: []byte(`{"type":"response.output_text.delta","delta":"x"}`)},
		{Data: []byte(`{"delta":"x","type":"response.output_text.delta"}`)},
		{Name: []byte("response.output_item.done"), Data: []byte(`{"type":"response.output_item.done"}`)},
	}
	var tap Tap
	allocs := testing.AllocsPerRun(100, func() {
		for _, ev := range events {
			ResponsesCodec{}.TapEvent(&tap, ev)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for each event", allocs/float64(len(events)))
	}
}

func BenchmarkResponsesTapCompleted(b *testing.B) {
	text := strings.Repeat("all work and no play ", 5000)
	data := []byte(`{"type":"response.completed","response":{"id":"resp_1","output":[{"type":"message","content":[{"type":"output_text","text":"` + text +
		`"}]}],"status":"completed","model":"m","usage":{"input_tokens":5,"output_tokens":7}}}`)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		var tap Tap
		ResponsesCodec{}.TapEvent(&tap, wire.Event{Name: []byte("response.completed"), Data: data})
	}
}
