package replay

import (
	"cmp"
	"math/rand/v2"
	"time"

	"tailplane/internal/sim"
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
	at := func(i int) time.Duration { return w.trace.Requests[order[i]].At }
	for begin := 0; begin < len(order); {
		end := begin + 1
		for end < len(order) && at(end) == at(begin) {
			end++
		}
		w.rng.Shuffle(end-begin, func(a, b int) {
			order[begin+a], order[begin+b] = order[begin+b], order[begin+a]
		})
		begin = end
	}
	w.planRequest(order)
}

// planRequest plans the first of the requests, which plans the next.
func (w *world) planRequest(order []int) {
	if len(order) == 0 {
		return
	}
	r := &w.trace.Requests[order[0]]
	w.events.plan(time.Duration(float64(r.At)/w.setup.Scale), func() {
		w.planRequest(order[1:])
		w.arrives(&call{req: r, lane: w.trace.Lane})
	})
}

// startSessions draws the sessions and begins the first ones.
func (w *world) startSessions() {
	n := len(w.trace.Sessions)
	order := rand.New(rand.NewPCG(w.setup.Seed, 0x73657373)).Perm(n)
	order = order[:min(n, cmp.Or(w.setup.Sample, w.setup.Sessions))]
	together := min(w.setup.Sessions, len(order))
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
	for _, branch := range s.Steps[n] {
		w.branch(s, branch, n == 0, func() {
			if left--; left == 0 {
				w.step(s, n+1, over)
			}
		})
	}
}

// branch plays requests one after the other. The very first of a session has
// nothing to think about.
func (w *world) branch(s *Session, branch []Request, first bool, over func()) {
	if len(branch) == 0 {
		over()
		return
	}
	r := &branch[0]
	think := r.Think
	if first {
		think = 0
	}
	w.events.plan(w.now+think, func() {
		w.arrives(&call{req: r, lane: s.Lane, salt: mixText(s.ID), done: func() {
			w.branch(s, branch[1:], false, over)
		}})
	})
}

func engineRequest(c *call) sim.Request {
	return sim.Request{ID: c.id, Prompt: c.req.Input, Output: c.req.Output, Hashes: c.chain.hashes}
}
