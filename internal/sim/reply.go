package sim

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// Rules of this file: what a request will be answered is planned whole, as a
// pure function of the request and the seed, before the engine sees it; the
// engine only decides when each token comes.

// piece is one token of a reply.
type piece struct {
	text string
	call int  // 0: message content; k: the k-th tool call
	head bool // opens the tool call; text is then the function's name
}

// call is a tool call of a reply.
type call struct {
	id, name string
}

// reply is a planned answer.
type reply struct {
	pieces []piece
	calls  []call
	finish string // "stop", "length" or "tool_calls"
	match  string // the stop string that ended it, if any
}

// sampling is what both completion surfaces say about the output.
type sampling struct {
	MaxTokens *int     `json:"max_tokens"`
	MinTokens int      `json:"min_tokens"`
	IgnoreEOS bool     `json:"ignore_eos"`
	Stop      textList `json:"stop"`
	N         *int     `json:"n"`
	Seed      *int64   `json:"seed"`

	Stream        bool           `json:"stream"`
	StreamOptions *streamOptions `json:"stream_options"`
	Transfer      *transfer      `json:"kv_transfer_params"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

// textList is a string or a list of strings.
type textList []string

// UnmarshalJSON reads both forms and null.
func (l *textList) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		if string(b) != "null" {
			*l = textList{one}
		}
		return nil
	}
	var many []string
	if err := json.Unmarshal(b, &many); err != nil {
		return badRequest("stop", "stop must be a string or a list of strings.")
	}
	*l = many
	return nil
}

func (q *sampling) check() error {
	switch {
	case q.N != nil && *q.N != 1:
		return badRequest("n", "n is %d: the simulator gives one choice per request.", *q.N)
	case q.MaxTokens != nil && *q.MaxTokens < 1:
		return badRequest("max_tokens", "max_tokens must be at least 1, got %d.", *q.MaxTokens)
	case q.MinTokens < 0:
		return badRequest("min_tokens", "min_tokens must be 0 or more, got %d.", q.MinTokens)
	case q.MaxTokens != nil && q.MinTokens > *q.MaxTokens:
		return badRequest("min_tokens", "min_tokens must not exceed max_tokens=%d, got %d.", *q.MaxTokens, q.MinTokens)
	case q.StreamOptions != nil && !q.Stream:
		return badRequest("stream_options", "Stream options can only be defined when `stream=True`.")
	}
	return nil
}

// room returns how many tokens may follow a prompt.
func (q *sampling) room(p Profile, prompt int) (int, error) {
	limit := min(p.MaxContext, p.Blocks()*p.BlockSize)
	wanted := 1
	if q.MaxTokens != nil {
		wanted = min(*q.MaxTokens, math.MaxInt32)
	}
	if prompt+wanted > limit {
		return 0, badRequest("messages",
			"This model's maximum context length is %d tokens. However, you requested %d tokens (%d in the prompt, %d in the completion). "+
				"Please reduce the length of the prompt or of the completion.", limit, prompt+wanted, prompt, wanted)
	}
	if q.MaxTokens != nil {
		return wanted, nil
	}
	return limit - prompt, nil
}

// rng is the random source of one request: the same request gets the same
// answer, whatever ran before it.
func (q *sampling) rng(seed, prompt uint64) *rand.Rand {
	if q.Seed != nil {
		seed = mix(seed, fmt.Sprint(*q.Seed))
	}
	return rand.New(rand.NewPCG(seed, prompt))
}

// textReply plans a reply of text within room tokens. min_tokens and ignore_eos
// make it longer than it would be.
func (q *sampling) textReply(text string, room int, rng *rand.Rand) reply {
	least := q.MinTokens
	if q.IgnoreEOS && q.MaxTokens != nil {
		least = room
	}
	if least > 0 {
		var b strings.Builder
		b.WriteString(text)
		extend(&b, min(least, room), rng)
		text = b.String()
	}
	r := reply{finish: reasonStop}
	text, r.match = cutAtStop(text, q.Stop)
	for _, t := range tokenize(text) {
		r.pieces = append(r.pieces, piece{text: t})
	}
	return r.limit(room)
}

// limit cuts a reply to room tokens. A reply has at least one token: the empty
// one stands for an end of sequence at once.
func (r reply) limit(room int) reply {
	if len(r.pieces) == 0 {
		r.pieces = []piece{{}}
	}
	if len(r.pieces) > room {
		r.pieces, r.finish, r.match = r.pieces[:room], reasonLength, ""
	}
	return r
}

// cutAtStop cuts text before the first occurrence of a stop string.
func cutAtStop(text string, stops []string) (kept, match string) {
	at := -1
	for _, stop := range stops {
		if stop == "" {
			continue
		}
		if i := strings.Index(text, stop); i >= 0 && (at < 0 || i < at) {
			at, match = i, stop
		}
	}
	if at < 0 {
		return text, ""
	}
	return text[:at], match
}

// content joins the message text of a reply.
func (r reply) content() string {
	var b strings.Builder
	for _, p := range r.pieces {
		if p.call == 0 {
			b.WriteString(p.text)
		}
	}
	return b.String()
}

// arguments joins the argument text of the k-th call, counted from 1.
func (r reply) arguments(k int) string {
	var b strings.Builder
	for _, p := range r.pieces {
		if p.call == k && !p.head {
			b.WriteString(p.text)
		}
	}
	return b.String()
}

// alternative is one candidate at a token position.
type alternative struct {
	Token   string  `json:"token"`
	Logprob float64 `json:"logprob"`
	Bytes   []int   `json:"bytes"`
}

// alternatives returns the token and top-1 others with made-up log
// probabilities that fall and sum to less than one.
func alternatives(token string, at, top int) []alternative {
	h := mix(uint64(at), token)
	p := 0.6 + 0.399*float64(h%1000)/1000
	out := []alternative{newAlternative(token, p)}
	others := []string{" a", " the", " and", " to", " of", " is", " in", " it", " that", " for", " on", " as", " we", " be", " at", " or", " by", " so", " if", " no", " up"}
	left := 1 - p
	for _, o := range others {
		if len(out) >= top {
			break
		}
		if o == token {
			continue
		}
		left /= 2
		out = append(out, newAlternative(o, left))
	}
	return out
}

func newAlternative(token string, p float64) alternative {
	bytes := make([]int, len(token))
	for i := range len(token) {
		bytes[i] = int(token[i])
	}
	return alternative{Token: token, Logprob: math.Round(math.Log(p)*1e6) / 1e6, Bytes: bytes}
}
