package dialect_test

import (
	"bytes"
	"errors"
	"testing"

	"tailplane/internal/dialect"
	"tailplane/internal/llm"
)

// Law 3: what stands in a call or an answer stands in its translation too, or a
// Loss names it. Both sides are compared as inventories of the canonical form
// (corpus_inventory_test.go), so a codec cannot vouch for itself: the
// translation is decoded again by the other dialect's codec.

// conversations are the dialects that are translated into each other.
func conversations() []dialect.Codec {
	return []dialect.Codec{dialect.ChatCodec{}, dialect.ResponsesCodec{}, dialect.AnthropicCodec{}, dialect.GeminiCodec{}, dialect.ConverseCodec{}}
}

// targets are the dialects that a recording is translated to.
func targets(s *sample) []dialect.Codec {
	var out []dialect.Codec
	for _, c := range conversations() {
		if c.Name() != s.Surface {
			out = append(out, c)
		}
	}
	return out
}

func requestTranslation(t *testing.T, samples []sample) {
	c, ran := complaints{t: t}, 0
	for i := range samples {
		s := &samples[i]
		if !s.request || s.codec == nil || spliceOnly(s) != "" {
			continue
		}
		for _, target := range targets(s) {
			call, err := s.call()
			if err != nil {
				continue // law 1 complains
			}
			ran++
			want := callInventory(call, target.Name())
			body, losses, err := target.EncodeCall(nil, call)
			if err != nil && s.Status >= 400 {
				continue // nobody takes it
			}
			if err != nil {
				c.add(s, "to %s: %v", target.Name(), err)
				continue
			}
			got, err := decodeSaid(target, body, call)
			if err != nil {
				c.add(s, "to %s: its own reader refuses it: %v", target.Name(), err)
				continue
			}
			for _, missing := range want.missing(callSaid(got, body), losses) {
				c.add(s, "to %s: silently lost: %s (losses: %s)", target.Name(), missing, lossText(losses))
			}
		}
	}
	c.done(ran)
}

func replyTranslation(t *testing.T, samples []sample) {
	c, ran := complaints{t: t}, 0
	for i := range samples {
		s := &samples[i]
		if s.answer != asReply || s.codec == nil {
			continue
		}
		for _, target := range targets(s) {
			reply, err := s.codec.DecodeReply(s.Body, new(dialect.At))
			if err != nil {
				continue // law 1 complains
			}
			ran++
			want := replyInventory(reply, target.Name())
			body, losses, err := target.EncodeReply(nil, reply)
			if err != nil {
				c.add(s, "to %s: %v", target.Name(), err)
				continue
			}
			got, err := target.DecodeReply(body, new(dialect.At))
			if err != nil {
				c.add(s, "to %s: its own reader refuses it: %v", target.Name(), err)
				continue
			}
			for _, missing := range want.missing(replySaid(got, body), losses) {
				c.add(s, "to %s: silently lost: %s (losses: %s)", target.Name(), missing, lossText(losses))
			}
		}
	}
	c.done(ran)
}

func streamTranslation(t *testing.T, samples []sample) {
	c, ran := complaints{t: t}, 0
	for i := range samples {
		s := &samples[i]
		if s.answer != asStream || s.codec == nil {
			continue
		}
		reply, err := dialect.Collect(s.codec.Events(bytes.NewReader(s.Body)))
		if reply == nil || err != nil && !isFault(err) {
			continue // law 1 complains
		}
		for _, target := range targets(s) {
			ran++
			want := replyInventory(reply, target.Name())
			body, losses, writeErr := rewrite(target, anyCall(s), s.codec.Events(bytes.NewReader(s.Body)))
			if writeErr != nil {
				c.add(s, "to %s: %v", target.Name(), writeErr)
				continue
			}
			got, gotErr := dialect.Collect(target.Events(bytes.NewReader(body)))
			if (gotErr != nil || err != nil) && messageOf(gotErr) != messageOf(err) {
				c.add(s, "to %s: ends with %q instead of %q", target.Name(), endOf(gotErr), endOf(err))
				continue
			}
			if err != nil {
				want = want.withoutEnd()
			}
			for _, missing := range want.missing(replySaid(got, body), losses) {
				c.add(s, "to %s: silently lost: %s (losses: %s)", target.Name(), missing, lossText(losses))
			}
		}
	}
	c.done(ran)
}

func isFault(err error) bool { return messageOf(err) != "" }

// messageOf is what a client is told of a fault inside a stream.
func messageOf(err error) string {
	f, ok := errors.AsType[*llm.Fault](err)
	if !ok {
		return ""
	}
	return f.Message
}
