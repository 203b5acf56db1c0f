package dialect

import (
	"io"
	"iter"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// CompletionsCodec speaks OpenAI's legacy completions.
type CompletionsCodec struct{}

// Name is the dialect.
func (CompletionsCodec) Name() llm.Dialect { return llm.Completions }

// Glance implements [Surface].
func (CompletionsCodec) Glance(body []byte, at *At) (llm.Glance, error) { return llm.Glance{}, errNoCodec }

// Splice implements [Surface].
func (CompletionsCodec) Splice(dst, body []byte, at *At, r Rewrite) []byte { return append(dst, body...) }

// TapEvent implements [Surface].
func (CompletionsCodec) TapEvent(t *Tap, ev wire.Event) Sight { return 0 }

// TapReply implements [Surface].
func (CompletionsCodec) TapReply(t *Tap, body []byte) {}

// DecodeError implements [Surface].
func (CompletionsCodec) DecodeError(body []byte) llm.ErrorBody { return llm.ErrorBody{} }

// EncodeError implements [Surface].
func (CompletionsCodec) EncodeError(f *llm.Fault, requestID string) []byte { return nil }

// AppendFault implements [Surface].
func (CompletionsCodec) AppendFault(dst []byte, f *llm.Fault, requestID string) []byte { return dst }

// DecodeCall implements [Codec].
func (CompletionsCodec) DecodeCall(body []byte) (*llm.Call, error) { return nil, errNoCodec }

// EncodeCall implements [Codec].
func (CompletionsCodec) EncodeCall(call *llm.Call) ([]byte, []llm.Loss, error) { return nil, nil, errNoCodec }

// DecodeReply implements [Codec].
func (CompletionsCodec) DecodeReply(body []byte) (*llm.Reply, error) { return nil, errNoCodec }

// EncodeReply implements [Codec].
func (CompletionsCodec) EncodeReply(reply *llm.Reply) ([]byte, []llm.Loss, error) { return nil, nil, errNoCodec }

// Events implements [Codec].
func (CompletionsCodec) Events(r io.Reader) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) { yield(llm.Event{}, errNoCodec) }
}

// Writer implements [Codec].
func (CompletionsCodec) Writer(w io.Writer, call *llm.Call) EventWriter { return nil }
