package dialect_test

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"tailplane/internal/dialect"
	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// pieces reads a text in given pieces; what is left behind the last cut comes
// as one more.
type pieces struct {
	rest []byte
	cuts []int // lengths
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := len(p.rest)
	if len(p.cuts) > 0 {
		n, p.cuts = min(n, p.cuts[0]), p.cuts[1:]
	}
	n = copy(b, p.rest[:n])
	p.rest = p.rest[n:]
	return n, nil
}

// single reads one byte at a time.
type single struct{ rest []byte }

func (r *single) Read(b []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), 1)], r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// heard is a stream as events and how it ended.
type heard struct {
	events []llm.Event
	end    string
}

func listen(codec dialect.Codec, r io.Reader) heard {
	var h heard
	for ev, err := range codec.Events(r) {
		if err != nil {
			h.end = err.Error()
			continue
		}
		h.events = append(h.events, ev)
	}
	return h
}

// withoutPings leaves out keep-alives, which added comments are.
func (h heard) withoutPings() heard {
	var out heard
	out.end = h.end
	for _, ev := range h.events {
		if ev.Kind != llm.EventPing {
			out.events = append(out.events, ev)
		}
	}
	return out
}

func (h heard) differ(other heard) string {
	if reflect.DeepEqual(h, other) {
		return ""
	}
	if h.end != other.end {
		return fmt.Sprintf("ends with %q instead of %q", other.end, h.end)
	}
	for i := range min(len(h.events), len(other.events)) {
		if !reflect.DeepEqual(h.events[i], other.events[i]) {
			return fmt.Sprintf("event %d is %+v instead of %+v", i, other.events[i], h.events[i])
		}
	}
	return fmt.Sprintf("%d events instead of %d", len(other.events), len(h.events))
}

const (
	shortStream = 1500 // bytes up to which every cut in two is tried
	longStream  = 256 << 10
	cutAtOnce   = 20 // streams that are cut at random in each round
)

// shortest is shortStream; frames have four times the bytes for the same events.
func shortest(surface dialect.Surface) int {
	if surface.Framing() == wire.EventStream {
		return 4 * shortStream
	}
	return shortStream
}

func cuttingIsInvisible(t *testing.T, samples []sample) {
	c, ran := complaints{t: t}, 0
	var streams []stream
	for i := range samples {
		s := &samples[i]
		if s.answer != asStream || s.codec == nil {
			continue
		}
		ran++
		want := listen(s.codec, bytes.NewReader(s.Body))
		if d := want.differ(listen(s.codec, &single{s.Body})); d != "" {
			c.add(s, "one byte at a time: %s", d)
		}
		quiet := want.withoutPings()
		for name, text := range spellings(s.surface, s.Body) {
			if d := quiet.differ(listen(s.codec, bytes.NewReader(text)).withoutPings()); d != "" {
				c.add(s, "%s: %s", name, d)
			}
			if d := quiet.differ(listen(s.codec, &single{text}).withoutPings()); d != "" {
				c.add(s, "%s, one byte at a time: %s", name, d)
			}
		}
		for cut := 1; len(s.Body) <= shortest(s.surface) && cut < len(s.Body); cut++ {
			if d := want.differ(listen(s.codec, &pieces{s.Body, []int{cut}})); d != "" {
				c.add(s, "cut at %d: %s", cut, d)
				break
			}
		}
		if len(s.Body) <= longStream {
			streams = append(streams, stream{s, want})
		}
	}
	if len(streams) > 0 {
		t.Run("random cuts", randomCuts(streams))
	}
	c.done(ran)
}

// stream is a recorded stream and what it says when it is read whole.
type stream struct {
	*sample
	want heard
}

// spellings are the same stream with other line ends, a byte order mark and
// comments.
func spellings(surface dialect.Surface, body []byte) map[string][]byte {
	if surface.Framing() != wire.SSE {
		return nil
	}
	lf := bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n"))
	return map[string][]byte{
		"CR LF":    bytes.ReplaceAll(lf, []byte("\n"), []byte("\r\n")),
		"CR":       bytes.ReplaceAll(lf, []byte("\n"), []byte("\r")),
		"BOM":      append([]byte("\ufeff"), body...),
		"comments": bytes.ReplaceAll(lf, []byte("\n\n"), []byte("\n\n: still here\n\n")),
	}
}

func randomCuts(streams []stream) func(*testing.T) {
	return rapid.MakeCheck(func(t *rapid.T) {
		most := rapid.IntRange(2, 4000).Draw(t, "longest piece")
		cuts := rapid.SliceOfN(rapid.IntRange(1, most), 1, 60).Draw(t, "cuts")
		from := rapid.IntRange(0, len(streams)-1).Draw(t, "first stream")
		for i := range cutAtOnce {
			s := streams[(from+i*7)%len(streams)]
			if d := s.want.differ(listen(s.codec, &pieces{s.Body, cuts})); d != "" {
				t.Fatalf("%s: %s", s.Name(), d)
			}
		}
	})
}

func tapSeesUsage(t *testing.T, samples []sample) {
	c, ran := complaints{t: t}, 0
	for i := range samples {
		s := &samples[i]
		var tap dialect.Tap
		var reply *llm.Reply
		switch {
		case s.codec == nil && s.answer == asReply: // embeddings have no second reader
			ran++
			s.surface.TapReply(&tap, s.Body)
			if want := plainUsage(s.Body); want != tap.Usage.Input {
				c.add(s, "the tap has %d input tokens, the body %d", tap.Usage.Input, want)
			}
			continue
		case s.codec == nil || s.answer != asReply && s.answer != asStream || refusal(s.Recording) != "":
			continue
		case s.answer == asReply:
			s.surface.TapReply(&tap, s.Body)
			var err error
			if reply, err = s.codec.DecodeReply(s.Body, new(dialect.At)); err != nil {
				continue // law 1 complains
			}
		default:
			tapStream(s.surface, s.events(), &tap)
			reply, _ = dialect.Collect(s.codec.Events(bytes.NewReader(s.Body)))
		}
		ran++
		if tap.HasUsage != reply.HasUsage {
			c.add(s, "usage reported: tap %v, decoding %v", tap.HasUsage, reply.HasUsage)
		}
		if tap.Usage != reply.Usage {
			c.add(s, "the tap has %+v, decoding %+v", tap.Usage, reply.Usage)
		}
		if len(reply.Choices) == 1 && tap.Stop != reply.Choices[0].Stop.Reason {
			c.add(s, "stop: tap %q, decoding %q", tap.Stop, reply.Choices[0].Stop.Reason)
		}
		if tap.Model != reply.Model {
			c.add(s, "model: tap %q, decoding %q", tap.Model, reply.Model)
		}
	}
	c.done(ran)
}

func tapStream(surface dialect.Surface, body []byte, tap *dialect.Tap) (end bool) {
	var r wire.EventReader
	r.ResetFrames(bytes.NewReader(body), surface.Framing(), 0)
	for {
		err := r.Fill()
		for ev, ok := r.Next(); ok; ev, ok = r.Next() {
			end = surface.TapEvent(tap, ev).Has(dialect.SightEnd) || end
		}
		if err != nil {
			return end
		}
	}
}

// plainUsage reads prompt_tokens of an embeddings answer by plain decoding.
func plainUsage(body []byte) int64 {
	v, err := tree(body)
	if err != nil {
		return 0
	}
	usage, _ := v.(map[string]any)["usage"].(map[string]any)
	n, ok := usage["prompt_tokens"].(interface{ Int64() (int64, error) })
	if !ok {
		return 0
	}
	count, _ := n.Int64()
	return count
}
