package account

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
)

// What gateways share is a row for each window of a budget, each rate and each
// limit of requests in flight. This file is what the shared database does with a
// row: a pure function of the row, a report and the database's clock. The
// database runs it inside of a transaction, the simulation in virtual time.
//
// Of a budget's row it keeps, for each gateway,
//
//	spent <= mark <= ceiling, and the sum of ceilings <= amount
//
// A gateway spends up to its mark without asking, so what it spent is never above
// it, whatever happens to the gateway or the way to it. Its ceiling keeps what it
// will soon ask for from the others; when it is silent for a term the ceiling
// falls to the mark. What lies between spent and mark of a silent gateway is in
// doubt: only that gateway knows, until it reports, the window ends or somebody
// writes it off.
//
// Reports carry a sequence, so that one that is repeated, or late, changes
// nothing; a gateway that begins again asks for where it stood by sending one
// that is too low. In a report the mark is the one that the gateway goes by: it
// is never above the row's, and it may be lower, as the gateway lowers its own
// before it says so.

// Shared is the database in which gateways share rows.
type Shared interface {
	// Renew decides on the reports of one gateway, each for a row of its own, in
	// one transaction, and returns a grant for each in the same order. An error
	// says that nothing is known of what was decided.
	Renew(ctx context.Context, gateway string, reports []Report) ([]Grant, error)
}

// Kind is what a row is of.
type Kind uint8

// The kinds of rows.
const (
	KindMoney  Kind = iota // a window of a budget, in nano-dollars
	KindRate               // a rate, in requests or tokens
	KindPlaces             // requests in flight
)

// Report is what a gateway says of a row, and what it asks for.
type Report struct {
	Row    string // its name
	Kind   Kind
	Seq    int64 // rises with each report of a gateway for a row
	Amount int64 // of the budget, rate or limit; of money 0: nothing is limited
	Per    time.Duration
	Ends   time.Time // of a budget's window; zero: never

	Spent int64 // money: all that the gateway has spent in the window
	// Before is what the ledger says that others had spent in the window when this
	// gateway began with it. The first one to make a row tells so what those have
	// spent that are not there any more.
	Before int64
	Mark   int64 // money: the mark it goes by; places: those it goes by
	Need   int64 // the least that is of use: the mark, units or places that a request waits for
	Want   int64 // what it would like to have
}

// Grant is the answer to a report.
type Grant struct {
	// Seq is the report's, or with Stale the one of a later report: nothing was
	// decided.
	Seq   int64
	Stale bool

	Mark    int64 // money: what may be spent; places: how many; rate: units to be used
	Ceiling int64 // money: what is kept for the gateway
	Others  int64 // money: what other gateways have spent, as far as they have said
	Doubt   int64 // money: between spent and mark of gateways that are silent
	// Scarce: others could not get what a request waits for; what is not needed
	// should go back.
	Scarce bool
	Left   int64         // rate: what is there beside the units, for all
	Wait   time.Duration // rate: until the units that a request waits for are there
	Term   time.Duration // how long places and units may be used, and a ceiling stays
}

// Row is what the database keeps.
type Row struct {
	Full int64 `json:"full,omitempty"` // rate: when all is there again
	// Before is what was spent before there was a row by gateways that have no
	// share of it.
	Before int64            `json:"before,omitempty"`
	Shares map[string]Share `json:"shares,omitempty"`
}

// Share is one gateway's part of a row. Times are nanoseconds since 1970 of the
// database's clock.
type Share struct {
	Seq     int64 `json:"seq"`
	Spent   int64 `json:"spent,omitempty"`
	Mark    int64 `json:"mark,omitempty"`
	Ceiling int64 `json:"ceiling,omitempty"`
	Until   int64 `json:"until"`
	Short   bool  `json:"short,omitempty"` // did not get what a request waits for
}

// decide applies the report of a gateway to a row. It changes no map that it was
// given.
func decide(row Row, gateway string, r Report, now time.Time, term time.Duration) (Row, Grant) {
	s := row.Shares[gateway]
	if r.Seq <= s.Seq {
		return row, Grant{Seq: s.Seq, Stale: true, Term: term}
	}
	at := now.UnixNano()
	shares := maps.Clone(row.Shares)
	if shares == nil {
		shares = map[string]Share{}
	}
	s.Seq, s.Until = r.Seq, at+int64(term)
	row.Shares = shares
	g := Grant{Seq: r.Seq, Term: term}
	switch r.Kind {
	case KindMoney:
		switch _, known := shares[gateway]; {
		case len(shares) == 0:
			row.Before = r.Before
		case !known:
			row.Before = max(0, row.Before-r.Spent)
		}
		g.Others = row.Before
		decideMoney(shares, gateway, &s, r, at, &g)
	case KindRate:
		row.Full = decideRate(row.Full, r, at, &g)
		// A slice that stays longer than the rate's period would let a gateway save
		// up what the rate is to spread.
		g.Term = min(term, r.Per)
		term = max(term, r.Per)
		maps.DeleteFunc(shares, func(_ string, s Share) bool { return s.Until+int64(term) < at })
	case KindPlaces:
		decidePlaces(shares, gateway, &s, r, at, &g)
	}
	shares[gateway] = s
	return row, g
}

// decideMoney moves the gateway's mark and ceiling.
func decideMoney(shares map[string]Share, gateway string, s *Share, r Report, now int64, g *Grant) {
	free, living := r.Amount-g.Others, int64(1)
	for name, o := range shares {
		if name == gateway {
			continue
		}
		if o.Until < now {
			o.Ceiling, o.Short = o.Mark, false
			shares[name] = o
			g.Doubt += o.Mark - o.Spent
		} else {
			living++
			g.Scarce = g.Scarce || o.Short
		}
		free -= o.Ceiling
		g.Others += o.Spent
	}
	s.Spent, s.Mark = r.Spent, max(r.Mark, r.Spent)
	room := free - s.Mark
	need, want := max(0, r.Need-s.Mark), max(0, r.Want-s.Mark)
	s.Short = r.Amount > 0 && need > room
	if room > 0 && need <= room {
		// Half of what is left, so that others find something, too; but what a
		// request waits for, all of it. Where that is not there a part of it would
		// help nobody.
		s.Mark += max(need, min(want, room/2))
	}
	s.Ceiling = s.Mark
	if left := free - s.Mark; left > 0 && !g.Scarce {
		s.Ceiling += min(left/(living+1), 2*want)
	}
	g.Mark, g.Ceiling = s.Mark, s.Ceiling
}

// decideRate takes a slice of what a rate admits and returns when all of it is
// there again. A slice that is not used is lost, so it needs no return.
func decideRate(full int64, r Report, now int64, g *Grant) int64 {
	l := limit{amount: r.Amount, period: int64(r.Per), full: full}
	can := l.left(now)
	if r.Need > can {
		g.Wait = time.Duration(l.wait(now, r.Need))
		return full
	}
	g.Mark = min(max(r.Need, min(r.Want, can/2)), can)
	l.take(now, g.Mark)
	g.Left = l.left(now)
	return l.full
}

// decidePlaces leases places for a term. Those in use stay with their gateway,
// even where they are too many.
func decidePlaces(shares map[string]Share, gateway string, s *Share, r Report, now int64, g *Grant) {
	free := r.Amount
	for name, o := range shares {
		switch {
		case name == gateway:
		case o.Until < now:
			delete(shares, name)
		default:
			free -= o.Mark
			g.Scarce = g.Scarce || o.Short
		}
	}
	room := max(0, free-r.Mark)
	more := min(max(0, r.Want-r.Mark), room/2)
	if need := max(0, r.Need-r.Mark); need <= room {
		more = max(more, need)
	}
	s.Mark = r.Mark + more
	s.Short = r.Need > s.Mark
	g.Mark = s.Mark
}

// writeOff takes what is in doubt at a silent gateway as not spent, and returns
// how much that is. A gateway that is not silent keeps its mark.
func writeOff(row Row, gateway string, now time.Time) (Row, int64) {
	s, ok := row.Shares[gateway]
	if !ok || s.Until >= now.UnixNano() || s.Mark <= s.Spent {
		return row, 0
	}
	freed := s.Mark - s.Spent
	s.Mark, s.Ceiling = s.Spent, s.Spent
	row.Shares = maps.Clone(row.Shares)
	row.Shares[gateway] = s
	return row, freed
}

// rowsInOrder are the places of reports in the order in which rows are locked.
func rowsInOrder(reports []Report) []int {
	order := make([]int, len(reports))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(reports[a].Row, reports[b].Row) })
	return order
}
