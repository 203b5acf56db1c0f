package route

// The rules of a part, which is what a replica that starts slowly, is on trial or is
// late gets of the traffic:
//
//   - Its health says which share of its usual traffic is better sent elsewhere. What
//     is left is its part, by weight among those of the query: of n replicas alike one
//     with the penalty p gets (1-p)/(n-p).
//   - A price in seconds cannot hold a part. Added to a cost that is compared, it is
//     either more than replicas differ by, and the replica gets nothing, no trial
//     either; or less, and it gets all. Which of them depends on how fast the model is
//     and how busy the replicas are, and not on the penalty.
//   - So it is counted: each decision earns the replica its part of a request, and a
//     request that goes there uses up one. Where it has none it stands behind the
//     others, whatever the policy. Seconds, the speed of the model, and load do not
//     come into it.
//   - It begins with one, so that a trial begins at once. Of what it does not use it
//     saves up one more and no burst, for it has just started.

// rates are sums over the candidates of a query.
type rates struct {
	all  float64 // of their weights
	left float64 // of what penalties leave of these
}

// ratesOf adds up.
func ratesOf(facts []Facts) (s rates) {
	for i := range facts {
		w := float64(max(1, facts[i].Weight))
		s.all += w
		s.left += w * (1 - penalty(&facts[i]))
	}
	return s
}

// mostDue are the requests that a replica may have at once when it had none for long.
const mostDue = 2

// mostPenalty leaves something to be earned, whatever is said.
const mostPenalty = 0.99

func penalty(f *Facts) float64 { return min(mostPenalty, max(0, f.Penalty)) }

// part is what a candidate gets; 0 is as much as it is chosen for.
func (s rates) part(f *Facts) float64 {
	w := float64(max(1, f.Weight))
	if part := w * (1 - penalty(f)) / s.left; part < w/s.all*(1-1e-6) {
		return part
	}
	return 0
}

// allot says what a replica's part is now; earn is that a request is decided about, of
// which it earns it. It reports whether the replica has used up what it had.
func (m *member) allot(part float64, earn bool) (rests bool) {
	switch m.part = part; {
	case part == 0:
		m.due = 1
	case earn:
		m.due = min(m.due+part, mostDue)
	}
	return part > 0 && m.due < 1-1e-9
}

// behind puts those that have used up their part behind the others: their cost is the
// largest of these, at least. Risk is the difference, where costs are in seconds.
func behind(rs []Replica, seconds bool) {
	worst, found := 0.0, false
	for i := range rs {
		if !rs[i].Rests && (!found || rs[i].Cost > worst) {
			worst, found = rs[i].Cost, true
		}
	}
	for i := range rs {
		r := &rs[i]
		if !found || !r.Rests || r.Cost >= worst {
			continue
		}
		if seconds {
			r.Risk = worst - r.Cost
		}
		r.Cost = worst
	}
}
