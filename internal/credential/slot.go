package credential

import (
	"context"
	"slices"
	"time"

	"tailplane/internal/h1"
	"tailplane/internal/llm"
	"tailplane/internal/secret"
)

// slot is one identity that can finish requests. Its functions are set once.
type slot struct {
	name, place string
	// finish adds the credential and returns what it used.
	finish func(ctx context.Context, req *h1.Request, caller Caller, now time.Time) (secret.Value, error)
	// current is the value as it is now, to see that a refused one was
	// replaced; nil for an identity that has no single one.
	current func(now time.Time) secret.Value
	// renew asks for a newer value than the one that was refused; nil if there is
	// none to ask.
	renew   func(used secret.Value, now time.Time)
	status  func() (expires time.Time, err error) // nil for a local key
	hint    func() string                         // of the value in use
	secrets func(out []string) []string           // appends what must not be repeated

	// repeats asks about each secret that may stand in an id; nil for an identity
	// whose secrets are longer or never sent.
	repeats func(is func(string) bool) bool

	parking parking // guarded by Source.mu
}

// member is one entry of the pool: a key and perhaps its successor.
type member struct {
	weight int
	slots  []*slot
}

// A refused slot is left alone for this long, twice as long each time.
const (
	firstPause = time.Minute
	mostPause  = time.Hour
)

// parking is the pause of a refused slot.
type parking struct {
	until time.Time     // zero when it is not parked; free again from then on
	pause time.Duration // the last one
	trial bool          // its pause is over and one request has it
	value secret.Value  // what was refused
	why   string
	loud  time.Time // when its last event was told
}

// trial is how long a slot whose pause is over is given to one request alone
// before others try it too.
const trial = 10 * time.Second

// order is the slots to try for a model: the first free one of a member that is
// drawn by weight, then those of the others, and those that are parked or limited
// by the end of their pause only when no other is free.
func (s *Source) order(model string, now time.Time) []*slot {
	if len(s.members) == 1 && len(s.members[0].slots) == 1 {
		return s.members[0].slots
	}
	if s.parked.Load() == 0 && now.UnixNano() >= s.limitedUntil.Load() {
		if len(s.members) == 1 {
			return s.members[0].slots
		}
		return s.drawn(func(int, *slot) bool { return true })
	}
	s.mu.Lock()
	var changed []*slot
	for _, m := range s.members {
		for _, slot := range m.slots {
			if s.replaced(slot, now) {
				changed = append(changed, slot)
			}
		}
	}
	free := s.drawn(func(member int, slot *slot) bool {
		return !now.Before(slot.parking.until) && !now.Before(s.rests(member, model))
	})
	if len(free) > 0 && !free[0].parking.until.IsZero() {
		free[0].parking.until, free[0].parking.trial = now.Add(trial), true // the others wait for what it learns
	}
	if len(free) == 0 {
		free = s.leastBad(model, now)
	}
	s.mu.Unlock()
	for _, slot := range changed {
		s.tell(Event{Kind: Unparked, Name: slot.name, Hint: slot.hint(), Why: "its value has changed"})
	}
	return free
}

// replaced unparks a slot whose refused value is not the one in use any more.
func (s *Source) replaced(slot *slot, now time.Time) bool {
	p := &slot.parking
	if p.until.IsZero() || slot.current == nil {
		return false
	}
	if v := slot.current(now); v.IsZero() || v == p.value {
		return false
	}
	s.parked.Add(-1)
	*p = parking{loud: p.loud}
	return true
}

// drawn is the free slots, with the member that the weights draw in front.
func (s *Source) drawn(free func(member int, o *slot) bool) []*slot {
	total := 0
	for i, m := range s.members {
		if slices.ContainsFunc(m.slots, func(o *slot) bool { return free(i, o) }) {
			total += m.weight
		}
	}
	left := s.roll() * float64(total)
	var first, rest []*slot
	for i, m := range s.members {
		if !slices.ContainsFunc(m.slots, func(o *slot) bool { return free(i, o) }) {
			continue
		}
		into := &rest
		if left -= float64(m.weight); left < 0 && first == nil {
			into = &first
		}
		for _, slot := range m.slots {
			if free(i, slot) {
				*into = append(*into, slot)
			}
		}
	}
	return append(first, rest...)
}

// park lays a refused slot aside and reports whether another one is free. What
// is parked already, and what was replaced since the request was made, stays as
// it is: many requests that fail together are one refusal.
func (s *Source) park(u Use, f *llm.Fault, now time.Time) (another bool) {
	s.mu.Lock()
	p := &u.slot.parking
	stale := u.slot.current != nil && u.slot.current(now) != u.value
	fresh := !stale && (p.until.IsZero() || p.trial || !now.Before(p.until))
	var told Event
	if fresh {
		if p.until.IsZero() {
			s.parked.Add(1)
		}
		p.pause = min(mostPause, max(firstPause, 2*p.pause))
		p.until, p.trial, p.value, p.why = now.Add(p.pause), false, u.value, string(f.Kind)
		told = Event{Kind: Parked, Name: u.slot.name, Hint: u.value.Hint(), Until: p.until, Why: p.why, Again: p.again(now)}
	}
	for _, m := range s.members {
		another = another || slices.ContainsFunc(m.slots, func(o *slot) bool { return o != u.slot && !now.Before(o.parking.until) })
	}
	s.mu.Unlock()
	if fresh {
		s.tell(told)
	}
	return another || stale
}

// unpark takes a slot back that was parked.
func (s *Source) unpark(slot *slot, now time.Time) {
	s.mu.Lock()
	p := &slot.parking
	was := !p.until.IsZero()
	told := Event{Kind: Unparked, Name: slot.name, Hint: slot.hint(), Why: "it was taken again", Again: p.again(now)}
	if was {
		s.parked.Add(-1)
		*p = parking{loud: now}
	}
	s.mu.Unlock()
	if was {
		s.tell(told)
	}
}

// again reports whether an event of the slot was told within the last minute,
// and notes this one.
func (p *parking) again(now time.Time) bool {
	lately := !p.loud.IsZero() && now.Sub(p.loud) < time.Minute
	if !lately {
		p.loud = now
	}
	return lately
}
