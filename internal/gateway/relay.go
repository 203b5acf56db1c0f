package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"tailplane/internal/dialect"
	"tailplane/internal/h1"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/upstream"
	"tailplane/internal/wire"
)

// The rules of relaying:
//
//   - Nothing is sent before the answer has shown that it is one: for a stream
//     its first token, for a whole answer its last byte. Until then every fault
//     may still be mended elsewhere.
//   - What one read of the upstream returned goes out in one write, and nothing
//     is held back to gather more.
//   - Only whole events are sent, so that an error event can follow whatever
//     was sent before it.
//   - An answer that did not reach its dialect's own end is never ended cleanly.

// relay carries a success of an upstream to the client.
func (c *call) relay(target *candidate, a *ledger.Attempt, resp *h1.Response, spoken dialect.Surface, begin time.Time) *llm.Fault {
	spliced := a.Lane == laneSplice
	if !c.seen.Stream {
		return c.relayWhole(target, a, resp, spoken, begin)
	}
	chunked := c.chunked(target, a.Dialect)
	framing := spoken.Framing()
	if chunked {
		framing = wire.EventStream
	}
	if !isStream(resp, framing) {
		return c.notAStream(target, resp, spoken)
	}
	s := &c.stream
	*s = stream{call: c, target: target, attempt: a, resp: resp, source: resp, begin: begin, last: begin}
	defer func() { *s = stream{} }()
	if chunked {
		c.chunks.Reset((*armed)(s), int(c.plane.Listen.MaxEvent))
		s.source = &c.chunks
	}
	if spliced {
		return s.splice(c.surface.dialect, c.hidesUsage(target))
	}
	return s.translate(spoken.(dialect.Codec), c.surface.dialect.(dialect.Codec))
}

// chunked reports whether the target's stream comes in frames around the
// dialect's own events.
func (c *call) chunked(target *candidate, spoken llm.Dialect) bool {
	e := target.Envelope(c.seen.Op, spoken)
	return e != nil && e.Chunk != ""
}

// words is the dialect in which a target words its refusals: where bodies are
// in an envelope, it is the service around the model that refuses.
func (c *call) words(target *candidate, spoken dialect.Surface) dialect.Surface {
	if c.chunked(target, spoken.Name()) {
		return dialect.ConverseCodec{}
	}
	return spoken
}

// isStream reports whether an answer is the stream that was asked for. One in a
// content coding cannot be read event by event, and nobody asks for one.
func isStream(resp *h1.Response, framing wire.Framing) bool {
	if coding(resp) != "" {
		return false
	}
	kind, _, _ := strings.Cut(resp.Header.Get("content-type"), ";")
	return strings.EqualFold(strings.TrimSpace(kind), framing.ContentType())
}

// notAStream says what an upstream sent instead of the stream it was asked for:
// an error object under status 200, or something that is no answer at all.
func (c *call) notAStream(target *candidate, resp *h1.Response, spoken dialect.Surface) *llm.Fault {
	c.reply = c.reply[:0]
	if err := c.readWhole(resp, maxErrorBody, now().Add(errorBodyTime)); err != nil && !errors.Is(err, errTooLong) {
		return upstream.Broken(err, llm.FaultFirstToken)
	}
	if sight, err := spoken.TapReply(&c.tap, c.reply); err == nil && sight.Has(dialect.SightFault) {
		return target.Classify(upstream.Answer{Body: dialect.ReadError(c.words(target, spoken), resp.Header.Get, c.reply)}, now())
	}
	c.tap.Reset()
	return garbage(fmt.Sprintf("target %s answered a streamed request with %s and no stream", target.Name, contentType(resp)), nil)
}

// contentType says of what kind an answer is.
func contentType(resp *h1.Response) string {
	kind, _, _ := strings.Cut(resp.Header.Get("content-type"), ";")
	text := "no content type"
	if kind != "" {
		text = fmt.Sprintf("content type %q", cut(kind, 60))
	}
	if c := coding(resp); c != "" {
		text += fmt.Sprintf(" and content encoding %q (none was asked for)", cut(c, 60))
	}
	return text
}

// coding is the content coding of an answer; "" for none.
func coding(resp *h1.Response) string {
	if c := resp.Header.Get("content-encoding"); !strings.EqualFold(c, "identity") {
		return c
	}
	return ""
}

func garbage(message string, err error) *llm.Fault {
	return &llm.Fault{
		Kind: llm.FaultGarbage, Retry: llm.RetryElsewhere, Scope: llm.ScopeTarget, Phase: llm.PhaseHead, Message: message, Err: err,
	}
}

// relayWhole carries an answer that is not streamed.
func (c *call) relayWhole(target *candidate, a *ledger.Attempt, resp *h1.Response, spoken dialect.Surface, begin time.Time) *llm.Fault {
	if f := c.takeWhole(target, resp, c.deadline, llm.FaultTotal); f != nil {
		return f
	}
	a.FirstToken = time.Since(begin)
	body := c.reply
	var f *llm.Fault
	if a.Lane == laneTranslate {
		body, f = c.translateWhole(target, resp, spoken.(dialect.Codec))
	} else {
		f = c.tapWhole(target, resp, spoken)
	}
	if f == nil {
		f = c.flawed(target, spoken)
	}
	if f != nil {
		return f
	}
	c.head("application/json", resp, target)
	c.headInvoke()
	return c.writeWhole(body)
}

// takeWhole reads a whole answer into c.reply; late is what it is when the deadline
// passes.
func (c *call) takeWhole(target *candidate, resp *h1.Response, deadline time.Time, late llm.FaultKind) *llm.Fault {
	c.reply = c.reply[:0]
	if resp.ContentLength > 0 {
		c.reply = grow(c.reply, int(min(resp.ContentLength, c.plane.Listen.MaxBody))+1)
	}
	err := c.readWhole(resp, c.plane.Listen.MaxBody, deadline)
	switch {
	case errors.Is(err, errTooLong):
		return garbage(fmt.Sprintf("target %s answered with more than %d bytes; listen.max_body sets the limit", target.Name, c.plane.Listen.MaxBody), err)
	case err != nil:
		return upstream.Broken(err, late)
	}
	return nil
}

// tapWhole looks at a whole answer: is it one, and what did it take?
func (c *call) tapWhole(target *candidate, resp *h1.Response, spoken dialect.Surface) *llm.Fault {
	sight, err := spoken.TapReply(&c.tap, c.reply)
	switch {
	case err != nil:
		return garbage(fmt.Sprintf("target %s answered with %s that is not a JSON object", target.Name, contentType(resp)), err)
	case sight.Has(dialect.SightFault):
		return target.Classify(upstream.Answer{Body: dialect.ReadError(c.words(target, spoken), resp.Header.Get, c.reply)}, now())
	}
	return nil
}

// translateWhole says a whole answer in the client's dialect. What it took
// stands in what was decoded; only an answer without any content is looked at a
// second time, since it may be an error.
func (c *call) translateWhole(target *candidate, resp *h1.Response, spoken dialect.Codec) ([]byte, *llm.Fault) {
	reply, err := spoken.DecodeReply(c.reply, &c.replyAt)
	if err != nil || len(reply.Choices) == 0 {
		if f := c.tapWhole(target, resp, spoken); f != nil {
			return nil, f
		}
	}
	var body []byte
	if err == nil {
		c.tap.Take(reply)
		c.label(target, reply)
		var losses []llm.Loss
		body, losses, err = c.surface.dialect.(dialect.Codec).EncodeReply(c.said[:0], reply)
		c.said = body
		c.ex.Losses = append(c.ex.Losses, losses...)
	}
	if err != nil {
		return nil, garbage(fmt.Sprintf("target %s answered with something that is not valid %s: %v", target.Name, spoken.Name(), err), err)
	}
	return body, nil
}

// label names an answer of a dialect whose answers have no name, no model
// (Bedrock's) or no time (Anthropic's), which clients of other dialects take for
// granted.
func (c *call) label(target *candidate, reply *llm.Reply) {
	if reply.ID == "" {
		reply.ID = c.ex.ID
	}
	if reply.Model == "" {
		reply.Model = target.model
	}
	if reply.Created == 0 {
		reply.Created = c.ex.Start.Unix()
	}
}

var errTooLong = errors.New("the answer is too long")

// readWhole reads a body to its end, at most limit bytes of it, into c.reply.
func (c *call) readWhole(resp *h1.Response, limit int64, deadline time.Time) (err error) {
	c.reply, err = readWhole(resp, c.reply, limit, deadline)
	return err
}

// readWhole reads a body to its end, at most limit bytes of it, and appends it to
// dst.
func readWhole(resp *h1.Response, dst []byte, limit int64, deadline time.Time) ([]byte, error) {
	_ = resp.SetReadDeadline(deadline) // a connection that takes none has ended: the read will say so
	dst = grow(dst, 4<<10)
	for {
		if len(dst) == cap(dst) {
			dst = grow(dst, 2*cap(dst))
		}
		n, err := resp.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case errors.Is(err, io.EOF):
			return dst, nil
		case err != nil:
			return dst, err
		case int64(len(dst)) > limit:
			return dst, errTooLong
		}
	}
}

// stream is one streamed answer on its way.
type stream struct {
	call    *call
	target  *candidate
	attempt *ledger.Attempt
	resp    *h1.Response
	source  io.Reader // the answer's body in the framing of its dialect
	begin   time.Time
	last    time.Time // of the last read that carried tokens
	armed   time.Time // the deadline that is set on the connection
	drained time.Time // until when the connection is read on behind the end
	ended   bool      // the dialect's own end was seen
	content bool      // translated: tokens were said since the last delivery
}

// drainTime is how long a connection is read on after the answer's end, so that
// it can be used again.
const drainTime = time.Second

// mostHeld is how much of a stream is held back before its first token.
const mostHeld = 64 << 10

// arm sets the deadline of the next read. It moves the one that is set only
// when that gains an eighth of the idle time: a deadline per event would cost
// more than the event.
//
// A connection that takes no deadline any more has ended: the read will say so.
func (s *stream) arm(at time.Time) {
	c := s.call
	want := c.firstDeadline(s.begin)
	switch {
	case s.ended && s.drained.IsZero():
		s.drained = at.Add(drainTime)
		want = s.drained
	case s.ended:
		want = s.drained
	case c.committed:
		want = at.Add(c.to.Idle)
		if want.After(c.deadline) {
			want = c.deadline
		}
	}
	if gain := want.Sub(s.armed); gain >= 0 && gain <= c.to.Idle/8 && !s.armed.IsZero() {
		return
	}
	s.armed = want
	_ = s.resp.SetReadDeadline(want)
}

// armed is the upstream's body under the deadline of the next read.
type armed stream

func (a *armed) Read(b []byte) (int, error) {
	s := (*stream)(a)
	s.arm(now())
	return s.resp.Read(b)
}

// ranOut says which timeout a passed deadline was.
func (s *stream) ranOut() llm.FaultKind {
	switch {
	case !now().Before(s.call.deadline):
		return llm.FaultTotal
	case !s.call.committed:
		return llm.FaultFirstToken
	}
	return llm.FaultIdle
}

// splice copies the upstream's events to the client as they are; a tap looks at
// each. With hide the event that exists only to report usage is left out.
func (s *stream) splice(own dialect.Surface, hide bool) *llm.Fault {
	c := s.call
	c.reply = c.reply[:0] // what is held back until the first token
	c.events.ResetFrames(s.source, own.Framing(), int(c.plane.Listen.MaxEvent))
	for {
		s.arm(c.now())
		readErr := c.events.Fill()
		if f := s.pass(own, hide); f != nil {
			return f
		}
		if readErr != nil {
			return s.finish(own, readErr)
		}
	}
}

// pass sends on the events of one read.
func (s *stream) pass(own dialect.Surface, hide bool) *llm.Fault {
	c := s.call
	var run wire.Span // events that follow each other and go out together
	var sights dialect.Sight
	for ev, ok := c.events.Next(); ok; ev, ok = c.events.Next() {
		sight := own.TapEvent(&c.tap, ev)
		if sight.Has(dialect.SightFault) && !s.ended {
			if f := s.send(c.events.Buffered()[run.Start:run.End], sights); f != nil {
				return f
			}
			f := s.target.Classify(upstream.Answer{Body: dialect.EventError(own, ev)}, now())
			f.Phase = s.phase()
			return f
		}
		sights |= sight
		s.ended = s.ended || sight.Has(dialect.SightEnd)
		end := ev.Offset + len(ev.Raw)
		if hide && sight.Has(dialect.SightUsageOnly) {
			if f := s.send(c.events.Buffered()[run.Start:run.End], sights); f != nil {
				return f
			}
			run, sights = wire.Span{Start: end, End: end}, 0
			continue
		}
		if run.End == run.Start {
			run.Start = ev.Offset
		}
		run.End = end
		c.ex.Events++
	}
	return s.send(c.events.Buffered()[run.Start:run.End], sights)
}

// send sends whole events to the client, or holds them back while no token has
// been seen.
func (s *stream) send(raw []byte, sights dialect.Sight) *llm.Fault {
	c := s.call
	content := sights.Has(dialect.SightContent)
	if !c.committed {
		c.reply = append(c.reply, raw...)
		if !content && len(c.reply) < mostHeld && !s.ended {
			return nil
		}
		if f := s.commit(); f != nil {
			return f
		}
		raw = c.reply
	}
	if content {
		s.token(c.now())
	}
	return s.write(raw)
}

// token notes the time of a read that carried tokens.
func (s *stream) token(at time.Time) {
	c := s.call
	if s.attempt.FirstToken == 0 {
		s.attempt.FirstToken = at.Sub(s.begin)
		s.target.State.Residual(at, c.ticket.First(at))
		c.leg.began(at)
		s.target.replica.poke(at)
		s.target.Metrics.TTFT.Observe(s.attempt.FirstToken.Seconds())
		c.ex.FirstToken = at.Sub(c.ex.Start)
		c.dest.metrics.TTFT.Observe(c.ex.FirstToken.Seconds())
	} else {
		gap := at.Sub(s.last)
		c.dest.metrics.ITL.Observe(gap.Seconds())
		c.ex.ITLMax = max(c.ex.ITLMax, gap)
	}
	s.last = at
}

// commit makes the head: from here on this answer is the answer, unless another
// one is already.
func (s *stream) commit() *llm.Fault {
	c := s.call
	if f := c.prevail(); f != nil {
		return f
	}
	c.head(c.surface.dialect.Framing().ContentType(), s.resp, s.target)
	c.w.Header()["Cache-Control"] = noCache
	c.ex.Status = http.StatusOK
	c.committed = true
	setWriteDeadline(c.w, c.deadline.Add(drainTime)) // a client that never reads must not hold us for ever
	return nil
}

// setWriteDeadline bounds writes to the client, where its connection can.
func setWriteDeadline(w http.ResponseWriter, at time.Time) {
	_ = http.NewResponseController(w).SetWriteDeadline(at)
}

var noCache = []string{"no-cache"}

// write sends bytes to the client now.
func (s *stream) write(raw []byte) *llm.Fault {
	if len(raw) == 0 {
		return nil
	}
	c := s.call
	n, err := c.w.Write(raw)
	c.ex.SentBytes += int64(n)
	if err != nil {
		return clientGone(err)
	}
	c.flush()
	return nil
}

func (s *stream) phase() llm.Phase {
	if s.call.committed {
		return llm.PhaseStream
	}
	return llm.PhaseFirstToken
}

// finish judges the end of a stream.
func (s *stream) finish(own dialect.Surface, readErr error) *llm.Fault {
	c := s.call
	if s.ended {
		return nil // whatever happened to the connection after the end
	}
	switch {
	case errors.Is(readErr, wire.ErrEventTooLarge):
		f := garbage(tooLargeEvent(s), readErr)
		f.Phase = s.phase()
		return f
	case !errors.Is(readErr, io.EOF):
		f := upstream.Broken(readErr, s.ranOut())
		f.Phase = s.phase()
		return f
	case c.committed && c.tap.Stop != "" && endsWithoutMark(own.Name()) && len(bytes.TrimSpace(c.events.Rest())) == 0:
		return nil
	}
	f := upstream.Broken(io.ErrUnexpectedEOF, llm.FaultIdle)
	f.Phase = s.phase()
	return f
}

// endsWithoutMark reports whether servers of a dialect are known to leave out
// the mark of the end, some engines no [DONE] after the finish reason and a model
// on Bedrock no measurements, or that there is none (Gemini).
func endsWithoutMark(d llm.Dialect) bool {
	return d == llm.Chat || d == llm.Completions || d == llm.Converse || d == llm.Gemini
}
