package dialect

import (
	"slices"
	"strconv"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// A complete chat answer. Members of the message stand in the choice's Extra
// under "message"; the usage object as it came is UsageExtra.Spelled, written
// again while the figures are still those.

// Forms of a Reply and a Choice beyond the content forms.
const (
	replyNoObject    = 1 << 8 // a reply without object
	choiceNoIndex    = 1 << 9
	choiceNoRole     = 1 << 10
	choiceStopReason = 1 << 11 // vLLM: stop_reason has the stop sequence
)

// chatStops are the words of finish_reason; those behind the first five are
// of engines and providers.
var chatStops = stopTable{llm.Chat, chatStopWords}

var chatStopWords = []stopWord{
	{"stop", llm.StopEnd},
	{"length", llm.StopLength},
	{"tool_calls", llm.StopTool},
	{"content_filter", llm.StopFilter},
	{"error", llm.StopError},
	{"function_call", llm.StopTool},
	{"eos", llm.StopEnd},
	{"end_turn", llm.StopEnd},
	{"max_tokens", llm.StopLength},
	{"model_length", llm.StopLength},
	{"abort", llm.StopError},
	{"insufficient_system_resource", llm.StopError},
}

// openAIStopWord writes a stop with the words of a table.
func openAIStopWord(t *stopTable, s llm.Stop, losses *lossList) string {
	word := t.word(s)
	if word != "" || s.Reason == "" {
		return word
	}
	switch s.Reason {
	case llm.StopSequence:
		if s.Sequence != "" {
			losses.add("stop_sequence", "chat does not tell which stop sequence was written")
		}
	case llm.StopRefusal:
		return "content_filter"
	case llm.StopPause:
		losses.add("stop_reason", "chat has no word for a pause; it reads stop")
	default:
		losses.add("stop_reason", "chat has no word for "+s.Wire+"; it reads stop")
	}
	return "stop"
}

// DecodeReply implements [Codec].
func (ChatCodec) DecodeReply(body []byte, at *At) (*llm.Reply, error) {
	return openAIReply(body, at, llm.Chat, "chat.completion", chatChoice)
}

// openAIReply reads an answer, whose object member is kind; each reads one of
// its choices.
func openAIReply(body []byte, at *At, d llm.Dialect, kind string, each func(o *object, i int) llm.Choice) (*llm.Reply, error) {
	o, err := parseReply(body, at)
	if err != nil {
		return nil, err
	}
	reply := o.newReply()
	form := chatHead(reply, o, kind)
	if !o.has("choices") {
		o.wrong("choices", "is missing")
	}
	list := o.list("choices")
	reply.Choices = o.choices(len(list))
	for i, raw := range list {
		reply.Choices = append(reply.Choices, each(o.openItem("choices", i, raw), i))
	}
	openAIUsageOf(reply, o, d)
	reply.Extra = o.extra(d, form)
	return result(o, reply)
}

// chatHead reads what a reply and each chunk of a stream begin with.
func chatHead(reply *llm.Reply, o *object, kind string) (form uint32) {
	reply.ID = o.str("id")
	reply.Model = o.str("model")
	if n, ok := wire.Int(o.peek("created")); ok && n != 0 {
		reply.Created, _ = o.whole("created")
	} else {
		o.keep("created") // be it no number
	}
	if !o.constant("object", `"`+kind+`"`) {
		form = replyNoObject
	}
	return form
}

func openAIUsageOf(reply *llm.Reply, o *object, d llm.Dialect) {
	raw := o.raw("usage")
	if raw == nil {
		return
	}
	u, ok := openAIUsage(raw)
	if !ok {
		o.wrong("usage", "must be an object of token counts")
	}
	u.Tier = tierWord(o.peek("service_tier"))
	reply.Usage, reply.HasUsage = u, true
	reply.UsageExtra = usageExtra(raw, d)
}

func chatChoice(o *object, i int) (choice llm.Choice) {
	form := uint32(0)
	if !o.constant("index", strconv.Itoa(i)) {
		form |= choiceNoIndex
	}
	m := o.sub("message")
	if m == nil {
		if word, ok := wire.Unquote(o.peek("finish_reason")); !ok || word == "" {
			o.wrong("message", "is missing")
		}
		m = o.none("message") // Azure: a filter left nothing of the answer
	}
	if !m.constant("role", `"assistant"`) {
		form |= choiceNoRole
	}
	content := chatContent(m)
	choice.Parts = chatAssistant(m, content.parts)
	form |= content.form
	word := o.str("finish_reason")
	if word != "" {
		choice.Stop = chatStops.stop(word)
	}
	if s, ok := wire.Unquote(o.peek("stop_reason")); ok && s != "" && word == "stop" {
		o.raw("stop_reason")
		choice.Stop = llm.Stop{Reason: llm.StopSequence, Sequence: s, Wire: word, By: llm.Chat}
		form |= choiceStopReason
	}
	if probs := o.peek("logprobs"); len(probs) > 0 && probs[0] == '{' {
		if choice.Logprobs = chatTokens(probs); choice.Logprobs != nil {
			o.keep("logprobs")
		}
	}
	choice.Extra = o.extra(llm.Chat, form)
	return choice
}

// chatTokens reads logprobs.content; nil when it holds none. What else the
// object holds survives by its spelling alone.
func chatTokens(raw []byte) []llm.TokenLogprob {
	o, err := openObject(raw, where{})
	if err != nil {
		return nil
	}
	return readTokens(o.peek("content"))
}

// EncodeReply implements [Codec].
func (ChatCodec) EncodeReply(dst []byte, reply *llm.Reply) ([]byte, []llm.Loss, error) {
	e := &chatEncoder{reply: true}
	own := reply.Extra.In(llm.Chat)
	e.losses.extra("", reply.Extra, llm.Chat)
	json := writerOf(dst, replySize(reply))
	w := json.object(own)
	w.str("id", reply.ID)
	w.constant("object", `"chat.completion"`, own.Form&replyNoObject != 0)
	if reply.Created != 0 || reply.Extra.Dialect != llm.Chat {
		w.integer("created", reply.Created)
	}
	w.str("model", reply.Model)
	if len(reply.Choices) == 0 {
		w.items("choices", nil)
	} else {
		w.list("choices")
		for i := range reply.Choices {
			e.replyChoice(&w, &reply.Choices[i], i)
		}
		w.closeList()
	}
	openAIPutUsage(&w, reply, llm.Chat, &e.losses)
	w.end()
	return json.buf, e.losses.all, nil
}

// choicePaths are the paths of a choice and of its message.
func choicePaths(i int) (choice, message string) {
	if i == 0 { // nearly always
		return "choices[0]", "choices[0].message"
	}
	choice = "choices[" + strconv.Itoa(i) + "]"
	return choice, choice + ".message"
}

// replyChoice writes one choice into the list that is open in list.
func (e *chatEncoder) replyChoice(list *objectWriter, c *llm.Choice, i int) {
	path, message := choicePaths(i)
	own := c.Extra.In(llm.Chat)
	e.losses.extra(path, c.Extra, llm.Chat)
	w := list.object(own)
	w.constant("index", strconv.Itoa(i), own.Form&choiceNoIndex != 0)
	m := w.sub("message")
	m.constant("role", `"assistant"`, own.Form&choiceNoRole != 0)
	e.assistant(&m, c.Parts, own.Form, message)
	foreign := c.Extra.Dialect != llm.Chat // in a message of ours all members stand that OpenAI requires
	if foreign && !slices.ContainsFunc(c.Parts, func(p llm.Part) bool { return p.Kind == llm.PartRefusal }) {
		m.null("refusal")
	}
	m.endSub()
	other, probs := w.takeKept("logprobs")
	switch {
	case other != nil:
		w.put("logprobs", other)
	case len(c.Logprobs) == 0 && foreign:
		w.null("logprobs")
	case len(c.Logprobs) == 0:
		w.put("logprobs", probs)
	case probs != nil && len(chatTokens(probs)) == len(c.Logprobs):
		w.put("logprobs", probs)
	default:
		w.put("logprobs", chatLogprobs(c.Logprobs))
	}
	w.str("finish_reason", openAIStopWord(&chatStops, c.Stop, &e.losses))
	if own.Form&choiceStopReason != 0 {
		w.str("stop_reason", c.Stop.Sequence)
	}
	w.end()
}
