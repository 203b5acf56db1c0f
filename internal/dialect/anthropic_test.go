package dialect

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// anthropicJSON parses text for comparison: member order is free, numbers keep
// their spelling.
func anthropicJSON(t testing.TB, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func anthropicSameJSON(t testing.TB, got, want []byte) {
	t.Helper()
	if !reflect.DeepEqual(anthropicJSON(t, got), anthropicJSON(t, want)) {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func anthropicRoundTripCall(t testing.TB, body []byte) {
	t.Helper()
	c, err := ReadCall(AnthropicCodec{}, body)
	if err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	got, losses, err := AnthropicCodec{}.EncodeCall(nil, c)
	if err != nil || len(losses) != 0 {
		t.Fatalf("%v %v", err, losses)
	}
	anthropicSameJSON(t, got, body)
}

func anthropicRoundTripReply(t testing.TB, body []byte) {
	t.Helper()
	r, err := AnthropicCodec{}.DecodeReply(body, new(At))
	if err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	got, losses, err := AnthropicCodec{}.EncodeReply(nil, r)
	if err != nil || len(losses) != 0 {
		t.Fatalf("%v %v", err, losses)
	}
	anthropicSameJSON(t, got, body)
	var tap Tap
	AnthropicCodec{}.TapReply(&tap, body)
	if tap.Usage != r.Usage || tap.HasUsage != r.HasUsage || tap.Model != r.Model || tap.Stop != r.Choices[0].Stop.Reason {
		t.Fatalf("tap %+v, decoded %+v %+v", tap, r.Usage, r.Choices[0].Stop)
	}
}

// anthropicGathered is what the events of a stream add up to.
type anthropicGathered struct {
	Start llm.Reply
	Parts []llm.Part
	Stop  llm.Stop
	Extra llm.Extra
	Usage llm.Usage
	UsageExtra
	Others []string
	Faults []llm.ErrorBody
	Err    string
	Ended  bool
}

// UsageExtra is kept apart from the figures so that a difference names it.
type UsageExtra struct{ OfUsage llm.Extra }

func anthropicGather(events []llm.Event, err error) anthropicGathered {
	g := anthropicGathered{}
	if err != nil {
		g.Err = err.Error()
	}
	for _, ev := range events {
		switch ev.Kind {
		case llm.EventStart:
			g.Start = *ev.Start
		case llm.EventPart:
			p := *ev.New
			if p.Tool != nil {
				p.Tool = new(*p.Tool)
			}
			g.Parts = append(g.Parts, p)
		case llm.EventDelta:
			if p := &g.Parts[ev.Part]; p.Tool != nil {
				p.Tool.Arguments += ev.Text
			} else {
				p.Text = quoted(unquoted(p.Text) + ev.Text)
			}
		case llm.EventSign:
			g.Parts[ev.Part].Signature += ev.Text
		case llm.EventPartEnd:
			if ev.New != nil {
				g.Parts[ev.Part].Extra = ev.New.Extra
			}
		case llm.EventStop:
			g.Stop, g.Extra = ev.Stop, ev.Extra
		case llm.EventUsage:
			g.Usage, g.OfUsage = *ev.Usage, ev.Extra
		case llm.EventOther:
			g.Others = append(g.Others, string(ev.Raw))
		case llm.EventFault:
			g.Faults = append(g.Faults, *ev.Fault)
		case llm.EventEnd:
			g.Ended = true
		}
	}
	return g
}

func anthropicEvents(r io.Reader) (events []llm.Event, err error) {
	for ev, bad := range (AnthropicCodec{}).Events(r) {
		if bad != nil {
			return events, bad
		}
		events = append(events, ev)
	}
	return events, nil
}

func anthropicWrite(events []llm.Event) (string, []llm.Loss) {
	var out bytes.Buffer
	w := AnthropicCodec{}.Writer(&out, &llm.Call{Model: "m"})
	for _, ev := range events {
		if err := w.Write(ev); err != nil {
			panic(err)
		}
	}
	return out.String(), w.Losses()
}

// anthropicCheckStream holds the laws of streams against one recording.
func anthropicCheckStream(t testing.TB, stream string) anthropicGathered {
	t.Helper()
	events, err := anthropicEvents(strings.NewReader(stream))
	want := anthropicGather(events, err)
	bytewise, err := anthropicEvents(iotest.OneByteReader(strings.NewReader(stream)))
	if !reflect.DeepEqual(bytewise, events) || anthropicGather(bytewise, err).Err != want.Err {
		t.Fatalf("byte by byte the events differ:\n%+v\n%+v", bytewise, events)
	}
	if want.Err != "" && want.Err != io.ErrUnexpectedEOF.Error() {
		return want
	}
	text, losses := anthropicWrite(events)
	if len(losses) != 0 {
		t.Fatalf("losses %v", losses)
	}
	again, err := anthropicEvents(strings.NewReader(text))
	got := anthropicGather(again, err)
	if len(want.Faults) == 0 && !reflect.DeepEqual(got, want) {
		t.Fatalf("written again:\n%+v\nwant\n%+v\n%s", got, want, text)
	}
	if tap := anthropicTap(stream); tap.Usage != want.Usage || want.Ended && tap.Stop != want.Stop.Reason {
		t.Fatalf("tap %+v, decoded %+v %+v", tap, want.Usage, want.Stop)
	}
	return want
}

func anthropicTap(stream string) Tap {
	var t Tap
	var r wire.EventReader
	r.Reset(strings.NewReader(stream), 0)
	for {
		err := r.Fill()
		for ev, ok := r.Next(); ok; ev, ok = r.Next() {
			AnthropicCodec{}.TapEvent(&t, ev)
		}
		if err != nil {
			if t.HasUsage && t.Usage.Source == "" {
				panic(errors.New("a usage without a source"))
			}
			return t
		}
	}
}
