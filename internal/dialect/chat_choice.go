package dialect

import (
	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// callReader is one tool call of a choice.
type callReader struct {
	index int64
	part  int // -1 while the name is awaited
	id    string
	name  string
	args  string // pieces that came before the name
	state argsState
	waits bool // another part has begun, and this one has not ended
}

// argsState follows the arguments of a call far enough to know whether an object
// that began there has ended.
type argsState struct {
	depth   int
	begun   bool
	quoted  bool
	escaped bool
}

func (s *argsState) add(piece string) {
	for i := range len(piece) {
		switch b := piece[i]; {
		case s.escaped:
			s.escaped = false
		case s.quoted:
			s.escaped, s.quoted = b == '\\', b != '"'
		case b == '"':
			s.begun, s.quoted = true, true
		case b == '{' || b == '[':
			s.begun, s.depth = true, s.depth+1
		case b == '}' || b == ']':
			s.depth--
		}
	}
}

// partial reports whether something has begun that has not ended.
func (s *argsState) partial() bool { return s.begun && (s.depth > 0 || s.quoted) }

// suspend leaves the open call open beside a part of the given kind that begins,
// when its arguments have yet to come: some are there and more must follow, or none
// are and another call was announced. ok is false when the open part is over.
func (c *choiceReader) suspend(next llm.PartKind) (ok bool) {
	if c.open < 0 || c.kind != llm.PartToolCall {
		return false
	}
	for i := range c.calls {
		k := &c.calls[i]
		if k.part == c.open && (k.state.partial() || !k.state.begun && next == llm.PartToolCall) {
			k.waits, c.open = true, -1
			return true
		}
	}
	return false
}

// endCalls ends the calls that wait.
func (c *choiceReader) endCalls(emit emitter) {
	for i := range c.calls {
		c.calls[i].end(c, emit)
	}
}

func (k *callReader) end(c *choiceReader, emit emitter) {
	if k.waits {
		k.waits = false
		emit(c.event(llm.EventPartEnd, k.part))
	}
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

func (c *choiceReader) delta(d *object, emit emitter) {
	d.keep("role")
	c.thinking(d, emit)
	c.content(d, emit)
	c.text(llm.PartRefusal, 0, d.str("refusal"), emit)
	for i, raw := range d.list("tool_calls") {
		c.call(d.openItem("tool_calls", i, raw), raw, emit)
	}
}

func (c *choiceReader) thinking(d *object, emit emitter) {
	long, isLong := wire.Unquote(d.peek("reasoning_content"))
	plain, isPlain := wire.Unquote(d.peek("reasoning"))
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
	case !p.Text.Empty() && !told && (p.Signature == "" || !thinking):
		c.text(llm.PartThinking, 0, unquoted(p.Text), emit)
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

func (c *choiceReader) content(d *object, emit emitter) {
	if text, ok := d.unquote(d.peek("content")); ok { // nearly always
		d.take("content")
		c.text(llm.PartText, 0, text, emit)
		return
	}
	body := chatContent(d)
	for i := range body.parts {
		p := &body.parts[i]
		switch p.Kind {
		case llm.PartText:
			c.text(llm.PartText, 0, unquoted(p.Text), emit)
		case llm.PartThinking:
			c.text(llm.PartThinking, p.Extra.Form, unquoted(p.Text), emit)
		default:
			c.begin(p, emit)
			c.close(nil, emit)
		}
	}
}

// call takes one piece of a tool call: raw, opened as o.
func (c *choiceReader) call(o *object, raw []byte, emit emitter) {
	if o.get("function") == nil {
		ev := c.event(llm.EventOther, 0)
		ev.Raw = append(append([]byte(`{"delta":{"tool_calls":[`), raw...), "]}}"...)
		ev.Extra = llm.Extra{Dialect: llm.Chat, Form: otherChoice}
		emit(ev)
		return
	}
	id := o.str("id")
	index := o.integer("index")
	f := o.sub("function")
	name := f.str("name")
	args, _ := chatArguments(f)
	k := c.callFor(index, id)
	if k.id == "" {
		k.id = id
	}
	if k.part < 0 {
		if k.name = name; name == "" {
			k.args += args
			return
		}
		k.args += args
		c.openCall(k, emit)
		return
	}
	c.moreArgs(k, args, emit)
}

// moreArgs tells a piece of the arguments of an open call.
func (c *choiceReader) moreArgs(k *callReader, args string, emit emitter) {
	if args == "" {
		return
	}
	ev := c.event(llm.EventDelta, k.part)
	ev.Text = args
	emit(ev)
	if k.state.add(args); k.state.begun && !k.state.partial() {
		k.end(c, emit)
	}
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
	c.moreArgs(k, k.args, emit)
	k.args = ""
}
