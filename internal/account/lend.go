package account

import (
	"math"
	"time"

	"tailplane/internal/llm"
)

// This file is what a gateway does with what it has leased: when to ask, how much
// for, and what a grant changes. It is as pure as lease.go: times are given, and
// nothing is locked or sent (renew.go does that).

// lease is the gateway's part of a window of a budget.
type lease struct {
	amount int64 // the smallest of the hard budgets; 0: none is hard
	claim
	mark    int64 // what may be spent without asking
	others  int64 // what other gateways have spent
	before  int64 // what the ledger says they had when this one began
	doubt   int64
	scarce  bool
	width   int64 // of the mark above what was spent when it was granted
	used    int64 // was taken since the last report
	idle    int   // reports since something changed
	frugal  bool  // nothing is used any more
	asked   int64 // what a request waited for at the last report
	refused int64 // so much was asked for and not granted
	again   int64 // until when that is believed
}

// claim is what every leased thing needs to be renewed.
type claim struct {
	seq     int64
	open    bool  // the report seq has no answer yet
	need    int64 // what requests wait for: the largest
	want    int64 // and the sum
	changed bool  // since the last report
	queued  bool  // for the next round
	later   bool  // for the next tick
	grabbed bool  // the last report was made because little was left
}

// ask notes that a request waits for n.
func (c *claim) ask(n int64) {
	c.need = max(c.need, n)
	c.want += min(n, math.MaxInt64/4-c.want)
}

// next begins a report.
func (c *claim) next(row string, kind Kind) Report {
	c.seq++
	c.open = true
	return Report{Row: row, Kind: kind, Seq: c.seq}
}

// answers reports whether a grant answers the last report; a stale one says how
// far the sequence has come.
func (c *claim) answers(g Grant) (ours, again bool) {
	if g.Stale {
		again = g.Seq >= c.seq
		c.seq = max(c.seq, g.Seq)
		c.open = c.open && !again
		return false, again
	}
	ours = c.open && g.Seq == c.seq
	c.open = c.open && !ours
	return ours, false
}

// holds reports whether the mark has room for n above what is reached.
func (l *lease) holds(reach, n int64) bool { return fits(l.mark, reach, n) }

// low reports whether it is time to ask for more: half of what was there is
// reached.
func (l *lease) low(reach int64) bool { return l.mark-reach < l.width/2 }

// report says what was spent (own) and asks for what is needed above what is
// reached, which includes what is held. Where others are short, or nothing has
// changed for some reports, the gateway's mark falls first.
func (l *lease) report(row string, own, reach int64) Report {
	r := l.next(row, KindMoney)
	ahead := 2 * l.used
	if l.grabbed {
		ahead *= 2
	}
	ahead = min(max(0, ahead), l.amount/16)
	l.idle++
	if l.changed || l.need > 0 {
		l.idle = 0
	}
	if l.frugal {
		ahead = 0
	}
	// While a request waits the mark stays: it may be what was just granted to it.
	if l.need == 0 && (l.scarce || l.idle > 2 || l.frugal) {
		l.mark = max(reach, min(l.mark, reach+ahead))
	}
	r.Amount, r.Spent, r.Mark, r.Before = l.amount, own, l.mark, l.before
	r.Want = reach + max(ahead, min(l.want, l.amount))
	if l.need > 0 {
		r.Need = reach + l.need
		r.Want = max(r.Want, r.Need)
	}
	l.asked = l.need
	l.need, l.want, l.used, l.changed, l.grabbed = 0, 0, 0, false, false
	return r
}

// granted takes a grant over; again is whether to report once more at once.
func (l *lease) granted(r Report, g Grant, sent int64) (again bool) {
	ours, again := l.answers(g)
	if !ours {
		return again
	}
	l.mark, l.others, l.doubt, l.scarce = g.Mark, g.Others, g.Doubt, g.Scarce
	l.width = max(0, g.Mark-r.Spent)
	l.again = 0
	if r.Need > g.Mark {
		l.refused, l.again = l.asked, sent+int64(soon)
	}
	return false
}

// dry reports whether the database has just said that n is not there.
func (l *lease) dry(now, n int64) bool { return now < l.again && n >= l.refused }

// pool is the gateway's slice of a rate.
type pool struct {
	claim
	account  *Account
	resource llm.Resource
	rate     Rate
	left     int64 // below 0: what was used beyond a slice
	until    int64 // when the slice is lost
	slice    int64 // its number
	used     int64 // since the last report
	given    int64 // units of the slice
	rest     int64 // what the database had left when it granted the slice
	again    int64 // the database has said that there is nothing before
	short    int64 // for so many
}

// remaining is how much of the slice can be used now.
func (p *pool) remaining(now int64) int64 {
	if now >= p.until {
		return min(0, p.left)
	}
	return p.left
}

// visible is what is left of the rate as far as is known here: of the slice, and
// what the database had beside it.
func (p *pool) visible(now int64) int64 { return max(0, min(p.rate.Amount, p.remaining(now)+p.rest)) }

// wait is how long until n fit; shared is whether the database may have them.
func (p *pool) wait(now, n int64) (wait int64, shared bool) {
	switch {
	case n == 0 || n <= p.remaining(now):
		return 0, false
	case now < p.again && n >= p.short:
		return p.again - now, false
	}
	return int64(soon), true
}

// take uses n and returns the slice's number.
func (p *pool) take(n int64) (mark int64) {
	p.left -= n
	p.used += n
	return p.slice
}

// low reports whether it is time for another slice: half of this one is used.
func (p *pool) low(now int64) bool { return p.used > 0 && p.remaining(now) < p.given/2 }

// correct replaces estimated by used. What was too much goes back into the slice
// that it came from.
func (p *pool) correct(now, mark, estimated, used int64) {
	if used > estimated || mark == p.slice && now < p.until {
		p.left += estimated - used
	}
}

// report asks for a slice: what requests wait for, what was used beyond the last
// one, and what will be used until the next.
func (p *pool) report(row string) Report {
	r := p.next(row, KindRate)
	r.Amount, r.Per = p.rate.Amount, p.rate.Per
	debt := max(0, -p.left)
	ahead := 2 * p.used
	if p.need > 0 {
		r.Need = min(p.need+debt, r.Amount)
	}
	r.Want = min(max(p.want, min(ahead, r.Amount/4))+debt, r.Amount)
	p.need, p.want, p.used, p.changed = 0, 0, 0, false
	return r
}

// granted takes a slice over. sent is when the report was made: the slice's time
// counts from then, less a margin for a clock that runs slower.
func (p *pool) granted(r Report, g Grant, sent int64) (again bool) {
	ours, again := p.answers(g)
	if !ours {
		return again
	}
	if g.Mark == 0 {
		if r.Need > 0 {
			p.rest = 0
			p.again, p.short = sent+max(int64(g.Wait), 1), r.Need
		}
		return false
	}
	rest := p.remaining(sent)
	p.left, p.given, p.rest = rest+g.Mark, g.Mark, g.Left
	p.until = sent + int64(g.Term) - int64(g.Term)/10
	p.slice++
	p.again = 0
	return false
}

// places are the gateway's part of a limit of requests in flight.
type places struct {
	claim
	account *Account
	amount  int64
	count   int64 // how many are leased
	until   int64
	peak    int64 // in flight since the last report
	scarce  bool
	again   int64 // the database has said that there is none before
}

// free reports whether one more may be in flight.
func (p *places) free(now int64, inflight int32) bool {
	return now < p.until && int64(inflight) < p.count
}

// took notes that one more is in flight.
func (p *places) took(inflight int32) {
	p.peak = max(p.peak, int64(inflight))
	p.changed = true
}

// low reports whether it is time to ask for more.
func (p *places) low(inflight int32) bool {
	return int64(inflight) > p.count-max(1, p.count/4) && p.count < p.amount
}

// report asks for the places that were used lately, and some more unless others
// are short. What is not asked for any more is not used from now on; the rest the
// gateway goes by until there is an answer.
func (p *places) report(row string, now int64, inflight int32) Report {
	r := p.next(row, KindPlaces)
	r.Amount = p.amount
	r.Want = p.peak + p.want
	if !p.scarce {
		r.Want += p.peak / 2
	}
	if p.need > 0 {
		r.Need = int64(inflight) + p.need
		r.Want = max(r.Want, r.Need)
	}
	r.Want = min(r.Want, r.Amount)
	if p.count = min(p.count, r.Want); now >= p.until {
		p.count = 0
	}
	r.Mark = max(p.count, int64(inflight))
	p.need, p.want, p.peak, p.changed = 0, 0, int64(inflight), false
	return r
}

func (p *places) granted(r Report, g Grant, sent int64) (again bool) {
	ours, again := p.answers(g)
	if !ours {
		return again
	}
	p.count, p.scarce = g.Mark, g.Scarce
	p.until = sent + int64(g.Term) - int64(g.Term)/10
	p.again = 0
	if r.Need > g.Mark {
		p.again = sent + int64(soon)
	}
	return false
}

// term is how long a lease lasts where the database does not say otherwise.
const term = 15 * time.Second
