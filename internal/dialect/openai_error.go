package dialect

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Error envelopes of OpenAI and of those who speak its dialects.

// maxErrorText is the most characters of a message that is passed on.
const maxErrorText = 2000

// openAIError reads an error body:
//
//	{"error":{"message","type","code","param"}}   OpenAI; code may be a number
//	{"error":"text"}, {"code":"..","error":".."}  Ollama, xAI
//	{"detail":"text" | [{"msg","loc"}]}           FastAPI, Mistral
//	{"message","type","code"}                     Cohere, old vLLM
//	[{"error":{...}}]                             Gemini
//
// and OpenRouter's error.metadata.raw, the text of the provider behind it. A
// body that is none of these gives the first lines of its text.
func openAIError(body []byte) llm.ErrorBody {
	body = unlistError(body)
	o, err := parseObject(body)
	if err != nil {
		return llm.ErrorBody{Message: plainError(body)}
	}
	e := errorOf(o)
	if in, err := openObject(o.peek("error"), where{}); err == nil {
		inner := errorOf(in)
		if inner.Message == "" {
			inner.Message = e.Message
		}
		if more := upstreamText(in); more != "" && !strings.Contains(inner.Message, more) {
			inner.Message = strings.TrimPrefix(inner.Message+": "+more, ": ")
		}
		e = inner
	} else if text, ok := wire.Unquote(o.peek("error")); ok && text != "" {
		if e.Message != "" && e.Type == "" {
			e.Type = text
		} else {
			e.Message = text
		}
	}
	if e.Message == "" {
		e.Message = detailText(o.peek("detail"))
	}
	if e.Message == "" {
		e.Message = plainError(body)
	}
	e.Message = shorten(e.Message)
	return e
}

func errorOf(o *object) llm.ErrorBody {
	e := llm.ErrorBody{
		Type:    scalarText(o.peek("type")),
		Code:    scalarText(o.peek("code")),
		Param:   scalarText(o.peek("param")),
		Message: scalarText(o.peek("message")),
	}
	if e.Type == "" {
		e.Type = scalarText(o.peek("error_type"))
	}
	if e.Type == "" {
		e.Type = scalarText(o.peek("status"))
	}
	if e.Message == "" {
		e.Message = detailText(o.peek("message"))
	}
	return e
}

// scalarText is the text of a string or a number, "" for anything else.
func scalarText(raw []byte) string {
	if s, ok := wire.Unquote(raw); ok {
		return s
	}
	if _, ok := number(raw); ok {
		return string(raw)
	}
	return ""
}

// detailText reads FastAPI's detail: a text, or a list of what is wrong where.
func detailText(raw []byte) string {
	if s, ok := wire.Unquote(raw); ok {
		return s
	}
	if len(raw) == 0 {
		return ""
	}
	if raw[0] == '{' {
		o, err := openObject(raw, where{})
		if err != nil {
			return ""
		}
		if s := scalarText(o.peek("message")); s != "" {
			return s
		}
		return detailText(o.peek("detail"))
	}
	if raw[0] != '[' {
		return ""
	}
	var all []string
	for _, item := range elements(raw) {
		o, err := openObject(item, where{})
		if err != nil {
			continue
		}
		text := scalarText(o.peek("msg"))
		if loc := o.peek("loc"); len(loc) > 0 && loc[0] == '[' {
			var path []string
			for _, step := range elements(loc) {
				path = append(path, scalarText(step))
			}
			text = strings.Join(path, ".") + ": " + text
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

// upstreamText is what OpenRouter quotes of the provider that failed.
func upstreamText(o *object) string {
	raw := o.peek("metadata")
	if len(raw) == 0 || raw[0] != '{' {
		return ""
	}
	m, err := openObject(raw, where{})
	if err != nil {
		return ""
	}
	text, ok := wire.Unquote(m.peek("raw"))
	if !ok {
		return ""
	}
	if in, err := parseObject([]byte(text)); err == nil && (in.has("error") || in.has("message") || in.has("detail")) {
		if in.has("metadata") { // no quotation inside a quotation
			return ""
		}
		text = innerText(in)
	}
	return shorten(text)
}

func innerText(o *object) string {
	if in, err := openObject(o.peek("error"), where{}); err == nil {
		return scalarText(in.peek("message"))
	}
	if s := scalarText(o.peek("error")); s != "" {
		return s
	}
	if s := scalarText(o.peek("message")); s != "" {
		return s
	}
	return detailText(o.peek("detail"))
}

// plainError makes a message of a body that is no envelope: the text of an
// HTML page's title, or the first characters.
func plainError(body []byte) string {
	text := strings.ToValidUTF8(string(body[:min(len(body), 8*maxErrorText)]), "\uFFFD")
	lower := strings.ToLower(text)
	if strings.HasPrefix(lower, "<!doctype") || strings.HasPrefix(lower, "<html") {
		text = "the upstream answered with an HTML page"
		if i := strings.Index(lower, "<title>"); i >= 0 {
			if j := strings.Index(lower[i:], "</title>"); j > 7 && len(lower) == len(string(body[:min(len(body), 8*maxErrorText)])) {
				title := strings.ToValidUTF8(string(body[i+7:i+j]), "\uFFFD")
				text += ": " + title
			}
		}
	}
	printable := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(printable), " ")
	if text == "" {
		return "the upstream answered with an empty body"
	}
	return shorten(text)
}

func shorten(s string) string {
	if len(s) <= maxErrorText {
		return s
	}
	end := maxErrorText
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "..."
}

// openAIErrorBody is the envelope in which OpenAI's SDKs expect a fault. The
// dialects have no place for the request id: it stands in a header.
func openAIErrorBody(f *llm.Fault) []byte {
	code := f.Code
	if code == "" {
		code = string(f.Kind)
	}
	return openAIEnvelope(llm.ErrorBody{Type: openAIErrorType(f), Code: code, Param: f.Param, Message: faultText(f)})
}

// openAIEnvelope is the error body of OpenAI's dialects; what is empty is null.
func openAIEnvelope(b llm.ErrorBody) []byte {
	w := newObject(llm.Extra{})
	in := w.sub("error")
	in.text("message", b.Message)
	in.nullable("type", b.Type)
	in.nullable("param", b.Param)
	in.nullable("code", b.Code)
	in.endSub()
	return w.end()
}

// faultText is the fault's public text, and its kind in words when it has none.
func faultText(f *llm.Fault) string {
	if f.Message != "" {
		return f.Message
	}
	return strings.ReplaceAll(string(f.Kind), "_", " ")
}

// openAIErrorType is the word that OpenAI uses beside the status that the
// client gets.
func openAIErrorType(f *llm.Fault) string {
	if f.Kind == llm.FaultQuota {
		return "insufficient_quota"
	}
	switch f.ClientStatus() {
	case 401:
		return "authentication_error"
	case 403:
		return "permission_error"
	case 404:
		return "not_found_error"
	case 429:
		return "rate_limit_error"
	case 400, 405, 413, 499:
		return "invalid_request_error"
	}
	return "server_error"
}

// appendOpenAIFault is the event with which OpenAI's streams end in failure;
// [DONE] does not follow.
func appendOpenAIFault(dst []byte, f *llm.Fault) []byte {
	return wire.AppendEvent(dst, "", openAIErrorBody(f))
}

// unlistError is a body of an error without white space around it or, as Google
// sends it to a stream in JSON, the first of a list of them.
func unlistError(body []byte) []byte {
	body = bytes.TrimSpace(body)
	if len(body) > 0 && body[0] == '[' {
		for _, item := range elements(body) {
			return item
		}
	}
	return body
}
