package dialect

import (
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Errors. A body is {"message"}; the type stands in the header x-amzn-errortype,
// before the first colon, and in old services in the member __type, behind a #.
// Inside a stream an exception is a frame whose type begins with a small letter.

// converseErrorTypes gives each fault Bedrock's word for it (botocore's errors of
// Converse and InvokeModel); others are InternalServerException.
var converseErrorTypes = map[llm.FaultKind]string{
	llm.FaultBadRequest:    "ValidationException",
	llm.FaultTooLong:       "ValidationException",
	llm.FaultTooLarge:      "ValidationException",
	llm.FaultUnsupported:   "ValidationException",
	llm.FaultLossy:         "ValidationException",
	llm.FaultContentFilter: "ValidationException",
	llm.FaultMethod:        "ValidationException",
	llm.FaultUnauthorized:  "AccessDeniedException",
	llm.FaultForbidden:     "AccessDeniedException",
	llm.FaultUnknownModel:  "ResourceNotFoundException",
	llm.FaultNotFound:      "ResourceNotFoundException",
	llm.FaultRateLimit:     "ThrottlingException",
	llm.FaultShed:          "ThrottlingException",
	llm.FaultQuota:         "ServiceQuotaExceededException",
	llm.FaultOverloaded:    "ServiceUnavailableException",
	llm.FaultUnavailable:   "ServiceUnavailableException",
	llm.FaultStopped:       "ServiceUnavailableException",
	llm.FaultConnect:       "ServiceUnavailableException",
	llm.FaultConnectTime:   "ModelTimeoutException",
	llm.FaultFirstToken:    "ModelTimeoutException",
	llm.FaultIdle:          "ModelTimeoutException",
	llm.FaultTotal:         "ModelTimeoutException",
	llm.FaultCut:           "ModelErrorException",
	llm.FaultGarbage:       "ModelErrorException",
}

const converseInternalError = "InternalServerException"

// converseStreamTypes are the exceptions that a stream knows for those that it does
// not; the rest keep their name.
var converseStreamTypes = map[string]string{
	"AccessDeniedException":         "ValidationException",
	"ResourceNotFoundException":     "ValidationException",
	"ServiceQuotaExceededException": "ThrottlingException",
	"ModelNotReadyException":        "ThrottlingException",
	"ModelTimeoutException":         "ModelStreamErrorException",
	"ModelErrorException":           "ModelStreamErrorException",
}

// ErrorHeader implements [TypedErrors].
func (ConverseCodec) ErrorHeader() string { return "x-amzn-errortype" }

// ErrorType implements [TypedErrors]. What Bedrock itself has said, if it fits
// the fault, stays: ModelNotReadyException is no throttling to its clients. So
// does AWS's name for what is wrong with a caller's signature.
func (ConverseCodec) ErrorType(f *llm.Fault) string {
	if f.Type == "ModelNotReadyException" && f.ClientStatus() == 429 || f.Kind == llm.FaultUnauthorized && strings.HasSuffix(f.Type, "Exception") {
		return f.Type
	}
	if name, ok := converseErrorTypes[f.Kind]; ok {
		return name
	}
	return converseInternalError
}

// EncodeError implements [Surface]. The request id has its place in a header.
func (ConverseCodec) EncodeError(f *llm.Fault, _ string) []byte {
	return converseErrorBody(faultText(f))
}

func converseErrorBody(message string) []byte {
	w := newObject(llm.Extra{})
	w.text("message", message)
	return w.end()
}

// AppendFault implements [Surface].
func (c ConverseCodec) AppendFault(dst []byte, f *llm.Fault, _ string) []byte {
	return converseAppendException(dst, c.ErrorType(f), faultText(f))
}

func converseAppendException(dst []byte, name, message string) []byte {
	if other, ok := converseStreamTypes[name]; ok {
		name = other
	}
	return wire.AppendException(dst, strings.ToLower(name[:1])+name[1:], converseErrorBody(message))
}

// converseFaultName is the exception for a fault that an upstream reported in its
// own words: Bedrock's stay, others are mapped.
func converseFaultName(b *llm.ErrorBody) string {
	if strings.HasSuffix(b.Type, "Exception") {
		return b.Type
	}
	for _, word := range []string{b.Type, b.Code} {
		switch word {
		case "rate_limit_error", "rate_limit_exceeded", "insufficient_quota", "tokens", "requests", "429", "RESOURCE_EXHAUSTED":
			return "ThrottlingException"
		case "invalid_request_error", "context_length_exceeded", "invalid_prompt", "400", "INVALID_ARGUMENT":
			return "ValidationException"
		case "overloaded_error", "overloaded", "503", "529", "UNAVAILABLE":
			return "ServiceUnavailableException"
		}
	}
	return converseInternalError
}

// DecodeError implements [Surface].
func (ConverseCodec) DecodeError(body []byte) llm.ErrorBody {
	e := openAIError(body)
	if o, err := parseObject(body); err == nil {
		if s, ok := wire.Unquote(o.peek("Message")); ok && !o.has("message") {
			e.Message = shorten(s)
		}
		if s, ok := wire.Unquote(o.peek("__type")); ok && e.Type == "" {
			e.Type = s[strings.LastIndexByte(s, '#')+1:]
		}
	}
	return e
}

// readErrorType reads a header that is x-amzn-errortype, or a frame's type.
func readErrorType(text string) string {
	name, _, _ := strings.Cut(text, ":")
	name = strings.TrimSpace(name[strings.LastIndexByte(name, '#')+1:])
	if name == "" {
		return ""
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// TypedErrors is a Surface whose error bodies leave the type to a header.
type TypedErrors interface {
	Surface
	// ErrorHeader is the header's name.
	ErrorHeader() string
	// ErrorType is its value for a client that is told of f.
	ErrorType(f *llm.Fault) string
}

// ReadError is s.DecodeError with what the headers of the answer say beside its
// body; header gives the value of one.
func ReadError(s Surface, header func(name string) string, body []byte) llm.ErrorBody {
	e := s.DecodeError(body)
	if t, ok := s.(TypedErrors); ok {
		if name := readErrorType(header(t.ErrorHeader())); name != "" {
			e.Type = name
		}
	}
	return e
}

// EventError is the error that an event with [SightFault] tells.
func EventError(s Surface, ev wire.Event) llm.ErrorBody {
	e := s.DecodeError(ev.Data)
	if name := readErrorType(string(ev.Name)); ev.Exception && name != "" {
		e.Type = name
	}
	return e
}
