package replay

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// startSpread is over how long the first sessions begin.
const startSpread = 30 * time.Second

// startRequests plans an open trace. What arrives at one instant has an order
// that the seed draws.
func (w *world) startRequests() {
	order := make([]int, len(w.trace.Requests))
	for i := range order {
		order[i] = i
	}
	for begin := 0; begin < len(order); {
		end := w.trace.instant(begin)
		w.rng.Shuffle(end-begin, func(a, b int) {
			order[begin+a], order[begin+b] = order[begin+b], order[begin+a]
		})
		begin = end
	}
	at := w.trace.times()
	if w.setup.Load.Spread {
		w.trace.spread(at, w.rng)
	}
	w.planRequest(order, at)
}

// instant is where the requests end that arrive with that one.
func (t *Trace) instant(begin int) int {
	end := begin + 1
	for end < len(t.Requests) && t.Requests[end].At == t.Requests[begin].At {
		end++
	}
	return end
}

func (t *Trace) times() []time.Duration {
	at := make([]time.Duration, len(t.Requests))
	for i := range at {
		at[i] = t.Requests[i].At
	}
	return at
}

// spread draws the times of what arrives at one instant up to the next one, in
// order.
func (t *Trace) spread(at []time.Duration, rng *rand.Rand) {
	for begin := 0; begin < len(at); {
		end := t.instant(begin)
		if end < len(at) {
			gap := float64(t.Requests[end].At - at[begin])
			for i := begin; i < end; i++ {
				at[i] += time.Duration(rng.Float64() * gap)
			}
			slices.Sort(at[begin:end])
		}
		begin = end
	}
}

// Spread is an open trace with the arrivals of one instant spread up to the next,
// as a seed draws them.
func (t *Trace) Spread(seed uint64) *Trace {
	at := t.times()
	t.spread(at, rand.New(rand.NewPCG(seed, 0x73707264)))
	apart := *t
	apart.Requests = slices.Clone(t.Requests)
	for i := range at {
		apart.Requests[i].At = at[i]
	}
	return &apart
}

// planRequest plans the first of the requests, which plans the next.
func (w *world) planRequest(order []int, at []time.Duration) {
	if len(order) == 0 {
		return
	}
	w.events.plan(time.Duration(float64(at[0])/w.setup.Load.Scale), func() {
		w.arrives(&call{req: &w.trace.Requests[order[0]], lane: w.trace.Lane}, uint64(order[0]))
		w.planRequest(order[1:], at[1:]) // after what the first one tells without delay
	})
}

// startSessions draws the sessions and begins the first ones.
func (w *world) startSessions() {
	n := len(w.trace.Sessions)
	order := rand.New(rand.NewPCG(w.setup.Seed, 0x73657373)).Perm(n)
	order = order[:min(n, cmp.Or(w.setup.Load.Sample, w.setup.Load.Sessions))]
	together := min(w.setup.Load.Sessions, len(order))
	rest := order[together:]
	for _, i := range order[:together] {
		at := time.Duration(w.rng.Float64() * float64(startSpread))
		w.events.plan(at, func() { w.session(i, &rest) })
	}
}

// session plays a session and then one of the rest.
func (w *world) session(i int, rest *[]int) {
	s := &w.trace.Sessions[i]
	w.step(s, 0, func() {
		if len(*rest) == 0 {
			return
		}
		next := (*rest)[0]
		*rest = (*rest)[1:]
		w.session(next, rest)
	})
}

// step plays a session's steps from n on.
func (w *world) step(s *Session, n int, over func()) {
	if n == len(s.Steps) {
		over()
		return
	}
	left := len(s.Steps[n])
	for at, branch := range s.Steps[n] {
		w.branch(s, place{n, at, 0}, branch, func() {
			if left--; left == 0 {
				w.step(s, n+1, over)
			}
		})
	}
}

// place is where a request stands in its session.
type place struct{ step, branch, turn int }

// branch plays requests one after the other. The very first of a session has
// nothing to think about.
func (w *world) branch(s *Session, at place, branch []Request, over func()) {
	if at.turn == len(branch) {
		over()
		return
	}
	r := &branch[at.turn]
	think := r.Think
	if at.step == 0 && at.turn == 0 {
		think = 0
	}
	w.events.plan(w.now+think, func() {
		salt := mixText(s.ID)
		c := &call{req: r, lane: s.Lane, salt: salt, done: func() {
			w.branch(s, place{at.step, at.branch, at.turn + 1}, branch, over)
		}}
		w.arrives(c, mix(salt^uint64(at.step)<<32^uint64(at.branch)<<16^uint64(at.turn)))
	})
}
