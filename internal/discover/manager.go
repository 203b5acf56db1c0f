package discover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options are what a Manager is made with.
type Options struct {
	With
	Log *slog.Logger
	// Changed is called when replicas have come, gone, or changed, by one
	// goroutine. A burst of changes is one call: it comes when nothing has
	// changed for Quiet, and Longest after the first change at the latest.
	Changed        func()
	Quiet, Longest time.Duration // zero: half a second, three seconds
}

// Manager runs the sources of all discovered targets. Its methods are safe for
// concurrent use.
type Manager struct {
	opt  Options
	kick chan struct{} // of size 1: something has changed

	mu      sync.Mutex
	ctx     context.Context // nil before Run
	wg      sync.WaitGroup
	running map[source]*worker
}

// source is one target with its config: a target whose config has changed is
// another source, so that both can run for the moment of a reload.
type source struct {
	target string
	config Config
}

// NewManager makes a manager without sources.
func NewManager(o Options) *Manager {
	if o.Quiet == 0 {
		o.Quiet = 500 * time.Millisecond
	}
	if o.Longest == 0 {
		o.Longest = 3 * time.Second
	}
	return &Manager{opt: o, kick: make(chan struct{}, 1), running: map[source]*worker{}}
}

// Run runs sources until ctx ends, and returns when all have ended. It is called
// once.
func (m *Manager) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	m.mu.Lock()
	m.ctx = ctx
	for _, w := range m.running {
		m.start(w)
	}
	m.mu.Unlock()
	for m.burst(ctx) {
		m.opt.Changed()
	}
	m.mu.Lock()
	cancel() // under the lock: nobody starts another one
	m.mu.Unlock()
	m.wg.Wait()
	return nil
}

// burst waits for a change and for its end, and reports whether there was one
// before ctx ended.
func (m *Manager) burst(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-m.kick:
	}
	quiet, longest := time.NewTimer(m.opt.Quiet), time.NewTimer(m.opt.Longest)
	defer quiet.Stop()
	defer longest.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-m.kick:
			quiet.Reset(m.opt.Quiet)
		case <-quiet.C:
			return true
		case <-longest.C:
			return true
		}
	}
}

// Apply makes next the sources there are: those that it has unchanged go on,
// others are ended, and new ones are started. On an error nothing has changed.
func (m *Manager) Apply(next map[string]Config) error {
	if err := m.add(next); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for s, w := range m.running {
		if c, ok := next[s.target]; !ok || c != s.config {
			w.cancel()
			delete(m.running, s)
		}
	}
	return nil
}

// Prepare starts what next has and the manager has not, and waits until each of
// next has answered once, or ctx ends. What there is already goes on: Apply
// takes it away, or what was prepared. On an error nothing has changed.
func (m *Manager) Prepare(ctx context.Context, next map[string]Config) error {
	if err := m.add(next); err != nil {
		return err
	}
	for target, c := range next {
		m.mu.Lock()
		w := m.running[source{target, c}]
		m.mu.Unlock()
		if w == nil {
			continue // somebody else has taken it away
		}
		select {
		case <-w.first:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// add starts what is not running yet.
func (m *Manager) add(next map[string]Config) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var made []*worker
	var errs []error
	for _, target := range slices.Sorted(maps.Keys(next)) {
		s := source{target, next[target]}
		if m.running[s] != nil {
			continue
		}
		d, err := s.config.New(m.opt.With)
		if err != nil {
			errs = append(errs, fmt.Errorf("target %q: discover: %w", target, err))
			continue
		}
		made = append(made, &worker{
			source: s, discoverer: d, log: m.opt.Log.With("target", target, "source", s.config.String()),
			kick: m.kick, first: make(chan struct{}), cancel: func() {},
		})
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, w := range made {
		m.running[w.source] = w
		if m.ctx != nil {
			m.start(w)
		}
	}
	return nil
}

// start runs a worker. The manager is locked.
func (m *Manager) start(w *worker) {
	ctx, cancel := context.WithCancel(m.ctx)
	w.cancel = cancel
	m.wg.Go(func() { w.run(ctx) })
}

// Replicas are those of a target that is discovered as c says, in an order that
// does not depend on the source's; nil before its first answer.
func (m *Manager) Replicas(target string, c Config) []Replica {
	m.mu.Lock()
	w := m.running[source{target, c}]
	m.mu.Unlock()
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return replicas(target, w.held.endpoints)
}

// State is how a source stands.
type State struct {
	Target, Source string
	Answered       bool // it has told once
	Usable, Others int  // replicas that take new requests, and that do not
	// Good is when it told the last time; Failures how often it failed since, and
	// Why; Failed how often over all.
	Good     time.Time
	Failures int
	Failed   uint64
	Why      string
	// Doubt is since when it says that no replica is left, which is not believed
	// yet; zero when it does not.
	Doubt   time.Time
	Dropped int // replicas beyond what is kept
}

// States are those of all sources, by target.
func (m *Manager) States() []State {
	m.mu.Lock()
	workers := slices.Collect(maps.Values(m.running))
	m.mu.Unlock()
	out := make([]State, 0, len(workers))
	for _, w := range workers {
		out = append(out, w.state())
	}
	slices.SortFunc(out, func(a, b State) int {
		return cmp.Or(strings.Compare(a.Target, b.Target), strings.Compare(a.Source, b.Source))
	})
	return out
}
