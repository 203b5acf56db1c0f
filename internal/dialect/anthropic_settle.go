package dialect

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"net/url"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// A call that came from another dialect is settled before it is written: what
// Anthropic cannot say or would refuse is changed or left out, and each such
// change is a loss. A call of this dialect is written as it came.

// antSettle makes c, a shallow copy of the caller's, sayable.
func antSettle(c *llm.Call, l *lossList) {
	l.extra("", c.Extra, llm.Anthropic)
	c.Extra = llm.Extra{}
	antShape(c, l)
	antSettleTools(c, l)
	antSettleSampling(c, l)
	antSettleOutput(c, l)
	antReason(c, l)
	if c.Sampling.MaxTokens == 0 {
		c.Sampling.MaxTokens = antFamilyOf(c.Model).output
	}
	if c.Logprobs.Want || c.Logprobs.Top != nil {
		l.add("logprobs", antNoEquivalent)
	}
	if id := c.Metadata["user_id"]; c.User == "" && len(c.Metadata) == 1 && id != "" {
		c.User = id
	} else if len(c.Metadata) > 0 {
		l.add("metadata", "anthropic keeps only a user id")
	}
}

func antSettleTools(c *llm.Call, l *lossList) {
	var tools []llm.Tool
	for _, t := range c.Tools {
		if t.Raw != nil {
			if t.Extra.Dialect == llm.Anthropic {
				tools = append(tools, t)
			} else {
				l.add("tools", "a tool that only "+string(t.Extra.Dialect)+" knows was left out")
			}
			continue
		}
		if t.Extra.Dialect == llm.Anthropic {
			tools = append(tools, t)
			continue
		}
		l.extra("tools", t.Extra, llm.Anthropic)
		t.Extra = llm.Extra{}
		if t.Schema == nil {
			t.Schema = []byte(`{"type":"object","properties":{}}`)
		} else {
			t.Schema = antPrepend(t.Schema, "type", `"object"`)
		}
		if t.Strict != nil && !*t.Strict {
			t.Strict = nil
		}
		t.Cache = antSettleCache(t.Cache, l)
		tools = append(tools, t)
	}
	c.Tools = tools
	antSettleChoice(c, l)
}

func antSettleChoice(c *llm.Call, l *lossList) {
	if c.Choice.Raw != nil && c.Choice.Extra.Dialect != llm.Anthropic {
		l.add("tool_choice", antNoEquivalent)
		c.Choice = llm.ToolChoice{}
	}
	l.extra("tool_choice", c.Choice.Extra, llm.Anthropic)
	if c.Parallel != nil && *c.Parallel {
		c.Parallel = nil // what Anthropic does unasked
	}
	if len(c.Tools) == 0 {
		if c.Choice.Mode == llm.ToolRequired || c.Choice.Mode == llm.ToolNamed {
			l.add("tool_choice", "there is no tool left to call")
		}
		c.Choice, c.Parallel = llm.ToolChoice{}, nil
	}
	if c.Choice.Mode == llm.ToolNone {
		c.Parallel = nil
	}
	if c.Choice.Mode == "" && c.Choice.Raw == nil && c.Parallel != nil {
		c.Choice.Mode = llm.ToolAuto
	}
}

// settlePenalties declares the penalties and the seed of a call for a dialect
// that has neither; a penalty of zero is none.
func settlePenalties(s *llm.Sampling, why string, l *lossList) {
	if s.FrequencyPenalty != nil && *s.FrequencyPenalty != 0 {
		l.add("frequency_penalty", why)
	}
	if s.PresencePenalty != nil && *s.PresencePenalty != 0 {
		l.add("presence_penalty", why)
	}
	if s.Seed != nil {
		l.add("seed", why)
	}
}

func antSettleSampling(c *llm.Call, l *lossList) {
	s := &c.Sampling
	settlePenalties(s, antNoEquivalent, l)
	if s.N > 1 {
		l.add("n", "anthropic gives one answer")
	}
	if s.Temperature != nil && *s.Temperature > 1 {
		s.Temperature = new(1.0)
		l.add("temperature", "anthropic's highest is 1")
	}
	if s.TopP != nil && s.Temperature != nil {
		if *s.TopP != 1 {
			l.add("top_p", "newer claude models refuse it together with temperature")
		}
		s.TopP = nil
	}
	var stops []string
	for _, stop := range s.Stop {
		if strings.TrimSpace(stop) == "" {
			l.add("stop", "anthropic refuses a stop sequence of white space")
			continue
		}
		stops = append(stops, stop)
	}
	s.Stop = stops
}

// antSettleOutput keeps a schema. Anthropic's form has no name and no
// description beside the schema, so they become its title and description
// where it has none.
func antSettleOutput(c *llm.Call, l *lossList) {
	out := &c.Output
	l.extra("response_format", out.Extra, llm.Anthropic)
	out.Extra = llm.Extra{}
	if out.Verbosity != "" {
		l.add("verbosity", antNoEquivalent)
	}
	switch out.Kind {
	case llm.OutputJSON:
		l.add("response_format", "anthropic has no JSON output without a schema")
	case llm.OutputSchema:
		if len(out.Schema) == 0 {
			l.add("response_format", "the schema is missing")
			out.Kind = ""
			return
		}
		if out.Description != "" {
			out.Schema = antPrepend(out.Schema, "description", string(wire.AppendString(nil, out.Description)))
		}
		if out.Name != "" {
			out.Schema = antPrepend(out.Schema, "title", string(wire.AppendString(nil, out.Name)))
		}
	}
}

// antPrepend puts a member at the head of the object raw, unless it is there.
func antPrepend(raw []byte, name, value string) []byte {
	found := make([]wire.Member, 1)
	o, err := wire.Scan(raw, []string{name}, found)
	if err != nil || !found[0].IsZero() {
		return raw
	}
	out := append(wire.AppendString([]byte{'{'}, name), ':')
	out = append(out, value...)
	if !o.Empty {
		out = append(out, ',')
	}
	return append(out, bytes.TrimSpace(raw[o.Open+1:])...)
}

func antSettleCache(m *llm.CacheMark, l *lossList) *llm.CacheMark {
	if m == nil {
		return nil
	}
	l.extra("cache_control", m.Extra, llm.Anthropic)
	out := llm.CacheMark{Type: m.Type, TTL: m.TTL, Extra: m.Extra.In(llm.Anthropic)}
	if out.Type == "" {
		out.Type = "ephemeral"
	}
	return &out
}

// antID makes a tool call's id acceptable to Anthropic (letters, digits, _
// and -). Another id keeps its acceptable characters and gets a hash of
// itself, so that the call and its result still agree and no two ids meet.
func antID(id string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, id)
	if clean == id && id != "" {
		return id
	}
	h := fnv.New64a()
	h.Write([]byte(id))
	if clean == "" {
		clean = "call"
	}
	return fmt.Sprintf("%s_%016x", clean, h.Sum64())
}

// antInline turns a data: URL into inline data; other media stay.
func antInline(m llm.Media) (llm.Media, bool) {
	address := m.URL
	if address == "" {
		address = m.Data
	}
	rest, ok := strings.CutPrefix(address, "data:")
	if !ok {
		return m, true
	}
	head, data, ok := strings.Cut(rest, ",")
	if !ok {
		return m, false
	}
	kind, coded := strings.CutSuffix(head, ";base64")
	if kind, _, _ = strings.Cut(kind, ";"); kind != "" {
		m.Type = kind
	}
	if !coded {
		text, err := url.PathUnescape(data)
		if err != nil {
			return m, false
		}
		data = base64.StdEncoding.EncodeToString([]byte(text))
	}
	m.URL, m.Data = "", data
	return m, data != ""
}

// antSniff finds the type of inline media by how its base64 begins.
func antSniff(data string) string {
	for _, s := range []struct{ head, kind string }{
		{"iVBORw0KGgo", "image/png"},
		{"/9j/", "image/jpeg"},
		{"R0lGOD", "image/gif"},
		{"UklGR", "image/webp"},
		{"JVBERi0", "application/pdf"},
	} {
		if strings.HasPrefix(data, s.head) {
			return s.kind
		}
	}
	return ""
}
