package queuesim

import (
	"errors"
	"math"
	"slices"
	"time"

	"tailplane/internal/queue"
	"tailplane/internal/sim"
)

// world is four replicas behind a Scheduler, in virtual time. It does what the
// gateway's routing group does, with its simplest policy: the least work before
// the request, and its own prefill.
type world struct {
	config   queue.Config
	s        *queue.Scheduler
	replicas []*replica
	calls    []*call
	items    map[uint64]queue.Item // in an engine
	weights  map[string]float64
	epoch    time.Time
	now      time.Duration
	again    time.Duration // when room is expected
	output   float64       // expected tokens
	err      error         // why an engine took no request
}

type replica struct {
	engine    *sim.Engine
	unstarted []started // sent, without a first token
	moved     time.Duration
	tokens    int // of requests in flight, when they end
	inFlight  int
	unlimited bool // takes everything at once
}

type started struct {
	id   uint64
	work float64
}

const perToken = 0.3e-3 // what a token of an answer is expected to cost, in seconds

// prefill is what a prompt of that many tokens is expected to cost, in seconds.
func prefill(prompt int) float64 {
	p := sim.Llama8B()
	n := float64(prompt)
	return p.Prefill.Seconds()*n + p.PairNano*1e-9*n*n/2
}

func newWorld(c queue.Config, all []*call, output float64) (*world, error) {
	w := &world{config: c.Or(queue.Default()), s: queue.New(c), calls: all, epoch: time.Unix(1_800_000_000, 0), items: map[uint64]queue.Item{}, weights: map[string]float64{}, output: output}
	for range 4 {
		e, err := sim.NewEngine(sim.Llama8B(), 1)
		if err != nil {
			return nil, err
		}
		w.replicas = append(w.replicas, &replica{engine: e})
	}
	return w, nil
}

// wait is the prefill that r has before it.
func (r *replica) wait(now time.Duration) float64 {
	sum := 0.0
	for _, s := range r.unstarted {
		sum += s.work
	}
	if len(r.unstarted) > 0 {
		sum -= min((now - r.moved).Seconds(), r.unstarted[0].work)
	}
	return sum
}

// room says which replica takes the item now, and when to ask again.
func (w *world) room(it queue.Item) (best *replica, again time.Duration) {
	ceiling := w.config.Ceiling(it).Seconds()
	least := math.Inf(1)
	for _, r := range w.replicas {
		if r.unlimited {
			if wait := r.wait(w.now); wait < least {
				best, least = r, wait
			}
			continue
		}
		p := r.engine.Profile()
		if float64(r.tokens) > 0.85*w.config.Part(it)*float64(p.KVTokens) || r.inFlight >= w.config.Places(p.MaxSeqs, it) {
			continue
		}
		wait := r.wait(w.now)
		if wait > ceiling {
			if r.moved+time.Duration(r.unstarted[0].work*1e9) > w.now {
				at := w.now + time.Duration((wait-ceiling)*1e9) + time.Microsecond
				if again == 0 || at < again {
					again = at
				}
			}
			continue
		}
		if wait < least {
			best, least = r, wait
		}
	}
	return best, again
}

func (w *world) outlook() queue.Outlook {
	least := math.Inf(1)
	for _, r := range w.replicas {
		least = min(least, r.wait(w.now))
	}
	return queue.Outlook{Wait: time.Duration(least * 1e9), Replicas: len(w.replicas)}
}

func (w *world) clock() time.Time { return w.epoch.Add(w.now) }

func (w *world) arrive(id uint64) {
	c := w.calls[id]
	it := queue.Item{
		ID: id, Band: c.band, Tenant: c.tenant, Weight: w.weights[c.tenant],
		Cost: prefill(c.prompt) + perToken*w.output, Bytes: 4 * c.prompt, Enqueued: w.clock(),
	}
	if w.s.Len() == 0 {
		if r, _ := w.room(it); r != nil {
			w.send(it, r)
			return
		}
	}
	shed, no := w.s.Push(w.clock(), it, w.outlook())
	if no != nil {
		c.refused = no.Reason
	}
	for _, out := range shed {
		w.calls[out.ID].refused = queue.ReasonShed
	}
}

func (w *world) send(it queue.Item, r *replica) {
	c := w.calls[it.ID]
	c.sent = w.now
	if len(r.unstarted) == 0 {
		r.moved = w.now
	}
	r.unstarted = append(r.unstarted, started{it.ID, prefill(c.prompt)})
	r.tokens += c.prompt + c.output
	r.inFlight++
	w.items[it.ID] = it
	if err := r.engine.Submit(w.now, sim.Request{ID: it.ID, Prompt: c.prompt, Output: c.output}); err != nil {
		w.err = errors.Join(w.err, err)
	}
}

// move sends what there is room for.
func (w *world) move() {
	w.again = 0
	for _, it := range w.s.Expire(w.clock()) {
		w.calls[it.ID].refused = queue.ReasonExpired
	}
	for {
		var to *replica
		it, ok := w.s.Pop(w.clock(), func(it queue.Item) bool {
			r, again := w.room(it)
			if r == nil && again > 0 && (w.again == 0 || again < w.again) {
				w.again = again
			}
			to = r
			return r != nil
		})
		if !ok {
			return
		}
		w.send(it, to)
	}
}

// emitted takes in what the replicas gave out until now.
func (w *world) emitted() {
	for _, r := range w.replicas {
		for _, e := range r.engine.Advance(w.now) {
			c := w.calls[e.ID]
			if e.Token == 0 {
				c.first = e.At
				r.unstarted = slices.DeleteFunc(r.unstarted, func(s started) bool { return s.id == e.ID })
				r.moved = e.At
			}
			if e.Done {
				c.done = e.At
				r.tokens -= c.prompt + c.output
				r.inFlight--
				w.s.Settle(w.items[e.ID], prefill(c.prompt)+perToken*float64(c.output))
				delete(w.items, e.ID)
			}
		}
	}
}

// run plays everything until the end, or until all is done if that is 0.
func (w *world) run(until time.Duration) error {
	next := 0
	for w.err == nil {
		at := time.Duration(math.MaxInt64)
		if next < len(w.calls) {
			at = w.calls[next].at
		}
		for _, r := range w.replicas {
			if t, ok := r.engine.Next(); ok {
				at = min(at, t)
			}
		}
		if w.s.Len() > 0 {
			if w.again > 0 {
				at = min(at, w.again)
			}
			if t, ok := w.s.Next(); ok {
				at = min(at, max(t.Sub(w.epoch), w.now))
			}
		}
		if at == math.MaxInt64 || until > 0 && at > until {
			return nil
		}
		w.now = at
		w.emitted()
		for next < len(w.calls) && w.calls[next].at <= at {
			w.arrive(uint64(next))
			next++
		}
		w.move()
	}
	return w.err
}
