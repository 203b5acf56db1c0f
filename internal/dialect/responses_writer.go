package dialect

import (
	"io"
	"slices"
	"strconv"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Rules for writing a Responses stream:
//
//   - Every event has a sequence_number; every item is announced, filled and
//     done, with its whole text in the done events; the last event has the
//     whole Response object, because the SDKs take their result from it.
//   - Neighbouring texts of a foreign answer are one message item, which is done
//     when another item begins or the answer stops.
//   - A tool call of a chat answer is done when the answer stops, because more
//     of its arguments may come after a later call has begun.
//   - Thinking is a reasoning item with one summary. Its signature, wrapped when
//     another provider signed, is the encrypted_content of the finished item.
//   - A stream that fails has an error event, which every SDK raises, and then
//     response.failed when a response was opened.

// Writer implements [Codec]. A nil call is one that asks for nothing special.
func (ResponsesCodec) Writer(w io.Writer, call *llm.Call) EventWriter {
	if call == nil {
		call = &llm.Call{}
	}
	return &responsesWriter{w: w, call: call, enc: responsesEncoder{client: true}, parts: make(map[int]*responsesPartOut)}
}

type responsesWriter struct {
	w        io.Writer
	call     *llm.Call
	enc      responsesEncoder
	buf      []byte // whole events, for one Write
	data     []byte // one delta
	sequence int
	opened   bool
	ended    bool
	reply    llm.Reply // what is known of the answer, without its choices
	stop     llm.Stop
	final    llm.Extra // of the finished Response object, from a native stream
	items    []*responsesItemOut
	parts    map[int]*responsesPartOut
	logprobs []llm.TokenLogprob // not yet told
}

// responsesItemOut is an item that is being written.
type responsesItemOut struct {
	index int
	kind  llm.PartKind // PartText for a message
	id    string
	parts []*responsesPartOut
	last  bool   // no part will follow in this message
	raw   []byte // the finished item
}

// responsesPartOut is a part that is being written.
type responsesPartOut struct {
	item    *responsesItemOut
	content int
	part    llm.Part // without its text
	text    []byte
	begun   bool // the summary of thinking has been announced
	wait    bool // its end has come, but more may follow
	ended   bool
}

// Losses implements [EventWriter].
func (w *responsesWriter) Losses() []llm.Loss { return w.enc.all }

// Fail implements [EventWriter].
func (w *responsesWriter) Fail(f *llm.Fault, _ string) error {
	w.buf = w.buf[:0]
	w.fail(responsesFault(f))
	_, err := w.w.Write(w.buf)
	return err
}

// Write implements [EventWriter].
func (w *responsesWriter) Write(ev llm.Event) error {
	w.buf = w.buf[:0]
	if ev.Choice > 0 {
		w.enc.add("choices", "responses has one answer; the others were left out")
		return nil
	}
	if !w.ended {
		w.event(&ev)
	}
	if len(w.buf) == 0 {
		return nil
	}
	_, err := w.w.Write(w.buf)
	return err
}

func (w *responsesWriter) event(ev *llm.Event) {
	switch ev.Kind {
	case llm.EventStart:
		w.open(ev.Start)
	case llm.EventPart:
		w.open(&llm.Reply{})
		w.begin(ev.Part, ev.New)
	case llm.EventDelta:
		w.delta(w.parts[ev.Part], ev.Text)
	case llm.EventSign:
		if p := w.parts[ev.Part]; p != nil {
			p.part.Signature += ev.Text
		}
	case llm.EventPartEnd:
		w.partEnd(w.parts[ev.Part], ev.New)
	case llm.EventLogprobs:
		w.logprobs = append(w.logprobs, ev.Logprobs...)
	case llm.EventStop:
		w.stop, w.final = ev.Stop, ev.Extra.In(llm.Responses)
		w.settle()
		w.enc.extra("", ev.Extra, llm.Responses)
		w.enc.stop(ev.Stop, w.asks())
	case llm.EventUsage:
		w.enc.usage(*ev.Usage, ev.Extra)
		w.reply.Usage, w.reply.HasUsage, w.reply.UsageExtra = *ev.Usage, true, ev.Extra
	case llm.EventFault:
		w.fail(*ev.Fault)
	case llm.EventPing:
		w.buf = append(w.buf, ": ping\n\n"...)
	case llm.EventOther:
		w.other(ev)
	case llm.EventEnd:
		w.open(&llm.Reply{})
		w.end()
	}
}

// asks reports whether the answer asks for a function.
func (w *responsesWriter) asks() bool {
	return slices.ContainsFunc(w.items, func(i *responsesItemOut) bool { return i.kind == llm.PartToolCall })
}

// emit writes one event; o holds its members but type and sequence_number.
func (w *responsesWriter) emit(kind string, members func(o *objectWriter)) {
	o := newObject(llm.Extra{})
	o.text("type", kind)
	o.integer("sequence_number", int64(w.sequence))
	w.sequence++
	members(o)
	w.buf = wire.AppendEvent(w.buf, kind, o.end())
}

// about writes an event about an item.
func (w *responsesWriter) about(kind string, item *responsesItemOut, members func(o *objectWriter)) {
	w.emit(kind, func(o *objectWriter) {
		if kind != "response.output_item.added" && kind != "response.output_item.done" {
			o.text("item_id", item.id)
		}
		o.integer("output_index", int64(item.index))
		members(o)
	})
}

func (w *responsesWriter) open(start *llm.Reply) {
	if w.opened {
		return
	}
	w.opened = true
	w.reply = *start
	w.reply.Choices, w.reply.HasUsage = nil, false
	w.enc.base = responsesBase(start)
	w.enc.extra("", start.Extra, llm.Responses)
	env := responsesEnvelope{reply: &w.reply, echo: w.call, open: true}
	response := env.encode()
	for _, kind := range []string{"response.created", "response.in_progress"} {
		w.emit(kind, func(o *objectWriter) { o.put("response", response) })
	}
}

// begin opens a part, and an item for it where none is open that it belongs to.
func (w *responsesWriter) begin(index int, p *llm.Part) {
	if p == nil || w.parts[index] != nil {
		return
	}
	out := &responsesPartOut{part: *p}
	out.part.Text = nil
	if responsesIsItem(p) {
		w.leaveMessage()
		w.single(index, out)
	} else if w.writable(p) {
		w.inMessage(index, out)
	}
	w.delta(w.parts[index], unquoted(p.Text))
	if p.Tool != nil {
		w.delta(w.parts[index], p.Tool.Arguments)
	}
}

// writable reports whether a message of the assistant can hold the part.
func (w *responsesWriter) writable(p *llm.Part) bool {
	switch p.Kind {
	case llm.PartText, llm.PartRefusal:
		return true
	case llm.PartOther:
		return p.Extra.Dialect == llm.Responses
	}
	w.enc.add("content."+responsesMediaName(p.Kind), "a message of the assistant is text in responses")
	return false
}

func (w *responsesWriter) newItem(kind llm.PartKind, prefix string) *responsesItemOut {
	item := &responsesItemOut{index: len(w.items), kind: kind, id: w.enc.id(prefix, len(w.items))}
	w.items = append(w.items, item)
	return item
}

// native gives the item the id that it has in a native stream.
func (item *responsesItemOut) native(spelled []byte) {
	if id, ok := wire.Unquote(responsesMember(spelled, "id")); ok {
		item.id = id
	}
}

// single opens an item that is one part.
func (w *responsesWriter) single(index int, out *responsesPartOut) {
	p := out.part
	native := p.Extra.Dialect == llm.Responses
	if p.Kind == llm.PartOther && !native {
		w.enc.add("content", "a part that only "+string(p.Extra.Dialect)+" knows was left out")
		return
	}
	prefix := map[llm.PartKind]string{llm.PartToolCall: "fc", llm.PartThinking: "rs"}[p.Kind]
	item := w.newItem(p.Kind, prefix)
	if p.Tool != nil {
		p.Tool = &llm.ToolCall{ID: p.Tool.ID, Name: p.Tool.Name}
	}
	if native {
		item.native(p.Extra.Spelled)
	}
	out.item, item.parts = item, []*responsesPartOut{out}
	w.parts[index] = out
	var raw []byte
	switch {
	case p.Kind == llm.PartToolCall:
		raw = w.enc.call(&p, item.id, "in_progress")
	case p.Kind == llm.PartThinking && native:
		raw = w.enc.reasoning(&p, item.id)
	case p.Kind == llm.PartThinking:
		o := newObject(llm.Extra{})
		o.text("type", "reasoning")
		o.text("id", item.id)
		o.put("summary", []byte("[]"))
		raw = o.end()
	default:
		raw = p.Raw
	}
	w.added(item, raw)
}

func (w *responsesWriter) added(item *responsesItemOut, raw []byte) {
	w.about("response.output_item.added", item, func(o *objectWriter) { o.put("item", raw) })
}

// message is the message item that is open; nil when there is none.
func (w *responsesWriter) message() *responsesItemOut {
	if len(w.items) == 0 {
		return nil
	}
	if item := w.items[len(w.items)-1]; item.kind == llm.PartText && !item.last && item.raw == nil {
		return item
	}
	return nil
}

// leaveMessage says that the open message gets no more parts.
func (w *responsesWriter) leaveMessage() {
	if item := w.message(); item != nil {
		item.last = true
		w.itemDone(item)
	}
}

func (w *responsesWriter) inMessage(index int, out *responsesPartOut) {
	p := &out.part
	own := p.Extra.In(llm.Responses)
	if own.Form&responsesItemOpen != 0 {
		w.leaveMessage()
	}
	item := w.message()
	if item == nil {
		item = w.newItem(llm.PartText, "msg")
		w.addedMessage(item, own)
	}
	out.item, out.content = item, len(item.parts)
	item.parts = append(item.parts, out)
	w.parts[index] = out
	if own.Form&responsesEmptyItem != 0 {
		return
	}
	o := newObject(llm.Extra{})
	switch p.Kind {
	case llm.PartText:
		o.text("type", "output_text")
		o.text("text", "")
		o.put("annotations", []byte("[]"))
		o.put("logprobs", []byte("[]"))
	case llm.PartRefusal:
		o.text("type", "refusal")
		o.text("refusal", "")
	}
	raw := p.Raw
	if raw == nil {
		raw = o.end()
	}
	w.aboutContent("response.content_part.added", out, func(o *objectWriter) { o.put("part", raw) })
}

// addedMessage announces a message; own is the Extra of its first part.
func (w *responsesWriter) addedMessage(item *responsesItemOut, own llm.Extra) {
	kept := responsesItemExtra(own)
	o := newObject(kept)
	item.native(kept.Spelled)
	if kept.Members == nil && kept.Spelled == nil {
		o.text("id", item.id)
		o.text("status", "in_progress")
	}
	w.added(item, w.enc.messageItem(o, llm.RoleAssistant, responsesMessage, nil))
}

func (w *responsesWriter) aboutContent(kind string, p *responsesPartOut, members func(o *objectWriter)) {
	w.about(kind, p.item, func(o *objectWriter) {
		o.integer("content_index", int64(p.content))
		members(o)
	})
}

func (w *responsesWriter) aboutSummary(kind string, p *responsesPartOut, members func(o *objectWriter)) {
	w.about(kind, p.item, func(o *objectWriter) {
		o.put("summary_index", []byte("0"))
		members(o)
	})
}

func (w *responsesWriter) delta(p *responsesPartOut, text string) {
	if p == nil || text == "" {
		return
	}
	if p.ended {
		w.enc.add("stream", "text that came behind the end of its part was left out")
		return
	}
	p.text = append(p.text, text...)
	switch p.part.Kind {
	case llm.PartText:
		w.piece("response.output_text.delta", "content_index", p, text)
	case llm.PartRefusal:
		w.piece("response.refusal.delta", "content_index", p, text)
	case llm.PartToolCall:
		w.piece("response.function_call_arguments.delta", "", p, text)
	case llm.PartThinking:
		if !p.begun {
			p.begun = true
			w.aboutSummary("response.reasoning_summary_part.added", p, func(o *objectWriter) {
				o.put("part", []byte(`{"type":"summary_text","text":""}`))
			})
		}
		w.piece("response.reasoning_summary_text.delta", "summary_index", p, text)
	}
}

// piece writes a delta. There is one for each token, so it goes around emit
// and allocates nothing; place is the member that says where in its item the
// part stands, whose summary is always the first.
func (w *responsesWriter) piece(kind, place string, p *responsesPartOut, text string) {
	d := append(append(w.data[:0], `{"type":"`...), kind...)
	d = strconv.AppendInt(append(d, `","sequence_number":`...), int64(w.sequence), 10)
	d = wire.AppendString(append(d, `,"item_id":`...), p.item.id)
	d = strconv.AppendInt(append(d, `,"output_index":`...), int64(p.item.index), 10)
	if place != "" {
		d = append(append(append(d, `,"`...), place...), `":`...)
		d = strconv.AppendInt(d, int64(p.content), 10)
	}
	d = wire.AppendString(append(d, `,"delta":`...), text)
	if p.part.Kind == llm.PartText {
		d = append(d, `,"logprobs":[]`...)
	}
	w.data = append(d, '}')
	w.sequence++
	w.buf = wire.AppendEvent(w.buf, kind, w.data)
}

func (w *responsesWriter) other(ev *llm.Event) {
	switch ev.Extra.Dialect {
	case llm.Chat, llm.Completions, llm.Gemini: // the event is members that are new
		w.enc.extra("", llm.Extra{Dialect: ev.Extra.Dialect, Members: ev.Raw}, llm.Responses)
		return
	}
	var at [2]wire.Member
	o, err := wire.Scan(ev.Raw, []string{"type", "sequence_number"}, at[:])
	if ev.Extra.Dialect != llm.Responses || err != nil {
		w.enc.add("stream", "an event that only "+string(ev.Extra.Dialect)+" knows was left out")
		return
	}
	kind, _ := wire.Unquote(at[0].Value.Of(ev.Raw))
	edit, _ := wire.SetMember(nil, o, at[1], "sequence_number", strconv.AppendInt(nil, int64(w.sequence), 10))
	w.sequence++
	w.buf = wire.AppendEvent(w.buf, kind, wire.Splice(nil, ev.Raw, edit))
}
