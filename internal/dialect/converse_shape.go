package dialect

import (
	"fmt"
	"hash/fnv"
	"strings"

	"tailplane/internal/llm"
)

// The shape of a conversation that Bedrock accepts is Anthropic's (see
// anthropic_shape.go), with instructions before it, blocks of its own, and a
// text in every turn that has a document.

// convShaper puts the instructions and turns of a foreign call into that shape.
type convShaper struct {
	losses *lossList
	thinks func(*llm.Part, *lossList) bool // whether thinking may be handed to the model
	caches bool                            // whether the model takes cache points
	names  map[string]bool                 // of documents so far
}

// turns settles the conversation.
func (s *convShaper) turns(c *llm.Call) {
	s.names = map[string]bool{}
	settleTurns(c, llm.Converse, s.part, s.losses)
	for i := range c.Turns {
		c.Turns[i].Parts = s.besideDocument(c.Turns[i].Parts)
	}
	c.Turns = userBegins(c.Turns, s.losses)
	trimPrefill(c.Turns, s.losses)
}

// besideDocument adds the text without which Bedrock refuses a document.
func (s *convShaper) besideDocument(parts []llm.Part) []llm.Part {
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
	return append(parts[:len(parts):len(parts)], llm.Part{Kind: llm.PartText, Text: "."})
}

// part makes a part sayable in a turn of role; ok is false when it is left out.
// The part's pointers are replaced, never written through.
func (s *convShaper) part(p llm.Part, role llm.Role) (llm.Part, bool) {
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
		return settleCall(p, convID, l), true
	case llm.PartToolResult:
		return settleResult(p, convID, s.inResult, l), true
	case llm.PartThinking:
		return p, s.thinks(&p, l)
	}
	return p, false
}

// cache keeps a mark where the model takes cache points.
func (s *convShaper) cache(m *llm.CacheMark) *llm.CacheMark {
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

// convOwnThought says which thinking may be handed to the model: what came from
// Bedrock, and Claude's own, whose signatures hold at all its providers
// (Anthropic's guide to extended thinking). Claude's redacted thinking is
// wrapped in another way there.
func convOwnThought(model string) func(*llm.Part, *lossList) bool {
	claude := convFamilyOf(model) == convClaude
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

var convMediaFeatures = map[llm.PartKind]string{
	llm.PartImage: "messages.content.image_url",
	llm.PartFile:  "messages.content.file",
	llm.PartAudio: "messages.content.input_audio",
}

func (s *convShaper) media(p llm.Part) (llm.Part, bool) {
	if p.Media == nil {
		return p, false
	}
	l, feature := s.losses, convMediaFeatures[p.Kind]
	m, ok := inlineMedia(*p.Media)
	if strings.HasPrefix(m.URL, "s3://") {
		m.FileID, m.URL = m.URL, ""
	}
	if m.Type == "" {
		m.Type = sniffMedia(m.Data)
	}
	if m.Detail != "" && m.Detail != "auto" {
		l.add(feature+".detail", convNoEquivalent)
	}
	m.Detail = ""
	p.Media = &m
	kind, _ := convMediaOf(p.Kind, m.Type)
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
		kind = &convMedia[1]
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
		l.add(feature+".name", convNoEquivalent)
	}
	return p, true
}

// documentName is a name that Bedrock takes: of its alphabet, not longer than 200
// bytes, and different from the others of the conversation.
func (s *convShaper) documentName(name string) string {
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
func (s *convShaper) inResult(p llm.Part, role llm.Role) (llm.Part, bool) {
	p, ok := s.part(p, role)
	if p.Cache != nil {
		s.losses.add("cache_control", "converse has no cache point inside a tool's result")
		p.Cache = nil
	}
	return p, ok
}

// convMostID is the length of a tool call's id that Bedrock accepts.
const convMostID = 64

// convID makes a tool call's id acceptable to Bedrock: Anthropic's alphabet, and
// a longer one cut and told apart by its hash.
func convID(id string) string {
	clean := toolID(id)
	if len(clean) <= convMostID {
		return clean
	}
	h := fnv.New64a()
	h.Write([]byte(id))
	return fmt.Sprintf("%s_%016x", clean[:convMostID-17], h.Sum64())
}
