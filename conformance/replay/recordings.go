package main

import (
	"encoding/json"
	"net/http"
	"strconv"

	"tailplane/internal/llm"
	"tailplane/internal/llmtest/corpus"
)

// Recorded traffic. A recording is called by its number, which stands in the
// model's name; whether the request reached the provider as the client sent it
// is seen by comparing what arrived on both ways (GET /stats).

// tape holds the recordings that a client of OpenAI or Anthropic can ask for.
type tape struct{ all []corpus.Recording }

func loadTape(dir string) (*tape, error) {
	t := &tape{}
	if dir == "" {
		return t, nil
	}
	all, _, err := corpus.Load(dir)
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		known := r.Surface == llm.Chat || r.Surface == llm.Responses || r.Surface == llm.Anthropic
		if known && r.Status == http.StatusOK && len(r.Body) > 0 {
			t.all = append(t.all, r)
		}
	}
	return t, nil
}

// entry is a recording as GET /recordings lists it.
type entry struct {
	Number   int             `json:"number"`
	Name     string          `json:"name"`
	Dialect  llm.Dialect     `json:"dialect"`
	Streamed bool            `json:"streamed"`
	Request  json.RawMessage `json:"request,omitempty"` // absent where only the answer was recorded
}

func (t *tape) list() []entry {
	list := []entry{}
	for i := range t.all {
		r := &t.all[i]
		e := entry{Number: i, Name: r.Name(), Dialect: r.Surface, Streamed: r.Streamed}
		if json.Valid(r.Request) {
			e.Request = r.Request
		}
		list = append(list, e)
	}
	return list
}

// play answers with recording number; mode b cuts it into single bytes.
func (t *tape) play(w http.ResponseWriter, r *http.Request, number, mode string) {
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n >= len(t.all) {
		answer(w, http.StatusNotImplemented, obj{"error": obj{"message": "replay: there are recordings 0 to " + strconv.Itoa(len(t.all)-1)}})
		return
	}
	rec := &t.all[n]
	w.Header().Set("Content-Type", "application/json")
	if rec.Streamed {
		w.Header().Set("Content-Type", "text/event-stream")
	}
	write(w, r, rec.Body, mode == "b")
}
