package dialect

import (
	"strconv"
	"strings"
	"time"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Errors: Google's envelope {"error":{"code","message","status","details"}},
// whose code is the HTTP status, whose status is a word of google.rpc.Code, and
// whose details are messages of google.rpc: ErrorInfo has the reason, RetryInfo
// the wait, BadRequest the member that is wrong.

const geminiRPC = "type.googleapis.com/google.rpc."

// geminiStatuses gives each status of HTTP Google's word for it; others are
// INTERNAL. The first line of a status or a word counts.
var geminiStatuses = []struct {
	code int
	word string
}{
	{400, "INVALID_ARGUMENT"},
	{401, "UNAUTHENTICATED"},
	{403, "PERMISSION_DENIED"},
	{404, "NOT_FOUND"},
	{405, "UNIMPLEMENTED"},
	{409, "ABORTED"},
	{413, "INVALID_ARGUMENT"},
	{429, "RESOURCE_EXHAUSTED"},
	{499, "CANCELLED"},
	{500, "INTERNAL"},
	{502, "UNAVAILABLE"},
	{503, "UNAVAILABLE"},
	{504, "DEADLINE_EXCEEDED"},
	{400, "FAILED_PRECONDITION"},
	{400, "OUT_OF_RANGE"},
	{500, "UNKNOWN"},
	{500, "DATA_LOSS"},
}

func geminiStatusOf(code int) string {
	for _, s := range geminiStatuses {
		if s.code == code {
			return s.word
		}
	}
	return "INTERNAL"
}

func geminiCodeOf(word string) (code int, known bool) {
	if word == "UNAVAILABLE" {
		return 503, true
	}
	for _, s := range geminiStatuses {
		if s.word == word {
			return s.code, true
		}
	}
	return 500, false
}

// DecodeError implements [Surface]. Type is the status, Code the reason of
// ErrorInfo, else the status too. Envelopes of proxies are read as well.
func (GeminiCodec) DecodeError(body []byte) llm.ErrorBody {
	e := openAIError(body)
	o, err := parseObject(unlistError(body))
	if err != nil {
		return e
	}
	in, err := openObject(o.get("error"), where{})
	if err != nil {
		return e
	}
	status, ok := wire.Unquote(in.peek("status"))
	if !ok || status == "" {
		return e
	}
	e.Type, e.Code = status, status
	for _, item := range elements(in.peek("details")) {
		geminiDetail(&e, item)
	}
	return e
}

// geminiDetail reads one of an error's details.
func geminiDetail(e *llm.ErrorBody, raw []byte) {
	o, err := openObject(raw, where{})
	if err != nil {
		return
	}
	kind, _ := wire.Unquote(o.peek("@type"))
	switch strings.TrimPrefix(kind, geminiRPC) {
	case "ErrorInfo":
		if reason, _ := wire.Unquote(o.peek("reason")); reason != "" {
			e.Code = reason
		}
	case "RetryInfo":
		text, _ := wire.Unquote(o.peek("retryDelay"))
		if wait, err := time.ParseDuration(text); err == nil && wait > 0 && strings.HasSuffix(text, "s") {
			e.After = wait
		}
	case "BadRequest":
		for _, v := range elements(o.peek("fieldViolations")) {
			in, err := openObject(v, where{})
			if err == nil && e.Param == "" {
				e.Param, _ = wire.Unquote(in.peek("field"))
			}
		}
	}
}

// geminiError is an envelope to be written.
type geminiError struct {
	code      int
	status    string
	message   string
	reason    string // of ErrorInfo; empty for none
	param     string
	after     time.Duration
	requestID string
}

// geminiDomain says in an ErrorInfo whose word its reason is.
const geminiDomain = "tailplane"

func (g *geminiError) json() []byte {
	w := newObject(llm.Extra{})
	in := w.sub("error")
	in.integer("code", int64(g.code))
	in.text("message", g.message)
	in.text("status", g.status)
	if g.reason != "" || g.after > 0 || g.requestID != "" || g.param != "" {
		in.list("details")
		g.details(in.jsonWriter)
		in.closeList()
	}
	in.endSub()
	return w.end()
}

func (g *geminiError) details(j *jsonWriter) {
	detail := func(kind string) objectWriter {
		w := j.object(llm.Extra{})
		w.text("@type", geminiRPC+kind)
		return w
	}
	if g.reason != "" {
		w := detail("ErrorInfo")
		w.text("reason", g.reason)
		w.text("domain", geminiDomain)
		w.end()
	}
	if g.param != "" {
		w := detail("BadRequest")
		w.list("fieldViolations")
		v := w.object(llm.Extra{})
		v.text("field", g.param)
		v.end()
		w.closeList()
		w.end()
	}
	if g.after > 0 {
		w := detail("RetryInfo")
		w.text("retryDelay", strconv.FormatFloat(g.after.Seconds(), 'f', -1, 64)+"s")
		w.end()
	}
	if g.requestID != "" {
		w := detail("RequestInfo")
		w.text("requestId", g.requestID)
		w.end()
	}
}

// EncodeError implements [Surface].
func (GeminiCodec) EncodeError(f *llm.Fault, requestID string) []byte {
	g := geminiError{code: f.ClientStatus(), message: faultText(f), param: f.Param, after: f.After, requestID: requestID}
	g.status = geminiStatusOf(g.code)
	if g.reason = f.Code; g.reason == "" {
		g.reason = strings.ToUpper(string(f.Kind))
	}
	return g.json()
}

// AppendFault implements [Surface].
func (c GeminiCodec) AppendFault(dst []byte, f *llm.Fault, requestID string) []byte {
	return wire.AppendEvent(dst, "", c.EncodeError(f, requestID))
}

// geminiFaultBody is the envelope for a fault that an upstream reported in its
// own words. A status that Google knows stays; the words of others are mapped.
func geminiFaultBody(b *llm.ErrorBody) []byte {
	g := geminiError{message: b.Message, param: b.Param, after: b.After}
	known := false
	if g.code, known = geminiCodeOf(b.Type); known {
		if g.status = b.Type; b.Code != b.Type {
			g.reason = b.Code
		}
		return g.json()
	}
	g.code = 500
	for _, word := range [...]string{b.Type, b.Code} {
		switch word {
		case "rate_limit_error", "rate_limit_exceeded", "insufficient_quota", "tokens", "requests", "429":
			g.code = 429
		case "invalid_request_error", "context_length_exceeded", "invalid_prompt", "400":
			g.code = 400
		case "authentication_error", "invalid_api_key", "401":
			g.code = 401
		case "permission_error", "403":
			g.code = 403
		case "not_found_error", "model_not_found", "404":
			g.code = 404
		case "overloaded_error", "overloaded", "503", "529":
			g.code = 503
		case "timeout_error", "504":
			g.code = 504
		}
	}
	g.status, g.reason = geminiStatusOf(g.code), b.Code
	if g.reason == "" {
		g.reason = b.Type
	}
	return g.json()
}
