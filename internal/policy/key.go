package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tailplane/internal/account"
)

// KeySpec is what an operator says of a key.
type KeySpec struct {
	Name         string `json:"name"`
	Organisation string `json:"organisation,omitempty"`
	Team         string `json:"team,omitempty"`
	Customer     string `json:"customer,omitempty"`
	// Models are patterns of the model names that the key may call, Surfaces of
	// the operations and dialects that it may use, Networks from where. None
	// means all.
	Models   []string       `json:"models,omitempty"`
	Surfaces []string       `json:"surfaces,omitempty"`
	Networks []netip.Prefix `json:"networks,omitempty"`
	// MayNameCustomers says that the caller may claim a customer within the
	// key's own party. A key with a customer has no use for it.
	MayNameCustomers bool `json:"may_name_customers,omitempty"`
	// MayRoute says that the caller may choose targets, in the words of the
	// request.
	MayRoute bool `json:"may_route,omitempty"`
	// Priority is high, normal or low, and Weight the key's part beside others,
	// where requests have to wait. What is left out is as for its party.
	Priority string  `json:"priority,omitempty"`
	Weight   float64 `json:"weight,omitempty"`
	account.Rules
}

// Form says how a text becomes the hash that is kept of it.
type Form string

// The forms.
const (
	FormHMAC   Form = "hmac"   // HMAC-SHA-256 with the install's pepper
	FormSHA256 Form = "sha256" // as other gateways keep theirs
)

// Secret is one text that opens a key. What is kept of it is a hash.
type Secret struct {
	Hash    Hash      `json:"hash"`
	Form    Form      `json:"form"`
	Expires time.Time `json:"expires,omitzero"` // zero: with the key
}

// keyDoc is a key as package facts keeps it.
type keyDoc struct {
	KeySpec
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
	Revoked time.Time `json:"revoked,omitzero"`
	Secrets []Secret  `json:"secrets"`
}

// Key is a caller's identity: the ledger, its limits and its budgets go by its
// ID, whatever texts it has. It is immutable but for when it was last used.
type Key struct {
	// What every request looks at comes first.
	party   *Party
	account *account.Account
	seen    atomic.Int64 // what touch has written to used: it stands nearer
	broken  string       // why it may not be used: what it belongs to is not there

	ID string `json:"id"` // public, stands in the ledger
	KeySpec
	Created   time.Time `json:"created,omitzero"`
	Expires   time.Time `json:"expires,omitzero"` // zero: never
	Revoked   time.Time `json:"revoked,omitzero"` // zero: not
	Ephemeral bool      `json:"ephemeral,omitempty"`
	Static    bool      `json:"static,omitempty"` // of the file; cannot be changed from outside
	Revision  int64     `json:"revision,omitempty"`
	Secrets   []Secret  `json:"-"`

	chain []*account.Account
	used  *atomic.Int64
}

// Anonymous is who calls when no key is required and none is shown.
func Anonymous() *Key {
	return &Key{ID: "anonymous", KeySpec: KeySpec{Name: "anonymous"}, used: new(atomic.Int64)}
}

// Party is the nearest party that the key belongs to, or nil.
func (k *Key) Party() *Party { return k.party }

// Chain are the accounts that a request of the key draws on, from its
// organisation down to itself, those without limits left out. It is not to be
// changed.
func (k *Key) Chain() []*account.Account { return k.chain }

// AppendChain appends the accounts that a request of the key for a party draws
// on to dst: those of the party and above it, then the key's own.
func (k *Key) AppendChain(dst []*account.Account, p *Party) []*account.Account {
	if p == nil {
		return append(dst, k.chain...)
	}
	dst = append(dst, p.chain...)
	if k.account != nil {
		dst = append(dst, k.account)
	}
	return dst
}

// MayCall reports whether the key, and what it belongs to, may use a model name.
func (k *Key) MayCall(model string) bool {
	return matches(k.Models, model) && k.party.MayCall(model)
}

// Narrow reports whether there are models that the key may not call.
func (k *Key) Narrow() bool { return narrow(k.Models) || k.party.Narrow() }

// MayUse reports whether the key may use an operation in a dialect.
func (k *Key) MayUse(op, dialect string) bool {
	return matches(k.Surfaces, op) || matches(k.Surfaces, dialect)
}

// MayFrom reports whether the key may be used from an address.
func (k *Key) MayFrom(addr netip.Addr) bool {
	if len(k.Networks) == 0 {
		return true
	}
	addr = addr.Unmap().WithZone("")
	for _, n := range k.Networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// LastUsed is when the key was last used here, to the minute; zero since the
// start of the process when it was not.
func (k *Key) LastUsed() time.Time {
	if minutes := k.used.Load(); minutes != 0 {
		return time.Unix(60*minutes, 0).UTC()
	}
	return time.Time{}
}

func (k *Key) touch(now time.Time) {
	if minute := now.Unix() / 60; k.seen.Load() != minute {
		k.seen.Store(minute)
		k.used.Store(minute)
	}
}

// lack is why the key may not be used; empty when it may.
func (k *Key) lack(now time.Time) Lack {
	switch {
	case !k.Revoked.IsZero():
		return LackRevoked
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		return LackExpired
	case k.broken != "":
		return LackBroken
	}
	return ""
}

// Usable reports whether the key may be used, and why not.
func (k *Key) Usable(now time.Time) (Lack, bool) {
	lack := k.lack(now)
	return lack, lack == ""
}

// matches reports whether a text fits one of the patterns; it fits none of none.
func matches(patterns []string, text string) bool {
	if len(patterns) == 0 {
		return true
	}
	for _, pattern := range patterns {
		if ok, err := path.Match(pattern, text); pattern == "*" || ok && err == nil {
			return true
		}
	}
	return false
}

func narrow(patterns []string) bool { return len(patterns) > 0 && !slices.Contains(patterns, "*") }

// longestName bounds names: they become labels, headers and log fields.
const longestName = 128

// ErrInvalid is wrapped by the refusal of an order that is itself wrong.
var ErrInvalid = errors.New("the order is not valid")

// check returns everything that is wrong with a spec by itself.
func (s *KeySpec) check() error {
	var wrong []error
	report := func(at, what, right string) {
		wrong = append(wrong, fmt.Errorf("%w: %s: %s; %s", ErrInvalid, at, what, right))
	}
	if !printable(s.Name) || len(s.Name) > longestName {
		report("name", "it is empty, too long or not printable", fmt.Sprintf("use up to %d printable characters", longestName))
	}
	checkPatterns("models", s.Models, report)
	checkSurfaces("surfaces", s.Surfaces, report)
	for i, n := range s.Networks {
		if !n.IsValid() {
			report(fmt.Sprintf("networks[%d]", i), "it is no network", "write one such as 10.0.0.0/8")
		}
	}
	checkTurn("", s.Priority, s.Weight, func(at, what, right string) { report(strings.TrimPrefix(at, "."), what, right) })
	s.Validate("", func(at, what, right string) { report(strings.TrimPrefix(at, "."), what, right) })
	return errors.Join(wrong...)
}
