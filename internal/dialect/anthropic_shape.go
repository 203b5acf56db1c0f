package dialect

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"tailplane/internal/llm"
)

// The parts of a call that came from another dialect, settled.

// antSettlePart makes a part sayable in a turn of role; ok is false when it
// is left out. The part's pointers are replaced, never written through.
func antSettlePart(p llm.Part, role llm.Role, l *lossList) (llm.Part, bool) {
	if p.Kind == llm.PartOther {
		if p.Extra.Dialect == llm.Anthropic {
			return p, true
		}
		l.add("messages.content", "a block that only "+string(p.Extra.Dialect)+" knows was left out")
		return p, false
	}
	l.extra("messages.content", p.Extra, llm.Anthropic)
	p.Extra = p.Extra.In(llm.Anthropic)
	p.Cache = antSettleCache(p.Cache, l)
	if role == llm.RoleSystem && p.Kind != llm.PartText {
		l.add("system", "only text can be an instruction")
		return p, false
	}
	switch p.Kind {
	case llm.PartText, llm.PartRefusal:
		return settleText(p, l)
	case llm.PartImage, llm.PartFile:
		if role == llm.RoleAssistant {
			l.add("messages.content", "an image or file of the assistant was left out")
			return p, false
		}
		return antSettleMedia(p, l)
	case llm.PartAudio:
		l.add("messages.content.input_audio", antNoEquivalent)
	case llm.PartToolCall:
		return settleCall(p, toolID, l), true
	case llm.PartToolResult:
		return antSettleResult(p, l), true
	case llm.PartThinking:
		return p, antOwnThought(&p, l)
	}
	return p, false
}

// antOwnThought reports whether thinking may be sent to Anthropic: it must
// bear Anthropic's signature.
func antOwnThought(p *llm.Part, l *lossList) bool {
	if p.SignedBy == llm.Anthropic && p.Signature != "" {
		return true
	}
	l.add("messages.content.thinking", "thinking that anthropic has not signed was left out")
	return false
}

func antSettleMedia(p llm.Part, l *lossList) (llm.Part, bool) {
	if p.Media == nil {
		return p, false
	}
	feature := "messages.content.image_url"
	if p.Kind == llm.PartFile {
		feature = "messages.content.file"
	}
	m, ok := inlineMedia(*p.Media)
	if m.FileID != "" {
		l.add(feature, "the id of a file at another provider means nothing at anthropic")
		return p, false
	}
	if m.Type == "" {
		m.Type = sniffMedia(m.Data)
	}
	if m.Detail != "" && m.Detail != "auto" {
		l.add(feature+".detail", antNoEquivalent)
	}
	p.Media = &m
	switch {
	case !ok || m.Data == "" && m.URL == "":
		l.add(feature, "it has no readable data")
		return p, false
	case m.URL != "":
		return p, true
	case p.Kind == llm.PartImage:
		if strings.HasPrefix(m.Type, "image/") {
			return p, true
		}
	case m.Type == "application/pdf":
		return p, true
	case strings.HasPrefix(m.Type, "text/") || m.Type == "application/json":
		if text, err := base64.StdEncoding.DecodeString(m.Data); err == nil && utf8.Valid(text) && len(text) > 0 {
			m.Type = "text/plain"
			p.Extra = llm.Extra{Dialect: llm.Anthropic, Form: antSourceText}
			return p, true
		}
	}
	l.add(feature, "anthropic does not take the type "+m.Type)
	return p, false
}

func antSettleResult(p llm.Part, l *lossList) llm.Part {
	p = settleResult(p, toolID, func(p llm.Part, role llm.Role) (llm.Part, bool) { return antSettlePart(p, role, l) }, l)
	if antPlain(p.Result.Parts) {
		p.Extra = llm.Extra{Dialect: llm.Anthropic, Form: antResultBare}
	}
	return p
}
