package account

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// The simulation runs the decision of lease.go and the gateway's part of lend.go
// in virtual time: gateways that admit strictly, a network that loses, delays and
// repeats what they say, crashes, partitions, and a database whose clock jumps.

type simEvent struct {
	at  int64
	seq int
	do  func()
}

type simEvents []simEvent

func (e simEvents) Len() int { return len(e) }
func (e simEvents) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}
func (e simEvents) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *simEvents) Push(x any)   { *e = append(*e, x.(simEvent)) }
func (e *simEvents) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

type simGateway struct {
	name  string
	life  int // which process it is
	up    bool
	cut   bool // from the database
	lease lease

	spent int64 // true, as its ledger has it: settled, and what nobody knows with its bound
	held  int64
}

type sim struct {
	t      *testing.T
	rnd    *rand.Rand
	now    int64
	made   int
	events simEvents
	amount int64
	skew   int64
	row    Row
	all    []*simGateway
	lossy  bool

	admitted, refused int
}

func (s *sim) after(d time.Duration, do func()) {
	s.made++
	heap.Push(&s.events, simEvent{s.now + int64(d), s.made, do})
}

func (s *sim) upTo(d time.Duration) time.Duration { return time.Duration(s.rnd.Int64N(int64(d))) }

func (s *sim) run(until int64) {
	for len(s.events) > 0 && s.events[0].at <= until {
		e := heap.Pop(&s.events).(simEvent)
		s.now = e.at
		e.do()
		s.check()
	}
	s.now = until
}

// check is the law: whatever has happened, no more is spent or held than the
// amount, and the row says so, too.
func (s *sim) check() {
	total, ceilings := int64(0), int64(0)
	for _, g := range s.all {
		total += g.spent + g.held
		row := s.row.Shares[g.name]
		if row.Spent > row.Mark || row.Mark > row.Ceiling {
			s.t.Fatalf("%s: spent %d, mark %d, ceiling %d", g.name, row.Spent, row.Mark, row.Ceiling)
		}
		if g.spent+g.held > row.Mark {
			s.t.Fatalf("%s has spent %d and holds %d above its mark %d", g.name, g.spent, g.held, row.Mark)
		}
		ceilings += row.Ceiling
	}
	if total > s.amount || ceilings > s.amount {
		s.t.Fatalf("%d spent and held, ceilings of %d, of %d", total, ceilings, s.amount)
	}
}

// request lets a request come to a gateway, and end some time later.
func (s *sim) request(g *simGateway, most int64) {
	if !g.up {
		return
	}
	bound := 1 + s.rnd.Int64N(most)
	if !g.lease.holds(g.spent+g.held, bound) {
		s.refused++
		if !g.lease.dry(s.now, bound) {
			g.lease.ask(bound)
			s.report(g)
		}
		return
	}
	s.admitted++
	g.held += bound
	g.lease.used += bound
	g.lease.changed = true
	life := g.life
	s.after(s.upTo(20*time.Second), func() {
		if g.life != life {
			return
		}
		g.held -= bound
		g.spent += s.rnd.Int64N(bound + 1)
		g.lease.changed = true
	})
	if g.lease.low(g.spent + g.held) {
		g.lease.grabbed = true
		s.report(g)
	}
}

// report sends the gateway's next report, unless one has no answer yet and is
// not too old to be waited for.
func (s *sim) report(g *simGateway) {
	if !g.up || g.lease.open {
		return
	}
	g.lease.amount = s.amount
	r := g.lease.report("row", g.spent, g.spent+g.held)
	life, sent := g.life, s.now
	for range s.copies() {
		s.after(s.upTo(200*time.Millisecond), func() {
			if g.cut {
				return
			}
			at := time.Unix(0, s.now+s.skew)
			var grant Grant
			s.row, grant = decide(s.row, g.name, r, at, term)
			for range s.copies() {
				s.after(s.upTo(200*time.Millisecond), func() {
					if g.life == life && !g.cut && g.lease.granted(r, grant, sent) {
						s.report(g)
					}
				})
			}
		})
	}
	seq := r.Seq
	s.after(time.Second, func() {
		if g.life == life && g.lease.seq == seq {
			g.lease.open = false // it is given up: the next report has another number
		}
	})
}

func (s *sim) copies() int {
	if !s.lossy {
		return 1
	}
	return []int{0, 1, 1, 1, 1, 2, 3}[s.rnd.IntN(7)]
}

func (s *sim) tick(g *simGateway) {
	s.after(tick, func() {
		if g.up && (g.lease.changed || g.lease.mark > g.spent) {
			s.report(g)
		}
		s.tick(g)
	})
}

func (s *sim) crash(g *simGateway) {
	if g.up {
		g.up, g.life = false, g.life+1
		// What was in flight counts with what was held: the journal has it.
		g.spent, g.held = g.spent+g.held, 0
	}
}

func (s *sim) start(g *simGateway) {
	if !g.up {
		g.up, g.lease = true, lease{}
		g.lease.changed = true
		s.report(g)
	}
}

// trouble lets something happen to somebody, now and then.
func (s *sim) trouble() {
	s.after(s.upTo(10*time.Second), func() {
		g := s.all[s.rnd.IntN(len(s.all))]
		switch s.rnd.IntN(6) {
		case 0:
			s.crash(g)
		case 1, 2:
			s.start(g)
		case 3:
			g.cut = !g.cut
		case 4:
			g.cut = false
		case 5:
			s.skew = int64(s.upTo(time.Minute)) - int64(30*time.Second)
		}
		s.trouble()
	})
}

func simulate(t *testing.T, seed uint64) (admitted int) {
	s := &sim{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), amount: 3000, lossy: true}
	for i := range 2 + s.rnd.IntN(4) {
		g := &simGateway{name: fmt.Sprint(i)}
		s.all = append(s.all, g)
		s.start(g)
		s.tick(g)
	}
	load := 100*time.Millisecond + s.upTo(2*time.Second)
	var arrive func()
	arrive = func() {
		s.request(s.all[s.rnd.IntN(len(s.all))], 60)
		s.after(s.upTo(load), arrive)
	}
	arrive()
	s.trouble()
	s.run(int64(2 * time.Minute))

	// All is mended but the dead stay dead; what is in flight ends.
	s.events, s.lossy, s.skew = nil, false, 0
	for _, g := range s.all {
		g.cut, g.lease.open = false, false
		g.spent, g.held = g.spent+g.held, 0
		g.lease.changed = true
		s.tick(g)
	}
	if !s.all[0].up {
		s.start(s.all[0])
	}
	s.run(s.now + 3*int64(term))
	s.spendTheRest()
	return s.admitted
}

// spendTheRest is the other half of the law: what is neither spent nor in doubt
// at the dead can be spent by the living: by all, or by one while the others are
// idle.
func (s *sim) spendTheRest() {
	spenders := s.all
	if s.rnd.IntN(2) == 0 {
		spenders = s.all[:1]
	}
	left := s.amount
	for _, g := range s.all {
		left -= g.spent
		if row := s.row.Shares[g.name]; !g.up {
			left -= row.Mark - g.spent
		}
	}
	for range 400 {
		if left == 0 {
			return
		}
		for _, g := range spenders {
			for g.up && g.lease.holds(g.spent+g.held, 1) {
				g.spent++
				left--
				g.lease.used, g.lease.changed = g.lease.used+1, true
			}
			s.check()
			if g.up && left > 0 {
				g.lease.ask(1)
				s.report(g)
			}
		}
		s.run(s.now + int64(time.Second))
	}
	if left != 0 {
		s.t.Fatalf("%d of %d is left, and nobody can spend it: %+v", left, s.amount, s.row)
	}
}

func TestGatewaysNeverExceedTheAmountTogether(t *testing.T) {
	seeds := uint64(2000)
	if testing.Short() {
		seeds = 300
	}
	admitted := 0
	for seed := range seeds {
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { admitted += simulate(t, seed) }) {
			t.FailNow()
		}
	}
	if admitted < int(seeds)*20 {
		t.Errorf("%d requests were admitted in %d lives: the simulation does nothing", admitted, seeds)
	}
	t.Logf("%d requests admitted in %d lives", admitted, seeds)
}
