package dialect

import (
	"io"
	"iter"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// ResponsesCodec speaks OpenAI's responses.
//
// Its files: responses_glance.go (what the splice lane needs),
// responses_call.go and responses_encode.go (requests), responses_items.go and
// responses_write.go (the items that requests and answers share),
// responses_reply.go (answers), responses_events.go and responses_writer.go
// (streams).
type ResponsesCodec struct{}

// Name is the dialect.
func (ResponsesCodec) Name() llm.Dialect { return llm.Responses }

// Glance implements [Surface].
func (ResponsesCodec) Glance(body []byte, at *At) (llm.Glance, error) { return llm.Glance{}, errNoCodec }

// Splice implements [Surface].
func (ResponsesCodec) Splice(dst, body []byte, at *At, r Rewrite) []byte { return append(dst, body...) }

// TapEvent implements [Surface].
func (ResponsesCodec) TapEvent(t *Tap, ev wire.Event) Sight { return 0 }

// TapReply implements [Surface].
func (ResponsesCodec) TapReply(t *Tap, body []byte) {}

// DecodeError implements [Surface].
func (ResponsesCodec) DecodeError(body []byte) llm.ErrorBody { return llm.ErrorBody{} }

// EncodeError implements [Surface].
func (ResponsesCodec) EncodeError(f *llm.Fault, requestID string) []byte { return nil }

// AppendFault implements [Surface].
func (ResponsesCodec) AppendFault(dst []byte, f *llm.Fault, requestID string) []byte { return dst }

// Events implements [Codec].
func (ResponsesCodec) Events(r io.Reader) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) { yield(llm.Event{}, errNoCodec) }
}

// Writer implements [Codec].
func (ResponsesCodec) Writer(w io.Writer, call *llm.Call) EventWriter { return nil }
