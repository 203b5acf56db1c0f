package dialect

import (
	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// EmbeddingsSurface speaks OpenAI's embeddings. Vectors are never translated,
// and there is no stream.
type EmbeddingsSurface struct{}

// Name is llm.Embeddings.
func (EmbeddingsSurface) Name() llm.Dialect { return llm.Embeddings }

// Framing implements [Surface].
func (EmbeddingsSurface) Framing() wire.Framing { return wire.SSE }

// Glance implements [Surface].
func (EmbeddingsSurface) Glance(body []byte, at *At) (llm.Glance, error) {
	g := llm.Glance{Op: llm.OpEmbed, Dialect: llm.Embeddings, Bytes: len(body)}
	names := [...]string{"model"}
	at.reset()
	var err error
	if at.Object, err = at.Words.Scan(body, names[:], at.Members[:], &at.Heard); err != nil {
		return g, err
	}
	g.Model, err = glanceModel(body, at.Members[atModel])
	return g, err
}

// Splice implements [Surface].
func (EmbeddingsSurface) Splice(dst, body []byte, at *At, r Rewrite) wire.Spliced {
	return openAISplice(dst, body, at, Rewrite{Model: r.Model})
}

// TapEvent implements [Surface].
func (EmbeddingsSurface) TapEvent(*Tap, wire.Event) Sight { return 0 }

// TapReply implements [Surface].
func (EmbeddingsSurface) TapReply(t *Tap, body []byte) (Sight, error) {
	return tapOpenAIReply(t, body)
}

// DecodeError implements [Surface].
func (EmbeddingsSurface) DecodeError(body []byte) llm.ErrorBody {
	return openAIError(body)
}

// EncodeError implements [Surface].
func (EmbeddingsSurface) EncodeError(f *llm.Fault, _ string) []byte { return openAIErrorBody(f) }

// AppendFault implements [Surface]. Nothing streams, so nothing is appended.
func (EmbeddingsSurface) AppendFault(dst []byte, _ *llm.Fault, _ string) []byte { return dst }
