package dialect

import (
	"errors"
	"io"
	"iter"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// AnthropicCodec is Anthropic's /v1/messages.
type AnthropicCodec struct{}

var errAnthropicPending = errors.New("anthropic: this part of the codec is absent")

// Name is llm.Anthropic.
func (AnthropicCodec) Name() llm.Dialect { return llm.Anthropic }

// Glance implements Surface.
func (AnthropicCodec) Glance(body []byte, at *At) (llm.Glance, error) {
	return llm.Glance{}, errAnthropicPending
}

// Splice implements Surface.
func (AnthropicCodec) Splice(dst, body []byte, at *At, r Rewrite) []byte { return append(dst, body...) }

// TapEvent implements Surface.
func (AnthropicCodec) TapEvent(t *Tap, ev wire.Event) Sight { return 0 }

// TapReply implements Surface.
func (AnthropicCodec) TapReply(t *Tap, body []byte) {}

// DecodeError implements Surface.
func (AnthropicCodec) DecodeError(body []byte) llm.ErrorBody { return llm.ErrorBody{} }

// EncodeError implements Surface.
func (AnthropicCodec) EncodeError(f *llm.Fault, requestID string) []byte { return nil }

// AppendFault implements Surface.
func (AnthropicCodec) AppendFault(dst []byte, f *llm.Fault, requestID string) []byte { return dst }

// DecodeCall implements Codec.
func (AnthropicCodec) DecodeCall(body []byte) (*llm.Call, error) { return nil, errAnthropicPending }

// EncodeCall implements Codec.
func (AnthropicCodec) EncodeCall(call *llm.Call) ([]byte, []llm.Loss, error) {
	return nil, nil, errAnthropicPending
}

// DecodeReply implements Codec.
func (AnthropicCodec) DecodeReply(body []byte) (*llm.Reply, error) { return nil, errAnthropicPending }

// EncodeReply implements Codec.
func (AnthropicCodec) EncodeReply(reply *llm.Reply) ([]byte, []llm.Loss, error) {
	return nil, nil, errAnthropicPending
}

// Events implements Codec.
func (AnthropicCodec) Events(r io.Reader) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) { yield(llm.Event{}, errAnthropicPending) }
}

// Writer implements Codec.
func (AnthropicCodec) Writer(w io.Writer, call *llm.Call) EventWriter { return &anthropicWriter{} }

type anthropicWriter struct{}

func (*anthropicWriter) Write(llm.Event) error          { return errAnthropicPending }
func (*anthropicWriter) Fail(*llm.Fault, string) error  { return errAnthropicPending }
func (*anthropicWriter) Losses() []llm.Loss             { return nil }
