package dialect

import (
	"bytes"
	"io"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Streams, written: the events of blocks_write.go.

// Writer implements Codec. call may be nil.
func (AnthropicCodec) Writer(w io.Writer, call *llm.Call) EventWriter {
	a := &anthropicWriter{blockWriter: blockWriter{w: w, codec: AnthropicCodec{}}}
	if call != nil {
		a.model = call.Model
	}
	return a
}

type anthropicWriter struct {
	blockWriter
	model string           // that the client asked for
	json  anthropicEncoder // the event that is being written
}

// Write implements EventWriter.
func (a *anthropicWriter) Write(ev llm.Event) error {
	start, ok := a.takes(&ev)
	if start != nil {
		a.start(start)
	}
	if ok {
		a.event(&ev)
	}
	return a.send()
}

func (a *anthropicWriter) event(ev *llm.Event) {
	switch ev.Kind {
	case llm.EventStop:
		a.blocks.drain(a, true)
		a.stop = new(*ev)
	case llm.EventFault:
		a.tell("error", anthropicFaultBody(faultOf(ev)))
		a.done = true
	case llm.EventPing:
		a.tell("ping", []byte(`{"type":"ping"}`))
	case llm.EventOther:
		a.other(ev)
	case llm.EventEnd:
		a.finish()
	default:
		a.inAnswer(a, ev)
	}
}

func (a *anthropicWriter) tell(name string, data []byte) { a.out = wire.AppendEvent(a.out, name, data) }

// start writes message_start. Its usage is the start's, or zeros: clients
// need one.
func (a *anthropicWriter) start(r *llm.Reply) {
	a.begin(r)
	head := *r
	if head.Model == "" && !a.native {
		head.Model = a.model
	}
	own := head.Extra.In(llm.Anthropic)
	w := newObject(llm.Extra{})
	w.text("type", "message_start")
	w.key("message")
	m := w.object(own)
	anthropicPutHead(&m, &head)
	m.list("content")
	m.closeList()
	anthropicPutStop(&m, llm.Stop{}, own.Form, &a.losses)
	anthropicPutReplyUsage(&m, &head, &a.losses)
	m.end()
	a.tell("message_start", w.end())
}

// waits says that p can be told only when it is complete: its content stands
// in the content_block_start.
func (a *anthropicWriter) waits(p *blockPart) bool { return p.redacted() && len(p.signature) == 0 }

// openBlock writes content_block_start, with the parts that come as deltas
// left empty.
func (a *anthropicWriter) openBlock(p *blockPart) {
	b := p.block
	switch b.Kind {
	case llm.PartToolCall:
		b.Tool = &llm.ToolCall{ID: b.Tool.ID, Name: b.Tool.Name}
		b.Extra.Form &^= anthropicNoInput
	case llm.PartThinking:
		if !b.Redacted {
			b.Text, b.Signature, b.SignedBy = nil, "", llm.Anthropic
		} else {
			b.Signature = string(p.signature)
			if b.Signature == "" && p.end != nil {
				b.Signature = p.end.Signature
			}
			p.signature = p.signature[:0]
		}
	case llm.PartOther:
		b.Raw, p.text = anthropicOtherStart(b.Raw)
	default:
		b.Text = nil
	}
	e := a.about("content_block_start", p.index)
	e.key("content_block")
	e.block(&b)
	e.buf = append(e.buf, '}')
	a.tell("content_block_start", e.buf)
}

// about begins an event about a block; its brace is still to be closed.
func (a *anthropicWriter) about(kind string, index int) *anthropicEncoder {
	e := &a.json
	e.buf = e.buf[:0]
	w := e.object(llm.Extra{})
	w.text("type", kind)
	w.integer("index", int64(index))
	return e
}

// anthropicOtherStart divides a block of this dialect into what its start says and
// the input that follows as input_json_delta, which is where clients read the
// input of a server's tool.
func anthropicOtherStart(raw []byte) (start, input []byte) {
	o, err := openObject(raw, where{})
	if err != nil {
		return raw, nil
	}
	input = bytes.Clone(o.peek("input"))
	if len(input) == 0 || input[0] != '{' || string(input) == "{}" {
		return raw, nil
	}
	o.put([]byte(`"input"`), []byte("{}"))
	return o.left(), input
}

var anthropicDeltaWords = map[llm.PartKind][2]string{
	llm.PartText:     {"text_delta", "text"},
	llm.PartRefusal:  {"text_delta", "text"},
	llm.PartThinking: {"thinking_delta", "thinking"},
	llm.PartToolCall: {"input_json_delta", "partial_json"},
	llm.PartOther:    {"input_json_delta", "partial_json"},
}

func (a *anthropicWriter) tellText(p *blockPart) {
	if len(p.text) == 0 || p.block.Redacted {
		return
	}
	words := anthropicDeltaWords[p.block.Kind]
	a.delta(p.index, words[0], words[1], string(p.text))
	p.text = p.text[:0]
}

// delta writes content_block_delta with a text.
func (a *anthropicWriter) delta(index int, kind, member, text string) {
	w := a.beginDelta(index, kind)
	w.text(member, text)
	a.endDelta(&w)
}

// beginDelta begins content_block_delta; endDelta tells it.
func (a *anthropicWriter) beginDelta(index int, kind string) objectWriter {
	e := a.about("content_block_delta", index)
	e.key("delta")
	w := e.object(llm.Extra{})
	w.text("type", kind)
	return w
}

func (a *anthropicWriter) endDelta(w *objectWriter) {
	w.end()
	w.buf = append(w.buf, '}')
	a.tell("content_block_delta", w.buf)
}

// endBlock writes what is known only at the end and content_block_stop.
func (a *anthropicWriter) endBlock(p *blockPart) {
	if p.block.Kind == llm.PartThinking && !p.block.Redacted {
		s := p.signed()
		if signature := signatureFor(llm.Anthropic, &s); signature != "" {
			a.delta(p.index, "signature_delta", "signature", signature)
		}
	}
	if p.block.Kind == llm.PartText && p.end != nil {
		before, all := anthropicCitations(p.block.Extra), anthropicCitations(p.end.Extra)
		for _, c := range all[min(len(before), len(all)):] {
			w := a.beginDelta(p.index, "citations_delta")
			w.put("citation", c)
			a.endDelta(&w)
		}
	}
	e := a.about("content_block_stop", p.index)
	e.buf = append(e.buf, '}')
	a.tell("content_block_stop", e.buf)
}

// other passes on an event of this dialect.
func (a *anthropicWriter) other(ev *llm.Event) {
	if !a.ownOther(ev) {
		return
	}
	o, err := parseObject(ev.Raw)
	if err != nil {
		return
	}
	name, _ := wire.Unquote(o.peek("type"))
	a.tell(name, ev.Raw)
}

// anthropicBesideDelta are the members of a stop's Extra that stand in
// message_delta itself; the others stand in its delta.
var anthropicBesideDelta = []string{"context_management"}

// finish writes message_delta and message_stop.
func (a *anthropicWriter) finish() {
	a.blocks.drain(a, true)
	a.done = true
	if a.native && a.usage != nil && a.usage.Usage.Source == llm.UsageTapped {
		a.usage = nil // message_start has said it
	}
	if a.stop != nil || a.usage != nil || !a.native {
		a.messageDelta()
	}
	a.tell("message_stop", []byte(`{"type":"message_stop"}`))
}

func (a *anthropicWriter) messageDelta() {
	stop := llm.Event{Stop: llm.Stop{Reason: llm.StopEnd}}
	if a.native {
		stop = llm.Event{}
	}
	if a.stop != nil {
		stop = *a.stop
		a.losses.extra("choices", stop.Extra, llm.Anthropic)
	}
	w := newObject(llm.Extra{})
	w.text("type", "message_delta")
	w.key("delta")
	d := w.object(stop.Extra.In(llm.Anthropic))
	beside := make([][]byte, 0, len(anthropicBesideDelta))
	for _, name := range anthropicBesideDelta {
		member, spelled := d.takeKept(name)
		if member == nil {
			member = spelled
		}
		beside = append(beside, member)
	}
	anthropicPutStop(&d, stop.Stop, stop.Extra.In(llm.Anthropic).Form, &a.losses)
	d.end()
	switch {
	case a.usage != nil:
		anthropicPutUsage(w, *a.usage.Usage, a.usage.Extra, &a.losses)
	case !a.native:
		w.put("usage", []byte(`{"output_tokens":0}`))
	}
	for i, name := range anthropicBesideDelta {
		w.put(name, beside[i])
	}
	a.tell("message_delta", w.end())
}
