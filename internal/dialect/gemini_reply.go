package dialect

import (
	"slices"
	"strconv"
	"time"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Complete answers of :generateContent. What a candidate says beyond the
// canonical form (grounding, citations, safety ratings) stays in its Extra.
//
// Gemini stops with STOP also when it asks for a function; then the canonical
// reason is StopTool. A prompt that was blocked has promptFeedback in place of
// candidates: it becomes one choice without parts that a filter stopped.

// Forms of a reply (llm.Reply.Extra.Form).
const (
	geminiNoCandidates = 1 << iota // candidates is absent; a choice says why
)

// Forms of a choice (llm.Choice.Extra.Form).
const (
	geminiNoIndex       = 1 << iota // index is absent
	geminiNoContent                 // content is absent
	geminiNoContentRole             // content has no role
	geminiNoContentList             // content has no parts
)

// geminiStops are the words of finishReason.
var geminiStops = stopTable{llm.Gemini, []stopWord{
	{"STOP", llm.StopEnd},
	{"STOP", llm.StopTool},
	{"STOP", llm.StopSequence},
	{"MAX_TOKENS", llm.StopLength},
	{"SAFETY", llm.StopFilter},
	{"SAFETY", llm.StopRefusal},
	{"OTHER", llm.StopOther},
	{"OTHER", llm.StopError},
	{"RECITATION", llm.StopFilter},
	{"LANGUAGE", llm.StopFilter},
	{"BLOCKLIST", llm.StopFilter},
	{"PROHIBITED_CONTENT", llm.StopFilter},
	{"SPII", llm.StopFilter},
	{"IMAGE_SAFETY", llm.StopFilter},
	{"IMAGE_PROHIBITED_CONTENT", llm.StopFilter},
	{"IMAGE_RECITATION", llm.StopFilter},
	{"MODEL_ARMOR", llm.StopFilter},
	{"MALFORMED_FUNCTION_CALL", llm.StopError},
	{"UNEXPECTED_TOOL_CALL", llm.StopError},
	{"TOO_MANY_TOOL_CALLS", llm.StopError},
	{"MISSING_THOUGHT_SIGNATURE", llm.StopError},
	{"MALFORMED_RESPONSE", llm.StopError},
}}

// geminiStopNumbers are the words by their number in protobuf.
var geminiStopNumbers = [...]string{
	0: "FINISH_REASON_UNSPECIFIED", 1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER", 6: "LANGUAGE",
	7: "BLOCKLIST", 8: "PROHIBITED_CONTENT", 9: "SPII", 10: "MALFORMED_FUNCTION_CALL", 11: "IMAGE_SAFETY",
	12: "UNEXPECTED_TOOL_CALL", 13: "TOO_MANY_TOOL_CALLS",
}

// geminiStopWord is a finishReason as a word, which may be spelled as a number;
// nil when there is none.
func geminiStopWord(raw []byte) []byte {
	word := raw
	if n, ok := wire.Int(raw); ok {
		if n < 0 || n >= int64(len(geminiStopNumbers)) {
			return []byte("OTHER")
		}
		word = []byte(geminiStopNumbers[n])
	} else if len(raw) > 2 && raw[0] == '"' {
		word = raw[1 : len(raw)-1]
	} else {
		return nil
	}
	if string(word) == geminiStopNumbers[0] {
		return nil
	}
	return word
}

// geminiStopOf is a stop of a candidate that may have asked for a function.
func geminiStopOf(reason llm.StopReason, called bool) llm.StopReason {
	if reason == llm.StopEnd && called {
		return llm.StopTool
	}
	return reason
}

// geminiBlocked reports whether a blockReason says that the prompt was blocked.
func geminiBlocked(raw []byte) bool {
	return len(raw) > 2 && !wire.StringEquals(raw, "BLOCK_REASON_UNSPECIFIED") || len(raw) == 1 && raw[0] != '0'
}

// geminiBlockStop is the stop of a blocked prompt; false when it was not blocked.
func geminiBlockStop(o *object) (llm.Stop, bool) {
	raw := o.get("promptFeedback")
	if raw == nil {
		return llm.Stop{}, false
	}
	in, err := openObject(raw, where{})
	if err != nil || !geminiBlocked(in.peek("blockReason")) {
		return llm.Stop{}, false
	}
	return llm.Stop{Reason: llm.StopFilter, Wire: scalarText(in.peek("blockReason")), By: llm.Gemini}, true
}

// geminiDecodeStop takes finishReason.
func geminiDecodeStop(o *object, called bool) llm.Stop {
	raw := o.raw("finishReason")
	word := geminiStopWord(raw)
	if word == nil {
		if raw != nil {
			o.release("finishReason")
		}
		return llm.Stop{}
	}
	text, isText := wire.Unquote(raw)
	if !isText {
		text = string(word)
		o.keep("finishReason")
	}
	stop := geminiStops.stop(text)
	stop.Reason = geminiStopOf(stop.Reason, called)
	return stop
}

// DecodeReply implements [Codec].
func (GeminiCodec) DecodeReply(body []byte, at *At) (*llm.Reply, error) {
	o, err := parseReply(body, at)
	if err != nil {
		return nil, err
	}
	if o.get("error") != nil {
		return nil, o.under("error").wrong("%s", GeminiCodec{}.DecodeError(body).Message)
	}
	r := o.newReply()
	geminiHead(r, o)
	form := uint32(0)
	list := o.list("candidates")
	if stop, blocked := geminiBlockStop(o); blocked && len(list) == 0 {
		form |= geminiNoCandidates
		r.Choices = append(o.choices(1), llm.Choice{Stop: stop})
	} else if list == nil && o.get("promptFeedback") == nil && o.get("usageMetadata") == nil {
		o.wrong("candidates", "is missing")
	}
	for i, raw := range list {
		c := o.openItem("candidates", i, raw)
		r.Choices = append(r.Choices, geminiDecodeCandidate(c, geminiReplyAt{r.ID, i}))
	}
	if raw := o.peek("usageMetadata"); raw != nil {
		if r.Usage, r.HasUsage = geminiUsage(raw); r.HasUsage {
			o.take("usageMetadata")
			r.UsageExtra = geminiUsageExtra(raw)
		} else {
			geminiQuietUsage(o)
		}
	}
	r.Extra = geminiExtra(o, form)
	return result(o, r)
}

// geminiQuietUsage keeps a usage without figures for its spelling.
func geminiQuietUsage(o *object) {
	if raw := o.peek("usageMetadata"); len(raw) > 0 && geminiUsageExtra(raw).Members == nil {
		o.keep("usageMetadata")
	}
}

// geminiHead reads what an answer and each chunk of a stream say of themselves.
func geminiHead(r *llm.Reply, o *object) {
	r.ID = o.str("responseId")
	r.Model = o.str("modelVersion")
	if text, ok := wire.Unquote(o.peek("createTime")); ok {
		if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
			r.Created = at.Unix()
			o.keep("createTime")
		}
	}
}

// geminiReplyAt says which candidate of which answer is read.
type geminiReplyAt struct {
	id    string
	index int
}

// name gives a part of the answer an id that no other call has.
func (a geminiReplyAt) name(p llm.Part, part int) llm.Part {
	if a.index > 0 {
		part += a.index << 16
	}
	return withCallID(p, a.id, part)
}

func geminiDecodeCandidate(o *object, of geminiReplyAt) (c llm.Choice) {
	form := uint32(0)
	if !o.constant("index", strconv.Itoa(of.index)) {
		form |= geminiNoIndex
	}
	if content := o.sub("content"); content == nil {
		form |= geminiNoContent
	} else {
		c.Parts, form = geminiDecodeContent(content, form)
	}
	called := false
	for k := range c.Parts {
		c.Parts[k] = of.name(c.Parts[k], k)
		called = called || c.Parts[k].Kind == llm.PartToolCall
	}
	c.Stop = geminiDecodeStop(o, called)
	if c.Logprobs = geminiDecodeLogprobs(o.get("logprobsResult")); c.Logprobs != nil {
		o.keep("logprobsResult")
	}
	c.Extra = geminiExtra(o, form)
	return c
}

func geminiDecodeContent(content *object, form uint32) ([]llm.Part, uint32) {
	if !content.constant("role", `"model"`) {
		form |= geminiNoContentRole
	}
	list := content.list("parts")
	if list == nil {
		form |= geminiNoContentList
	}
	return geminiDecodeParts(content, list), form
}

// geminiDecodeLogprobs reads logprobsResult.
func geminiDecodeLogprobs(raw []byte) []llm.TokenLogprob {
	if len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	o, err := openObject(raw, where{})
	if err != nil {
		return nil
	}
	all := geminiDecodeTokens(o.peek("chosenCandidates"))
	for i, item := range elements(o.peek("topCandidates")) {
		in, err := openObject(item, where{})
		if err == nil && i < len(all) {
			all[i].Top = geminiDecodeTokens(in.peek("candidates"))
		}
	}
	return all
}

func geminiDecodeTokens(raw []byte) []llm.TokenLogprob {
	var all []llm.TokenLogprob
	for _, item := range elements(raw) {
		o, err := openObject(item, where{})
		if err != nil {
			continue
		}
		t := llm.TokenLogprob{}
		t.Token, _ = wire.Unquote(o.peek("token"))
		t.Logprob, _ = number(o.peek("logProbability"))
		all = append(all, t)
	}
	return all
}

// EncodeReply implements [Codec].
func (GeminiCodec) EncodeReply(dst []byte, reply *llm.Reply) ([]byte, []llm.Loss, error) {
	l := &lossList{}
	own := reply.Extra.In(llm.Gemini)
	l.extra("", reply.Extra, llm.Gemini)
	e := &geminiEncoder{losses: l, own: reply.Extra.Dialect == llm.Gemini, reply: true}
	e.jsonWriter = writerOf(dst, replySize(reply))
	w := e.object(own)
	if own.Form&geminiNoCandidates == 0 && (len(reply.Choices) > 0 || !e.own) {
		w.list("candidates")
		for i := range reply.Choices {
			e.candidate(&reply.Choices[i], i)
		}
		w.closeList()
	} else {
		w.set("candidates", nil)
	}
	feedback, quiet := w.takeKept("promptFeedback")
	w.put("promptFeedback", quiet)
	w.put("promptFeedback", feedback)
	if reply.HasUsage {
		w.put("usageMetadata", geminiUsageJSON(&reply.Usage, reply.UsageExtra, l))
	}
	w.str("modelVersion", reply.Model)
	w.str("responseId", reply.ID)
	w.end()
	return e.buf, l.all, nil
}

// candidate writes one candidate into the list that is open.
func (e *geminiEncoder) candidate(c *llm.Choice, i int) {
	own := c.Extra.In(llm.Gemini)
	path := "choices[" + strconv.Itoa(i) + "]"
	e.losses.extra(path, c.Extra, llm.Gemini)
	w := e.object(own)
	if own.Form&geminiNoContent == 0 || len(c.Parts) > 0 {
		e.content(&w, c.Parts, c.Stop.Reason, own.Form)
	} else {
		w.set("content", nil)
	}
	called := slices.ContainsFunc(c.Parts, func(p llm.Part) bool { return p.Kind == llm.PartToolCall })
	geminiPutStop(&w, c.Stop, called, e.losses)
	w.constant("index", strconv.Itoa(i), own.Form&geminiNoIndex != 0)
	other, probs := w.takeKept("logprobsResult")
	switch {
	case other != nil:
		w.put("logprobsResult", other)
	case len(c.Logprobs) == 0:
		w.put("logprobsResult", probs)
	case len(geminiDecodeLogprobs(probs)) == len(c.Logprobs):
		w.put("logprobsResult", probs)
	default:
		w.put("logprobsResult", geminiLogprobs(c.Logprobs))
	}
	w.end()
}

func (e *geminiEncoder) content(w *objectWriter, parts []llm.Part, stop llm.StopReason, form uint32) {
	in := w.sub("content")
	if len(parts) > 0 || form&geminiNoContentList == 0 {
		in.list("parts")
		e.parts(e.sayable(parts, stop))
		in.closeList()
	} else {
		in.set("parts", nil)
	}
	in.constant("role", `"model"`, form&geminiNoContentRole != 0)
	in.endSub()
	if len(w.buf) > 0 && w.buf[len(w.buf)-1] == '{' { // a content that says nothing
		w.put("content", []byte("{}"))
	}
}

// sayable are the parts of an answer that Gemini can say.
func (e *geminiEncoder) sayable(parts []llm.Part, stop llm.StopReason) []llm.Part {
	out := make([]llm.Part, 0, len(parts))
	for i := range parts {
		p := parts[i]
		if p.Extra.Dialect == llm.Gemini {
			out = append(out, p)
			continue
		}
		e.losses.extra("content", p.Extra, llm.Gemini)
		switch p.Kind {
		case llm.PartRefusal:
			if stop != llm.StopRefusal && stop != llm.StopFilter {
				e.losses.add("refusal", "it became text")
			}
		case llm.PartToolCall:
			if p.Tool == nil {
				continue
			}
			p = geminiSettleCall(p, "tool_calls.arguments", e.losses)
		case llm.PartText, llm.PartThinking:
		default:
			e.losses.add("content", "a part that an answer of gemini has no place for was left out")
			continue
		}
		p.Extra = llm.Extra{}
		out = append(out, p)
	}
	return out
}

// geminiPutStop writes a finishReason, as a number where it came as one. called
// says that the answer asks for a function.
func geminiPutStop(w *objectWriter, stop llm.Stop, called bool, l *lossList) {
	if called && stop.Reason == llm.StopEnd || !called && stop.Reason == llm.StopTool {
		l.add("stop_reason", "gemini tells a stop for tools by a function call alone")
	}
	if stop.Reason == "" {
		w.set("finishReason", nil)
		return
	}
	word := geminiStopText(stop, l)
	if _, spelled := w.takeKept("finishReason"); spelled != nil && string(geminiStopWord(spelled)) == word {
		w.put("finishReason", spelled)
		return
	}
	w.text("finishReason", word)
}

// geminiStopText is what Gemini calls a stop.
func geminiStopText(stop llm.Stop, l *lossList) string {
	word := geminiStops.say(stop, l)
	if stop.Sequence != "" {
		l.add("stop_sequence", "gemini does not tell which stop sequence was written")
	}
	return word
}

// geminiLogprobs writes logprobsResult.
func geminiLogprobs(list []llm.TokenLogprob) []byte {
	w := newObject(llm.Extra{})
	w.list("chosenCandidates")
	top := false
	for i := range list {
		geminiToken(w.jsonWriter, &list[i])
		top = top || len(list[i].Top) > 0
	}
	w.closeList()
	if !top {
		return w.end()
	}
	w.list("topCandidates")
	for i := range list {
		in := w.object(llm.Extra{})
		in.list("candidates")
		for k := range list[i].Top {
			geminiToken(w.jsonWriter, &list[i].Top[k])
		}
		in.closeList()
		in.end()
	}
	w.closeList()
	return w.end()
}

func geminiToken(j *jsonWriter, t *llm.TokenLogprob) {
	w := j.object(llm.Extra{})
	w.text("token", t.Token)
	w.float("logProbability", &t.Logprob)
	w.end()
}
