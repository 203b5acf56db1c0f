package dialect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"tailplane/internal/dialect"
	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

func errorsAreTold(t *testing.T, samples []sample) {
	c, ran := complaints{t: t}, 0
	for i := range samples {
		s := &samples[i]
		if s.answer != asError {
			continue
		}
		ran++
		body := s.surface.DecodeError(s.Body)
		if strings.TrimSpace(body.Message) == "" {
			c.add(s, "no message in %.200s", s.Body)
			continue
		}
		if s.codec != nil {
			if reply, err := s.codec.DecodeReply(s.Body, new(dialect.At)); err == nil {
				c.add(s, "an error is taken for an answer: %+v", reply)
			}
		}
		fault := &llm.Fault{
			Kind: llm.FaultBadRequest, Status: s.Status, Type: body.Type, Code: body.Code, Param: body.Param, Message: body.Message,
		}
		for _, surface := range dialect.Surfaces() {
			if d := badEnvelope(surface, fault); d != "" {
				c.add(s, "told in %s: %s", surface.Name(), d)
			}
			if d := badStreamEnd(surface, fault); d != "" {
				c.add(s, "told in a stream of %s: %s", surface.Name(), d)
			}
		}
	}
	c.done(ran)
}

// badEnvelope says what is wrong with an error envelope.
func badEnvelope(surface dialect.Surface, f *llm.Fault) string {
	body := surface.EncodeError(f, "req-1")
	if typed, ok := surface.(dialect.TypedErrors); ok {
		return badTypedError(typed, f, body)
	}
	var envelope struct {
		Type  string `json:"type"`
		Error struct {
			Type    *string `json:"type"`
			Status  *string `json:"status"` // gemini's word for it
			Message *string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return err.Error()
	}
	if surface.Name() == llm.Gemini {
		envelope.Error.Type = envelope.Error.Status
	}
	switch {
	case envelope.Error.Message == nil || *envelope.Error.Message != f.Message:
		return "another message: " + string(body)
	case envelope.Error.Type == nil || *envelope.Error.Type == "":
		return "no type: " + string(body)
	case surface.Name() == llm.Anthropic && envelope.Type != "error":
		return "no type error at the top: " + string(body)
	case surface.DecodeError(body).Message != f.Message:
		return "its own reader finds another message"
	}
	return ""
}

// badTypedError is badEnvelope where the type stands in a header.
func badTypedError(surface dialect.TypedErrors, f *llm.Fault, body []byte) string {
	kind := surface.ErrorType(f)
	header := func(name string) string {
		if name != surface.ErrorHeader() {
			return ""
		}
		return kind + ":http://example/"
	}
	e := dialect.ReadError(surface, header, body)
	switch {
	case kind == "" || e.Type != kind:
		return fmt.Sprintf("type %q is read as %q", kind, e.Type)
	case e.Message != f.Message:
		return "another message: " + string(body)
	}
	return ""
}

// badStreamEnd says what is wrong with the events that end a stream in failure.
func badStreamEnd(surface dialect.Surface, f *llm.Fault) string {
	text := surface.AppendFault(nil, f, "req-1")
	if dialect.CodecFor(surface.Name()) == nil {
		return "" // no streams in this dialect
	}
	var tap dialect.Tap
	var r wire.EventReader
	r.ResetFrames(bytes.NewReader(text), surface.Framing(), 0)
	told := false
	for {
		err := r.Fill()
		for ev, ok := r.Next(); ok; ev, ok = r.Next() {
			sight := surface.TapEvent(&tap, ev)
			told = told || sight.Has(dialect.SightFault)
			if sight.Has(dialect.SightEnd) && surface.Name() != llm.Responses {
				return "an SDK takes it for a clean end: " + string(text)
			}
		}
		if err != nil {
			break
		}
	}
	switch {
	case !told:
		return "no event is a fault: " + string(text)
	case len(r.Rest()) > 0:
		return "the last event is not complete: " + string(text)
	}
	return ""
}
