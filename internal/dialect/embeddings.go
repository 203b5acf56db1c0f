package dialect

import (
	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// EmbeddingsSurface speaks OpenAI's embeddings.
type EmbeddingsSurface struct{}

// Name is the dialect.
func (EmbeddingsSurface) Name() llm.Dialect { return llm.Embeddings }

// Glance implements [Surface].
func (EmbeddingsSurface) Glance(body []byte, at *At) (llm.Glance, error) { return llm.Glance{}, errNoCodec }

// Splice implements [Surface].
func (EmbeddingsSurface) Splice(dst, body []byte, at *At, r Rewrite) []byte { return append(dst, body...) }

// TapEvent implements [Surface].
func (EmbeddingsSurface) TapEvent(t *Tap, ev wire.Event) Sight { return 0 }

// TapReply implements [Surface].
func (EmbeddingsSurface) TapReply(t *Tap, body []byte) {}

// DecodeError implements [Surface].
func (EmbeddingsSurface) DecodeError(body []byte) llm.ErrorBody { return llm.ErrorBody{} }

// EncodeError implements [Surface].
func (EmbeddingsSurface) EncodeError(f *llm.Fault, requestID string) []byte { return nil }

// AppendFault implements [Surface].
func (EmbeddingsSurface) AppendFault(dst []byte, f *llm.Fault, requestID string) []byte { return dst }
