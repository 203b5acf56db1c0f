package dialect

import (
	"bytes"
	"fmt"

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

type stopWord struct {
	word   string
	reason llm.StopReason
}

// chatStops maps the words of finish_reason. The first word of a reason is
// the one that is written; the others are those of engines and providers.
func chatStops() [12]stopWord {
	return [12]stopWord{
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
}

func chatStopOf(word string) llm.Stop {
	for i, s := range chatStops() {
		if s.word == word {
			stop := llm.Stop{Reason: s.reason}
			if i >= 5 {
				stop.Wire, stop.By = s.word, llm.Chat
			}
			return stop
		}
	}
	return llm.Stop{Reason: llm.StopOther, Wire: word, By: llm.Chat}
}

// chatStopWord is the word for a stop; losses may be nil.
func chatStopWord(s llm.Stop, losses *lossList) string {
	if s.By == llm.Chat && s.Wire != "" {
		return s.Wire
	}
	if s.Reason == "" {
		return ""
	}
	for _, known := range chatStops() {
		if known.reason == s.Reason {
			return known.word
		}
	}
	switch s.Reason {
	case llm.StopSequence:
		if s.Sequence != "" {
			losses.add("stop_sequence", "chat does not tell which stop sequence was written")
		}
		return "stop"
	case llm.StopRefusal:
		return "content_filter"
	case llm.StopPause:
		losses.add("stop_reason", "chat has no word for a pause; it reads stop")
		return "stop"
	}
	losses.add("stop_reason", "chat has no word for "+s.Wire+"; it reads stop")
	return "stop"
}

// DecodeReply implements [Codec].
func (ChatCodec) DecodeReply(body []byte) (*llm.Reply, error) {
	o, err := parseObject(bytes.Clone(body), nil)
	if err != nil {
		return nil, err
	}
	reply := &llm.Reply{}
	form, err := chatHead(reply, o, "chat.completion")
	if err != nil {
		return nil, err
	}
	if !o.has("choices") {
		return nil, o.under("choices").wrong("is missing")
	}
	items, err := o.list("choices")
	if err != nil {
		return nil, err
	}
	for i, raw := range items {
		choice, err := chatChoice(raw, i, o)
		if err != nil {
			return nil, err
		}
		reply.Choices = append(reply.Choices, choice)
	}
	if err := openAIUsageOf(reply, o, llm.Chat); err != nil {
		return nil, err
	}
	reply.Extra = o.extra(llm.Chat, form)
	return reply, nil
}

// chatHead reads what a reply and each chunk of a stream begin with.
func chatHead(reply *llm.Reply, o *object, kind string) (form uint32, err error) {
	if reply.ID, err = o.str("id"); err != nil {
		return 0, err
	}
	if reply.Model, err = o.str("model"); err != nil {
		return 0, err
	}
	created, err := o.integer("created")
	if err != nil {
		o.keep("created")
	}
	if created != nil {
		if reply.Created = *created; reply.Created == 0 {
			o.keep("created")
		}
	}
	if !o.constant("object", stringJSON(kind)) {
		form = replyNoObject
	}
	return form, nil
}

func openAIUsageOf(reply *llm.Reply, o *object, d llm.Dialect) error {
	raw := o.raw("usage")
	if raw == nil {
		return nil
	}
	u, ok := openAIUsage(raw)
	if !ok {
		return o.under("usage").wrong("must be an object of token counts")
	}
	reply.Usage, reply.HasUsage = u, true
	reply.UsageExtra = usageExtra(raw, d)
	return nil
}

func chatChoice(raw []byte, i int, up *object) (llm.Choice, error) {
	var choice llm.Choice
	o, err := openObject(raw, &where{up: up.under("choices"), index: i})
	if err != nil {
		return choice, err
	}
	form := uint32(0)
	if !o.constant("index", intJSON(int64(i))) {
		form |= choiceNoIndex
	}
	m, err := o.sub("message")
	if err != nil {
		return choice, err
	}
	if m == nil {
		if word, ok := wire.String(o.peek("finish_reason")); !ok || word == "" {
			return choice, o.under("message").wrong("is missing")
		}
		m = &object{at: o.under("message")} // Azure: a filter left nothing of the answer
	}
	if !m.constant("role", stringJSON("assistant")) {
		form |= choiceNoRole
	}
	content, err := chatContent(m)
	if err != nil {
		return choice, err
	}
	if choice.Parts, err = chatAssistant(m, content.parts); err != nil {
		return choice, err
	}
	form |= content.form
	word, err := o.str("finish_reason")
	if err != nil {
		return choice, err
	}
	if word != "" {
		choice.Stop = chatStopOf(word)
	}
	if s, ok := wire.String(o.peek("stop_reason")); ok && s != "" && word == "stop" {
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
	return choice, nil
}

// chatTokens reads logprobs.content; nil when it holds none. What else the
// object holds survives by its spelling alone.
func chatTokens(raw []byte) []llm.TokenLogprob {
	o, err := openObject(raw, nil)
	if err != nil {
		return nil
	}
	list := o.peek("content")
	if len(list) == 0 || list[0] != '[' {
		return nil
	}
	return tokenList(list, true)
}

func tokenList(raw []byte, top bool) []llm.TokenLogprob {
	var all []llm.TokenLogprob
	for _, item := range elements(raw) {
		o, err := openObject(item, nil)
		if err != nil {
			return nil
		}
		var t llm.TokenLogprob
		t.Token, _ = wire.String(o.peek("token"))
		t.Logprob, _ = number(o.peek("logprob"))
		if b := o.peek("bytes"); len(b) > 0 && b[0] == '[' {
			t.Bytes = []int{}
			for _, n := range elements(b) {
				v, _ := wire.Int(n)
				t.Bytes = append(t.Bytes, int(v))
			}
		}
		if list := o.peek("top_logprobs"); top && len(list) > 0 && list[0] == '[' {
			t.Top = tokenList(list, false)
		}
		all = append(all, t)
	}
	return all
}

func tokensJSON(list []llm.TokenLogprob, top bool) []byte {
	items := make([][]byte, len(list))
	for i := range list {
		t := &list[i]
		w := &objectWriter{}
		w.put("token", stringJSON(t.Token))
		w.put("logprob", floatJSON(t.Logprob))
		w.put("bytes", []byte("null"))
		if t.Bytes != nil {
			ints := make([][]byte, len(t.Bytes))
			for k, b := range t.Bytes {
				ints[k] = intJSON(int64(b))
			}
			w.buf = w.buf[:len(w.buf)-len("null")]
			w.buf = append(w.buf, arrayJSON(ints)...)
		}
		if top {
			w.put("top_logprobs", tokensJSON(t.Top, false))
		}
		items[i] = w.end()
	}
	return arrayJSON(items)
}

// EncodeReply implements [Codec].
func (ChatCodec) EncodeReply(reply *llm.Reply) ([]byte, []llm.Loss, error) {
	e := &chatEncoder{reply: true}
	own := reply.Extra.In(llm.Chat)
	e.losses.extra("", reply.Extra, llm.Chat)
	w := newObject(own)
	w.str("id", reply.ID)
	w.constant("object", stringJSON("chat.completion"), own.Form&replyNoObject != 0)
	if reply.Created != 0 {
		w.set("created", intJSON(reply.Created))
	} else if reply.Extra.Dialect != llm.Chat {
		w.put("created", []byte("0"))
	}
	w.str("model", reply.Model)
	items := make([][]byte, len(reply.Choices))
	for i := range reply.Choices {
		items[i] = e.choiceOf(&reply.Choices[i], i)
	}
	w.put("choices", arrayJSON(items))
	w.set("usage", e.usage(reply))
	return w.end(), e.losses.all, nil
}

func (e *chatEncoder) choiceOf(c *llm.Choice, i int) []byte {
	path := fmt.Sprintf("choices[%d]", i)
	own := c.Extra.In(llm.Chat)
	e.losses.extra(path, c.Extra, llm.Chat)
	w := newObject(own)
	w.constant("index", intJSON(int64(i)), own.Form&choiceNoIndex != 0)
	m := w.sub("message")
	m.constant("role", stringJSON("assistant"), own.Form&choiceNoRole != 0)
	e.assistant(m, c.Parts, own.Form, path+".message")
	w.setSub("message", m)
	other, probs := w.kept("logprobs")
	switch {
	case other != nil:
		w.put("logprobs", other)
	case len(c.Logprobs) == 0:
		w.put("logprobs", probs)
	case probs != nil && len(chatTokens(probs)) == len(c.Logprobs):
		w.put("logprobs", probs)
	default:
		w.put("logprobs", append(append([]byte(`{"content":`), tokensJSON(c.Logprobs, true)...), '}'))
	}
	if word := chatStopWord(c.Stop, &e.losses); word != "" {
		w.set("finish_reason", stringJSON(word))
	} else {
		w.set("finish_reason", nil)
	}
	if own.Form&choiceStopReason != 0 {
		w.str("stop_reason", c.Stop.Sequence)
	}
	return w.end()
}

// usage is the usage object as it came, while it still says what the figures
// say, or a new one.
func (e *chatEncoder) usage(reply *llm.Reply) []byte {
	if !reply.HasUsage {
		return nil
	}
	own := reply.UsageExtra.In(llm.Chat)
	if reply.UsageExtra.Dialect == llm.Completions { // the same object
		own = reply.UsageExtra
	} else {
		e.losses.extra("usage", reply.UsageExtra, llm.Chat)
	}
	if reply.Usage.CacheWrite1h != 0 {
		e.losses.add("usage.cache_creation", "chat does not tell for how long the cache was written")
	}
	if own.Spelled != nil {
		if u, ok := openAIUsage(own.Spelled); ok && u == reply.Usage {
			return own.Spelled
		}
	}
	return usageJSON(&reply.Usage)
}

// usageJSON spells the figures as OpenAI does.
func usageJSON(u *llm.Usage) []byte {
	w := &objectWriter{}
	w.put("prompt_tokens", intJSON(u.Input))
	w.put("completion_tokens", intJSON(u.Output))
	w.put("total_tokens", intJSON(u.Total()))
	if u.CacheRead != 0 || u.CacheWrite != 0 || u.InputAudio != 0 {
		d := &objectWriter{}
		d.put("cached_tokens", intJSON(u.CacheRead))
		if u.CacheWrite != 0 {
			d.put("cache_write_tokens", intJSON(u.CacheWrite))
		}
		d.put("audio_tokens", intJSON(u.InputAudio))
		w.put("prompt_tokens_details", d.end())
	}
	if u.Reasoning != 0 || u.OutputAudio != 0 {
		d := &objectWriter{}
		d.put("reasoning_tokens", intJSON(u.Reasoning))
		d.put("audio_tokens", intJSON(u.OutputAudio))
		w.put("completion_tokens_details", d.end())
	}
	return w.end()
}
