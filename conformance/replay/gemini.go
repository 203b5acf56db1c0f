package main

import (
	"encoding/json"
	"net/http"
	"strings"

	"tailplane/internal/wire"
)

// geminiVoice says replies as Google's generateContent does. The signature of
// a thought stands on the part that follows it there.
type geminiVoice struct{}

var geminiStops = map[string]string{"stop": "STOP", "tools": "STOP", "length": "MAX_TOKENS"}

func geminiUsage(r reply) obj {
	usage := obj{"promptTokenCount": r.in, "candidatesTokenCount": r.out, "totalTokenCount": r.in + r.out}
	if r.cached > 0 {
		usage["cachedContentTokenCount"] = r.cached
	}
	return usage
}

// geminiReply is an answer or a piece of one.
func geminiReply(q request, parts []obj, stop string) obj {
	candidate := obj{"index": 0, "content": obj{"role": "model", "parts": parts}}
	if stop != "" {
		candidate["finishReason"] = stop
	}
	return obj{"candidates": []obj{candidate}, "modelVersion": q.Model, "responseId": q.id("gemini-")}
}

// geminiParts are the parts of a reply with the text cut as given.
func geminiParts(r reply, thoughts, texts []string) []obj {
	var parts []obj
	for _, piece := range thoughts {
		parts = append(parts, obj{"text": piece, "thought": true})
	}
	for i, piece := range texts {
		part := obj{"text": piece}
		if i == len(texts)-1 && r.sign != "" {
			part["thoughtSignature"] = r.sign
		}
		parts = append(parts, part)
	}
	for _, c := range r.calls {
		parts = append(parts, obj{"functionCall": obj{"id": c.id, "name": c.name, "args": json.RawMessage(c.args)}})
	}
	return parts
}

func (geminiVoice) whole(q request, r reply) any {
	var thoughts, texts []string
	if r.think != "" {
		thoughts = []string{r.think}
	}
	if len(r.text) > 0 {
		texts = []string{strings.Join(r.text, "")}
	}
	v := geminiReply(q, geminiParts(r, thoughts, texts), geminiStops[r.stop])
	v["usageMetadata"] = geminiUsage(r)
	return v
}

func (geminiVoice) events(q request, r reply) [][]byte {
	var out [][]byte
	for _, part := range geminiParts(r, halves(r.think), r.text) {
		v := geminiReply(q, []obj{part}, "")
		v["usageMetadata"] = obj{"promptTokenCount": r.in, "totalTokenCount": r.in}
		out = append(out, data(v))
	}
	last := geminiReply(q, []obj{{"text": ""}}, geminiStops[r.stop])
	last["usageMetadata"] = geminiUsage(r)
	return append(out, data(last))
}

var geminiStatus = map[int]string{
	http.StatusBadRequest: "INVALID_ARGUMENT", http.StatusNotFound: "NOT_FOUND", http.StatusTooManyRequests: "RESOURCE_EXHAUSTED",
	http.StatusInternalServerError: "INTERNAL", http.StatusServiceUnavailable: "UNAVAILABLE",
}

func geminiFailure(f failure) obj {
	e := obj{"code": f.status, "message": f.text, "status": geminiStatus[f.status]}
	if f.wait != "" {
		e["details"] = []obj{{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f.wait + "s"}}
	}
	return obj{"error": e}
}

func (geminiVoice) fail(w http.ResponseWriter, f failure) {
	delete(f.header, "Retry-After") // Google says it in the body
	refuse(w, f, geminiFailure(f))
}

func (geminiVoice) broken() []byte {
	return data(geminiFailure(failure{status: http.StatusInternalServerError, text: "scripted break"}))
}

func (geminiVoice) limits() map[string]string { return map[string]string{} }

func (geminiVoice) framing() wire.Framing { return wire.SSE }

// google serves Google's operations, whose name is the tail of the path.
func (s *server) google(w http.ResponseWriter, r *http.Request) {
	_, verb, _ := strings.Cut(r.PathValue("call"), ":")
	switch verb {
	case "generateContent", "streamGenerateContent":
		s.play(geminiVoice{})(w, r)
	case "countTokens":
		s.tell(obj{"totalTokens": 42})(w, r)
	case "embedContent":
		s.tell(obj{"embedding": obj{"values": vector(0)}})(w, r)
	case "batchEmbedContents":
		q, _, ok := s.read(w, r)
		if !ok {
			return
		}
		list := []obj{}
		for i := range q.Requests {
			list = append(list, obj{"values": vector(i)})
		}
		answer(w, http.StatusOK, obj{"embeddings": list})
	default:
		answer(w, http.StatusNotFound, geminiFailure(failure{status: http.StatusNotFound, text: "replay: no operation " + verb}))
	}
}
