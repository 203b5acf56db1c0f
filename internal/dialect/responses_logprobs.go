package dialect

import (
	"slices"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Log probabilities, which this dialect reports inside each text.

// respItemLogprobs returns the log probabilities that a message item reports.
func respItemLogprobs(raw []byte) []llm.TokenLogprob {
	o, err := openObject(raw, nil)
	if err != nil || !wire.StringEquals(o.peek("type"), "message") {
		return nil
	}
	list := o.peek("content")
	if len(list) == 0 || list[0] != '[' {
		return nil
	}
	var all []llm.TokenLogprob
	for _, el := range elements(list) {
		if part, err := openObject(el, nil); err == nil {
			all = append(all, respTokens(part.peek("logprobs"))...)
		}
	}
	return all
}

// respTokens reads a list of log probabilities and skips what is none.
func respTokens(raw []byte) []llm.TokenLogprob {
	if len(raw) == 0 || raw[0] != '[' {
		return nil
	}
	var all []llm.TokenLogprob
	for _, el := range elements(raw) {
		o, err := openObject(el, nil)
		if err != nil {
			continue
		}
		token, isText := wire.String(o.peek("token"))
		value, isNumber := number(o.peek("logprob"))
		if !isText || !isNumber {
			continue
		}
		t := llm.TokenLogprob{Token: token, Logprob: value}
		if b := o.peek("bytes"); len(b) > 0 && b[0] == '[' {
			for _, n := range elements(b) {
				if n, ok := wire.Int(n); ok && n >= 0 && n < 256 {
					t.Bytes = append(t.Bytes, int(n))
				}
			}
		}
		for _, alt := range respTokens(o.peek("top_logprobs")) {
			alt.Top = nil
			t.Top = append(t.Top, alt)
		}
		all = append(all, t)
	}
	return all
}

// respLogprobsJSON is the list that respTokens reads.
func respLogprobsJSON(tokens []llm.TokenLogprob, nested bool) []byte {
	list := make([][]byte, 0, len(tokens))
	for _, t := range tokens {
		w := &objectWriter{}
		w.put("token", stringJSON(t.Token))
		w.put("logprob", floatJSON(t.Logprob))
		numbers := make([][]byte, 0, len(t.Bytes))
		for _, b := range t.Bytes {
			numbers = append(numbers, intJSON(int64(b)))
		}
		w.put("bytes", arrayJSON(numbers))
		if !nested {
			w.put("top_logprobs", respLogprobsJSON(t.Top, true))
		}
		list = append(list, w.end())
	}
	return arrayJSON(list)
}

// respWithLogprobs gives the log probabilities of a foreign answer to its
// first text. A native one has them in its parts already.
func respWithLogprobs(parts []llm.Part, tokens []llm.TokenLogprob) []llm.Part {
	for i := range parts {
		p := &parts[i]
		if p.Kind != llm.PartText || p.Extra.Dialect == llm.Responses {
			continue
		}
		w := &objectWriter{}
		w.put("annotations", []byte("[]"))
		w.put("logprobs", respLogprobsJSON(tokens, false))
		parts = slices.Clone(parts)
		parts[i].Extra = llm.Extra{Dialect: llm.Responses, Spelled: w.end()}
		return parts
	}
	return parts
}
