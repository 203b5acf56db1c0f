package dialect_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tailplane/internal/dialect"
	"tailplane/internal/llm"
)

// tree decodes JSON with the spelling of its numbers.
func tree(body []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	return v, nil
}

// differ returns the path at which two JSON texts differ; empty when they do
// not.
func differ(a, b []byte) string {
	ta, err := tree(a)
	if err != nil {
		return err.Error()
	}
	tb, err := tree(b)
	if err != nil {
		return err.Error()
	}
	return differTree("", ta, tb)
}

func differTree(path string, a, b any) string {
	switch a := a.(type) {
	case map[string]any:
		m, ok := b.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s: an object became %.80v", path, b)
		}
		for k, v := range a {
			w, ok := m[k]
			if !ok {
				return fmt.Sprintf("%s.%s is gone: %.80v", path, k, v)
			}
			if d := differTree(path+"."+k, v, w); d != "" {
				return d
			}
		}
		for k, w := range m {
			if _, ok := a[k]; !ok {
				return fmt.Sprintf("%s.%s is new: %.80v", path, k, w)
			}
		}
		return ""
	case []any:
		l, ok := b.([]any)
		if !ok || len(l) != len(a) {
			return fmt.Sprintf("%s: a list of %d became %.120v", path, len(a), b)
		}
		for i := range a {
			if d := differTree(fmt.Sprintf("%s[%d]", path, i), a[i], l[i]); d != "" {
				return d
			}
		}
		return ""
	}
	if a != b {
		return fmt.Sprintf("%s: %.80v became %.80v", path, a, b)
	}
	return ""
}

// spliceOnly says why a call has no canonical form by design; empty when it
// must have one. Such a request still passes through the splice lane.
func spliceOnly(s *sample) string {
	if s.Surface != llm.Completions {
		return ""
	}
	v, err := tree(s.Request)
	if err != nil {
		return ""
	}
	prompts, isList := v.(map[string]any)["prompt"].([]any)
	if !isList {
		return ""
	}
	if len(prompts) == 1 {
		if _, isText := prompts[0].(string); isText {
			return ""
		}
	}
	return "a batch of prompts or prompts as tokens"
}

func requestRoundTrip(t *testing.T, samples []sample) {
	c, ran := complaints{t: t}, 0
	for i := range samples {
		s := &samples[i]
		if !s.request || s.codec == nil || spliceOnly(s) != "" {
			continue
		}
		ran++
		call, err := dialect.ReadCall(s.codec, s.Request)
		if err != nil {
			c.add(s, "decode: %v", err)
			continue
		}
		again, losses, err := s.codec.EncodeCall(nil, call)
		if err != nil || len(losses) > 0 {
			c.add(s, "encode: %v, losses %v", err, losses)
			continue
		}
		if d := differ(s.Request, again); d != "" {
			c.add(s, "%s", d)
		}
	}
	c.done(ran)
}

func replyRoundTrip(t *testing.T, samples []sample) {
	c, ran := complaints{t: t}, 0
	for i := range samples {
		s := &samples[i]
		if s.answer != asReply || s.codec == nil {
			continue
		}
		ran++
		reply, err := s.codec.DecodeReply(s.Body, new(dialect.At))
		if err != nil {
			c.add(s, "decode: %v", err)
			continue
		}
		again, losses, err := s.codec.EncodeReply(nil, reply)
		if err != nil || len(losses) > 0 {
			c.add(s, "encode: %v, losses %v", err, losses)
			continue
		}
		if d := differ(s.Body, again); d != "" {
			c.add(s, "%s", d)
		}
	}
	c.done(ran)
}

// anyCall is the request of a recording for a writer: it takes all there is.
func anyCall(s *sample) *llm.Call {
	call := &llm.Call{}
	if s.request {
		if got, err := s.call(); err == nil {
			call = got
		}
	}
	call.Stream, call.WantUsage = true, true
	return call
}

// rewrite sends events through the writer of a codec and returns the bytes.
func rewrite(codec dialect.Codec, call *llm.Call, events iter.Seq2[llm.Event, error]) ([]byte, []llm.Loss, error) {
	var out bytes.Buffer
	w := codec.Writer(&out, call)
	for ev, err := range events {
		if err != nil {
			return out.Bytes(), w.Losses(), err
		}
		if err := w.Write(ev); err != nil {
			return out.Bytes(), w.Losses(), err
		}
		if ev.Kind == llm.EventFault {
			break // no end follows
		}
	}
	return out.Bytes(), w.Losses(), nil
}

// endOf is the error of a collected stream, comparable.
func endOf(err error) string {
	if err == nil {
		return ""
	}
	if f, ok := errors.AsType[*llm.Fault](err); ok {
		return "fault: " + f.Type + " " + f.Code + " " + f.Message
	}
	return err.Error()
}

func streamRoundTrip(t *testing.T, samples []sample) {
	c, ran := complaints{t: t}, 0
	for i := range samples {
		s := &samples[i]
		if s.answer != asStream || s.codec == nil {
			continue
		}
		ran++
		want, wantErr := dialect.Collect(s.codec.Events(bytes.NewReader(s.Body)))
		if words := refusal(s.Recording); words != "" {
			if wantErr == nil || !strings.Contains(wantErr.Error(), words) {
				c.add(s, "must be refused with %q, got %v", words, wantErr)
			}
			continue
		}
		if _, isFault := errors.AsType[*llm.Fault](wantErr); wantErr != nil && !isFault {
			c.add(s, "events: %v", wantErr)
			continue
		}
		if len(want.Choices) == 0 && wantErr == nil {
			c.add(s, "a stream without a choice")
		}
		again, losses, err := rewrite(s.codec, anyCall(s), s.codec.Events(bytes.NewReader(s.Body)))
		if err != nil || len(losses) > 0 {
			c.add(s, "write: %v, losses %v", err, losses)
			continue
		}
		got, gotErr := dialect.Collect(s.codec.Events(bytes.NewReader(again)))
		if endOf(gotErr) != endOf(wantErr) {
			c.add(s, "ends with %q instead of %q", endOf(gotErr), endOf(wantErr))
		}
		if d := differReply(want, got); d != "" {
			c.add(s, "%s", d)
		}
	}
	c.done(ran)
}

// differReply names the first field in which two replies differ.
func differReply(a, b *llm.Reply) string {
	return differValue("reply", reflect.ValueOf(*a), reflect.ValueOf(*b))
}

func differValue(path string, a, b reflect.Value) string {
	if reflect.DeepEqual(a.Interface(), b.Interface()) {
		return ""
	}
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			if d := differValue(path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i)); d != "" {
				return d
			}
		}
	case reflect.Pointer:
		if !a.IsNil() && !b.IsNil() {
			return differValue(path, a.Elem(), b.Elem())
		}
	case reflect.Slice:
		if a.Type().Elem().Kind() == reflect.Uint8 {
			if len(a.Bytes()) > 0 && len(b.Bytes()) > 0 {
				if d := differ(a.Bytes(), b.Bytes()); d != "" {
					return path + " " + d
				}
				return "" // members in another order are the same JSON
			}
			return fmt.Sprintf("%s: %.200q became %.200q", path, a.Bytes(), b.Bytes())
		}
		if a.Len() != b.Len() {
			return fmt.Sprintf("%s: %d became %d", path, a.Len(), b.Len())
		}
		for i := range a.Len() {
			if d := differValue(fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i)); d != "" {
				return d
			}
		}
		return ""
	}
	return fmt.Sprintf("%s: %.200v became %.200v", path, a.Interface(), b.Interface())
}

func spliceIsExact(t *testing.T, samples []sample) {
	c, ran := complaints{t: t}, 0
	for i := range samples {
		s := &samples[i]
		if !s.request {
			continue
		}
		var at dialect.At
		seen, err := s.surface.Glance(s.Request, &at)
		if err != nil {
			if wantsModel(s) || s.Status >= 400 {
				continue
			}
			c.add(s, "glance: %v", err)
			continue
		}
		ran++
		if s.Surface == llm.Gemini { // the model stands in the path
			if out := s.surface.Splice(nil, s.Request, &at, dialect.Rewrite{Model: otherModel, Usage: true}).Append(nil); !bytes.Equal(out, s.Request) {
				c.add(s, "splice changed the request")
			}
			continue
		}
		if same := s.surface.Splice(nil, s.Request, &at, dialect.Rewrite{}).Append(nil); !bytes.Equal(same, s.Request) {
			c.add(s, "splice with nothing to do changed the request")
		}
		if s.Surface == llm.Converse {
			if same := s.surface.Splice(nil, s.Request, &at, dialect.Rewrite{Model: otherModel, Usage: true}).Append(nil); !bytes.Equal(same, s.Request) {
				c.add(s, "what stands in the path was put into the body")
			}
			continue
		}
		if d := spliceModel(s, &at); d != "" {
			c.add(s, "model: %s", d)
		}
		if !seen.Stream || s.Surface != llm.Chat && s.Surface != llm.Completions {
			continue
		}
		if d := spliceUsage(s, &at); d != "" {
			c.add(s, "usage: %s", d)
		}
	}
	c.done(ran)
}

// wantsModel reports whether a request names no model because its address does
// (a deployment at Azure): the lane of such a client is not built on Glance.
func wantsModel(s *sample) bool {
	v, err := tree(s.Request)
	m, ok := v.(map[string]any)
	if err != nil || !ok {
		return false
	}
	_, has := m["model"]
	return !has
}

const otherModel = `team "a"/model-7`

func spliceModel(s *sample, at *dialect.At) string {
	out := s.surface.Splice(nil, s.Request, at, dialect.Rewrite{Model: otherModel}).Append(nil)
	want, err := tree(s.Request)
	if err != nil {
		return err.Error()
	}
	old, _ := want.(map[string]any)["model"].(string)
	want.(map[string]any)["model"] = otherModel
	got, err := tree(out)
	if err != nil {
		return err.Error()
	}
	if d := differTree("", want, got); d != "" {
		return d
	}
	quoted, err := json.Marshal(old)
	if err != nil {
		return err.Error()
	}
	if kept := untouched(s.Request, out); kept < len(s.Request)-len(quoted) {
		return fmt.Sprintf("only %d of %d bytes are untouched", kept, len(s.Request))
	}
	return ""
}

func spliceUsage(s *sample, at *dialect.At) string {
	out := s.surface.Splice(nil, s.Request, at, dialect.Rewrite{Usage: true}).Append(nil)
	want, err := tree(s.Request)
	if err != nil {
		return err.Error()
	}
	options, has := want.(map[string]any)["stream_options"].(map[string]any)
	if !has {
		options = map[string]any{}
		want.(map[string]any)["stream_options"] = options
	}
	options["include_usage"] = true
	got, err := tree(out)
	if err != nil {
		return err.Error()
	}
	if d := differTree("", want, got); d != "" {
		return d
	}
	if kept := untouched(s.Request, out); !has && !bytes.Contains(s.Request, []byte("stream_options")) && kept < len(s.Request) {
		return fmt.Sprintf("only %d of %d bytes are untouched", kept, len(s.Request))
	}
	both := s.surface.Splice(nil, s.Request, at, dialect.Rewrite{Model: otherModel, Usage: true}).Append(nil)
	var again dialect.At
	if _, err := s.surface.Glance(out, &again); err != nil {
		return err.Error()
	}
	if twice := s.surface.Splice(nil, out, &again, dialect.Rewrite{Model: otherModel}).Append(nil); !bytes.Equal(both, twice) {
		return "both edits together differ from one after the other"
	}
	return ""
}

// untouched is the number of bytes of body that out shares before and behind
// its one edit.
func untouched(body, out []byte) int {
	head, most := 0, min(len(body), len(out))
	for head < most && body[head] == out[head] {
		head++
	}
	tail := 0
	for tail < most-head && body[len(body)-1-tail] == out[len(out)-1-tail] {
		tail++
	}
	return head + tail
}

func lossText(losses []llm.Loss) string {
	var names []string
	for _, l := range losses {
		names = append(names, l.Feature)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}
