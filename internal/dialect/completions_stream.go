package dialect

import (
	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// completionsReader reads a stream of the legacy dialect: chunks are chat's, but
// each choice has its text as a member. What each chunk says beside the text
// (logprobs) is an EventOther.
type completionsReader struct{ chatReader }

func (c *completionsReader) chunk(o *object, data []byte, emit emitter) {
	c.read(o, data, "text_completion", c.choice, emit)
}

func (c *completionsReader) choice(o *object, emit emitter) {
	ch := choiceFor(&c.choices, o, llm.Completions)
	o.raw("usage")
	text := o.str("text")
	word := o.str("finish_reason")
	ch.text(llm.PartText, 0, text, emit)
	if members := o.unsaid(); members != nil {
		extra := llm.Extra{Dialect: llm.Completions, Form: otherChoice}
		emit(llm.Event{Kind: llm.EventOther, Choice: ch.index, Raw: members, Extra: extra})
	}
	if word != "" {
		ch.stop(completionStops.stop(word), emit)
	}
}

// completionsWriter writes such a stream. Only text parts have a place in it.
type completionsWriter struct {
	chunkWriter
	text map[partKey]bool // the parts that are text
	said bool             // a chunk was written
}

// Write implements [EventWriter].
func (w *completionsWriter) Write(ev llm.Event) error {
	w.buf = w.buf[:0]
	switch ev.Kind {
	case llm.EventStart:
		w.begin(ev.Start)
	case llm.EventPart:
		w.part(&ev)
	case llm.EventDelta:
		if w.text[partKey{ev.Choice, ev.Part}] && ev.Text != "" {
			w.choice(ev.Choice, ev.Text, "", nil)
		}
	case llm.EventLogprobs:
		w.losses.add("logprobs", "completions spells log probabilities in a form of its own")
	case llm.EventPartEnd:
		if ev.New != nil {
			w.losses.extra("text", ev.New.Extra, llm.Completions)
		}
	case llm.EventStop:
		w.losses.extra("choices", ev.Extra, llm.Completions)
		w.choice(ev.Choice, "", openAIStopWord(&completionStops, ev.Stop, &w.losses), nil)
	case llm.EventOther:
		w.other(&ev)
	case llm.EventEnd:
		w.end()
	default:
		w.beside(&ev)
	}
	return w.send()
}

func (w *completionsWriter) part(ev *llm.Event) {
	w.losses.extra("text", ev.New.Extra, llm.Completions)
	if ev.New.Kind != llm.PartText {
		w.losses.add("text", "completions answers hold text alone")
		return
	}
	w.text[partKey{ev.Choice, ev.Part}] = true
	if !ev.New.Text.Empty() {
		w.choice(ev.Choice, unquoted(ev.New.Text), "", nil)
	}
}

func (w *completionsWriter) choice(index int, text, stop string, members []byte) {
	c := newObject(llm.Extra{Members: members})
	c.text("text", text)
	c.integer("index", int64(index))
	if w.start.Extra.Dialect != llm.Completions {
		c.null("logprobs") // which OpenAI requires
	}
	c.nullable("finish_reason", stop)
	w.chunk(arrayJSON([][]byte{c.end()}), nil, nil)
}

func (w *completionsWriter) chunk(choices, usage, extra []byte) {
	o := newObject(llm.Extra{Members: mergeMembers(w.head, extra)})
	w.head, w.said = nil, true
	o.text("id", w.start.ID)
	o.text("object", "text_completion")
	o.integer("created", w.start.Created)
	o.put("choices", choices)
	o.text("model", w.start.Model)
	o.put("usage", usage)
	w.buf = wire.AppendEvent(w.buf, "", o.end())
}

func (w *completionsWriter) other(ev *llm.Event) {
	switch {
	case !w.ownOther(ev):
	case ev.Extra.Form == otherChoice:
		w.choice(ev.Choice, "", "", ev.Raw)
	default:
		w.chunk([]byte("[]"), nil, ev.Raw)
	}
}

func (w *completionsWriter) end() {
	if w.failed {
		return
	}
	if !w.said {
		w.chunk([]byte("[]"), nil, nil)
	}
	if usage := w.figures(); usage != nil {
		w.chunk([]byte("[]"), usage, openAITier(w.last))
	}
	w.done()
}
