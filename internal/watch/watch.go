// Package watch looks at targets while they serve: what their engines say of
// themselves, whether they are well, and which model they serve. It tells
// package fleet what it sees.
//
// It owns the looking (when, how often, how long) and the judgement of what was
// seen over time: standstill (standstill.go), pages that cannot be believed
// (trust.go), engines that were started anew (lives.go), models that changed
// (identity.go). It never decides where a
// request goes, never asks for anything that is billed, and writes nothing into
// the ledger. A target about which nothing can be seen is balanced by what is in
// flight here; the log says so.
//
// Start reading at [Watcher.Run].
package watch

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"tailplane/internal/engine"
	"tailplane/internal/fleet"
	"tailplane/internal/upstream"
)

// Target is one that is watched.
type Target struct {
	*upstream.Target
	State *fleet.Target
	// Models are those that are sent there, by the names that the server has for
	// them; none is whatever it serves.
	Models []string
}

// Counts is told what looking brings. Names are the config's and ours.
type Counts interface {
	ScrapeFailed(target, reason string)
	SignalRefused(target, signal string)
	Probed(target, tier, result string)
	IdentityChanged(target string)
	Restarted(target string)
}

// Options are what a Watcher works with.
type Options struct {
	Counts Counts
	Log    *slog.Logger
	// Changed is told when a target serves another model: what was learned of it
	// holds no longer. Emptied is told when only its prefix cache is gone, since its
	// engine has started anew, sleeps, put a model away, or is another one. Both are told from any goroutine.
	// nil is nobody.
	Changed, Emptied func(target string)
}

// Watcher watches targets. All methods are safe for concurrent use.
type Watcher struct {
	opt  Options
	kick chan struct{} // one slot: the targets have changed

	mu      sync.Mutex
	want    []Target
	lookers map[string]*looker // that run; Run alone changes it
	pasts   pasts              // of those that run, and of those that ran lately
}

// New makes a Watcher that watches nobody.
func New(o Options) *Watcher {
	if o.Changed == nil {
		o.Changed = func(string) {}
	}
	if o.Emptied == nil {
		o.Emptied = func(string) {}
	}
	return &Watcher{opt: o, kick: make(chan struct{}, 1), lookers: map[string]*looker{}, pasts: pasts{}}
}

// Watch names all targets that are to be watched from now on. What was seen of
// one with the same name is kept.
func (w *Watcher) Watch(targets []Target) {
	w.mu.Lock()
	w.want = targets
	w.mu.Unlock()
	select {
	case w.kick <- struct{}{}:
	default: // it is known already that they have changed
	}
}

// tellEvery is how often changes of state are looked for, to be told.
const tellEvery = time.Second

// Run watches until ctx ends. Each target has a goroutine that reads its metrics
// and one that asks for its health, so that a check that hangs hides nothing;
// both have one request in flight at most. It returns when all have ended.
func (w *Watcher) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	teller := teller{log: w.opt.Log, told: map[string]fleet.State{}}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.kick:
			w.apply(ctx, &wg)
		case <-tick.C:
			teller.tell(time.Now(), w.targets())
		}
	}
}

func (w *Watcher) targets() []Target {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.want
}

// apply starts what is new, stops what is gone, and hands the others what they
// are now.
func (w *Watcher) apply(ctx context.Context, wg *sync.WaitGroup) {
	w.mu.Lock()
	defer w.mu.Unlock()
	named := map[string]bool{}
	for i := range w.want {
		t := &w.want[i]
		named[t.Name] = true
		if l := w.lookers[t.Name]; l != nil {
			l.target.Store(t)
			continue
		}
		l := newLooker(w.opt, t, w.pasts.of(t.Name))
		w.lookers[t.Name] = l
		own, stop := context.WithCancel(ctx)
		l.stop = stop
		wg.Go(func() { l.scrapes(own) })
		wg.Go(func() { l.checks(own) })
	}
	for name, l := range w.lookers {
		if !named[name] {
			l.stop()
			delete(w.lookers, name)
		}
	}
	w.pasts.forget(time.Now(), named)
}

// Missing tells which signals of which targets are not on their pages although
// their engines have them.
func (w *Watcher) Missing(emit func(target, signal string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, l := range w.lookers {
		for _, signal := range engine.Signal(l.missing.Load()).Names() {
			emit(name, signal)
		}
	}
}

// Distrusted tells of which targets the signals are not used, and why.
func (w *Watcher) Distrusted(emit func(target, reason string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, l := range w.lookers {
		if why := l.distrust.Load(); why != nil && *why != "" {
			emit(name, *why)
		}
	}
}

// looker watches one target. Its two goroutines share what is atomic.
type looker struct {
	opt    Options
	target atomic.Pointer[Target]
	stop   context.CancelFunc
	past   *past

	lost     atomic.Bool            // it could not be reached, or did not serve, since its metrics were last read
	anew     atomic.Bool            // it was started anew since its models were last listed
	missing  atomic.Uint32          // an engine.Signal
	distrust atomic.Pointer[string] // why its signals are not used
}

func newLooker(o Options, t *Target, p *past) *looker {
	l := &looker{opt: o, past: p}
	l.target.Store(t)
	return l
}

// pace waits for the next look, with a tenth of jitter so that many gateways and
// many targets do not look at the same moment. It reports false when ctx ends.
func pace(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d - d/20 + rand.N(d/10+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// wanted waits until a target may be looked at: nothing is contacted that neither
// a request nor the target's own `watch:` has asked for. It reports false when ctx
// ends before.
func (l *looker) wanted(ctx context.Context) bool {
	for {
		if t := l.target.Load(); t.State.Asked() || !t.Config.Watch.IsZero() {
			return true
		}
		if !pace(ctx, wantedEvery) {
			return false
		}
	}
}

const wantedEvery = 500 * time.Millisecond

// lookOf is how a target is looked at, and what its engine is: nil when nothing
// is known of that. The simulator in this process is looked at only where its
// config says how.
func lookOf(t *Target) (fleet.Look, *engine.Engine) {
	look := t.Config.Watch
	if t.InProcess() && look.IsZero() {
		return look.Complete(), nil
	}
	return look.Complete(), look.EngineOf(t.Kind.Name)
}
