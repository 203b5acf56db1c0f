package watch

import (
	"context"
	"time"

	"tailplane/internal/engine"
	"tailplane/internal/fleet"
	"tailplane/internal/h1"
	"tailplane/internal/llm"
	"tailplane/internal/upstream"
)

// The rules of asking for health, in tiers (monitoring practice counts them so):
//
//	0  a connection is made; every other tier shows it
//	1  the engine's own health path: whether it serves, as far as that proves it
//	2  the list of models: is it still the same (identity.go)
//	3  a token, streamed (ask.go): only where the config names a model for it
//
// Requests show more than any check, so that a check's failure counts only where
// there are none: while nothing is in flight and nothing was served since the
// last one, or while the target is ejected. What only the target can know counts
// always: that it does not serve yet, or will not much longer.
//
// A good answer of tier 1 never ends an ejection by itself, for it may come from a
// process whose engine hangs; an answer after there was none does, and so does a
// token.

// The cadence.
const (
	checkEvery    = 5 * time.Second
	identityEvery = time.Minute
	checkTime     = 5 * time.Second
	unreadyHolds  = 3 * checkEvery
	failedChecks  = 2 // in a row are believed
)

// checker is what the goroutine that asks for a target's health remembers.
type checker struct {
	*looker
	now    *Target
	look   fleet.Look
	engine *engine.Engine

	served    uint64
	down      int // checks without a good answer, in a row
	path      int // of the health checks of the engine; those before it do not exist
	asked     time.Time
	noToken   int // tokens that did not come, in a row
	listed    time.Time
	identity  identity
	identityQ bool // the server has no list that can be read: it is not asked again
}

// checks asks for the target's health until ctx ends.
func (l *looker) checks(ctx context.Context) {
	if !l.wanted(ctx) {
		return
	}
	c := &checker{looker: l}
	for {
		t := c.adopt()
		if c.engine != nil || t.Config.Watch.Probe.Model != "" {
			c.check(ctx, t)
		}
		if !pace(ctx, checkEvery) {
			return
		}
	}
}

func (c *checker) adopt() *Target {
	t := c.target.Load()
	if t != c.now {
		c.now, c.path, c.identityQ = t, 0, false
		c.look, c.engine = lookOf(t)
	}
	return t
}

// check makes one round.
func (c *checker) check(ctx context.Context, t *Target) {
	now := time.Now()
	inFlight, served := t.State.Load()
	blind := inFlight == 0 && served == c.served || t.State.Standing(now).State == fleet.Ejected
	c.served = served
	c.health(ctx, t, blind)
	if c.engine != nil && c.look.Health != fleet.Off && (now.Sub(c.listed) >= identityEvery || c.anew.Swap(false)) && !c.identityQ {
		c.listed = now
		c.identify(ctx, t)
	}
	if c.look.Probe.Model != "" && blind && now.Sub(c.asked) >= c.look.Probe.Interval {
		c.asked = now
		c.ask(ctx, t)
	}
}

// health is tier 1.
func (c *checker) health(ctx context.Context, t *Target, blind bool) {
	for c.engine != nil && c.path < len(c.engine.Health) {
		check := c.engine.Health[c.path]
		answer := c.healthAt(ctx, t, check)
		if ctx.Err() != nil {
			return
		}
		c.opt.Counts.Probed(t.Name, "health", answer.String())
		if answer == engine.NoCheck {
			c.path++
			continue
		}
		c.heard(t, answer, blind)
		return
	}
}

// heard takes over what a health check said.
func (c *checker) heard(t *Target, answer engine.Health, blind bool) {
	now := time.Now()
	switch answer {
	case engine.Ready:
		if c.down >= failedChecks {
			t.State.Try(now)
		}
		c.down = 0
		t.State.Ready(now)
	case engine.NotReady:
		c.down = 0
		c.lost.Store(true)
		t.State.Unready(now, unreadyHolds)
	default:
		c.lost.Store(true)
		if c.down++; c.down >= failedChecks && blind {
			t.State.Eject(now, fleet.CauseProbe)
		}
	}
}

// healthAt asks one path. No answer is [engine.Sick].
func (c *checker) healthAt(ctx context.Context, t *Target, check engine.Check) engine.Health {
	status, body, fault := fetch(ctx, t, t.Root()+check.Path)
	if fault != nil {
		return engine.Sick
	}
	return check.Judge(status, body)
}

// mostAnswer bounds what is read of an answer to a check.
const mostAnswer = 4 << 20

// fetch asks a path and reads the answer.
func fetch(ctx context.Context, t *Target, path string) (status int, body []byte, fault *llm.Fault) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	resp, fault := t.Glimpse(ctx, upstream.Glimpse{Path: path, Accept: "application/json"})
	if fault != nil {
		return 0, nil, fault
	}
	defer resp.Close()
	return resp.Status, readSome(resp, mostAnswer), nil
}

// readSome reads up to a bound; what is cut is no JSON, and is judged so.
func readSome(resp *h1.Response, most int) []byte {
	var body []byte
	buf := make([]byte, 4<<10)
	for len(body) < most {
		n, err := resp.Read(buf)
		body = append(body, buf[:n]...)
		if err != nil {
			break
		}
	}
	return body
}
