package dialect

import (
	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// choiceReader is the state of one choice of a stream.
type choiceReader struct {
	dialect llm.Dialect
	index   int
	parts   int // opened so far
	open    int // the open part, -1 for none
	kind    llm.PartKind
	form    uint32
	calls   []callReader
	stopped bool
}

// callReader is one tool call of a choice.
type callReader struct {
	index int64
	part  int // -1 while the name is awaited
	id    string
	name  string
	args  string // pieces that came before the name
}

func (c *choiceReader) event(kind llm.EventKind, part int) llm.Event {
	return llm.Event{Kind: kind, Choice: c.index, Part: part}
}

// close ends the open part; end is what became known at its end, nil for
// nothing.
func (c *choiceReader) close(end *llm.Part, emit emitter) {
	if c.open < 0 {
		return
	}
	ev := c.event(llm.EventPartEnd, c.open)
	ev.New = end
	c.open = -1
	emit(ev)
}

// begin opens a part and returns its index.
func (c *choiceReader) begin(p *llm.Part, emit emitter) int {
	c.close(nil, emit)
	ev := c.event(llm.EventPart, c.parts)
	ev.New = p
	c.open, c.kind, c.form = c.parts, p.Kind, p.Extra.Form
	c.parts++
	emit(ev)
	return c.open
}

// text adds to the open part when it is of that kind, else opens one.
func (c *choiceReader) text(kind llm.PartKind, form uint32, text string, emit emitter) {
	if text == "" {
		return
	}
	if c.open < 0 || c.kind != kind || c.form != form {
		p := &llm.Part{Kind: kind, Extra: llm.Extra{Dialect: c.dialect, Form: form}}
		if kind == llm.PartThinking {
			p.SignedBy = c.dialect
		}
		c.begin(p, emit)
	}
	ev := c.event(llm.EventDelta, c.open)
	ev.Text = text
	emit(ev)
}

func (c *choiceReader) stop(s llm.Stop, emit emitter) {
	for i := range c.calls {
		if c.calls[i].part < 0 {
			c.openCall(&c.calls[i], emit)
		}
	}
	c.close(nil, emit)
	c.stopped = true
	ev := c.event(llm.EventStop, 0)
	ev.Stop = s
	emit(ev)
}

func (c *choiceReader) logprobs(o *object, emit emitter) {
	raw := o.peek("logprobs")
	if len(raw) == 0 || raw[0] != '{' {
		return
	}
	if tokens := chatTokens(raw); tokens != nil {
		o.raw("logprobs")
		ev := c.event(llm.EventLogprobs, 0)
		ev.Logprobs = tokens
		emit(ev)
	} else if in, err := openObject(raw, where{}); err == nil && len(in.members) > 0 && saysNothing(raw) {
		o.raw("logprobs")
	}
}

func (c *choiceReader) delta(d *object, emit emitter) error {
	d.keep("role")
	if err := c.thinking(d, emit); err != nil {
		return err
	}
	if err := c.content(d, emit); err != nil {
		return err
	}
	refusal, err := d.str("refusal")
	if err != nil {
		return err
	}
	c.text(llm.PartRefusal, 0, refusal, emit)
	calls, err := d.list("tool_calls")
	if err != nil {
		return err
	}
	for i, raw := range calls {
		at := d.under("tool_calls").item(i)
		if err := c.call(raw, at, emit); err != nil {
			return err
		}
	}
	return nil
}

func (c *choiceReader) thinking(d *object, emit emitter) error {
	long, isLong := wire.String(d.peek("reasoning_content"))
	plain, isPlain := wire.String(d.peek("reasoning"))
	if isLong {
		d.raw("reasoning_content")
	}
	switch {
	case isPlain && isLong && plain == long:
		d.raw("reasoning")
		c.text(llm.PartThinking, thinkingBoth, long, emit)
	case isPlain && long == "":
		d.raw("reasoning")
		c.text(llm.PartThinking, thinkingPlain, plain, emit)
	default:
		d.keep("reasoning") // reasoning_content counts
		c.text(llm.PartThinking, 0, long, emit)
	}
	for _, p := range chatThinkingBlocks(d) {
		c.block(&p, long != "" || plain != "", emit)
	}
	return nil
}

// block takes one of thinking_blocks: its text when the delta has it nowhere
// else, and its signature, which ends the thinking.
func (c *choiceReader) block(p *llm.Part, told bool, emit emitter) {
	thinking := c.open >= 0 && c.kind == llm.PartThinking
	switch {
	case p.Redacted:
		c.begin(p, emit)
		c.close(nil, emit)
		return
	case p.Text != "" && !told && (p.Signature == "" || !thinking):
		c.text(llm.PartThinking, 0, p.Text, emit)
	}
	if p.Signature == "" {
		return
	}
	if c.open < 0 || c.kind != llm.PartThinking {
		c.begin(&llm.Part{Kind: llm.PartThinking, SignedBy: p.SignedBy, Extra: llm.Extra{Dialect: llm.Chat}}, emit)
	}
	c.close(&llm.Part{
		Kind: llm.PartThinking, Signature: p.Signature, SignedBy: p.SignedBy,
		Extra: llm.Extra{Dialect: llm.Chat, Form: thinkingBlock | thinkingJoined},
	}, emit)
}

func (c *choiceReader) content(d *object, emit emitter) error {
	body, err := chatContent(d)
	if err != nil {
		return err
	}
	for i := range body.parts {
		p := &body.parts[i]
		switch p.Kind {
		case llm.PartText:
			c.text(llm.PartText, 0, p.Text, emit)
		case llm.PartThinking:
			c.text(llm.PartThinking, p.Extra.Form, p.Text, emit)
		default:
			c.begin(p, emit)
			c.close(nil, emit)
		}
	}
	return nil
}

// call takes one piece of a tool call.
func (c *choiceReader) call(raw []byte, at where, emit emitter) error {
	o, err := openObject(raw, at)
	if err != nil {
		return err
	}
	if o.peek("function") == nil || wire.IsNull(o.peek("function")) {
		ev := c.event(llm.EventOther, 0)
		ev.Raw = append(append([]byte(`{"delta":{"tool_calls":[`), raw...), "]}}"...)
		ev.Extra = llm.Extra{Dialect: llm.Chat, Form: otherChoice}
		emit(ev)
		return nil
	}
	id, err := o.str("id")
	if err != nil {
		return err
	}
	index, err := o.integer("index")
	if err != nil {
		return err
	}
	f, err := o.sub("function")
	if err != nil {
		return err
	}
	name, err := f.str("name")
	if err != nil {
		return err
	}
	args, err := pieceOfArguments(f)
	if err != nil {
		return err
	}
	k := c.callFor(index, id)
	if k.id == "" {
		k.id = id
	}
	if k.part < 0 {
		if k.name = name; name == "" {
			k.args += args
			return nil
		}
		k.args += args
		c.openCall(k, emit)
		return nil
	}
	if args != "" {
		ev := c.event(llm.EventDelta, k.part)
		ev.Text = args
		emit(ev)
	}
	return nil
}

func pieceOfArguments(f *object) (string, error) {
	if raw := f.peek("arguments"); len(raw) > 0 && raw[0] == '{' {
		return string(f.raw("arguments")), nil
	}
	return f.str("arguments")
}

// callFor finds the call that a piece belongs to, or begins one.
func (c *choiceReader) callFor(index *int64, id string) *callReader {
	for i := len(c.calls) - 1; i >= 0; i-- {
		k := &c.calls[i]
		if index != nil && k.index != *index {
			continue
		}
		if id != "" && k.id != "" && k.id != id {
			break
		}
		return k
	}
	n := int64(len(c.calls))
	if index != nil {
		n = *index
	}
	c.calls = append(c.calls, callReader{index: n, part: -1, id: id})
	return &c.calls[len(c.calls)-1]
}

func (c *choiceReader) openCall(k *callReader, emit emitter) {
	p := &llm.Part{
		Kind: llm.PartToolCall, Tool: &llm.ToolCall{ID: k.id, Name: k.name},
		Extra: llm.Extra{Dialect: llm.Chat},
	}
	k.part = c.begin(p, emit)
	if k.args != "" {
		ev := c.event(llm.EventDelta, k.part)
		ev.Text = k.args
		emit(ev)
		k.args = ""
	}
}
