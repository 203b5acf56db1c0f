package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"time"

	"tailplane/internal/wire"
)

// The scenarios. Each reply is said in every dialect by a voice, so that what
// a client must see is the same whatever lies upstream.

// reply is what a model says.
type reply struct {
	think, sign string // reasoning and its signature
	text        []string
	calls       []toolCall
	stop        string // stop, tools, length
	in, cached  int    // prompt tokens, and those of them read from a cache
	out         int
}

type toolCall struct{ id, name, args string }

// replies are the scenarios that end well.
var replies = map[string]reply{
	"plain":  {text: []string{"The capital", " of France", " is Paris."}, stop: "stop", in: 12, out: 7},
	"length": {text: []string{"Once upon", " a"}, stop: "length", in: 12, out: 3},
	"tools": {
		text: []string{"Let me", " look."}, stop: "tools", in: 40, out: 21,
		calls: []toolCall{{"call_1", "get_weather", `{"city":"Paris","days":2}`}, {"call_2", "get_time", `{"zone":"Europe/Paris"}`}},
	},
	"noargs": {calls: []toolCall{{"call_1", "list_files", "{}"}}, stop: "tools", in: 30, out: 5},
	"schema": {text: []string{`{"name":"Ada",`, `"age":36}`}, stop: "stop", in: 33, out: 9},
	"image":  {text: []string{"A red", " square."}, stop: "stop", in: 95, out: 4},
	"think":  {think: "Six times seven.", sign: "c2lnbmVkLWJ5LXJlcGxheQ==", text: []string{"It is", " 42."}, stop: "stop", in: 15, out: 11},
	"cache":  {text: []string{"Cached."}, stop: "stop", in: 120, cached: 100, out: 2},
}

// failure is an upstream's refusal.
type failure struct {
	status int
	kind   string // Anthropic's word; the others derive theirs
	text   string
	header map[string]string
	wait   string // seconds to wait, of a 429
}

// voice says a reply in one dialect.
type voice interface {
	whole(q request, r reply) any
	// events are the payloads of a stream, in order, as they go on the wire.
	events(q request, r reply) [][]byte
	fail(w http.ResponseWriter, f failure)
	// broken is the event that tells of an error after the first byte.
	broken() []byte
	// limits are the provider's headers with a 429.
	limits() map[string]string
	framing() wire.Framing
}

// player plays one scenario to one request.
type player struct {
	w        http.ResponseWriter
	r        *http.Request
	voice    voice
	q        request
	bytewise bool
}

// breakPause lies between the events of a stream that will break, so that its
// text is on its way to the client before: a break that is read together with
// the first token may still be mended elsewhere.
const breakPause = 20 * time.Millisecond

// run plays the scenario: a reply, or one of the faults.
func (p *player) run(name string) {
	good := replies["plain"]
	switch name {
	case "slow":
		for range 400 {
			good.text = append(good.text, " and so on")
		}
		p.stream(p.voice.events(p.q, good), 25*time.Millisecond)
	case "cut":
		p.stream(p.opening(), breakPause)
		panic(http.ErrAbortHandler)
	case "event":
		p.stream(append(p.opening(), p.voice.broken()), breakPause)
	case "down":
		p.voice.fail(p.w, failure{status: http.StatusServiceUnavailable, kind: "api_error", text: "scripted outage"})
	case "flaky":
		if p.q.nth == 1 {
			p.voice.fail(p.w, failure{status: http.StatusInternalServerError, kind: "api_error", text: "scripted hiccup"})
			return
		}
		p.say(good)
	case "agent": // a tool, and what its result leads to
		if p.q.nth == 1 {
			good = replies["noargs"]
		}
		p.say(good)
	case "bad":
		p.voice.fail(p.w, failure{status: http.StatusBadRequest, kind: "invalid_request_error", text: "scripted refusal"})
	case "limited":
		p.limited("37")
	case "once":
		if p.q.nth == 1 {
			p.limited("1")
			return
		}
		p.say(good)
	default:
		r, ok := replies[name]
		if !ok {
			p.voice.fail(p.w, failure{status: http.StatusNotFound, kind: "not_found_error", text: "replay: no scenario " + name})
			return
		}
		p.say(r)
	}
}

func (p *player) limited(seconds string) {
	header := p.voice.limits()
	header["Retry-After"] = seconds
	p.voice.fail(p.w, failure{status: http.StatusTooManyRequests, kind: "rate_limit_error", text: "scripted rate limit", header: header, wait: seconds})
}

func (p *player) say(r reply) {
	for name, value := range p.voice.limits() {
		p.w.Header().Set(name, value)
	}
	if p.q.Stream {
		p.stream(p.voice.events(p.q, r), 0)
		return
	}
	answer(p.w, http.StatusOK, p.voice.whole(p.q, r))
}

// opening is a stream up to the middle of its text.
func (p *player) opening() [][]byte {
	r := replies["plain"]
	all, short := p.voice.events(p.q, r), r
	short.text = r.text[:2]
	shorter := p.voice.events(p.q, short)
	same := 0
	for same < len(all) && same < len(shorter) && string(all[same]) == string(shorter[same]) {
		same++
	}
	return all[:same]
}

func (p *player) stream(events [][]byte, pause time.Duration) {
	p.w.Header().Set("Content-Type", p.voice.framing().ContentType())
	for _, ev := range events {
		if !write(p.w, p.r, ev, p.bytewise) {
			return
		}
		if pause > 0 {
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-p.r.Context().Done():
				timer.Stop()
				return
			}
		}
	}
}

// write sends b at once or byte by byte; false when the caller has left.
func write(w http.ResponseWriter, r *http.Request, b []byte, bytewise bool) bool {
	step := max(len(b), 1)
	if bytewise {
		step = 1
	}
	for len(b) > 0 && r.Context().Err() == nil {
		n, err := w.Write(b[:min(step, len(b))])
		if err != nil {
			return false
		}
		b = b[n:]
		w.(http.Flusher).Flush()
	}
	return r.Context().Err() == nil
}

// data is one event without a name.
func data(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // made of JSON values
	}
	return []byte("data: " + string(body) + "\n\n")
}

// named is one event with a name, as the Responses and Messages APIs send it.
func named(name string, v obj) []byte {
	v["type"] = name
	return append([]byte("event: "+name+"\n"), data(v)...)
}

// tell answers every request with v.
func (s *server) tell(v obj) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := s.read(w, r); ok {
			answer(w, http.StatusOK, v)
		}
	}
}

// vector is the embedding of input number i.
func vector(i int) []float32 { return []float32{0.5, -0.25, float32(i)} }

// embed answers with one vector per input, as numbers or in base64.
func (s *server) embed(w http.ResponseWriter, r *http.Request) {
	q, _, ok := s.read(w, r)
	if !ok {
		return
	}
	var many []json.RawMessage
	n := 1
	if json.Unmarshal(q.Input, &many) == nil {
		n = len(many)
	}
	var list []obj
	for i := range n {
		var value any = vector(i)
		if q.Encoding == "base64" {
			var raw []byte
			for _, f := range vector(i) {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
			}
			value = base64.StdEncoding.EncodeToString(raw)
		}
		list = append(list, obj{"object": "embedding", "index": i, "embedding": value})
	}
	answer(w, http.StatusOK, obj{"object": "list", "model": q.Model, "data": list, "usage": obj{"prompt_tokens": 3, "total_tokens": 3}})
}

// complete answers the old completions operation.
func (s *server) complete(w http.ResponseWriter, r *http.Request) {
	q, _, ok := s.read(w, r)
	if !ok {
		return
	}
	good := replies["plain"]
	head := func(choices []obj) obj {
		return obj{"id": q.id("cmpl-"), "object": "text_completion", "created": 1, "model": q.Model, "choices": choices}
	}
	choice := func(text string, stop any) []obj {
		return []obj{{"index": 0, "text": text, "finish_reason": stop, "logprobs": nil}}
	}
	if !q.Stream {
		var all strings.Builder
		for _, t := range good.text {
			all.WriteString(t)
		}
		v := head(choice(all.String(), "stop"))
		v["usage"] = chatUsage(good)
		answer(w, http.StatusOK, v)
		return
	}
	p := player{w: w, r: r, voice: chatVoice{}, q: q}
	var events [][]byte
	for _, t := range good.text {
		events = append(events, data(head(choice(t, nil))))
	}
	events = append(events, data(head(choice("", "stop"))))
	if q.StreamOptions.IncludeUsage {
		v := head([]obj{})
		v["usage"] = chatUsage(good)
		events = append(events, data(v))
	}
	p.stream(append(events, []byte("data: [DONE]\n\n")), 0)
}
