package dialect

import (
	"slices"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Log probabilities, which this dialect reports inside each text.

// respItemLogprobs returns the log probabilities that a message item reports.
func respItemLogprobs(raw []byte) []llm.TokenLogprob {
	o, err := openObject(raw, where{})
	if err != nil || !wire.StringEquals(o.peek("type"), "message") {
		return nil
	}
	list := o.peek("content")
	if len(list) == 0 || list[0] != '[' {
		return nil
	}
	var all []llm.TokenLogprob
	for _, el := range elements(list) {
		if part, err := openObject(el, where{}); err == nil {
			all = append(all, readTokens(part.peek("logprobs"))...)
		}
	}
	return all
}

// respWithLogprobs gives the log probabilities of a foreign answer to its
// first text. A native one has them in its parts already.
func respWithLogprobs(parts []llm.Part, tokens []llm.TokenLogprob) []llm.Part {
	for i := range parts {
		p := &parts[i]
		if p.Kind != llm.PartText || p.Extra.Dialect == llm.Responses {
			continue
		}
		w := newObject(llm.Extra{})
		w.put("annotations", []byte("[]"))
		w.put("logprobs", respLogprobsJSON(tokens))
		parts = slices.Clone(parts)
		parts[i].Extra = llm.Extra{Dialect: llm.Responses, Spelled: w.end()}
		return parts
	}
	return parts
}
