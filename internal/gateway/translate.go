package gateway

import (
	"errors"
	"fmt"
	"io"

	"tailplane/internal/dialect"
	"tailplane/internal/llm"
	"tailplane/internal/upstream"
	"tailplane/internal/wire"
)

// translate says the upstream's events in the client's dialect.
func (s *stream) translate(spoken, own dialect.Codec) *llm.Fault {
	c := s.call
	c.reply = c.reply[:0]
	out := own.Writer((*outbox)(c), c.decoded)
	fault := s.events(spoken, out)
	c.ex.Losses = append(c.ex.Losses, out.Losses()...)
	if fault != nil && !c.committed {
		return fault
	}
	if f := s.deliver(); f != nil {
		return f
	}
	if fault == nil {
		s.drain()
	}
	return fault
}

// drain reads the connection to the end of the body, so that it can be used
// again.
func (s *stream) drain() {
	s.call.reply = grow(s.call.reply[:0], 512)
	buf := s.call.reply[:512]
	for {
		s.arm(now())
		if _, err := s.resp.Read(buf); err != nil {
			return
		}
	}
}

// events passes every event of the upstream to the client's writer.
func (s *stream) events(spoken dialect.Codec, out dialect.EventWriter) *llm.Fault {
	c := s.call
	for ev, err := range spoken.Events((*paced)(s)) {
		if err != nil {
			if s.ended {
				return nil
			}
			return s.broken(err)
		}
		if ev.Kind == llm.EventFault {
			f := s.target.Classify(upstream.Answer{Body: *ev.Fault}, now())
			f.Phase = s.phase()
			return f
		}
		if ev.Kind == llm.EventStart {
			c.label(s.target, ev.Start)
		}
		s.see(ev)
		if err := out.Write(ev); err != nil {
			return s.broken(err)
		}
		c.ex.Events++
	}
	return nil
}

// see notes what an event tells about the answer.
func (s *stream) see(ev llm.Event) {
	tap := &s.call.tap
	switch ev.Kind {
	case llm.EventStart:
		tap.Model = ev.Start.Model
	case llm.EventPart:
		if !says(ev.New) {
			return
		}
		fallthrough
	case llm.EventDelta:
		tap.Tokens++
		s.content = true
	case llm.EventStop:
		tap.Stop = ev.Stop.Reason
		s.content = true
	case llm.EventUsage:
		tap.Usage, tap.HasUsage = *ev.Usage, true
	case llm.EventEnd:
		s.ended = true
	}
}

// says reports whether a part that opens is more than an empty frame: a frame is
// no token, and an error behind it can still be mended elsewhere.
func says(p *llm.Part) bool {
	switch p.Kind {
	case llm.PartText, llm.PartThinking, llm.PartRefusal:
		return !p.Text.Empty() || p.Redacted
	}
	return true
}

// broken classifies the error with which a translated stream ended.
func (s *stream) broken(err error) *llm.Fault {
	if f, is := errors.AsType[*llm.Fault](err); is {
		return f // the client's side broke while the codec was reading
	}
	f := upstream.Broken(err, s.ranOut())
	if errors.Is(err, wire.ErrEventTooLarge) {
		f.Kind, f.Retry, f.Message = llm.FaultGarbage, llm.RetryElsewhere, tooLargeEvent(s)
	}
	f.Phase = s.phase()
	return f
}

// tooLargeEvent says that an event exceeds the limit.
func tooLargeEvent(s *stream) string {
	return fmt.Sprintf("target %s sent an event of more than %d bytes; listen.max_event sets the limit", s.target.Name, s.call.plane.Listen.MaxEvent)
}

// deliver sends what the writer has said since the last time, unless no token
// has come yet.
func (s *stream) deliver() *llm.Fault {
	c := s.call
	if !s.content && !c.committed && !s.ended && len(c.reply) < mostHeld {
		return nil
	}
	if !c.committed && len(c.reply) > 0 {
		if f := s.commit(); f != nil {
			return f
		}
	}
	if s.content {
		s.content = false
		s.token(now())
	}
	f := s.write(c.reply)
	c.reply = c.reply[:0]
	return f
}

// outbox gathers what a writer says until the next read of the upstream.
type outbox call

func (o *outbox) Write(p []byte) (int, error) {
	o.reply = append(o.reply, p...)
	return len(p), nil
}

// paced is the upstream's body as a codec reads it: before each read, which may
// block, everything that was said so far goes to the client, and the deadline
// is set.
type paced stream

func (p *paced) Read(b []byte) (int, error) {
	s := (*stream)(p)
	if f := s.deliver(); f != nil {
		return 0, f
	}
	if s.ended {
		return 0, io.EOF
	}
	s.arm(now())
	return s.source.Read(b)
}
