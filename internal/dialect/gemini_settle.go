package dialect

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// A call that came from another dialect is settled before it is written: what
// Gemini cannot say or would refuse is changed or left out, and each such
// change is a loss.

// geminiFamily is a line of the table of models; the first whose mark stands in
// the model's name counts.
type geminiFamily struct {
	mark   string
	thinks geminiThinks
	media  bool // results of tools may hold images and files
	signs  bool // a call without its signature is refused
}

// geminiThinks says how a model family is asked to think.
type geminiThinks uint8

const (
	geminiThinksNever geminiThinks = iota
	geminiThinksBudget
	geminiThinksLevel
)

// geminiFamilies follows Google's guides on thinking, thought signatures and
// function calling, November 2026. Models that nobody lists are taken for new
// ones.
var geminiFamilies = []geminiFamily{
	{"gemini-1", geminiThinksNever, false, false},
	{"gemini-2.0", geminiThinksNever, false, false},
	{"gemini-2.5", geminiThinksBudget, false, false},
	{"gemma", geminiThinksNever, false, false},
	{"gemini-", geminiThinksLevel, true, true},
	{"", geminiThinksLevel, false, false},
}

func geminiFamilyOf(model string) geminiFamily {
	model = strings.ToLower(model)
	for _, f := range geminiFamilies {
		if strings.Contains(model, f.mark) {
			return f
		}
	}
	return geminiFamilies[len(geminiFamilies)-1]
}

// geminiSettle makes c, a shallow copy of the caller's, sayable.
func geminiSettle(c *llm.Call, l *lossList) {
	l.extra("", c.Extra, llm.Gemini)
	c.Extra = llm.Extra{}
	geminiSettleTurns(c, l)
	geminiSettleTools(c, l)
	geminiSettleSampling(c, l)
	geminiSettleOutput(c, l)
	geminiSettleThinking(c, l)
	if len(c.Metadata) > 0 {
		l.add("metadata", geminiNoEquivalent)
		c.Metadata = nil
	}
	if c.User != "" {
		l.add("user", geminiNoEquivalent)
	}
}

// geminiSettleTurns settles the conversation. Turns of one role are joined, because
// Gemini counts the results behind a turn of calls.
func geminiSettleTurns(c *llm.Call, l *lossList) {
	settleTurns(c, llm.Gemini, func(p llm.Part, role llm.Role) (llm.Part, bool) {
		p, ok := geminiSettlePart(p, l)
		if ok && role == llm.RoleSystem && p.Kind != llm.PartText {
			l.add("system", "only text can be an instruction")
			ok = false
		}
		p.Cache = nil // which has been declared
		return p, ok
	}, l)
	if geminiFamilyOf(c.Model).signs {
		geminiSignCalls(c.Turns)
	}
}

// geminiUnsigned is the signature with which Google's guide on thought signatures
// lets a call through that another model made (its text is
// skip_thought_signature_validator, here in base64).
const geminiUnsigned = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="

// geminiSignCalls puts it before the first call of each turn that has none.
func geminiSignCalls(turns []llm.Turn) {
	for i := range turns {
		parts := turns[i].Parts
		at := slices.IndexFunc(parts, func(p llm.Part) bool { return p.Kind == llm.PartToolCall })
		signed := slices.ContainsFunc(parts, func(p llm.Part) bool { return p.SignedBy == byGeminiCall })
		if at < 0 || signed {
			continue
		}
		sign := llm.Part{Kind: llm.PartThinking, Signature: geminiUnsigned, SignedBy: byGeminiCall}
		turns[i].Parts = slices.Insert(slices.Clone(parts), at, sign)
	}
}

// geminiSettlePart makes a part sayable; ok is false when it is left out. The
// part's pointers are replaced, never written through.
func geminiSettlePart(p llm.Part, l *lossList) (llm.Part, bool) {
	if p.Kind == llm.PartOther {
		if p.Extra.Dialect == llm.Gemini {
			return p, true
		}
		l.add("messages.content", "a part that only "+string(p.Extra.Dialect)+" knows was left out")
		return p, false
	}
	l.extra("messages.content", p.Extra, llm.Gemini)
	p.Extra = p.Extra.In(llm.Gemini)
	if p.Cache != nil {
		l.add("messages.content.cache_control", "gemini caches by itself; the mark was left out")
		p.Cache = nil
	}
	switch p.Kind {
	case llm.PartRefusal:
		l.add("messages.content.refusal", "it became text")
		p.Kind = llm.PartText
		return p, !p.Text.Empty()
	case llm.PartText:
		return p, !p.Text.Empty()
	case llm.PartImage, llm.PartAudio, llm.PartFile:
		return geminiSettleMedia(p, l)
	case llm.PartToolCall:
		return geminiSettleCall(p, "messages.tool_calls.arguments", l), true
	case llm.PartToolResult:
		return geminiSettleResult(p, l), true
	case llm.PartThinking:
		if by := p.SignedBy; by == llm.Gemini || by == byGeminiCall || by == byGeminiPart {
			return p, !p.Text.Empty() || p.Signature != ""
		}
		l.add("messages.content.thinking", "thinking that another model did was left out")
	}
	return p, false
}

// geminiSettleCall makes the arguments of a call an object; feature is what they are
// called in the loss.
func geminiSettleCall(p llm.Part, feature string, l *lossList) llm.Part {
	t := llm.ToolCall{}
	if p.Tool != nil {
		t = *p.Tool
	}
	if _, err := wire.Scan([]byte(t.Arguments), nil, nil); err != nil || !utf8.ValidString(t.Arguments) {
		if strings.TrimSpace(t.Arguments) != "" {
			l.add(feature, "they are no JSON object and became {}")
		}
		t.Arguments = "{}"
	}
	p.Tool = &t
	return p
}

func geminiSettleResult(p llm.Part, l *lossList) llm.Part {
	r := llm.ToolResult{}
	if p.Result != nil {
		r = *p.Result
	}
	parts := make([]llm.Part, 0, len(r.Parts))
	for i := range r.Parts {
		if q, ok := geminiSettlePart(r.Parts[i], l); ok {
			parts = append(parts, q)
		}
	}
	r.Parts = parts
	p.Result = &r
	return p
}

// geminiMimes are the types that an address without one is taken for, by its
// ending; the first of a kind stands for those that tell nothing.
var geminiMimes = []struct {
	kind         llm.PartKind
	ending, mime string
}{
	{llm.PartImage, ".jpg", "image/jpeg"},
	{llm.PartImage, ".jpeg", "image/jpeg"},
	{llm.PartImage, ".png", "image/png"},
	{llm.PartImage, ".webp", "image/webp"},
	{llm.PartImage, ".gif", "image/gif"},
	{llm.PartImage, ".heic", "image/heic"},
	{llm.PartAudio, ".mp3", "audio/mpeg"},
	{llm.PartAudio, ".wav", "audio/wav"},
	{llm.PartFile, ".pdf", "application/pdf"},
	{llm.PartFile, ".mp4", "video/mp4"},
	{llm.PartFile, ".webm", "video/webm"},
	{llm.PartFile, ".mov", "video/quicktime"},
	{llm.PartFile, ".txt", "text/plain"},
}

func geminiSettleMedia(p llm.Part, l *lossList) (llm.Part, bool) {
	feature := "messages.content.file"
	switch p.Kind {
	case llm.PartImage:
		feature = "messages.content.image_url"
	case llm.PartAudio:
		feature = "messages.content.input_audio"
	}
	if p.Media == nil {
		return p, false
	}
	if p.Extra.Dialect == llm.Gemini {
		return p, true
	}
	m, ok := inlineMedia(*p.Media)
	if m.FileID != "" && !geminiOwnFile(m.FileID) {
		l.add(feature, "the id of a file at another provider means nothing at google")
		return p, false
	}
	if !ok || m.Data == "" && m.URL == "" && m.FileID == "" {
		l.add(feature, "it has no readable data")
		return p, false
	}
	if m.Detail != "" && m.Detail != "auto" {
		l.add(feature+".detail", geminiNoEquivalent)
	}
	if m.Name != "" {
		l.add(feature+".name", geminiNoEquivalent)
		m.Name = ""
	}
	m.Type = geminiMime(p.Kind, &m)
	p.Media = &m
	return p, true
}

// geminiMime is the MIME type of media, which Gemini demands.
func geminiMime(kind llm.PartKind, m *llm.Media) string {
	switch {
	case strings.Contains(m.Type, "/"):
		return m.Type
	case m.Type == "mp3":
		return "audio/mpeg"
	case m.Type != "" && kind == llm.PartAudio:
		return "audio/" + m.Type
	}
	if mime := sniffMedia(m.Data); mime != "" {
		return mime
	}
	address, _, _ := strings.Cut(m.URL, "?")
	ending := strings.ToLower(path.Ext(address))
	for _, g := range geminiMimes {
		if g.ending == ending {
			return g.mime
		}
	}
	for _, g := range geminiMimes {
		if g.kind == kind {
			return g.mime
		}
	}
	return "application/pdf"
}

func geminiSettleTools(c *llm.Call, l *lossList) {
	var tools []llm.Tool
	for _, t := range c.Tools {
		if t.Raw != nil && t.Extra.Dialect != llm.Gemini {
			l.add("tools", "a tool that only "+string(t.Extra.Dialect)+" knows was left out")
			continue
		}
		l.extra("tools", t.Extra, llm.Gemini)
		if t.Strict != nil && *t.Strict {
			l.add("tools.strict", geminiNoEquivalent)
		}
		if t.Cache != nil {
			l.add("tools.cache_control", "gemini caches by itself; the mark was left out")
		}
		tools = append(tools, t)
	}
	c.Choice, c.Tools = settleNamed(c.Choice, c.Tools, tools, l), tools
	if c.Choice.Raw != nil {
		l.add("tool_choice", "the form is known to "+string(c.Choice.Extra.Dialect)+" only")
		c.Choice = llm.ToolChoice{}
	}
	l.extra("tool_choice", c.Choice.Extra, llm.Gemini)
	if len(tools) == 0 {
		if c.Choice.Mode == llm.ToolRequired || c.Choice.Mode == llm.ToolNamed {
			l.add("tool_choice", "there is no tool left to call")
		}
		c.Choice = llm.ToolChoice{}
	}
	if c.Parallel != nil && !*c.Parallel {
		l.add("parallel_tool_calls", "gemini calls as many tools as it likes")
	}
}

func geminiSettleSampling(c *llm.Call, l *lossList) {
	s := &c.Sampling
	if s.Seed != nil && (*s.Seed > math.MaxInt32 || *s.Seed < math.MinInt32) {
		l.add("seed", "gemini takes 32 bits")
		s.Seed = nil
	}
	if s.Temperature != nil && *s.Temperature > 2 {
		s.Temperature = new(2.0)
		l.add("temperature", "gemini's highest is 2")
	}
	if s.N == 1 {
		s.N = 0 // what Gemini does unasked
	}
	s.Stop = slices.DeleteFunc(slices.Clone(s.Stop), func(stop string) bool { return stop == "" })
	if len(s.Stop) > 5 {
		l.add("stop", "gemini takes five stop sequences")
		s.Stop = s.Stop[:5]
	}
	if c.Logprobs.Top != nil && *c.Logprobs.Top == 0 {
		c.Logprobs.Top = nil
	}
	if c.Logprobs.Top != nil {
		c.Logprobs.Want = true
	}
}

// geminiSettleOutput keeps a schema. Gemini's form has no name and no description
// beside the schema, so they become its title and description where it has
// none.
func geminiSettleOutput(c *llm.Call, l *lossList) {
	out := &c.Output
	l.extra("response_format", out.Extra, llm.Gemini)
	out.Extra = llm.Extra{}
	if out.Verbosity != "" {
		l.add("verbosity", geminiNoEquivalent)
	}
	if out.Kind != llm.OutputSchema {
		return
	}
	if len(out.Schema) == 0 {
		l.add("response_format", "the schema is missing")
		out.Kind = llm.OutputJSON
		return
	}
	titleSchema(out)
}

// geminiLevels are the levels of thinking for the efforts of other dialects.
var geminiLevels = map[string]string{
	"minimal": "minimal", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high",
}

// geminiSettleThinking turns the reasoning of a foreign call into Gemini's. The
// budgets for efforts are Google's own (see effortLevels).
func geminiSettleThinking(c *llm.Call, l *lossList) {
	r, f := c.Reasoning, geminiFamilyOf(c.Model)
	l.extra("reasoning", r.Extra, llm.Gemini)
	out := &c.Reasoning
	*out = llm.Reasoning{}
	off := r.Mode == "disabled" || r.Effort == "none"
	if !off && r.Mode == "" && r.Effort == "" && r.Budget == 0 && r.Summary == "" {
		return
	}
	if f.thinks == geminiThinksNever {
		if !off {
			l.add(reasonFeature, "the model does not think")
		}
		return
	}
	if off {
		geminiStopThinking(out, f, l)
		return
	}
	if r.Summary != "" || r.Mode != "" {
		out.Summary = "auto" // thoughts are shown
	}
	if r.Summary == "concise" || r.Summary == "detailed" {
		l.add("reasoning.summary", "gemini does not let the length of the summary be chosen")
	}
	level, known := geminiLevels[r.Effort]
	if r.Effort != "" && !known {
		l.add(reasonFeature, fmt.Sprintf("gemini does not know the effort %q", r.Effort))
	}
	switch {
	case r.Budget > 0:
		out.Budget = r.Budget
	case f.thinks == geminiThinksLevel:
		out.Effort = level
		if level == "high" && r.Effort != "high" {
			l.add(reasonFeature, "high was asked for")
		}
	case known:
		e, _ := effortNamed(r.Effort)
		out.Budget = e.budget
	case r.Mode == "adaptive":
		out.Mode = "adaptive"
	}
}

// geminiStopThinking asks for no thinking, or as little as there is.
func geminiStopThinking(out *llm.Reasoning, f geminiFamily, l *lossList) {
	if f.thinks == geminiThinksBudget {
		out.Mode = "disabled"
		return
	}
	out.Effort = "low"
	l.add(reasonFeature, "the model cannot be kept from thinking; the effort low was asked for")
}
