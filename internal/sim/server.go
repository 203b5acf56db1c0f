package sim

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// Model is one model the server offers: a name and the engine it runs on.
type Model struct {
	ID      string
	Profile Profile
	// ReplyMin and ReplyMax bound the natural length of a reply in tokens,
	// before it is rounded up to a whole sentence. Both 0 means 24 and 60.
	ReplyMin, ReplyMax int
}

// Options configure a Server. The zero value offers the demo's two models.
type Options struct {
	Models []Model // none means "fast" and "slow"
	Seed   uint64  // drives jitter, reply texts and ids

	// Speedup divides every delay of the engines; metrics stay in the engines'
	// own time. 0 means 1. Fault delays are not divided.
	Speedup float64

	Fault            Fault   // for every generation request without another fault
	Script           []Fault // for the first generation requests, in order of arrival
	AllowFaultHeader bool    // honour the x-sim-fault request header

	MaxBody     int64         // request body limit in bytes; 0 means 32 MiB
	MaxInFlight int           // requests inside the handler; more get 503; 0 means 4096
	StartWait   time.Duration // how long a request waits for Run to start; 0 means 10 s
}

// Server is the simulator's HTTP face. Make it with New, keep Run going, and
// use it as an http.Handler from any number of goroutines. In a synctest bubble
// New and Run both belong inside the bubble.
type Server struct {
	opt      Options
	models   []*model
	byID     map[string]*model
	mux      *http.ServeMux
	inbox    chan op
	begun    atomic.Bool
	started  chan struct{} // closed when Run owns the engines
	stopped  chan struct{} // closed when Run has ended
	inFlight atomic.Int64
	seen     atomic.Int64 // generation requests, for the script
	ids      atomic.Uint64
}

// model is one Model at work. engine and jobs belong to the Run goroutine.
type model struct {
	Model
	engine *Engine
	jobs   map[uint64]*job
	stats  *stats
	fault  atomic.Pointer[Fault]
}

const (
	defaultMaxBody     = 32 << 20
	defaultMaxInFlight = 4096
	defaultStartWait   = 10 * time.Second
	inboxSize          = 256
)

// New checks the options and builds a server; it starts nothing.
func New(o Options) (*Server, error) {
	if len(o.Models) == 0 {
		o.Models = []Model{{ID: "fast", Profile: Fast()}, {ID: "slow", Profile: Slow()}}
	}
	if o.Speedup < 0 {
		return nil, fmt.Errorf("sim: speedup is %g: want a positive factor, or 0 for 1", o.Speedup)
	}
	o.Speedup = orElse(o.Speedup, 1)
	o.MaxBody = orElse(o.MaxBody, defaultMaxBody)
	o.MaxInFlight = orElse(o.MaxInFlight, defaultMaxInFlight)
	o.StartWait = orElse(o.StartWait, defaultStartWait)
	s := &Server{
		opt:     o,
		byID:    make(map[string]*model),
		inbox:   make(chan op, inboxSize),
		started: make(chan struct{}),
		stopped: make(chan struct{}),
	}
	for i, m := range o.Models {
		if err := s.add(m, o.Seed+uint64(i)); err != nil {
			return nil, err
		}
	}
	s.mux = s.routes()
	return s, nil
}

func (s *Server) add(m Model, seed uint64) error {
	if m.ID == "" || s.byID[m.ID] != nil {
		return fmt.Errorf("sim: model name %q is empty or taken: want a name of its own", m.ID)
	}
	if m.ReplyMin == 0 && m.ReplyMax == 0 {
		m.ReplyMin, m.ReplyMax = 24, 60
	}
	if m.ReplyMin < 1 || m.ReplyMax < m.ReplyMin {
		return fmt.Errorf("sim: model %q replies with %d to %d tokens: want 1 <= ReplyMin <= ReplyMax", m.ID, m.ReplyMin, m.ReplyMax)
	}
	e, err := NewEngine(m.Profile, seed)
	if err != nil {
		return fmt.Errorf("model %q: %w", m.ID, err)
	}
	added := &model{Model: m, engine: e, jobs: make(map[uint64]*job), stats: newStats()}
	added.stats.gauge(e.Load(), e.Counters())
	s.models = append(s.models, added)
	s.byID[m.ID] = added
	return nil
}

func orElse[T int | int64 | float64 | time.Duration](v, absent T) T {
	if v == 0 {
		return absent
	}
	return v
}

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", s.chat)
	mux.HandleFunc("POST /v1/completions", s.completions)
	mux.HandleFunc("POST /v1/embeddings", s.embeddings)
	mux.HandleFunc("GET /v1/models", s.listModels)
	mux.HandleFunc("GET /v1/models/{id}", s.oneModel)
	mux.HandleFunc("POST /tokenize", s.tokenize)
	mux.HandleFunc("GET /health", s.health)
	mux.HandleFunc("GET /version", s.version)
	mux.HandleFunc("GET /metrics", s.metrics)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, notFound("There is no "+r.Method+" "+r.URL.Path+" in the simulator."))
	})
	return mux
}

// ServeHTTP answers one request. Generation requests wait up to
// Options.StartWait for Run.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.inFlight.Add(1) > int64(s.opt.MaxInFlight) {
		s.inFlight.Add(-1)
		writeError(w, unavailable("The simulator has too many requests in flight."))
		return
	}
	defer s.inFlight.Add(-1)
	s.mux.ServeHTTP(w, r)
}

// SetFault makes every later generation request of a model fail this way, until
// it is set to the zero Fault. Header and script go first. It is safe at any
// time.
func (s *Server) SetFault(modelID string, f Fault) error {
	m := s.byID[modelID]
	if m == nil {
		return fmt.Errorf("sim: no model %q to set a fault on", modelID)
	}
	m.fault.Store(&f)
	return nil
}

// errStopped is the answer to everything once Run has ended.
var errStopped = errors.New("sim: the simulator has stopped")

// Hold takes tokens of a model's KV cache out of use, at most what is free, so
// that the cache runs full under a load it used to carry; 0 gives all back. It
// waits for Run to take the order.
func (s *Server) Hold(modelID string, tokens int) error {
	m := s.byID[modelID]
	if m == nil {
		return fmt.Errorf("sim: no model %q to hold cache of", modelID)
	}
	select {
	case s.inbox <- op{kind: opHold, model: m, tokens: tokens}:
		return nil
	case <-s.stopped:
		return errStopped
	}
}
