package dialect

import (
	"io"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Streams of OpenAI's chunks, written: what chat and completions have in common.
//
//   - The usage chunk is written once, before [DONE], with the last figures, and
//     only when the client asked for it.
//   - A stream that failed has no [DONE].

// chunkWriter is the part of a writer that both dialects share.
type chunkWriter struct {
	w       io.Writer
	dialect llm.Dialect
	buf     []byte // whole events, not yet written
	usage   bool   // the client asked for it
	start   llm.Reply
	head    []byte     // members of the first chunk
	last    *llm.Event // the last EventUsage
	failed  bool       // the upstream reported an error
	losses  lossList
}

func newChunkWriter(w io.Writer, call *llm.Call, d llm.Dialect) chunkWriter {
	return chunkWriter{w: w, dialect: d, usage: call == nil || call.WantUsage}
}

// partKey is a part of a stream.
type partKey struct{ choice, part int }

// Losses implements [EventWriter].
func (w *chunkWriter) Losses() []llm.Loss { return w.losses.all }

// Fail implements [EventWriter].
func (w *chunkWriter) Fail(f *llm.Fault, _ string) error {
	_, err := w.w.Write(appendOpenAIFault(nil, f))
	return err
}

func (w *chunkWriter) send() error {
	if len(w.buf) == 0 {
		return nil
	}
	_, err := w.w.Write(w.buf)
	return err
}

// begin notes the start of an answer.
func (w *chunkWriter) begin(start *llm.Reply) {
	w.start = *start
	w.head = start.Extra.In(w.dialect).Members
	w.losses.extra("", start.Extra, w.dialect)
}

// beside takes what stands beside the choices.
func (w *chunkWriter) beside(ev *llm.Event) {
	switch ev.Kind {
	case llm.EventUsage:
		w.last = new(*ev)
	case llm.EventFault:
		w.failed = true
		told := *ev.Fault
		if d := w.start.Extra.Dialect; d != "" && d != w.dialect && told.Type == "" {
			told.Type = "server_error" // OpenAI's envelope always has a type
		}
		w.buf = wire.AppendEvent(w.buf, "", openAIEnvelope(told))
	case llm.EventPing:
		w.buf = append(w.buf, ": ping\n\n"...)
	}
}

// ownOther reports whether an EventOther is of this dialect; another is a loss.
func (w *chunkWriter) ownOther(ev *llm.Event) bool {
	switch ev.Extra.Dialect {
	case w.dialect:
		return true
	case llm.Gemini: // the members that a chunk has beyond the canonical form
		w.losses.extra("choices", llm.Extra{Dialect: llm.Gemini, Members: ev.Raw}, w.dialect)
	default:
		w.losses.add("event", "an event is known to "+string(ev.Extra.Dialect)+" only")
	}
	return false
}

// figures are the usage that the client asked for; nil when it did not.
func (w *chunkWriter) figures() []byte {
	if !w.usage || w.last == nil {
		return nil
	}
	reply := llm.Reply{Usage: *w.last.Usage, HasUsage: true, UsageExtra: w.last.Extra}
	if spelled := openAIUsageSpelled(&reply, w.dialect, &w.losses); spelled != nil {
		return spelled
	}
	usage := newObject(llm.Extra{})
	usage.openAIFigures(&reply.Usage)
	return usage.end()
}

func (w *chunkWriter) done() { w.buf = wire.AppendEvent(w.buf, "", []byte("[DONE]")) }
