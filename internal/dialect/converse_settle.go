package dialect

import (
	"fmt"
	"hash/fnv"
	"strings"

	"tailplane/internal/llm"
)

// A call that came from another dialect is settled before it is written: what
// Bedrock cannot say or would refuse is changed or left out, and each such
// change is a loss. The model's family decides in whose words it is asked for
// what Bedrock has no member for.

// converseSettle makes c, a shallow copy of the caller's, sayable, and returns the
// form in which it is written.
func converseSettle(c *llm.Call, l *lossList) (form uint32) {
	l.extra("", c.Extra, llm.Converse)
	c.Extra = llm.Extra{}
	family := converseFamilyOf(c.Model)
	s := converseSettler{losses: l, thinks: converseOwnThought(c.Model), caches: family == converseClaude || family == converseNova || c.Model == ""}
	s.turns(c)
	converseSettleTools(c, &s)
	form = converseSettleSampling(c, family, l)
	settleOutput(&c.Output, llm.Converse, l)
	form |= converseSettleReasoning(c, family, l)
	if c.Logprobs.Want || c.Logprobs.Top != nil {
		l.add("logprobs", converseNoEquivalent)
	}
	if c.User != "" {
		l.add("user", converseNoEquivalent)
	}
	return form
}

// converseSettleTools keeps the tools that Bedrock can be given. It refuses a
// conversation with calls or results in it when no tool is offered, so tools
// that may not be called stay while there are such, and tools that the
// conversation names are offered when the call offers none.
func converseSettleTools(c *llm.Call, s *converseSettler) {
	l := s.losses
	var tools []llm.Tool
	for _, t := range c.Tools {
		if t.Raw != nil {
			l.add("tools", "a tool that only "+string(t.Extra.Dialect)+" knows was left out")
			continue
		}
		settleTool(&t, llm.Converse, l)
		t.Cache = s.cache(t.Cache)
		tools = append(tools, t)
	}
	c.Choice, c.Tools = settleNamed(c.Choice, c.Tools, tools, l), tools
	converseSettleChoice(c, l)
	if len(c.Tools) == 0 {
		c.Tools = converseNamedTools(c.Turns)
		if len(c.Tools) > 0 {
			l.add("tools", "converse demands the tools that the conversation has called; they are offered without their schemas")
		}
	}
}

func converseSettleChoice(c *llm.Call, l *lossList) {
	if c.Choice.Raw != nil {
		l.add("tool_choice", converseNoEquivalent)
		c.Choice = llm.ToolChoice{}
	}
	l.extra("tool_choice", c.Choice.Extra, llm.Converse)
	if c.Choice.Mode == llm.ToolNone {
		detail := "converse cannot forbid calls; the tools were left out"
		if len(converseNamedTools(c.Turns)) > 0 {
			detail = "converse cannot forbid calls, and demands the tools of the conversation; they are offered"
		} else {
			c.Tools = nil
		}
		l.add("tool_choice", detail)
		c.Choice = llm.ToolChoice{}
	}
	if len(c.Tools) == 0 && c.Choice.Mode != "" {
		if c.Choice.Mode != llm.ToolAuto {
			l.add("tool_choice", "there is no tool left to call")
		}
		c.Choice = llm.ToolChoice{}
	}
	if c.Parallel != nil && !*c.Parallel && len(c.Tools) > 0 {
		l.add("parallel_tool_calls", converseNoEquivalent)
	}
}

// converseNamedTools are the tools that the conversation calls, each once.
func converseNamedTools(turns []llm.Turn) (tools []llm.Tool) {
	seen := map[string]bool{}
	for _, t := range turns {
		for _, p := range t.Parts {
			if p.Kind == llm.PartToolCall && !seen[p.Tool.Name] {
				seen[p.Tool.Name] = true
				tools = append(tools, llm.Tool{Name: p.Tool.Name, Schema: []byte(`{"type":"object"}`)})
			}
		}
	}
	return tools
}

func converseSettleSampling(c *llm.Call, family converseFamily, l *lossList) (form uint32) {
	s := &c.Sampling
	if family == converseClaude {
		anthropicSettleSampling(c, l)
	} else {
		converseSettleCommon(s, l)
	}
	switch {
	case s.TopK == nil:
	case family == converseClaude:
		form = converseTopK
	case family == converseNova:
		form = converseNovaTopK
	default:
		l.add("top_k", "converse knows no member for it at this model")
	}
	return form
}

// converseSettleCommon settles the sampling of models that are not Claude's.
func converseSettleCommon(s *llm.Sampling, l *lossList) {
	settlePenalties(s, llm.Converse, l)
	if s.N > 1 {
		l.add("n", "converse gives one answer")
	}
	if s.Temperature != nil && *s.Temperature > 1 {
		s.Temperature = new(1.0)
		l.add("temperature", "the highest that converse takes is 1")
	}
	var stops []string
	for _, stop := range s.Stop {
		if stop == "" {
			l.add("stop", "converse refuses an empty stop sequence")
			continue
		}
		stops = append(stops, stop)
	}
	s.Stop = stops
}

// converseSettleReasoning asks for thinking in the words of the model's family.
func converseSettleReasoning(c *llm.Call, family converseFamily, l *lossList) (form uint32) {
	r := &c.Reasoning
	switch {
	case family == converseClaude:
		if r.Extra.Dialect != llm.Anthropic { // else it stands in Claude's own words
			anthropicReason(c, l)
		}
		if r.Mode != "" {
			form |= converseThinking
		}
		if r.Effort != "" {
			form |= converseClaudeEffort
		}
		return form
	case r.Mode == "" && r.Effort == "" && r.Budget == 0:
		if r.Summary != "" {
			l.add("reasoning.summary", "the call does not ask for thinking")
		}
		return 0
	}
	l.extra("reasoning", r.Extra, llm.Converse)
	r.Extra = llm.Extra{}
	if r.Summary != "" {
		l.add("reasoning.summary", converseNoEquivalent)
	}
	off := r.Mode == "disabled" || r.Effort == "none"
	effort, was := converseEffort(*r), *r
	switch {
	case family == converseNova && off:
		*r = llm.Reasoning{Mode: "disabled"}
		return converseNovaReasoning
	case family == converseNova:
		*r = llm.Reasoning{Mode: "enabled", Effort: effort}
		form = converseNovaReasoning
	case off:
		l.add(reasonFeature, "converse knows no word for thinking switched off at this model")
		return 0
	case family == converseGPT:
		*r = llm.Reasoning{Effort: effort}
		form = converseFieldEffort
	case family == converseWords:
		*r = llm.Reasoning{Effort: effort}
		form = converseReasoningWord
	default:
		l.add(reasonFeature, "converse knows no member for it at this model")
		return 0
	}
	if was.Effort != effort && (was.Effort != "" || was.Budget > 0) {
		l.add(reasonFeature, "effort "+effort+" was asked for")
	}
	return form
}

// converseSettler settles the instructions and turns of a call. Bedrock accepts
// the shape that settleTurns gives, with a text in every turn that has a document.
type converseSettler struct {
	losses *lossList
	thinks func(*llm.Part, *lossList) bool // whether thinking may be handed to the model
	caches bool                            // whether the model takes cache points
	names  map[string]bool                 // of documents so far
}

// turns settles the conversation.
func (s *converseSettler) turns(c *llm.Call) {
	s.names = map[string]bool{}
	settleTurns(c, llm.Converse, s.part, s.losses)
	for i := range c.Turns {
		c.Turns[i].Parts = s.besideDocument(c.Turns[i].Parts)
	}
	c.Turns = userBegins(c.Turns, s.losses)
	trimPrefill(c.Turns, s.losses)
}

// besideDocument adds the text without which Bedrock refuses a document.
func (s *converseSettler) besideDocument(parts []llm.Part) []llm.Part {
	document := false
	for _, p := range parts {
		if p.Kind == llm.PartText {
			return parts
		}
		document = document || p.Kind == llm.PartFile && !strings.HasPrefix(p.Media.Type, "video/")
	}
	if !document {
		return parts
	}
	s.losses.add("messages.content", `converse refuses a document without a text; "." was put beside it`)
	return append(parts[:len(parts):len(parts)], llm.Part{Kind: llm.PartText, Text: quoted(".")})
}

// part makes a part sayable in a turn of role; ok is false when it is left out.
// The part's pointers are replaced, never written through.
func (s *converseSettler) part(p llm.Part, role llm.Role) (llm.Part, bool) {
	l := s.losses
	if p.Kind == llm.PartOther {
		if p.Extra.Dialect == llm.Converse {
			return p, true
		}
		l.add("messages.content", "a block that only "+string(p.Extra.Dialect)+" knows was left out")
		return p, false
	}
	l.extra("messages.content", p.Extra, llm.Converse)
	p.Extra = p.Extra.In(llm.Converse)
	p.Cache = s.cache(p.Cache)
	if role == llm.RoleSystem && p.Kind != llm.PartText {
		l.add("system", "only text can be an instruction")
		return p, false
	}
	switch p.Kind {
	case llm.PartText, llm.PartRefusal:
		return settleText(p, l)
	case llm.PartImage, llm.PartFile, llm.PartAudio:
		if role == llm.RoleAssistant {
			l.add("messages.content", "an image, sound or file of the assistant was left out")
			return p, false
		}
		return s.media(p)
	case llm.PartToolCall:
		return settleCall(p, converseID, l), true
	case llm.PartToolResult:
		return settleResult(p, converseID, s.inResult, l), true
	case llm.PartThinking:
		return p, s.thinks(&p, l)
	}
	return p, false
}

// cache keeps a mark where the model takes cache points.
func (s *converseSettler) cache(m *llm.CacheMark) *llm.CacheMark {
	if m == nil {
		return nil
	}
	s.losses.extra("cache_control", m.Extra, llm.Converse)
	if !s.caches {
		s.losses.add("cache_control", "the model takes no cache points")
		return nil
	}
	return &llm.CacheMark{Type: m.Type, TTL: m.TTL, Extra: m.Extra.In(llm.Converse)}
}

// converseOwnThought says which thinking may be handed to the model: what came from
// Bedrock, and Claude's own, whose signatures hold at all its providers
// (Anthropic's guide to extended thinking). Claude's redacted thinking is
// wrapped in another way there.
func converseOwnThought(model string) func(*llm.Part, *lossList) bool {
	claude := converseFamilyOf(model) == converseClaude
	return func(p *llm.Part, l *lossList) bool {
		switch {
		case p.SignedBy == llm.Converse && p.Signature != "":
			return true
		case claude && p.SignedBy == llm.Anthropic && p.Signature != "" && !p.Redacted:
			p.SignedBy = llm.Converse
			return true
		}
		l.add("messages.content.thinking", "thinking that the model has not signed was left out")
		return false
	}
}

var converseMediaFeatures = map[llm.PartKind]string{
	llm.PartImage: "messages.content.image_url",
	llm.PartFile:  "messages.content.file",
	llm.PartAudio: "messages.content.input_audio",
}

func (s *converseSettler) media(p llm.Part) (llm.Part, bool) {
	if p.Media == nil {
		return p, false
	}
	l, feature := s.losses, converseMediaFeatures[p.Kind]
	m, ok := inlineMedia(*p.Media)
	if strings.HasPrefix(m.URL, "s3://") {
		m.FileID, m.URL = m.URL, ""
	}
	if m.Type == "" {
		m.Type = sniffMedia(m.Data)
	}
	if m.Detail != "" && m.Detail != "auto" {
		l.add(feature+".detail", converseNoEquivalent)
	}
	m.Detail = ""
	p.Media = &m
	kind, _ := converseMediaOf(p.Kind, m.Type)
	switch {
	case !ok || m.Data == "" && m.URL == "" && m.FileID == "":
		l.add(feature, "it has no readable data")
		return p, false
	case m.URL != "":
		l.add(feature, "converse takes no address")
		return p, false
	case m.FileID != "" && !strings.HasPrefix(m.FileID, "s3://"):
		l.add(feature, "the id of a file at another provider means nothing at converse")
		return p, false
	case kind == nil && p.Kind == llm.PartFile && (strings.HasPrefix(m.Type, "text/") || m.Type == "application/json"):
		m.Type = "text/plain"
		kind = &converseMedia[1]
	case kind == nil:
		l.add(feature, "converse does not take the type "+m.Type)
		return p, false
	}
	if kind.member == "document" {
		was := m.Name
		if m.Name = s.documentName(was); was != "" && m.Name != was {
			l.add(feature+".name", "converse knows only letters, digits, spaces, hyphens and brackets in it")
		}
	} else if m.Name != "" {
		l.add(feature+".name", converseNoEquivalent)
	}
	return p, true
}

// documentName is a name that Bedrock takes: of its alphabet, not longer than 200
// bytes, and different from the others of the conversation.
func (s *converseSettler) documentName(name string) string {
	name = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" -()[]", r) {
			return r
		}
		return '-'
	}, name)), " ")
	if name = name[:min(len(name), 190)]; name == "" {
		name = "document"
	}
	unique := name
	for i := 2; s.names[unique]; i++ {
		unique = fmt.Sprintf("%s-%d", name, i)
	}
	s.names[unique] = true
	return unique
}

// inResult is part for a part of a tool's result, which has no cache points.
func (s *converseSettler) inResult(p llm.Part, role llm.Role) (llm.Part, bool) {
	p, ok := s.part(p, role)
	if p.Cache != nil {
		s.losses.add("cache_control", "converse has no cache point inside a tool's result")
		p.Cache = nil
	}
	return p, ok
}

// converseMostID is the length of a tool call's id that Bedrock accepts.
const converseMostID = 64

// converseID makes a tool call's id acceptable to Bedrock: Anthropic's alphabet, and
// a longer one cut and told apart by its hash.
func converseID(id string) string {
	clean := toolID(id)
	if len(clean) <= converseMostID {
		return clean
	}
	h := fnv.New64a()
	h.Write([]byte(id))
	return fmt.Sprintf("%s_%016x", clean[:converseMostID-17], h.Sum64())
}
