package sim

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// completionRequest is what the simulator reads of a text completion request.
type completionRequest struct {
	sampling
	Model    string          `json:"model"`
	Prompt   json.RawMessage `json:"prompt"`
	Echo     bool            `json:"echo"`
	Logprobs *int            `json:"logprobs"`
}

// defaultCompletionTokens is max_tokens of /v1/completions when it is not
// given, as in OpenAI and vLLM.
const defaultCompletionTokens = 16

func (s *Server) completions(w http.ResponseWriter, r *http.Request) {
	var q completionRequest
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

func (q *completionRequest) plan(m *model, seed uint64) (*generation, error) {
	inputs, err := parseInputs(q.Prompt, "prompt")
	switch {
	case err != nil:
		return nil, err
	case len(inputs) != 1:
		return nil, badRequest("prompt", "prompt is a list of %d: the simulator takes one prompt per request.", len(inputs))
	case q.Echo:
		return nil, badRequest("echo", "echo is not available in the simulator.")
	case q.Logprobs != nil && (*q.Logprobs < 0 || *q.Logprobs > 20):
		return nil, badRequest("logprobs", "logprobs must be between 0 and 20, got %d.", *q.Logprobs)
	}
	if q.MaxTokens == nil {
		q.MaxTokens = new(max(defaultCompletionTokens, q.MinTokens))
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	seq := &sequencer{size: m.Profile.BlockSize}
	inputs[0].sequence(seq)
	room, err := q.room(m.Profile, seq.tokens)
	if err != nil {
		return nil, err
	}
	rng := q.rng(seed, seq.hash)
	want := m.ReplyMin + rng.IntN(m.ReplyMax-m.ReplyMin+1)
	r := q.textReply(" "+replyText(inputs[0].text, want, rng), room, rng)
	return newGeneration(m, seq, r, q.sampling, &textFace{reply: r, logprobs: q.Logprobs}), nil
}

// input is one text, or one list of token ids, of a completion or embedding
// request.
type input struct {
	text string
	ids  []int
}

// parseInputs reads the four forms OpenAI allows: a string, a list of strings,
// a list of token ids, a list of such lists. None is empty.
func parseInputs(raw json.RawMessage, field string) ([]input, error) {
	var (
		one   string
		texts []string
		ids   []int
		lists [][]int
		out   []input
	)
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return nil, badRequest(field, "The field `%s` is missing.", field)
	case json.Unmarshal(raw, &one) == nil:
		out = []input{{text: one}}
	case json.Unmarshal(raw, &texts) == nil:
		for _, t := range texts {
			out = append(out, input{text: t})
		}
	case json.Unmarshal(raw, &ids) == nil:
		out = []input{{ids: ids}}
	case json.Unmarshal(raw, &lists) == nil:
		for _, l := range lists {
			out = append(out, input{ids: l})
		}
	default:
		return nil, badRequest(field, "%s must be a string, a list of strings, a list of token ids or a list of such lists.", field)
	}
	for _, in := range out {
		if in.text == "" && len(in.ids) == 0 {
			return nil, badRequest(field, "%s is empty: want at least one token.", field)
		}
	}
	if len(out) == 0 {
		return nil, badRequest(field, "%s is empty: want at least one text.", field)
	}
	return out, nil
}

func (in input) sequence(seq *sequencer) {
	seq.text(in.text)
	for _, id := range in.ids {
		seq.token(strconv.Itoa(id))
	}
}

// textFace writes a reply as a text completion.
type textFace struct {
	reply    reply
	logprobs *int
}

func (f *textFace) prefix() string { return "cmpl-" }
func (f *textFace) object() string { return "text_completion" }
func (f *textFace) chunk() string  { return "text_completion" }

// open is empty: a text completion has no opening event.
func (f *textFace) open(dst []byte) []byte { return dst }

func (f *textFace) token(dst []byte, i int) []byte {
	p := f.reply.pieces[i]
	dst = append(dst, `"choices":[{"index":0,"text":`...)
	dst = appendQuoted(dst, p.text)
	dst = append(dst, `,"logprobs":`...)
	dst = f.appendLogprobs(dst, i, i+1)
	return append(dst, `,"finish_reason":null,"stop_reason":null}]`...)
}

func (f *textFace) close(dst []byte) []byte {
	dst = append(dst, `"choices":[{"index":0,"text":"","logprobs":null,"finish_reason":"`...)
	dst = append(dst, f.reply.finish...)
	dst = append(dst, `","stop_reason":`...)
	dst = appendStop(dst, f.reply.match)
	return append(dst, "}]"...)
}

func (f *textFace) whole(dst []byte) []byte {
	dst = append(dst, `"choices":[{"index":0,"text":`...)
	dst = appendQuoted(dst, f.reply.content())
	dst = append(dst, `,"logprobs":`...)
	dst = f.appendLogprobs(dst, 0, len(f.reply.pieces))
	dst = append(dst, `,"finish_reason":"`...)
	dst = append(dst, f.reply.finish...)
	dst = append(dst, `","stop_reason":`...)
	dst = appendStop(dst, f.reply.match)
	return append(dst, "}]"...)
}

// textLogprobs is the legacy form: parallel lists.
type textLogprobs struct {
	TextOffset    []int                `json:"text_offset"`
	TokenLogprobs []float64            `json:"token_logprobs"`
	Tokens        []string             `json:"tokens"`
	TopLogprobs   []map[string]float64 `json:"top_logprobs"`
}

func (f *textFace) appendLogprobs(dst []byte, from, to int) []byte {
	if f.logprobs == nil {
		return append(dst, "null"...)
	}
	offset := 0
	for _, p := range f.reply.pieces[:from] {
		offset += len(p.text)
	}
	var l textLogprobs
	for i := from; i < to; i++ {
		t := f.reply.pieces[i].text
		all := alternatives(t, i, max(*f.logprobs, 1))
		top := make(map[string]float64, len(all))
		for _, a := range all {
			top[a.Token] = a.Logprob
		}
		l.TextOffset = append(l.TextOffset, offset)
		l.TokenLogprobs = append(l.TokenLogprobs, all[0].Logprob)
		l.Tokens = append(l.Tokens, t)
		l.TopLogprobs = append(l.TopLogprobs, top)
		offset += len(t)
	}
	return appendJSON(dst, l)
}
