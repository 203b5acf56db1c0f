package dialect

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// CompletionsCodec speaks OpenAI's legacy completions. Its prompt is one user
// turn. A batch of prompts and token arrays can only be spliced. The log
// probabilities of its answers stay in Extra: their form is its own.
type CompletionsCodec struct{}

// Forms of a Call beyond those that chat has.
const (
	promptList = 1 << 8 // prompt is a list of one string
)

// Name is llm.Completions.
func (CompletionsCodec) Name() llm.Dialect { return llm.Completions }

// Framing implements [Surface].
func (CompletionsCodec) Framing() wire.Framing { return wire.SSE }

// Glance implements [Surface].
func (CompletionsCodec) Glance(body []byte, at *At) (llm.Glance, error) {
	return openAIGlance(body, at, llm.Completions)
}

// Splice implements [Surface].
func (CompletionsCodec) Splice(dst, body []byte, at *At, r Rewrite) wire.Spliced {
	return openAISplice(dst, body, at, r)
}

// TapEvent implements [Surface].
func (CompletionsCodec) TapEvent(t *Tap, ev wire.Event) Sight {
	return tapOpenAI(t, ev, chatContentIn(ev.Data))
}

// TapReply implements [Surface].
func (CompletionsCodec) TapReply(t *Tap, body []byte) (Sight, error) {
	return tapOpenAIReply(t, body)
}

// DecodeError implements [Surface].
func (CompletionsCodec) DecodeError(body []byte) llm.ErrorBody {
	return openAIError(body)
}

// EncodeError implements [Surface].
func (CompletionsCodec) EncodeError(f *llm.Fault, _ string) []byte { return openAIErrorBody(f) }

// AppendFault implements [Surface].
func (CompletionsCodec) AppendFault(dst []byte, f *llm.Fault, _ string) []byte {
	return appendOpenAIFault(dst, f)
}

// DecodeCall implements [Codec].
func (CompletionsCodec) DecodeCall(body []byte, at *At) (*llm.Call, error) {
	o, err := openCall(body, at)
	if err != nil {
		return nil, err
	}
	call := o.newCall()
	call.Model = requiredModel(o)
	text, form := prompt(o)
	extra := llm.Extra{Dialect: llm.Completions}
	turn := llm.Turn{Role: llm.RoleUser, Extra: extra}
	turn.Parts = append(o.parts(1), llm.Part{Kind: llm.PartText, Text: text, Extra: extra})
	call.Turns = append(o.turns(1), turn)
	call.Sampling.MaxTokens = o.count("max_tokens")
	for _, step := range []func(*llm.Call, *object, *uint32){chatSampling, chatStop, chatStream} {
		step(call, o, &form)
	}
	call.Logprobs.Top = o.intPointer("logprobs")
	call.Logprobs.Want = call.Logprobs.Top != nil
	call.User = o.str("user")
	call.Extra = o.extra(llm.Completions, form)
	return result(o, call)
}

func prompt(o *object) (text llm.Text, form uint32) {
	raw := o.raw("prompt")
	if raw == nil {
		o.wrong("prompt", "is missing")
		return nil, 0
	}
	if text, ok := quoteOf(raw); ok {
		return text, 0
	}
	if raw[0] != '[' {
		o.wrong("prompt", "must be a string or a list")
		return nil, 0
	}
	if items := elements(raw); len(items) == 1 {
		if text, ok := quoteOf(items[0]); ok {
			return text, promptList
		}
	}
	o.wrong("prompt", "a batch of prompts or token arrays cannot be translated, only spliced: send one text, or choose a target that speaks completions")
	return nil, 0
}

// EncodeCall implements [Codec]. A completions model has no roles: the texts
// of the conversation are joined by empty lines.
func (CompletionsCodec) EncodeCall(dst []byte, call *llm.Call) ([]byte, []llm.Loss, error) {
	own := call.Extra.In(llm.Completions)
	var losses lossList
	losses.extra("", call.Extra, llm.Completions)
	text := promptOf(call, &losses)
	if text.Empty() && call.Extra.Dialect != llm.Completions {
		return nil, nil, errors.New("completions: the request has no text that could be a prompt")
	}
	completionLosses(call, &losses)
	w := appendObject(dst, own, callSize(call))
	w.str("model", call.Model)
	if own.Form&promptList != 0 {
		w.items("prompt", [][]byte{quoteJSON(text)})
	} else {
		w.quote("prompt", text)
	}
	w.count("max_tokens", call.Sampling.MaxTokens)
	e := &chatEncoder{own: call.Extra.Dialect == llm.Completions}
	e.draw(w, &call.Sampling, own.Form)
	e.stream(w, call)
	top := call.Logprobs.Top
	if top == nil && call.Logprobs.Want {
		top = new(0)
	}
	w.intPointer("logprobs", top)
	w.str("user", call.User)
	w.end()
	return w.buf, losses.all, nil
}

func promptOf(call *llm.Call, losses *lossList) llm.Text {
	var texts []llm.Text
	add := func(parts []llm.Part, path string) {
		for i := range parts {
			p := &parts[i]
			losses.extra(path, p.Extra, llm.Completions)
			if p.Kind != llm.PartText {
				losses.add(path, "completions takes text alone")
				continue
			}
			texts = append(texts, p.Text)
		}
	}
	add(call.System, "system")
	for i := range call.Turns {
		add(call.Turns[i].Parts, fmt.Sprintf("messages[%d]", i))
		losses.extra(fmt.Sprintf("messages[%d]", i), call.Turns[i].Extra, llm.Completions)
	}
	if len(call.System) > 0 || len(call.Turns) > 1 {
		losses.add("messages", "completions has no roles; the texts were joined to one prompt")
	}
	return joinQuotes(texts, `\n\n`)
}

// completionLosses names what of the call's settings has no place.
func completionLosses(call *llm.Call, losses *lossList) {
	none := func(is bool, feature string) {
		if is {
			losses.add(feature, "completions has no equivalent")
		}
	}
	none(len(call.Tools) > 0, "tools")
	none(call.Choice.Mode != "" || call.Choice.Raw != nil, "tool_choice")
	none(call.Parallel != nil, "parallel_tool_calls")
	none(call.Output.Kind != "" && call.Output.Kind != llm.OutputText, "response_format")
	none(call.Output.Verbosity != "", "verbosity")
	r := &call.Reasoning
	none(r.Effort != "" || r.Budget != 0 || r.Mode != "" || r.Summary != "" || r.Extra.Members != nil, "reasoning")
	none(len(call.Metadata) > 0, "metadata")
	none(call.Sampling.TopK != nil && call.Extra.Dialect != llm.Completions, "top_k")
}

// DecodeReply implements [Codec].
func (CompletionsCodec) DecodeReply(body []byte, at *At) (*llm.Reply, error) {
	return openAIReply(body, at, llm.Completions, "text_completion", completionChoice)
}

func completionChoice(o *object, i int) (choice llm.Choice) {
	form := uint32(0)
	if !o.constant("index", strconv.Itoa(i)) {
		form |= choiceNoIndex
	}
	if text := o.quote("text"); !text.Empty() {
		extra := llm.Extra{Dialect: llm.Completions}
		choice.Parts = append(o.parts(1), llm.Part{Kind: llm.PartText, Text: text, Extra: extra})
	}
	if word := o.str("finish_reason"); word != "" {
		choice.Stop = completionStops.stop(word)
	}
	choice.Extra = o.extra(llm.Completions, form)
	return choice
}

// completionStops has chat's words: they are the same in both dialects.
var completionStops = stopTable{llm.Completions, chatStopWords}

// EncodeReply implements [Codec].
func (CompletionsCodec) EncodeReply(dst []byte, reply *llm.Reply) ([]byte, []llm.Loss, error) {
	var losses lossList
	own := reply.Extra.In(llm.Completions)
	losses.extra("", reply.Extra, llm.Completions)
	w := appendObject(dst, own, replySize(reply))
	w.str("id", reply.ID)
	w.constant("object", `"text_completion"`, own.Form&replyNoObject != 0)
	if reply.Created != 0 || reply.Extra.Dialect != llm.Completions {
		w.integer("created", reply.Created)
	}
	w.str("model", reply.Model)
	items := make([][]byte, len(reply.Choices))
	for i := range reply.Choices {
		items[i] = completionChoiceJSON(&reply.Choices[i], i, &losses)
	}
	w.items("choices", items)
	openAIPutUsage(w, reply, llm.Completions, &losses)
	w.end()
	return w.buf, losses.all, nil
}

func completionChoiceJSON(c *llm.Choice, i int, losses *lossList) []byte {
	own := c.Extra.In(llm.Completions)
	path := fmt.Sprintf("choices[%d]", i)
	losses.extra(path, c.Extra, llm.Completions)
	var texts []llm.Text
	for k := range c.Parts {
		p := &c.Parts[k]
		losses.extra(path, p.Extra, llm.Completions)
		if p.Kind != llm.PartText {
			losses.add(path, "completions answers hold text alone")
			continue
		}
		texts = append(texts, p.Text)
	}
	if len(c.Logprobs) > 0 {
		losses.add(path+".logprobs", "completions spells log probabilities in a form of its own")
	}
	w := newObject(own)
	w.constant("index", strconv.Itoa(i), own.Form&choiceNoIndex != 0)
	switch text := joinQuotes(texts, ""); {
	case !text.Empty():
		w.quote("text", text)
	case c.Extra.Dialect == llm.Completions:
		w.set("text", nil)
	default:
		w.text("text", "")
	}
	if c.Extra.Dialect != llm.Completions {
		w.null("logprobs") // which OpenAI requires
	}
	if word := openAIStopWord(&completionStops, c.Stop, losses); word != "" {
		w.text("finish_reason", word)
	} else {
		w.set("finish_reason", nil)
	}
	return w.end()
}

// Events implements [Codec].
func (CompletionsCodec) Events(r io.Reader) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		readChunks(r, yield, &completionsReader{chatReader{dialect: llm.Completions}})
	}
}

// Writer implements [Codec].
func (CompletionsCodec) Writer(w io.Writer, call *llm.Call) EventWriter {
	return &completionsWriter{chunkWriter: newChunkWriter(w, call, llm.Completions), text: make(map[partKey]bool)}
}
