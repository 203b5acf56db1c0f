package dialect

import (
	"io"
	"iter"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// ChatCodec speaks OpenAI's chat completions.
type ChatCodec struct{}

// Name is the dialect.
func (ChatCodec) Name() llm.Dialect { return llm.Chat }

// Glance implements [Surface].
func (ChatCodec) Glance(body []byte, at *At) (llm.Glance, error) { return llm.Glance{}, errNoCodec }

// Splice implements [Surface].
func (ChatCodec) Splice(dst, body []byte, at *At, r Rewrite) []byte { return append(dst, body...) }

// TapEvent implements [Surface].
func (ChatCodec) TapEvent(t *Tap, ev wire.Event) Sight { return 0 }

// TapReply implements [Surface].
func (ChatCodec) TapReply(t *Tap, body []byte) {}

// DecodeError implements [Surface].
func (ChatCodec) DecodeError(body []byte) llm.ErrorBody { return llm.ErrorBody{} }

// EncodeError implements [Surface].
func (ChatCodec) EncodeError(f *llm.Fault, requestID string) []byte { return nil }

// AppendFault implements [Surface].
func (ChatCodec) AppendFault(dst []byte, f *llm.Fault, requestID string) []byte { return dst }

// DecodeCall implements [Codec].
func (ChatCodec) DecodeCall(body []byte) (*llm.Call, error) { return nil, errNoCodec }

// EncodeCall implements [Codec].
func (ChatCodec) EncodeCall(call *llm.Call) ([]byte, []llm.Loss, error) { return nil, nil, errNoCodec }

// DecodeReply implements [Codec].
func (ChatCodec) DecodeReply(body []byte) (*llm.Reply, error) { return nil, errNoCodec }

// EncodeReply implements [Codec].
func (ChatCodec) EncodeReply(reply *llm.Reply) ([]byte, []llm.Loss, error) { return nil, nil, errNoCodec }

// Events implements [Codec].
func (ChatCodec) Events(r io.Reader) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) { yield(llm.Event{}, errNoCodec) }
}

// Writer implements [Codec].
func (ChatCodec) Writer(w io.Writer, call *llm.Call) EventWriter { return nil }
