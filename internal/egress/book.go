package egress

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Contact is what the book says of one destination: every dial that was tried
// since the start, whether or not it came to a connection.
type Contact struct {
	Address string    `json:"address"` // host:port that was asked for
	Why     string    `json:"why"`     // which part of the config wanted it
	Via     string    `json:"via,omitempty"`
	Dials   uint64    `json:"dials"`   // tried, the refused ones included
	Refused uint64    `json:"refused"` // by the policy: nothing left this machine
	Failed  uint64    `json:"failed"`  // for another reason
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Outcome string    `json:"outcome"`          // of the last dial: ok, or the kind of its error
	Error   string    `json:"error,omitempty"`  // of the last dial
	Remote  string    `json:"remote,omitempty"` // ip:port of the last connection
}

// Report is the book as it stands.
type Report struct {
	Default  string    `json:"default"` // of the policy: allow or deny
	Contacts []Contact `json:"contacts"`
	// Unlisted counts dials to destinations that the book had no room for.
	Unlisted uint64 `json:"unlisted,omitempty"`
}

// mostContacts bounds the book: destinations come from the config and from
// redirects, and only the latter are without number.
const mostContacts = 1000

// book notes dials. The zero book is empty; it is safe for concurrent use.
type book struct {
	mu       sync.Mutex
	lines    map[line]*Contact
	unlisted uint64
}

type line struct{ address, why, via string }

// note enters one dial.
func (b *book) note(l line, remote string, err error, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.lines[l]
	if c == nil {
		if len(b.lines) >= mostContacts {
			b.unlisted++
			return
		}
		if b.lines == nil {
			b.lines = map[line]*Contact{}
		}
		c = &Contact{Address: l.address, Why: l.why, Via: l.via, First: at}
		b.lines[l] = c
	}
	c.Dials++
	c.Last, c.Outcome, c.Error = at, "ok", ""
	if err == nil {
		c.Remote = remote
		return
	}
	kind := kindOf(err)
	c.Outcome, c.Error = string(kind), err.Error()
	if kind == Refused {
		c.Refused++
	} else {
		c.Failed++
	}
}

// contacts are the lines, by address.
func (b *book) contacts() ([]Contact, uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Contact, 0, len(b.lines))
	for _, c := range b.lines {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Contact) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Why, b.Why), cmp.Compare(a.Via, b.Via))
	})
	return out, b.unlisted
}
