package sim

import (
	"encoding/json"
	"net/http"
	"strings"
)

// chatRequest is what the simulator reads of a chat completion request; other
// members are ignored.
type chatRequest struct {
	sampling
	Model               string          `json:"model"`
	Messages            []message       `json:"messages"`
	MaxCompletionTokens *int            `json:"max_completion_tokens"`
	Temperature         *float64        `json:"temperature"`
	Logprobs            bool            `json:"logprobs"`
	TopLogprobs         int             `json:"top_logprobs"`
	Tools               []tool          `json:"tools"`
	ToolChoice          toolChoice      `json:"tool_choice"`
	ParallelToolCalls   *bool           `json:"parallel_tool_calls"`
	ResponseFormat      *responseFormat `json:"response_format"`
}

type message struct {
	Role      string `json:"role"`
	Content   any    `json:"content"` // a string, a list of parts, or nothing
	ToolCalls []struct {
		Function struct {
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
}

type responseFormat struct {
	Type       string `json:"type"`
	JSONSchema struct {
		Schema json.RawMessage `json:"schema"`
	} `json:"json_schema"`
}

// imageTokens is the flat price of an image, audio or file part.
const imageTokens = 256

func (s *Server) chat(w http.ResponseWriter, r *http.Request) {
	var q chatRequest
	if err := s.read(w, r, &q); err != nil {
		writeError(w, err)
		return
	}
	m, err := s.lookup(q.Model)
	if err != nil {
		writeError(w, err)
		return
	}
	g, err := q.plan(m, s.opt.Seed)
	if err != nil {
		writeError(w, err)
		return
	}
	s.generate(w, r, g)
}

func (q *chatRequest) check() error {
	if q.MaxCompletionTokens != nil {
		q.MaxTokens = q.MaxCompletionTokens
	}
	switch {
	case len(q.Messages) == 0:
		return badRequest("messages", "messages must have at least one message.")
	case q.TopLogprobs < 0 || q.TopLogprobs > 20:
		return badRequest("top_logprobs", "top_logprobs must be between 0 and 20, got %d.", q.TopLogprobs)
	case q.TopLogprobs > 0 && !q.Logprobs:
		return badRequest("top_logprobs", "when using `top_logprobs`, `logprobs` must be set to true.")
	case q.Temperature != nil && *q.Temperature < 0:
		return badRequest("temperature", "temperature must be non-negative, got %g.", *q.Temperature)
	}
	for i, m := range q.Messages {
		if m.Role == "" {
			return badRequest("messages", "messages[%d] has no role.", i)
		}
	}
	return q.sampling.check()
}

// plan decides the whole answer.
func (q *chatRequest) plan(m *model, seed uint64) (*generation, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	seq := &sequencer{size: m.Profile.BlockSize}
	q.prompt(seq)
	room, err := q.room(m.Profile, seq.tokens)
	if err != nil {
		return nil, err
	}
	chosen, err := chosenTools(q)
	if err != nil {
		return nil, err
	}
	rng := q.rng(seed, seq.hash)
	user, isUser := q.lastUser()
	var r reply
	switch {
	case len(chosen) > 0:
		r = toolReply(chosen, user, seq.hash, room)
	case q.ResponseFormat != nil && q.ResponseFormat.Type != "text":
		r = q.jsonReply(room)
	case !isUser && q.Messages[len(q.Messages)-1].Role == "tool":
		text := "Thanks. " + marker + " The tool said: " + q.Messages[len(q.Messages)-1].text()
		r = q.textReply(text, room, rng)
	default:
		want := m.ReplyMin + rng.IntN(m.ReplyMax-m.ReplyMin+1)
		r = q.textReply(replyText(user, want, rng), room, rng)
	}
	face := &chatFace{reply: r, logprobs: q.Logprobs, top: q.TopLogprobs}
	return newGeneration(m, seq, r, q.sampling, face), nil
}

func (q *chatRequest) jsonReply(room int) reply {
	var v any = map[string]any{"answer": "Hi! " + marker}
	if q.ResponseFormat.Type == "json_schema" {
		v = instance(q.ResponseFormat.JSONSchema.Schema, marker)
	}
	b, _ := json.Marshal(v) // made of JSON values
	r := reply{finish: reasonStop}
	for _, t := range tokenize(string(b)) {
		r.pieces = append(r.pieces, piece{text: t})
	}
	return r.limit(room)
}

// prompt renders the request the way a chat template would: tools, then each
// message between its marks, then the opening of the answer. An assistant
// message that repeats an earlier answer has the tokens that answer had.
func (q *chatRequest) prompt(seq *sequencer) {
	for _, t := range q.Tools {
		seq.text(t.Function.Name)
		seq.text(t.Function.Description)
		seq.text(string(t.Function.Parameters))
	}
	for i := range q.Messages {
		m := &q.Messages[i]
		seq.token("<|start|>")
		seq.token(m.Role)
		m.sequence(seq)
		seq.token("<|end|>")
	}
	seq.token("<|start|>")
	seq.token("assistant")
}

func (m *message) sequence(seq *sequencer) {
	switch c := m.Content.(type) {
	case string:
		seq.text(c)
	case []any:
		for _, part := range c {
			m.part(seq, part)
		}
	}
	for _, c := range m.ToolCalls {
		seq.token(c.Function.Name)
		seq.text(c.Function.Arguments)
	}
}

func (m *message) part(seq *sequencer, part any) {
	p, _ := part.(map[string]any)
	if text, ok := p["text"].(string); ok {
		seq.text(text)
		return
	}
	raw, _ := json.Marshal(p) // came from JSON
	seq.token(string(raw))
	for range imageTokens - 1 {
		seq.token("<|media|>")
	}
}

// text joins the text of a message.
func (m *message) text() string {
	switch c := m.Content.(type) {
	case string:
		return c
	case []any:
		var all strings.Builder
		for _, part := range c {
			if p, ok := part.(map[string]any); ok {
				if t, ok := p["text"].(string); ok {
					all.WriteString(t)
				}
			}
		}
		return all.String()
	}
	return ""
}

// lastUser returns the text of the last user message, and whether that is the
// last message of all.
func (q *chatRequest) lastUser() (string, bool) {
	for i := len(q.Messages) - 1; i >= 0; i-- {
		if q.Messages[i].Role == "user" {
			return q.Messages[i].text(), i == len(q.Messages)-1
		}
	}
	return "", false
}
