package dialect_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// item is one thing that a call or an answer says.
type item struct {
	what  string // for the report
	in    func(*said) bool
	names []string // a Loss whose feature contains one of these declares it; none: it may not be lost
	end   bool     // known only when an answer has ended
}

type inventory []item

// missing lists what the translation neither says nor declares lost.
func (inv inventory) missing(s *said, losses []llm.Loss) []string {
	var out []string
	for _, it := range inv {
		if !it.in(s) && !declared(losses, it.names) {
			out = append(out, it.what)
		}
	}
	return out
}

func (inv inventory) withoutEnd() inventory {
	var out inventory
	for _, it := range inv {
		if !it.end {
			out = append(out, it)
		}
	}
	return out
}

// declared reports whether a Loss names one of the members, by a segment of
// its path: stop is named by stop, stop_reason and choices[0].stop.
func declared(losses []llm.Loss, names []string) bool {
	for _, l := range losses {
		segments := strings.FieldsFunc(l.Feature, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
		for _, seg := range segments {
			for _, n := range names {
				if seg == n || seg == "*" || strings.HasPrefix(seg, n+"_") || strings.HasSuffix(seg, "_"+n) {
					return true
				}
			}
		}
	}
	return false
}

// said is the other side: what the translation says, read by its own codec.
type said struct {
	raw      []byte
	call     *llm.Call  // of a request
	reply    *llm.Reply // of an answer
	texts    map[llm.Role]string
	all      string // every text
	thinking string
	signs    []string
	calls    []llm.ToolCall
	results  []string // the ids of the calls that they answer
	failed   int      // results that are errors
	media    []llm.Media
	marks    int
	names    int // participants' names
}

func newSaid(raw []byte) *said { return &said{raw: raw, texts: map[llm.Role]string{}} }

// callSaid reads a request.
func callSaid(call *llm.Call, raw []byte) *said {
	s := newSaid(raw)
	s.call = call
	s.parts(llm.RoleSystem, call.System)
	for _, t := range call.Turns {
		s.parts(t.Role, t.Parts)
		if t.Name != "" {
			s.names++
		}
	}
	for _, t := range call.Tools {
		if t.Cache != nil {
			s.marks++
		}
	}
	return s
}

// replySaid reads an answer.
func replySaid(reply *llm.Reply, raw []byte) *said {
	s := newSaid(raw)
	s.reply = reply
	for _, c := range reply.Choices {
		s.parts(llm.RoleAssistant, c.Parts)
	}
	return s
}

func (s *said) parts(role llm.Role, parts []llm.Part) {
	for _, p := range parts {
		if p.Cache != nil {
			s.marks++
		}
		switch p.Kind {
		case llm.PartText, llm.PartRefusal:
			s.texts[role] += plain(p.Text)
			s.all += plain(p.Text)
		case llm.PartThinking:
			s.thinking += plain(p.Text)
			s.signs = append(s.signs, p.Signature)
		case llm.PartToolCall:
			s.calls = append(s.calls, *p.Tool)
		case llm.PartToolResult:
			s.results = append(s.results, p.Result.CallID)
			if p.Result.Error {
				s.failed++
			}
			s.parts(llm.RoleTool, p.Result.Parts)
		case llm.PartImage, llm.PartAudio, llm.PartFile:
			s.media = append(s.media, *p.Media)
		}
	}
}

// squeeze leaves out white space: where texts are joined and cut, it is no part
// of what is said.
func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

func (inv *inventory) add(what string, in func(*said) bool, names ...string) {
	*inv = append(*inv, item{what: what, in: in, names: names})
}

func (inv *inventory) atEnd(what string, in func(*said) bool, names ...string) {
	*inv = append(*inv, item{what: what, in: in, names: names, end: true})
}

// callInventory lists what a call says, for the dialect that it goes to.
func callInventory(call *llm.Call, to llm.Dialect) inventory {
	var inv inventory
	inv.parts(llm.RoleSystem, call.System)
	names := 0
	for _, t := range call.Turns {
		inv.parts(t.Role, t.Parts)
		if t.Name != "" {
			names++
		}
	}
	if names > 0 {
		inv.add("names of participants", func(s *said) bool { return s.names >= names }, "name")
	}
	source := callSaid(call, nil)
	inv.tools(source)
	for _, t := range call.Tools {
		inv.tool(t, unofferable(call, to))
	}
	inv.sampling(call)
	inv.output(call.Output, to)
	inv.rest(call)
	inv.marks(source.marks)
	inv.extras(reflect.ValueOf(*call), to)
	return inv
}

// replyInventory lists what an answer says.
func replyInventory(reply *llm.Reply, to llm.Dialect) inventory {
	var inv inventory
	for i, c := range reply.Choices {
		names := []string{}
		if i > 0 {
			names = []string{"choices"}
		}
		inv.answer(c, names)
		if i > 0 {
			continue
		}
		stops := []string{"stop", "finish_reason", "status", "incomplete"}
		if c.Stop.Wire == "function_call" { // the legacy call itself is what is declared
			stops = append(stops, "choices.message", "function_call")
		}
		inv.atEnd(fmt.Sprintf("stop %q %q", c.Stop.Reason, c.Stop.Wire), func(s *said) bool {
			return len(s.reply.Choices) > 0 && sameStop(s.reply.Choices[0].Stop.Reason, c.Stop.Reason)
		}, stops...)
		if n := len(c.Logprobs); n > 0 {
			inv.add("logprobs", func(s *said) bool { return len(s.reply.Choices) > 0 && len(s.reply.Choices[0].Logprobs) == n }, "logprobs")
		}
	}
	if to != llm.Converse && reply.Model != "" { // answers of Converse name no model
		inv.add("model "+reply.Model, func(s *said) bool { return s.reply.Model == reply.Model })
	}
	inv.usage(reply)
	inv.extras(reflect.ValueOf(*reply), to)
	return inv
}

// sameStop compares reasons. A refusal and a filter are told to clients of
// other dialects by one word. An answer that never said why it stopped may be
// told as a plain end.
func sameStop(got, want llm.StopReason) bool {
	refused := func(r llm.StopReason) bool { return r == llm.StopRefusal || r == llm.StopFilter }
	return got == want || refused(got) && refused(want) || want == ""
}

func (inv *inventory) answer(c llm.Choice, names []string) {
	source := replySaid(&llm.Reply{Choices: []llm.Choice{c}}, nil)
	if text := squeeze(source.all); text != "" {
		inv.add(fmt.Sprintf("text %.60q", text), func(s *said) bool { return strings.Contains(squeeze(s.all), text) }, names...)
	}
	for i, call := range source.calls {
		inv.add("tool call "+call.Name+" "+call.Arguments, func(s *said) bool {
			return len(s.calls) > i && sameCall(s.calls[i], call)
		}, names...)
	}
	inv.add("an id for each tool call", func(s *said) bool { return distinct(s.calls) }, names...)
	for _, p := range c.Parts {
		switch p.Kind {
		case llm.PartThinking:
			inv.thinking(p)
		case llm.PartOther:
			inv.add(fmt.Sprintf("other part %.80s", p.Raw), func(*said) bool { return false }, append(names, "content", "output", "part", "item")...)
		case llm.PartImage, llm.PartAudio, llm.PartFile:
			inv.media(*p.Media)
		case llm.PartToolResult:
			inv.add("tool result in an answer", func(s *said) bool { return len(s.results) > 0 }, append(names, "content", "output", "tool")...)
		}
	}
}

func (inv *inventory) usage(reply *llm.Reply) {
	if !reply.HasUsage {
		return
	}
	u := reply.Usage
	inv.add(fmt.Sprintf("usage %+v", u), func(s *said) bool {
		v := s.reply.Usage
		return s.reply.HasUsage && v.Input == u.Input && v.Output == u.Output && v.CacheRead == u.CacheRead
	})
	inv.add(fmt.Sprintf("usage details %+v", u), func(s *said) bool {
		v := s.reply.Usage
		return v.CacheWrite == u.CacheWrite && v.CacheWrite1h == u.CacheWrite1h && v.Reasoning == u.Reasoning &&
			v.InputAudio == u.InputAudio && v.OutputAudio == u.OutputAudio
	}, "usage")
}

func (inv *inventory) parts(role llm.Role, parts []llm.Part) {
	for _, p := range parts {
		switch p.Kind {
		case llm.PartText, llm.PartRefusal:
			inv.text(role, plain(p.Text))
		case llm.PartThinking:
			inv.thinking(p)
		case llm.PartImage, llm.PartAudio, llm.PartFile:
			inv.media(*p.Media)
		case llm.PartToolResult:
			inv.parts(llm.RoleTool, p.Result.Parts)
		case llm.PartOther:
			inv.add(fmt.Sprintf("other part %.80s", p.Raw), func(*said) bool { return false }, "content", "input", "messages", "system", "item")
		}
	}
}

func (inv *inventory) text(role llm.Role, text string) {
	text = squeeze(text)
	if text == "" {
		return
	}
	inv.add(fmt.Sprintf("text %.60q", text), func(s *said) bool { return strings.Contains(squeeze(s.all), text) })
	inv.add(fmt.Sprintf("role %s of text %.60q", role, text), func(s *said) bool {
		return strings.Contains(squeeze(s.texts[role]), text)
	}, "role", "messages", "system", "input", "content", "instructions", "refusal")
}

func (inv *inventory) thinking(p llm.Part) {
	names := []string{"thinking", "reasoning"}
	if text := squeeze(plain(p.Text)); text != "" {
		inv.add(fmt.Sprintf("thinking %.60q", text), func(s *said) bool { return strings.Contains(squeeze(s.thinking), text) }, names...)
	}
	if p.Signature == "" {
		return
	}
	wrapped := base64.RawURLEncoding.EncodeToString([]byte(p.Signature))
	inv.add(fmt.Sprintf("signature %.30q", p.Signature), func(s *said) bool {
		return bytes.Contains(s.raw, []byte(p.Signature)) || bytes.Contains(s.raw, []byte(wrapped)) || slices.Contains(s.signs, p.Signature)
	}, append(names, "signature", "encrypted")...)
}

func (inv *inventory) media(m llm.Media) {
	what := fmt.Sprintf("media %s %.40s%.60s%s", m.Type, m.Data, m.URL, m.FileID)
	inv.add(what, func(s *said) bool { return findMedia(s.media, m) != nil }, "content", "image", "audio", "file", "document", "input", "messages")
	if m.Detail != "" && m.Detail != "auto" {
		inv.add(what+" detail", func(s *said) bool { f := findMedia(s.media, m); return f != nil && f.Detail == m.Detail }, "detail", "content", "file")
	}
	if m.Name != "" {
		inv.add(what+" name "+m.Name, func(s *said) bool { return hasNamed(s.media, m) }, "name", "title", "content", "messages")
	}
}

// hasNamed reports whether media stands in the list under its name.
func hasNamed(list []llm.Media, m llm.Media) bool {
	return slices.ContainsFunc(list, func(o llm.Media) bool {
		return o.Data == m.Data && o.URL == m.URL && o.FileID == m.FileID && o.Name == m.Name
	})
}

func findMedia(list []llm.Media, m llm.Media) *llm.Media {
	for i := range list {
		if list[i].Data == m.Data && list[i].URL == m.URL && list[i].FileID == m.FileID {
			return &list[i]
		}
	}
	return nil
}

func (inv *inventory) tools(source *said) {
	for i, call := range source.calls {
		inv.add("tool call "+call.Name+" "+call.Arguments, func(s *said) bool {
			return len(s.calls) > i && sameCall(s.calls[i], call)
		}, "arguments")
	}
	pairs := source.pairs()
	inv.add(fmt.Sprintf("results of the calls %v", pairs), func(s *said) bool { return slices.Equal(s.pairs(), pairs) })
	inv.add(fmt.Sprintf("%d failed tool results", source.failed), func(s *said) bool { return s.failed >= source.failed }, "error", "status")
}

// pairs are, for each tool result, the position of the call that it answers.
func (s *said) pairs() []int {
	out := make([]int, 0, len(s.results))
	for _, id := range s.results {
		out = append(out, slices.IndexFunc(s.calls, func(c llm.ToolCall) bool { return c.ID == id }))
	}
	return out
}

func sameCall(got, want llm.ToolCall) bool {
	return got.Name == want.Name && sameArguments(got.Arguments, want.Arguments)
}

// distinct reports whether each call can be answered by its id.
func distinct(calls []llm.ToolCall) bool {
	seen := map[string]bool{}
	for _, c := range calls {
		if c.ID == "" || seen[c.ID] {
			return false
		}
		seen[c.ID] = true
	}
	return true
}

func sameArguments(a, b string) bool {
	if strings.TrimSpace(a) == "" {
		a = "{}"
	}
	if strings.TrimSpace(b) == "" {
		b = "{}"
	}
	return a == b || sameValue([]byte(a), []byte(b))
}

// sameValue compares JSON by what it says: 1.0 is 1.
func sameValue(a, b []byte) bool {
	var va, vb any
	if json.Unmarshal(a, &va) != nil || json.Unmarshal(b, &vb) != nil {
		return false
	}
	return reflect.DeepEqual(va, vb)
}

// unofferable are the losses under which the tools of a call may go: Bedrock
// cannot be told not to call what it is offered.
func unofferable(call *llm.Call, to llm.Dialect) []string {
	if call.Choice.Mode == llm.ToolNone && to == llm.Converse {
		return []string{"tool_choice"}
	}
	return nil
}

func (inv *inventory) tool(t llm.Tool, names []string) {
	if t.Raw != nil {
		inv.add(fmt.Sprintf("tool %.80s", t.Raw), func(*said) bool { return false }, "tools")
		return
	}
	with := func(hold func(llm.Tool) bool) func(*said) bool {
		return func(s *said) bool {
			for _, u := range s.call.Tools {
				if u.Name == t.Name && hold(u) {
					return true
				}
			}
			return false
		}
	}
	inv.add("tool "+t.Name, with(func(llm.Tool) bool { return true }), names...)
	inv.add("description of tool "+t.Name, with(func(u llm.Tool) bool { return u.Description == t.Description }), names...)
	if t.Schema != nil {
		inv.add("schema of tool "+t.Name, with(func(u llm.Tool) bool { return sameValue(u.Schema, t.Schema) }), append(names, "parameters", "schema")...)
	}
	if t.Strict != nil {
		inv.add("strictness of tool "+t.Name, with(func(u llm.Tool) bool {
			return u.Strict != nil && *u.Strict == *t.Strict || u.Strict == nil && !*t.Strict
		}), append(names, "strict")...)
	}
}

func (inv *inventory) sampling(call *llm.Call) {
	a := call.Sampling
	same := func(what string, set bool, get func(llm.Sampling) any, names ...string) {
		if set {
			want := get(a)
			inv.add(fmt.Sprintf("%s %v", what, reflect.Indirect(reflect.ValueOf(want))), func(s *said) bool {
				return reflect.DeepEqual(get(s.call.Sampling), want)
			}, append(names, what)...)
		}
	}
	same("max_tokens", a.MaxTokens != 0, func(v llm.Sampling) any { return v.MaxTokens }, "max_completion_tokens", "max_output_tokens")
	same("temperature", a.Temperature != nil, func(v llm.Sampling) any { return v.Temperature })
	same("top_p", a.TopP != nil, func(v llm.Sampling) any { return v.TopP })
	same("top_k", a.TopK != nil, func(v llm.Sampling) any { return v.TopK })
	// A penalty of zero is none.
	same("frequency_penalty", a.FrequencyPenalty != nil && *a.FrequencyPenalty != 0, func(v llm.Sampling) any { return v.FrequencyPenalty })
	same("presence_penalty", a.PresencePenalty != nil && *a.PresencePenalty != 0, func(v llm.Sampling) any { return v.PresencePenalty })
	same("seed", a.Seed != nil, func(v llm.Sampling) any { return v.Seed })
	same("stop", len(a.Stop) > 0, func(v llm.Sampling) any { return v.Stop })
	same("n", a.N > 1, func(v llm.Sampling) any { return v.N })
}

func (inv *inventory) output(o llm.Output, to llm.Dialect) {
	names := []string{"response_format", "format", "output"}
	if o.Verbosity != "" {
		inv.add("verbosity "+o.Verbosity, func(s *said) bool { return s.call.Output.Verbosity == o.Verbosity }, "verbosity")
	}
	if o.Kind != "" && o.Kind != llm.OutputText {
		inv.add("output "+string(o.Kind), func(s *said) bool { return s.call.Output.Kind == o.Kind }, names...)
	}
	if to == llm.Anthropic || to == llm.Gemini { // their schemas are always strict; the labels stand in them
		inv.labelled(o)
		return
	}
	if o.Schema != nil {
		inv.add("output schema", func(s *said) bool { return sameValue(s.call.Output.Schema, o.Schema) }, names...)
	}
	if o.Name != "" {
		inv.add("output name "+o.Name, func(s *said) bool { return s.call.Output.Name == o.Name }, append(names, "name")...)
	}
	if o.Description != "" {
		inv.add("output description", func(s *said) bool { return s.call.Output.Description == o.Description }, append(names, "description")...)
	}
	if o.Strict != nil && *o.Strict && to != llm.Converse { // whose schemas are always strict
		inv.add("output strictness", func(s *said) bool { return reflect.DeepEqual(s.call.Output.Strict, o.Strict) }, append(names, "strict")...)
	}
}

// labelled is an output for a dialect that knows a schema alone: name and
// description are said by the schema's title and description, unless it has
// its own.
func (inv *inventory) labelled(o llm.Output) {
	want := map[string]any{}
	if o.Schema == nil || json.Unmarshal(o.Schema, &want) != nil {
		return
	}
	if _, has := want["title"]; !has && o.Name != "" {
		want["title"] = o.Name
	}
	if _, has := want["description"]; !has && o.Description != "" {
		want["description"] = o.Description
	}
	inv.add("output schema with its labels", func(s *said) bool {
		got := map[string]any{}
		return json.Unmarshal(s.call.Output.Schema, &got) == nil && reflect.DeepEqual(got, want)
	}, "response_format", "format", "output")
}

func (inv *inventory) rest(call *llm.Call) {
	inv.add("model", func(s *said) bool { return s.call.Model == call.Model })
	inv.add("stream", func(s *said) bool { return s.call.Stream == call.Stream })
	if c := call.Choice; c.Raw != nil {
		inv.add(fmt.Sprintf("tool choice %.80s", c.Raw), func(*said) bool { return false }, "tool_choice")
	} else if c.Mode != "" && c.Mode != llm.ToolAuto {
		inv.add("tool choice "+string(c.Mode)+" "+c.Name, func(s *said) bool {
			return s.call.Choice.Mode == c.Mode && s.call.Choice.Name == c.Name
		}, "tool_choice")
	}
	if call.Parallel != nil {
		inv.add("parallel tool calls", func(s *said) bool {
			return reflect.DeepEqual(s.call.Parallel, call.Parallel) || *call.Parallel && s.call.Parallel == nil
		}, "parallel", "tools") // without tools there is nothing to forbid
	}
	// An adaptive mode alone leaves it to the model, as saying nothing does.
	if r := call.Reasoning; r.Effort != "" || r.Budget != 0 || r.Mode != "" && r.Mode != "adaptive" {
		inv.add(fmt.Sprintf("reasoning %s %d %s", r.Effort, r.Budget, r.Mode), func(s *said) bool {
			v := s.call.Reasoning
			return v.Effort != "" || v.Budget != 0 || v.Mode != ""
		}, "reasoning", "thinking", "effort")
	}
	if sum := call.Reasoning.Summary; sum != "" {
		inv.add("reasoning summary "+sum, func(s *said) bool {
			v := s.call.Reasoning // thinking that is on is shown, which is what auto asks for
			return v.Summary == sum || sum == "auto" && v.Mode != ""
		}, "summary", "display", "reasoning", "thinking")
	}
	if call.Logprobs.Want || call.Logprobs.Top != nil {
		inv.add("logprobs", func(s *said) bool { return s.call.Logprobs.Want || s.call.Logprobs.Top != nil }, "logprobs")
	}
	if call.User != "" {
		inv.add("user", func(s *said) bool { return s.call.User == call.User }, "user")
	}
	for k, v := range call.Metadata {
		inv.add("metadata "+k, func(s *said) bool { return s.call.Metadata[k] == v }, "metadata")
	}
}

func (inv *inventory) marks(n int) {
	inv.add(fmt.Sprintf("%d cache marks", n), func(s *said) bool { return s.marks >= n }, "cache_control")
}

func plain(t llm.Text) string {
	s, _ := wire.String(t)
	return s
}
