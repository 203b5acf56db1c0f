package discover

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// worker runs one source and holds what is believed of it.
type worker struct {
	source
	discoverer Discoverer
	log        *slog.Logger
	kick       chan<- struct{}
	first      chan struct{} // closed by the first answer, be it a failure
	cancel     context.CancelFunc

	mu   sync.Mutex
	held held
}

// restartTime is how long a source that ended by itself is left alone.
const restartTime = 5 * time.Second

// run takes answers until ctx ends and its source has ended.
func (w *worker) run(ctx context.Context) {
	up := make(chan Answer)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { w.feed(ctx, up) })
	doubt := time.NewTimer(w.config.Grace())
	doubt.Stop() // until there is one
	defer doubt.Stop()
	told := false
	for {
		var changed bool
		select {
		case <-ctx.Done():
			return
		case a := <-up:
			changed = w.take(a)
		case now := <-doubt.C:
			w.mu.Lock()
			changed = w.held.expire(now, w.config.Grace())
			w.mu.Unlock()
		}
		if !told {
			told = true
			close(w.first)
		}
		if at := w.due(); !at.IsZero() {
			doubt.Reset(time.Until(at))
		}
		if changed {
			w.say()
			select {
			case w.kick <- struct{}{}:
			default: // it is known already that something has changed
			}
		}
	}
}

// feed keeps the source running.
func (w *worker) feed(ctx context.Context, up chan<- Answer) {
	for {
		err := w.discoverer.Run(ctx, up)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("it ended by itself")
		}
		if !send(ctx, up, Answer{Err: err, At: time.Now()}) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(restartTime):
		}
	}
}

// take notes an answer, and logs where a source begins to fail, and to answer
// again.
func (w *worker) take(a Answer) bool {
	w.mu.Lock()
	before, doubted := w.held.failures, !w.held.doubt.IsZero()
	changed := w.held.take(a, w.config.Grace())
	h := w.held
	w.mu.Unlock()
	switch {
	case h.failures == 1:
		age := "never"
		if h.answered {
			age = a.At.Sub(h.good).Round(time.Second).String() + " ago"
		}
		w.log.Warn("replicas cannot be looked up; those that were found last stay", "error", h.why, "replicas", len(h.endpoints), "found", age)
	case h.failures == 0 && before > 0:
		w.log.Info("replicas can be looked up again", "failures", before)
	}
	switch {
	case !doubted && !h.doubt.IsZero():
		w.log.Warn("no usable replica is found any more; those that were found last stay for a while", "replicas", len(h.endpoints), "while", w.config.Grace().String())
	case doubted && h.doubt.IsZero() && !none(h.endpoints):
		w.log.Info("usable replicas are found again", "replicas", len(h.endpoints))
	}
	return changed
}

// due is when a doubted answer is to be believed; zero when there is none.
func (w *worker) due() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held.doubt.IsZero() {
		return time.Time{}
	}
	return w.held.doubt.Add(w.config.Grace())
}

// say logs what is believed now.
func (w *worker) say() {
	s := w.state()
	w.log.Info("replicas", "usable", s.Usable, "others", s.Others, "dropped", s.Dropped)
}

func (w *worker) state() State {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := &w.held
	s := State{
		Target: w.target, Source: w.config.String(), Answered: h.answered, Good: h.good,
		Failures: h.failures, Failed: h.failed, Doubt: h.doubt, Dropped: h.dropped,
	}
	if h.why != nil {
		s.Why = h.why.Error()
	}
	for _, u := range usable(h.endpoints) {
		if u {
			s.Usable++
		} else {
			s.Others++
		}
	}
	return s
}
