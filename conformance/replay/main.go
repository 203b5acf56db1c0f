// Command replay is the provider of the conformance suite: it answers the way
// OpenAI, Azure, Anthropic, Gemini and Bedrock do, from scripted scenarios and
// from recorded traffic, over HTTP/1.1 and h2c.
//
// The name of the model, in the body or in the path, says what to play, so that
// a gateway in between needs to pass nothing on but the request:
//
//	sc.SCENARIO.MODE.NONCE   a scenario (scenario.go) in the dialect of the path
//	rec.NUMBER.MODE.NONCE    a recording (recordings.go)
//
// MODE is "w" for whole events per write or "b" for one byte per write. What
// arrived, and when a caller went away, is told by GET /stats?model=NAME.
//
// It never judges: expectations live with the SDKs that drive it. Start
// reading at (*server).play.
package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on")
	dir := flag.String("corpus", "", "folder of recorded traffic; empty plays scenarios only")
	target := flag.String("front", "", "play nothing: end TLS in front of this host:port, with a certificate written to the file of -cert")
	cert := flag.String("cert", "", "file for the certificate of -front")
	flag.Parse()
	tape, err := loadTape(*dir)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	s := &server{tape: tape, seen: map[string][]*arrival{}}
	fmt.Printf("listening %s\n", listener.Addr())
	if *target != "" {
		log.Fatal(front(listener, *target, *cert))
	}
	web := &http.Server{Handler: s.routes(), Protocols: new(http.Protocols)}
	web.Protocols.SetHTTP1(true)
	web.Protocols.SetUnencryptedHTTP2(true)
	log.Fatal(web.Serve(listener))
}

// server plays scenarios and recordings. mu guards seen and what it holds.
type server struct {
	tape *tape

	mu   sync.Mutex
	seen map[string][]*arrival
}

// arrival is one request as it came in.
type arrival struct {
	Path      string          `json:"path"`
	Body      json.RawMessage `json:"body"`
	Key       string          `json:"key,omitempty"`       // as either provider's SDK sends it
	At        int64           `json:"at"`                  // Unix milliseconds
	Cancelled int64           `json:"cancelled,omitempty"` // when the caller left, Unix milliseconds
}

// request is the part of a body that decides what is played.
type request struct {
	Model         string `json:"model"`
	Stream        bool   `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	Encoding string            `json:"encoding_format"`
	Input    json.RawMessage   `json:"input"`
	Requests []json.RawMessage `json:"requests"` // Google's batch of embeddings
	nth      int               // of the requests for this model name, from 1
}

// id is that of the answer, after what the provider begins it with.
func (q *request) id(prefix string) string { return prefix + "replay" + strconv.Itoa(q.nth) }

// fromPath completes q where the path names the model and says whether to
// stream.
func (q *request) fromPath(r *http.Request) {
	model, verb, _ := strings.Cut(r.PathValue("call"), ":")
	if model == "" {
		model, verb = r.PathValue("model"), r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	}
	if model != "" {
		q.Model = model
		q.Stream = q.Stream || strings.Contains(strings.ToLower(verb), "stream")
	}
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", s.play(chatVoice{}))
	mux.HandleFunc("POST /v1/responses", s.play(responsesVoice{}))
	mux.HandleFunc("POST /v1/messages", s.play(anthropicVoice{}))
	mux.HandleFunc("POST /v1/messages/count_tokens", s.tell(obj{"input_tokens": 42}))
	mux.HandleFunc("POST /v1/embeddings", s.embed)
	mux.HandleFunc("POST /v1/completions", s.complete)
	mux.HandleFunc("POST /v1/models/{call}", s.google)
	mux.HandleFunc("POST /v1beta/models/{call}", s.google)
	mux.HandleFunc("POST /v1beta/openai/embeddings", s.embed)
	mux.HandleFunc("POST /model/{model}/converse", s.play(converseVoice{}))
	mux.HandleFunc("POST /model/{model}/converse-stream", s.play(converseVoice{}))
	mux.HandleFunc("POST /model/{model}/invoke", s.invoke)
	mux.HandleFunc("POST /model/{model}/invoke-with-response-stream", s.play(invokeVoice{}))
	for _, base := range []string{"/openai/v1", "/openai/deployments/{model}"} { // Azure's two APIs
		mux.HandleFunc("POST "+base+"/chat/completions", s.play(chatVoice{}))
		mux.HandleFunc("POST "+base+"/embeddings", s.embed)
	}
	mux.HandleFunc("POST /openai/v1/responses", s.play(responsesVoice{}))
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, obj{"object": "list", "data": []obj{{"id": "sc", "object": "model", "created": 1, "owned_by": "replay"}}})
	})
	mux.HandleFunc("GET /stats", s.stats)
	mux.HandleFunc("GET /recordings", s.list)
	return mux
}

// read notes a request; ok is false when it was answered with an error.
func (s *server) read(w http.ResponseWriter, r *http.Request) (q request, a *arrival, ok bool) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &q)
	}
	if err != nil {
		answer(w, http.StatusBadRequest, obj{"error": obj{"message": "replay: " + err.Error(), "type": "invalid_request_error"}})
		return q, nil, false
	}
	q.fromPath(r)
	head := r.Header
	key := cmp.Or(head.Get("X-Api-Key"), head.Get("Api-Key"), head.Get("X-Goog-Api-Key"), strings.TrimPrefix(head.Get("Authorization"), "Bearer "))
	a = &arrival{Path: r.URL.Path, Body: body, Key: key, At: time.Now().UnixMilli()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[q.Model] = append(s.seen[q.Model], a)
	q.nth = len(s.seen[q.Model])
	return q, a, true
}

// play serves one path in the voice of its dialect.
func (s *server) play(v voice) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, a, ok := s.read(w, r)
		if !ok {
			return
		}
		part := strings.Split(q.Model, ".")
		switch {
		case part[0] == "rec" && len(part) == 4:
			s.tape.play(w, r, part[1], part[2])
		case part[0] == "sc" && len(part) == 4:
			p := player{w: w, r: r, voice: v, q: q, bytewise: part[2] == "b"}
			if p.run(part[1]); r.Context().Err() != nil {
				s.mu.Lock()
				a.Cancelled = time.Now().UnixMilli()
				s.mu.Unlock()
			}
		default:
			v.fail(w, failure{status: http.StatusNotFound, kind: "not_found_error", text: "replay: no such model " + q.Model})
		}
	}
}

// stats tells what arrived for a model.
func (s *server) stats(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer(w, http.StatusOK, append([]*arrival{}, s.seen[r.URL.Query().Get("model")]...))
}

func (s *server) list(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, s.tape.list())
}

type obj = map[string]any

// answer writes a JSON answer.
func answer(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // made of JSON values
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a caller that left is no concern of ours
}
