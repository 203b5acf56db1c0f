package route

import (
	"time"

	"tailplane/internal/models"
)

// cacheAware follows the rules of vLLM Router's policy of that name: a known
// session stays where it is; a pool whose load is out of balance takes the least
// loaded; else the longest match takes the prompt when it covers more than a
// share of it, and the least loaded when not. The match is that of the group's
// index, which knows capacities, where the original keeps a tree of characters.
type cacheAware struct {
	threshold float64
	absolute  int
	relative  float64
	homes     map[uint64]home // of sessions
}

type home struct {
	replica uint64
	until   time.Time
}

// Sessions are remembered for sessionTTL, and at most mostSessions of them.
const (
	sessionTTL   = time.Hour
	mostSessions = 10_000
)

func newCacheAware(p models.Policy) Policy {
	return &cacheAware{threshold: p.CacheThreshold, absolute: p.ImbalanceAbs, relative: p.ImbalanceRel, homes: map[uint64]home{}}
}

// Rank gives the chosen one no cost, and the others their load.
func (p *cacheAware) Rank(q *Query, rs []Replica) Why {
	least, most, best := rs[0].InFlight, rs[0].InFlight, 0
	for i := range rs {
		least, most = min(least, rs[i].InFlight), max(most, rs[i].InFlight)
		rs[i].Cost = 1 + float64(rs[i].InFlight) + chance(q.Roll, rs[i].Key)
		if rs[i].Hit > rs[best].Hit {
			best = i
		}
	}
	why := Why("the least in flight")
	if at := p.home(q, rs); at >= 0 {
		rs[at].Cost, why = 0, "the home of its session"
	} else if most-least > p.absolute && float64(most) > p.relative*float64(least) {
		why = "the least in flight: the load is out of balance"
	} else if rs[best].Prompt > 0 && float64(rs[best].Hit)/float64(rs[best].Prompt) > p.threshold {
		rs[best].Cost, why = 0, "the longest match in a cache"
	}
	p.remember(q, rs)
	return why
}

func (p *cacheAware) home(q *Query, rs []Replica) int {
	if h, ok := p.homes[q.Session]; ok && q.Session != 0 && q.Now.Before(h.until) {
		for i := range rs {
			if rs[i].Key == h.replica {
				return i
			}
		}
	}
	return -1
}

// remember notes where a session goes. A full table forgets what is over, or
// else any one.
func (p *cacheAware) remember(q *Query, rs []Replica) {
	if q.Session == 0 || q.Dry {
		return
	}
	first := 0
	for i := range rs {
		if rs[i].Cost < rs[first].Cost {
			first = i
		}
	}
	if _, known := p.homes[q.Session]; !known && len(p.homes) >= mostSessions {
		for s, h := range p.homes {
			if over := q.Now.After(h.until); over || len(p.homes) >= mostSessions {
				delete(p.homes, s)
			}
		}
	}
	p.homes[q.Session] = home{rs[first].Key, q.Now.Add(sessionTTL)}
}
