package account

import "time"

// A Row is what several gateways share of a budget in one window. For each of them
// it holds
//
//	spent <= mark <= ceiling
//
// and the ceilings never add up to more than the amount. A gateway admits a request
// only while what it has spent and holds stays below its mark, so that it cannot
// have spent more than its mark, whatever becomes of it; what lies between mark and
// ceiling is kept for it as long as it is heard of. Renew is the only change; it is
// pure. A database runs it in a transaction, the simulation in virtual time.
type Row struct {
	Amount int64            `json:"amount"`
	Shares map[string]Share `json:"shares,omitempty"`
}

// Share is one gateway's part of a row, in nano-dollars.
type Share struct {
	Spent   int64     `json:"spent"` // in the window, as far as it has told
	Mark    int64     `json:"mark"`
	Ceiling int64     `json:"ceiling"`
	Until   time.Time `json:"until"` // when it counts as silent
	// Life and Seq number the gateway's reports, so that one that comes late or
	// twice changes nothing: a life for each start, a number for each report.
	Life int64 `json:"life"`
	Seq  int64 `json:"seq"`
}

// Report is what a gateway tells of its share, and what it wants.
type Report struct {
	Life, Seq int64
	Spent     int64 // in the window, over all its lives
	// Mark is the mark that it keeps to from now on, until it is granted another
	// one; it may be lower than the one that it was granted.
	Mark int64
	// Want is the mark that it would like, Ahead how far it would like its ceiling
	// above that.
	Want, Ahead int64
}

// Grant is the answer to a report.
type Grant struct {
	Mark    int64
	Spent   int64 // of all gateways, as far as they have told
	Doubt   int64 // of others that are silent: between spent and mark
	Left    int64 // of the amount, below nobody's ceiling
	Refused bool  // the report is older than one that was taken
	Life    int64 // the newest life that is known
}

// Renew takes a gateway's report at a moment and grants it what there is. The
// gateways that have been silent for a term lose what lies above their marks.
func (r *Row) Renew(gateway string, rep Report, now time.Time, term time.Duration) Grant {
	if r.Shares == nil {
		r.Shares = map[string]Share{}
	}
	for name, s := range r.Shares {
		if now.After(s.Until) && s.Ceiling > s.Mark {
			s.Ceiling = s.Mark
			r.Shares[name] = s
		}
	}
	own := r.Shares[gateway]
	if rep.Life < own.Life || rep.Life == own.Life && rep.Seq <= own.Seq {
		return r.grant(gateway, own, now, true)
	}
	if rep.Life > own.Life {
		// It has started: nothing runs, and what it has spent is all there is of
		// the marks of its earlier lives. Nothing is in doubt any more.
		own.Spent, own.Mark = rep.Spent, rep.Spent
		own.Ceiling = rep.Spent
	}
	own.Life, own.Seq, own.Until = rep.Life, rep.Seq, now.Add(term)
	own.Spent = max(own.Spent, rep.Spent)
	own.Mark = max(own.Spent, min(own.Mark, rep.Mark))
	own.Ceiling = max(own.Mark, min(own.Ceiling, rep.Want+rep.Ahead))
	r.Shares[gateway] = own
	own.Ceiling += min(max(0, rep.Want+rep.Ahead-own.Ceiling), r.left())
	own.Mark = max(own.Mark, min(rep.Want, own.Ceiling))
	r.Shares[gateway] = own
	return r.grant(gateway, own, now, false)
}

// left is what lies below nobody's ceiling.
func (r *Row) left() int64 {
	left := r.Amount
	for _, s := range r.Shares {
		left -= s.Ceiling
	}
	return max(0, left)
}

func (r *Row) grant(gateway string, own Share, now time.Time, refused bool) Grant {
	g := Grant{Mark: own.Mark, Life: own.Life, Refused: refused, Left: r.left()}
	for name, s := range r.Shares {
		g.Spent += s.Spent
		if name != gateway && now.After(s.Until) {
			g.Doubt += s.Mark - s.Spent
		}
	}
	return g
}

// WriteOff gives back what is in doubt of a gateway that will not return, and says
// how much that is. It is an operator's decision: what the gateway spent and did
// not tell is then spent twice.
func (r *Row) WriteOff(gateway string, now time.Time) int64 {
	s, ok := r.Shares[gateway]
	if !ok || !now.After(s.Until) {
		return 0
	}
	doubt := s.Mark - s.Spent
	s.Mark, s.Ceiling = s.Spent, s.Spent
	r.Shares[gateway] = s
	return doubt
}

// lease is a gateway's side of its share. It is pure, too.
type lease struct {
	life, seq int64
	mark      int64 // what may be spent and held
	spent     int64 // of all, as the last grant said
	doubt     int64
	left      int64
	known     bool  // there was a grant in this life
	used      bool  // something was wanted since the last report
	need      int64 // the mark without which a request was refused
}

// Slices: a gateway wants an eighth of what is left above what it has used, and its
// mark at a quarter of that, so that a death leaves little in doubt.
const (
	aheadShare = 8
	markShare  = 4
)

// report is the next one, for what has been spent and is held.
func (l *lease) report(spent, held int64, idle bool) Report {
	l.seq++
	committed := spent + held
	rep := Report{Life: l.life, Seq: l.seq, Spent: spent, Mark: max(l.mark, committed)}
	slice := max(0, l.left) / aheadShare
	rep.Want = max(committed+slice/markShare, l.need)
	rep.Ahead = slice - slice/markShare
	if idle {
		rep.Mark, rep.Want, rep.Ahead = committed, committed, 0
		l.mark = min(l.mark, max(committed, spent)) // from now on, whatever becomes of the report
	}
	l.used, l.need = false, 0
	return rep
}

// granted takes a grant over. A refusal means that the database knows a later life
// of this gateway: the next report begins one after it.
func (l *lease) granted(g Grant) {
	if g.Refused {
		if g.Life >= l.life {
			l.life = g.Life + 1
			l.seq = 0
			l.mark, l.known = 0, false
		}
		return
	}
	l.mark, l.spent, l.doubt, l.left, l.known = g.Mark, g.Spent, g.Doubt, g.Left, true
}

// fits reports whether an amount may be held beside what is spent and held.
func (l *lease) fits(spent, held, nano int64) bool {
	l.used = true
	if spent+held+nano <= l.mark {
		return true
	}
	l.need = max(l.need, spent+held+nano)
	return false
}

// low reports whether it is time to renew: half of the way from what is known to
// be committed to the mark is gone.
func (l *lease) low(spent, held int64) bool {
	return l.used && (l.need > l.mark || l.mark-(spent+held) < (l.left/aheadShare)/markShare/2)
}
