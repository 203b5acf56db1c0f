// Package credential finishes requests with what pays for them: a key, one of
// a pool of keys, a token that a cloud's identity endpoint gives, or an AWS
// signature over the whole request.
//
// It owns key pools and their two slots, the parking of keys that a provider
// refuses, the refresh of tokens ahead of their end, sessions of an AWS role by
// customer, and the secret stores that need a cloud's identity. It never
// decides whether a request is made again (package route does), never opens a
// connection but by the HTTP client that it is given, and never puts a secret
// into an error, an event or a state.
//
// Start reading at [Source]. Everything is safe for concurrent use.
package credential

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tailplane/internal/h1"
	"tailplane/internal/llm"
	"tailplane/internal/secret"
)

// Options are what a source needs from outside.
type Options struct {
	// Client is the way to identity endpoints. Nil makes every credential that
	// needs one an error.
	Client *http.Client
	// Resolvers read secrets of remote references.
	Resolvers secret.Resolvers
	// Observe is told every event, from any goroutine; nil is allowed.
	Observe func(Event)
	// Roll gives numbers in [0,1) for weights and jitter; nil is math/rand.
	Roll func() float64
}

// Caller is for whom a request is made, and for which model.
type Caller struct{ Customer, Model string }

// Use is what a request was finished with; it belongs to Report.
type Use struct {
	slot  *slot
	value secret.Value
	model string
}

// Name is what the slot is called; empty when the target asks for no credential.
func (u Use) Name() string {
	if u.slot == nil {
		return ""
	}
	return u.slot.name
}

// Source is the credential of one target.
type Source struct {
	members []member
	headers []*slot // secret ones beside the credential
	observe func(Event)
	roll    func() float64

	parked atomic.Int32 // how many slots are
	mu     sync.Mutex   // guards the parking of every slot, and limits
	limits map[limit]time.Time

	limitedUntil atomic.Int64 // no limit ends later, in Unix nanoseconds
}

// New makes the source of a valid config; header is the one in which the kind
// wants its key. Local references are read now, and an error names the one that
// cannot be; what lies in the network is read when it is needed.
func New(c Config, header string, o Options, now time.Time) (*Source, error) {
	s := &Source{observe: o.Observe, roll: o.Roll}
	if s.roll == nil {
		s.roll = rand.Float64
	}
	b := builder{options: o, source: s, key: mannerOf(cmp.Or(c.Header, header)), token: mannerOf(c.Header), now: now}
	err := errors.Join(b.credential(c), b.extra(c.Headers))
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Authorize adds the credential to a request that is otherwise complete. It
// takes the first slot of a member of the pool that is neither parked nor limited, or when all
// are, the one whose pause ends first: a refusal that may be over is better than
// none. It waits only for a token that nobody has yet. An error names the place
// where there is no credential to be had, and what it said.
func (s *Source) Authorize(ctx context.Context, req *h1.Request, caller Caller, now time.Time) (Use, error) {
	for _, h := range s.headers {
		if _, err := h.finish(ctx, req, caller, now); err != nil {
			return Use{}, err
		}
	}
	if len(s.members) == 0 {
		return Use{}, nil
	}
	before := len(req.Header)
	var errs []error
	for _, slot := range s.order(caller.Model, now) {
		value, err := slot.finish(ctx, req, caller, now)
		if err == nil {
			return Use{slot, value, caller.Model}, nil
		}
		req.Header = req.Header[:before]
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return Use{}, errors.Join(errs...)
}

// Keyed reports whether there is a credential at all.
func (s *Source) Keyed() bool { return len(s.members)+len(s.headers) > 0 }

// Report says what became of a request that was finished with u. A refused
// credential is parked, and one that is taken again is not parked any more; a
// member of a pool that met a rate limit rests; every other fault says nothing
// about it. It reports whether another slot may do better at the same target.
func (s *Source) Report(u Use, f *llm.Fault, now time.Time) (another bool) {
	switch {
	case u.slot == nil:
		return false
	case f == nil:
		if s.parked.Load() > 0 {
			s.unpark(u.slot, now)
		}
		return false
	case f.Kind == llm.FaultRateLimit:
		return s.limited(u, f, now)
	case !refused(f):
		return false
	}
	if u.slot.renew != nil && f.Kind == llm.FaultCredential {
		u.slot.renew(u.value, now)
	}
	return s.park(u, f, now)
}

// refused reports whether the fault is about the credential itself: it is wrong,
// or its account has nothing left.
func refused(f *llm.Fault) bool {
	return f.Kind == llm.FaultCredential || f.Kind == llm.FaultQuota && f.Scope == llm.ScopeKey
}

// Secrets are the texts that the source was trusted with and that nobody may
// repeat: those in use, and the ones before them.
func (s *Source) Secrets() []string {
	var out []string
	for slot := range s.slots {
		out = slot.secrets(out)
	}
	return out
}

// longestRepeated is the length up to which Repeats looks for a secret: an id
// holds no token.
const longestRepeated = 200

// Repeats reports whether a short text, such as an id that a provider gave,
// holds a secret of at least the given length.
func (s *Source) Repeats(text string, least int) bool {
	for slot := range s.slots {
		if slot.repeats != nil && slot.repeats(func(v string) bool {
			return len(v) >= least && len(v) <= longestRepeated && strings.Contains(text, v)
		}) {
			return true
		}
	}
	return false
}

// slots walks all of them, those of headers last.
func (s *Source) slots(yield func(*slot) bool) {
	for _, m := range s.members {
		for _, slot := range m.slots {
			if !yield(slot) {
				return
			}
		}
	}
	for _, slot := range s.headers {
		if !yield(slot) {
			return
		}
	}
}

// State is one slot as it stands; it holds no secret.
type State struct {
	Name   string
	Place  string // the reference, or whose identity it is
	Hint   string // of the value in use; empty before the first
	Weight int
	// Parked is until when it is left alone because it was refused, and why;
	// zero when it is not.
	Parked time.Time
	Why    string
	// Expires is the end of the token in use; zero when it states none.
	Expires time.Time
	// Error is why the last fetch failed; empty when it did not.
	Error string
}

// State is every slot of the credential as of now.
func (s *Source) State(now time.Time) []State {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []State
	for _, m := range s.members {
		for _, slot := range m.slots {
			st := State{Name: slot.name, Place: slot.place, Hint: slot.hint(), Weight: m.weight}
			if now.Before(slot.parking.until) {
				st.Parked, st.Why = slot.parking.until, slot.parking.why
			}
			if slot.status != nil {
				expires, err := slot.status()
				if st.Expires = expires; err != nil {
					st.Error = err.Error()
				}
			}
			out = append(out, st)
		}
	}
	return out
}

// EventKind says what happened to a slot.
type EventKind string

// The kinds.
const (
	Parked    EventKind = "parked"     // the provider refused it
	Unparked  EventKind = "unparked"   // it was taken again, or changed
	FetchFail EventKind = "fetch_fail" // its value could not be had from where it comes
	Fetched   EventKind = "fetched"    // it could again
)

// Event is something that an operator wants to see; it holds no secret.
type Event struct {
	Kind EventKind
	Name string // of the slot
	Hint string
	// Until is the end of the pause, and Why its reason, of a parked one.
	Until time.Time
	Why   string
	Err   error // of a fetch that failed
	// Again: the same happened to the slot within the last minute; worth
	// counting, not worth a line.
	Again bool
}

func (s *Source) tell(e Event) {
	if s.observe != nil {
		s.observe(e)
	}
}
