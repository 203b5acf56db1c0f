package dialect

import (
	"slices"
	"strconv"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Log probabilities, which chat and responses spell alike.

// readTokens reads a list of log probabilities and skips what is none.
func readTokens(raw []byte) []llm.TokenLogprob {
	var all []llm.TokenLogprob
	for _, item := range elements(raw) {
		o, err := openObject(item, where{})
		if err != nil {
			continue
		}
		token, isText := wire.Unquote(o.peek("token"))
		value, isNumber := number(o.peek("logprob"))
		if !isText || !isNumber {
			continue
		}
		t := llm.TokenLogprob{Token: token, Logprob: value, Bytes: readBytes(o.get("bytes"))}
		for _, other := range readTokens(o.peek("top_logprobs")) {
			other.Top = nil
			t.Top = append(t.Top, other)
		}
		all = append(all, t)
	}
	return all
}

// readBytes reads a list of bytes; nil when there are none.
func readBytes(raw []byte) []int {
	var all []int
	for _, item := range elements(raw) {
		if n, ok := wire.Int(item); ok && n >= 0 && n < 256 {
			all = append(all, int(n))
		}
	}
	return all
}

// tokens writes a list of log probabilities as the next value. noBytes stands
// where a token's bytes are not known: the dialects differ in that.
func (j *jsonWriter) tokens(list []llm.TokenLogprob, noBytes string, top bool) {
	j.openList()
	for i := range list {
		t := &list[i]
		w := j.object(llm.Extra{})
		w.text("token", t.Token)
		w.float("logprob", &t.Logprob)
		w.key("bytes")
		if t.Bytes == nil {
			j.buf = append(j.buf, noBytes...)
		} else {
			j.openList()
			for _, b := range t.Bytes {
				j.comma()
				j.buf = strconv.AppendInt(j.buf, int64(b), 10)
			}
			j.closeList()
		}
		if top {
			w.key("top_logprobs")
			j.tokens(t.Top, noBytes, false)
		}
		w.end()
	}
	j.closeList()
}

// chatLogprobs writes the logprobs object of chat.
func chatLogprobs(list []llm.TokenLogprob) []byte {
	w := newObject(llm.Extra{})
	w.key("content")
	w.tokens(list, "null", true)
	w.null("refusal")
	return w.end()
}

// responsesLogprobsJSON is the list of responses.
func responsesLogprobsJSON(list []llm.TokenLogprob) []byte {
	var j jsonWriter
	j.tokens(list, "[]", true)
	return j.buf
}

// responsesItemLogprobs returns the log probabilities that a message item reports.
func responsesItemLogprobs(raw []byte) []llm.TokenLogprob {
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

// responsesWithLogprobs gives the log probabilities of a foreign answer to its
// first text. A native one has them in its parts already.
func responsesWithLogprobs(parts []llm.Part, tokens []llm.TokenLogprob) []llm.Part {
	for i := range parts {
		p := &parts[i]
		if p.Kind != llm.PartText || p.Extra.Dialect == llm.Responses {
			continue
		}
		w := newObject(llm.Extra{})
		w.put("annotations", []byte("[]"))
		w.put("logprobs", responsesLogprobsJSON(tokens))
		parts = slices.Clone(parts)
		parts[i].Extra = llm.Extra{Dialect: llm.Responses, Spelled: w.end()}
		return parts
	}
	return parts
}
