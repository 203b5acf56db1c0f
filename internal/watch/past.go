package watch

import (
	"sync"
	"time"

	"tailplane/internal/engine"
)

// past is what is remembered of a target's engine while nobody looks: a replica that
// restarts is not ready meanwhile, and may be no target at all. Safe for concurrent
// use: the goroutine that ends and the one that begins may meet.
type past struct {
	mu      sync.Mutex
	address string
	key     string // of how it is looked at
	lives   lives
	looked  time.Time // when a page was last read
	gone    time.Time // since when it is no target; zero while it is one
	away    bool      // it was none since a page was last read
}

// adopt says where the target is now and by what it is looked at, and reports whether
// it was elsewhere before: then it is another engine. Counters that are read in
// another way are not compared.
func (p *past) adopt(address, key string) (moved bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	moved = p.address != "" && p.address != address
	if p.key != key {
		p.lives = lives{}
	}
	p.address, p.key = address, key
	return moved
}

// see takes a look; lost is that of [lives.see].
func (p *past) see(now time.Time, s *engine.Sample, lost bool) sighting {
	p.mu.Lock()
	defer p.mu.Unlock()
	saw := p.lives.see(s, now.Sub(p.looked).Seconds(), lost || p.away)
	p.looked, p.away = now, false
	return saw
}

// pasts are those of a watcher, by target. The watcher's mutex guards it.
type pasts map[string]*past

// rememberTime is how long a target that is gone is remembered: as long as what was
// learned of its cache is.
const rememberTime = 10 * time.Minute

func (ps pasts) of(target string) *past {
	p := ps[target]
	if p == nil {
		p = &past{}
		ps[target] = p
	}
	return p
}

// forget lets go of targets that are long gone.
func (ps pasts) forget(now time.Time, named map[string]bool) {
	for name, p := range ps {
		p.mu.Lock()
		switch {
		case named[name]:
			p.gone = time.Time{}
		case p.gone.IsZero():
			p.gone, p.away = now, true
		case now.Sub(p.gone) >= rememberTime:
			delete(ps, name)
		}
		p.mu.Unlock()
	}
}
