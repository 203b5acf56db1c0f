package sim

import (
	"net/http"
)

// Rules of this file: the endpoints that need no engine.

// engineVersion is what /version reports: the vLLM release whose endpoints and
// metric names are followed, marked as simulated.
const engineVersion = "0.32.0+sim"

type modelCard struct {
	ID          string `json:"id"`
	Object      string `json:"object"`
	Created     int64  `json:"created"`
	OwnedBy     string `json:"owned_by"`
	Root        string `json:"root"`
	Parent      any    `json:"parent"`
	MaxModelLen int    `json:"max_model_len"`
}

func (m *model) card() modelCard {
	return modelCard{ID: m.ID, Object: "model", OwnedBy: "tailplane-sim", Root: m.ID, MaxModelLen: m.Profile.MaxContext}
}

func (s *Server) listModels(w http.ResponseWriter, _ *http.Request) {
	cards := make([]modelCard, len(s.models))
	for i, m := range s.models {
		cards[i] = m.card()
	}
	writeJSON(w, map[string]any{"object": "list", "data": cards})
}

func (s *Server) oneModel(w http.ResponseWriter, r *http.Request) {
	m, err := s.lookup(r.PathValue("id"))
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, m.card())
}

// health is 200 with an empty body until Run has ended, then 503.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	select {
	case <-s.stopped:
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		w.WriteHeader(http.StatusOK)
	}
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]string{"version": engineVersion})
}

// tokenizeRequest has a prompt, or messages as in a chat.
type tokenizeRequest struct {
	chatRequest
	Prompt  string `json:"prompt"`
	Strings bool   `json:"return_token_strs"`
}

type tokenizeAnswer struct {
	Count       int      `json:"count"`
	MaxModelLen int      `json:"max_model_len"`
	Tokens      []int    `json:"tokens"`
	Strings     []string `json:"token_strs"`
}

// tokenize counts as usage does; for messages that includes the marks of the
// chat template.
func (s *Server) tokenize(w http.ResponseWriter, r *http.Request) {
	var q tokenizeRequest
	if err := s.read(w, r, &q); err != nil {
		writeError(w, err)
		return
	}
	m, err := s.lookup(q.Model)
	if err != nil {
		writeError(w, err)
		return
	}
	seq := &sequencer{size: m.Profile.BlockSize, record: true}
	if len(q.Messages) > 0 {
		q.prompt(seq)
	} else {
		seq.text(q.Prompt)
	}
	a := tokenizeAnswer{Count: seq.tokens, MaxModelLen: m.Profile.MaxContext, Tokens: make([]int, 0, seq.tokens)}
	for _, t := range seq.seen {
		a.Tokens = append(a.Tokens, tokenID(t))
	}
	if q.Strings {
		a.Strings = seq.seen
	}
	writeJSON(w, a)
}
