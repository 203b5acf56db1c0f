package dialect

import (
	"slices"
	"strings"

	"tailplane/internal/llm"
)

// gemJoinThoughts makes one part of the pieces in which a client that collects
// a stream hands back a thought of another provider: the text, piece by piece,
// then a thought without text that holds the signature in our wrapping (see
// gemWrap); some SDKs give each piece a turn of its own. The provider takes the
// text only together with its signature. Gemini's own thoughts stay as they
// stand.
func gemJoinThoughts(turns []llm.Turn) []llm.Turn {
	var pieces []*llm.Part // text that waits for its signature
	joined := false
	for i := range turns {
		for k := range turns[i].Parts {
			p := &turns[i].Parts[k]
			if p.Kind == llm.PartThinking && p.SignedBy == llm.Gemini && p.Signature == "" {
				pieces = append(pieces, p)
				continue
			}
			unwrapped := p.Kind == llm.PartThinking && p.Extra.Dialect != llm.Gemini
			if len(pieces) > 0 && unwrapped && p.Text == "" && !p.Redacted {
				gemJoin(pieces, p)
				joined = true
			}
			pieces = pieces[:0]
		}
	}
	if !joined {
		return turns
	}
	kept := turns[:0]
	for _, t := range turns {
		before := len(t.Parts)
		t.Parts = slices.DeleteFunc(t.Parts, func(p llm.Part) bool { return p.Kind == 0 })
		if len(t.Parts) > 0 || before == 0 {
			kept = append(kept, t)
		}
	}
	return kept
}

// gemJoin makes the signed thought of the pieces before it, which lose their
// kind.
func gemJoin(pieces []*llm.Part, signed *llm.Part) {
	var text strings.Builder
	for _, p := range pieces {
		text.WriteString(p.Text)
		*p = llm.Part{}
	}
	signed.Text = text.String()
}
