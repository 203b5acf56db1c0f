package dialect

import (
	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Errors: {"type":"error","error":{"type","message"},"request_id"}, as a
// body and as the last event of a stream.

// anthropicErrorTypes gives each fault Anthropic's word for it; others are api_error.
var anthropicErrorTypes = map[llm.FaultKind]string{
	llm.FaultBadRequest:    "invalid_request_error",
	llm.FaultTooLong:       "invalid_request_error",
	llm.FaultUnsupported:   "invalid_request_error",
	llm.FaultLossy:         "invalid_request_error",
	llm.FaultContentFilter: "invalid_request_error",
	llm.FaultMethod:        "invalid_request_error",
	llm.FaultTooLarge:      "request_too_large",
	llm.FaultUnauthorized:  "authentication_error",
	llm.FaultForbidden:     "permission_error",
	llm.FaultUnknownModel:  "not_found_error",
	llm.FaultNotFound:      "not_found_error",
	llm.FaultRateLimit:     "rate_limit_error",
	llm.FaultQuota:         "rate_limit_error",
	llm.FaultShed:          "rate_limit_error",
	llm.FaultOverloaded:    "overloaded_error",
	llm.FaultUnavailable:   "overloaded_error",
	llm.FaultConnectTime:   "timeout_error",
	llm.FaultFirstToken:    "timeout_error",
	llm.FaultIdle:          "timeout_error",
	llm.FaultTotal:         "timeout_error",
}

const anthropicAPIError = "api_error"

// EncodeError implements [Surface].
func (AnthropicCodec) EncodeError(f *llm.Fault, requestID string) []byte {
	kind, ok := anthropicErrorTypes[f.Kind]
	if !ok {
		kind = anthropicAPIError
	}
	return anthropicErrorBody(kind, faultText(f), requestID)
}

func anthropicErrorBody(kind, message, requestID string) []byte {
	w := newObject(llm.Extra{})
	w.text("type", "error")
	in := w.sub("error")
	in.text("type", kind)
	in.text("message", message)
	in.endSub()
	w.str("request_id", requestID)
	return w.end()
}

// AppendFault implements [Surface].
func (c AnthropicCodec) AppendFault(dst []byte, f *llm.Fault, requestID string) []byte {
	return wire.AppendEvent(dst, "error", c.EncodeError(f, requestID))
}

// anthropicFaultBody is the error event for a fault that an upstream reported in
// its own words. A type that Anthropic knows stays; OpenAI's words are mapped.
func anthropicFaultBody(b *llm.ErrorBody) []byte {
	kind := anthropicAPIError
	for _, word := range []string{b.Type, b.Code} {
		switch word {
		case "invalid_request_error", "authentication_error", "permission_error", "not_found_error", "billing_error",
			"request_too_large", "rate_limit_error", "overloaded_error", "timeout_error":
			return anthropicErrorBody(word, b.Message, "")
		case "rate_limit_exceeded", "insufficient_quota", "tokens", "requests", "429":
			kind = "rate_limit_error"
		case "context_length_exceeded", "invalid_prompt", "400":
			kind = "invalid_request_error"
		case "invalid_api_key", "401":
			kind = "authentication_error"
		case "model_not_found", "404":
			kind = "not_found_error"
		case "overloaded", "503", "529":
			kind = "overloaded_error"
		}
	}
	return anthropicErrorBody(kind, b.Message, "")
}

// DecodeError implements [Surface]. Anthropic's envelope is among those that
// openAIError reads, as are those of the proxies in front of it.
func (AnthropicCodec) DecodeError(body []byte) llm.ErrorBody {
	e := openAIError(body)
	if e.Type == "error" {
		e.Type = "" // the envelope's own type, when it holds no error
	}
	return e
}
