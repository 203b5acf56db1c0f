package dialect

import (
	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// ResponsesCodec speaks OpenAI's responses.
//
// Its files: responses_glance.go (what the splice lane needs),
// responses_call.go and responses_encode.go (requests), responses_items.go and
// responses_write.go (the items that requests and answers share),
// responses_reply.go (answers), responses_events.go and responses_live.go
// (streams that are read), responses_writer.go and responses_finish.go (streams
// that are written).
type ResponsesCodec struct{}

// Name is the dialect.
func (ResponsesCodec) Name() llm.Dialect { return llm.Responses }

// Framing implements [Surface].
func (ResponsesCodec) Framing() wire.Framing { return wire.SSE }

// DecodeError implements [Surface]. The event response.failed holds its error
// inside of the response.
func (ResponsesCodec) DecodeError(body []byte) llm.ErrorBody {
	var outer, inner [1]wire.Member
	if _, err := wire.Scan(body, []string{"response"}, outer[:]); err == nil &&
		nested(body, outer[0], []string{"error"}, inner[:]) && !inner[0].IsZero() {
		body = inner[0].Value.Of(body)
	}
	return openAIError(body)
}

// EncodeError implements [Surface].
func (ResponsesCodec) EncodeError(f *llm.Fault, _ string) []byte { return openAIErrorBody(f) }
