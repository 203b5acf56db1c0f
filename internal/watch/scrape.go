package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"tailplane/internal/engine"
	"tailplane/internal/fleet"
	"tailplane/internal/h1"
	"tailplane/internal/upstream"
)

// The bounds of reading a page of metrics.
const (
	mostPage   = 16 << 20 // bytes
	pageTime   = 2 * time.Second
	sayAfter   = 5 // failures in a row, and it is told
	acceptText = "text/plain;version=0.0.4;q=1,*/*;q=0.1"
)

// Why a page could not be had, as the label has it.
const (
	reasonUnreachable = "unreachable"
	reasonStatus      = "status"
	reasonGarbage     = "garbage"
	reasonTooLarge    = "too_large"
)

// scraper is what the goroutine that reads a target's metrics remembers.
type scraper struct {
	*looker
	now    *Target // of which the rest is
	key    string  // of what the rest depends on
	look   fleet.Look
	engine *engine.Engine
	reader *engine.Reader
	model  string // when only one is sent there

	failures int
	still    standstill
	trust    trust
	asleep   bool
}

// scrapes reads the target's metrics until ctx ends. Where there are none it sees
// now and then whether that has changed.
func (l *looker) scrapes(ctx context.Context) {
	if !l.wanted(ctx) {
		return
	}
	s := &scraper{looker: l}
	for {
		t, wait := s.adopt(), checkEvery
		if s.reader != nil {
			s.scrape(ctx, t)
			wait = s.look.Interval
		}
		if !pace(ctx, wait) {
			return
		}
	}
}

// adopt takes over what the target is now. What was seen of it is kept unless it
// is looked at in another way: motion seen by one reader is not compared with
// another's.
func (s *scraper) adopt() *Target {
	t := s.target.Load()
	if t == s.now {
		return t
	}
	s.now = t
	key := fmt.Sprint(t.Kind.Name, t.Address(), t.Root(), t.Config.Watch, t.Models)
	if key == s.key {
		return t
	}
	if s.past.adopt(t.Address()+t.Root(), key) {
		s.opt.Log.Info("a target has another address now: its prefix cache is taken for empty", "target", t.Name)
		s.opt.Emptied(t.Name)
	}
	s.key, s.model, s.reader = key, "", nil
	s.look, s.engine = lookOf(t)
	if len(t.Models) == 1 {
		s.model = t.Models[0]
	}
	if s.engine != nil && s.engine.Metrics != "" {
		s.reader = engine.NewReader(s.engine)
	}
	s.still, s.trust = standstill{}, trust{}
	s.missing.Store(0)
	s.distrust.Store(nil)
	return t
}

// scrape takes one look.
func (s *scraper) scrape(ctx context.Context, t *Target) {
	sample, reason := s.page(ctx, t)
	switch {
	case ctx.Err() != nil:
	case reason != "":
		s.failed(t, reason)
	default:
		if s.failures >= sayAfter {
			s.opt.Log.Info("an engine's metrics can be had again", "target", t.Name)
		}
		s.failures = 0
		s.judge(t, sample, time.Now())
	}
}

// page reads the page; reason is why it could not be had.
func (s *scraper) page(ctx context.Context, t *Target) (_ engine.Sample, reason string) {
	ctx, cancel := context.WithTimeout(ctx, max(pageTime, s.look.Interval))
	defer cancel()
	g := upstream.Glimpse{Path: t.Root() + s.engine.Metrics, At: s.look.Elsewhere(), Accept: acceptText}
	resp, fault := t.Glimpse(ctx, g)
	if fault != nil {
		return engine.Sample{}, reasonUnreachable
	}
	defer resp.Close()
	if resp.Status != 200 {
		return engine.Sample{}, reasonStatus
	}
	sample, err := s.reader.Read(&bounded{resp, mostPage}, s.model)
	switch {
	case errors.Is(err, engine.ErrNoMetrics):
		return sample, reasonGarbage
	case errors.Is(err, errTooLarge):
		return sample, reasonTooLarge
	case err != nil:
		return sample, reasonUnreachable
	}
	return sample, ""
}

var errTooLarge = errors.New("the page is too large")

// bounded reads an answer to its bound; one that is longer is an error and not a
// shorter one.
type bounded struct {
	from *h1.Response
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.from.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

var _ io.Reader = (*bounded)(nil)

// failed counts a look that brought nothing. What was seen before grows old by
// itself.
func (s *scraper) failed(t *Target, reason string) {
	s.opt.Counts.ScrapeFailed(t.Name, reason)
	if reason == reasonUnreachable {
		s.lost.Store(true)
	}
	if s.failures++; s.failures == sayAfter {
		s.opt.Log.Warn("an engine's metrics cannot be had; it is balanced by what is in flight here",
			"target", t.Name, "why", reason, "metrics", s.engine.Metrics)
	}
}

// judge takes over what the page says, and what that means together with those
// before it.
func (s *scraper) judge(t *Target, sample engine.Sample, now time.Time) {
	for _, signal := range sample.Refused.Names() {
		s.opt.Counts.SignalRefused(t.Name, signal)
	}
	s.missing.Store(uint32(s.engine.Publishes() &^ (sample.Known | sample.Refused)))
	_, served := t.State.Load()
	saw := s.past.see(now, &sample, s.lost.Swap(false))
	why := s.trust.see(now, &sample, saw, served)
	s.believe(t, why)
	if saw.anew && why != distrustUnsteady {
		s.restarted(t)
	}
	stood := s.still.see(now, &sample, served)
	if why != "" {
		sample.Known = 0
	} else if stood >= patience {
		t.State.Eject(now, fleet.CauseWedged)
	}
	s.rest(t, &sample, now)
	t.State.Observe(fleet.Signals{At: now, Every: s.look.Interval, Sample: sample})
}

// rest keeps requests off an engine that sleeps. It gives its cache away for that.
func (s *scraper) rest(t *Target, sample *engine.Sample, now time.Time) {
	if !sample.Known.Has(engine.SignalAwake) {
		return
	}
	if sample.Awake > 0 {
		s.asleep = false
		return
	}
	t.State.Unready(now, 4*s.look.Interval+pageTime)
	if !s.asleep {
		s.asleep = true
		s.opt.Emptied(t.Name)
	}
}

// restarted tells that the engine was started anew. What it serves may be another
// model now: that is looked at next.
func (s *scraper) restarted(t *Target) {
	s.opt.Counts.Restarted(t.Name)
	s.opt.Log.Warn("an engine was started anew: its prefix cache is empty", "target", t.Name)
	s.opt.Emptied(t.Name)
	s.anew.Store(true)
}

// believe tells when an engine is believed no more, or again.
func (s *scraper) believe(t *Target, why string) {
	before := ""
	if p := s.distrust.Load(); p != nil {
		before = *p
	}
	if why == before {
		return
	}
	s.distrust.Store(&why)
	if why == "" {
		s.opt.Log.Info("an engine's metrics are used again", "target", t.Name)
		return
	}
	meaning := map[string]string{
		distrustFrozen:   "answers come, and its counters stand still",
		distrustUnsteady: "its counters or its start go back and forth, as if several servers were behind one address: restarts are not noticed there",
	}[why]
	s.opt.Log.Warn("an engine's metrics are not used; it is balanced by what is in flight here", "target", t.Name, "why", meaning)
}
