package credential

import (
	"cmp"
	"slices"
	"time"

	"tailplane/internal/llm"
)

// The rules of limits: a rate limit holds for the account of a key, and says nothing of the
// other members of a pool. The member that met one rests for as long as was
// demanded, for that model or for all of them, and the others serve. A successor
// is the same account, so a target with one member has nobody to turn to.

// limit is what a member's rate limit holds for; an empty model is all of them.
type limit struct {
	member int
	model  string
}

// maxLimits bounds the limits that are remembered.
const maxLimits = 1024

// limited lays the member of u aside for what it was limited for, and reports
// whether another member is free.
func (s *Source) limited(u Use, f *llm.Fault, now time.Time) (another bool) {
	at := limit{s.memberOf(u.slot), u.model}
	if len(s.members) < 2 || at.member < 0 || f.After <= 0 {
		return false
	}
	if f.Scope != llm.ScopeModel {
		at.model = ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.limits) >= maxLimits {
		for l, until := range s.limits {
			if !now.Before(until) {
				delete(s.limits, l)
			}
		}
	}
	if s.limits == nil {
		s.limits = map[limit]time.Time{}
	}
	if until := now.Add(f.After); until.After(s.limits[at]) && len(s.limits) < maxLimits {
		s.limits[at] = until
		s.limitedUntil.Store(max(s.limitedUntil.Load(), until.UnixNano()))
	}
	for i, m := range s.members {
		another = another || i != at.member && !now.Before(s.rests(i, u.model)) &&
			slices.ContainsFunc(m.slots, func(o *slot) bool { return !now.Before(o.parking.until) })
	}
	return another
}

// Rest is for how long every member of the pool rests, for the model of u; 0
// where one is free or nothing is known.
func (s *Source) Rest(u Use, now time.Time) time.Duration {
	if now.UnixNano() >= s.limitedUntil.Load() {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	soonest := s.rests(0, u.model)
	for i := range s.members[1:] {
		if until := s.rests(i+1, u.model); until.Before(soonest) {
			soonest = until
		}
	}
	return max(0, soonest.Sub(now))
}

// rests is until when a member is limited for a model. The caller holds mu.
func (s *Source) rests(member int, model string) time.Time {
	all, one := s.limits[limit{member, ""}], s.limits[limit{member, model}]
	if one.After(all) {
		return one
	}
	return all
}

// memberOf is the member that a slot belongs to; -1 is none.
func (s *Source) memberOf(of *slot) int {
	return slices.IndexFunc(s.members, func(m member) bool { return slices.Contains(m.slots, of) })
}

// leastBad is every slot, those that were not refused in front, and of these who
// rests for the shortest time. The caller holds mu.
func (s *Source) leastBad(model string, now time.Time) []*slot {
	var all []*slot
	for _, m := range s.members {
		all = append(all, m.slots...)
	}
	refused := func(o *slot) time.Time {
		if now.Before(o.parking.until) {
			return o.parking.until
		}
		return time.Time{}
	}
	slices.SortStableFunc(all, func(a, b *slot) int {
		return cmp.Or(refused(a).Compare(refused(b)), s.rests(s.memberOf(a), model).Compare(s.rests(s.memberOf(b), model)))
	})
	return all
}
