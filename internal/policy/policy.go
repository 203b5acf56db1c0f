// Package policy says who may call, on whose behalf, and what.
//
// It owns organisations, teams and customers (a [Party] each), client keys with
// their texts' hashes, the AWS key pairs that stand for them, the rules by which
// tokens and certificates do, and the order in which a customer is known. The
// file says some of them, package facts keeps the others. It never keeps a key's
// text, never asks a database on the way of a request, never makes anything
// because a request names it, and never sees a request's body.
//
// Start reading at [Keys.Find]; directory.go has what it looks into, change.go
// what operators change, claim.go whose a request is. token.go has the form of a
// key, pair.go that of its AWS key pair.
package policy

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// Keys finds the key to a text, and the customer to a claim: what the file says,
// and what the store behind it keeps. All its methods are safe for concurrent
// use; those that a request calls never wait.
type Keys struct {
	setting  Setting
	docs     map[ref]partyDoc // the parties of the file; immutable
	implied  map[ref]partyDoc // customers that stand nowhere but at a static key; immutable
	store    *Store
	required bool
	nobody   *Key
	fixed    []*record // the static keys; immutable
	dir      atomic.Pointer[directory]
}

// NewKeys resolves the static keys of a valid setting. The error names the
// reference that cannot be resolved. The keys find nothing until they are put in
// force by [Keys.Use], so that a setting which is refused changes no live limit.
func NewKeys(c Setting, store *Store) (*Keys, error) {
	k := &Keys{setting: c, docs: c.docs(), implied: c.implied(), store: store, required: c.Keys.Required == nil || *c.Keys.Required, nobody: Anonymous()}
	k.dir.Store(newDirectory())
	taken := map[Hash]string{}
	for _, s := range c.Keys.Static {
		spec, err := s.spec()
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", s.Name, err)
		}
		r := &record{id: staticPrefix + s.Name, static: true, doc: keyDoc{KeySpec: spec}, used: store.usage(staticPrefix + s.Name)}
		k.fixed = append(k.fixed, r)
		if s.Key.IsZero() {
			continue // only rules lead to it
		}
		text, err := s.Key.Resolve()
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", s.Name, err)
		}
		h, ok := store.pepper.Hash(text.Reveal())
		if !ok {
			return nil, fmt.Errorf("key %q: %s is longer than %d bytes", s.Name, s.Key, longestToken)
		}
		if other, is := taken[h]; is {
			return nil, fmt.Errorf("keys %q and %q have the same text", other, s.Name)
		}
		taken[h] = s.Name
		r.doc.Secrets = []Secret{{Hash: h, Form: FormHMAC}}
	}
	return k, nil
}

// Use puts the keys in force: the store's changes go into them from here on, and
// into those that were in force before no more.
func (k *Keys) Use(now time.Time) { k.store.use(k, now) }

// Shown is a text that a caller shows, and what it is looked up by: whoever keeps
// it need not hash the text when it is shown again. It is of the Keys that made it.
type Shown struct {
	text string
	form Form // the one that it more likely has
	hash Hash // in that form
}

// Show prepares a text to be looked up, as often as it is shown.
func (k *Keys) Show(text string) Shown {
	s := Shown{text: text, form: FormHMAC}
	if k.dir.Load().imported > 0 && !strings.HasPrefix(text, prefix) {
		s.form = FormSHA256
	}
	if s.mayOpen() {
		s.hash = k.store.hash(text, s.form)
	}
	return s
}

// mayOpen is false for texts that open nothing, whatever keys there are.
func (s Shown) mayOpen() bool { return s.text != "" && len(s.text) <= longestToken }

// Find returns the key to a text, or nil when it opens nothing. An empty text
// is the anonymous caller where no key is required. It allocates nothing, and
// takes the same time for every wrong text: what is compared are hashes.
func (k *Keys) Find(text string, now time.Time) *Key { return k.FindShown(k.Show(text), now) }

// FindShown is Find for a text that was prepared.
func (k *Keys) FindShown(s Shown, now time.Time) *Key {
	if e := k.entry(s); e != nil && e.opens(now) {
		e.account.Fetch()
		e.key.touch(now)
		return e.key
	}
	if k.required {
		return nil
	}
	return k.nobody
}

// entry is what a text stands for, or nil. It may be one of our keys, and where there
// are imported ones also one of those.
func (k *Keys) entry(s Shown) *entry {
	if !s.mayOpen() {
		return nil
	}
	d := k.dir.Load()
	e := d.index.of(s.hash, s.form)
	switch {
	case e != nil:
	case s.form == FormSHA256:
		e = d.index.of(k.store.hash(s.text, FormHMAC), FormHMAC)
	case d.imported > 0:
		e = d.index.of(k.store.hash(s.text, FormSHA256), FormSHA256)
	}
	return e
}

// hash is what is kept of a text of up to longestToken bytes.
func (s *Store) hash(text string, form Form) Hash {
	if form == FormSHA256 {
		return plainHash(text)
	}
	return s.hasher.hash(text)
}

// plainHash is the SHA-256 of a text of up to longestToken bytes.
func plainHash(text string) Hash {
	var buf [longestToken]byte
	return sha256.Sum256(buf[:copy(buf[:], text)])
}

// Lack is why a text opens nothing; empty when it does.
type Lack string

// The lacks. The last four are told only to who has shown the key's own text.
const (
	LackNone     Lack = "none"     // no text was shown
	LackForeign  Lack = "foreign"  // it does not look like a key of ours, and is none that was imported
	LackDamaged  Lack = "damaged"  // it looks like one, and its checksum does not fit
	LackUnknown  Lack = "unknown"  // it is whole, and not known here
	LackExpired  Lack = "expired"  // its time is over
	LackReplaced Lack = "replaced" // the key has another text now, and the grace for this one is over
	LackRevoked  Lack = "revoked"  // an operator took it back
	LackBroken   Lack = "broken"   // what the key belongs to is not there
)

// Why tells why Find found nothing to a text.
func (k *Keys) Why(text string, now time.Time) Lack {
	if text == "" {
		return LackNone
	}
	if e := k.entry(k.Show(text)); e != nil {
		return e.lack(now)
	}
	switch {
	case WellFormed(text):
		return LackUnknown
	case strings.HasPrefix(text, prefix):
		return LackDamaged
	}
	return LackForeign
}

// Named returns the key with a name or an id, or nil. It is for people's
// questions and looks at every key.
func (k *Keys) Named(name string) *Key {
	var found *Key
	for key := range k.dir.Load().keys {
		if key.ID == name {
			return key
		}
		if key.Name == name && (found == nil || key.ID < found.ID) {
			found = key
		}
	}
	return found
}

// Empty reports whether a key is required and none is there, so that nobody
// could call.
func (k *Keys) Empty() bool {
	return k.required && k.dir.Load().index.len() == 0 && len(k.setting.Keys.JWT) == 0 && len(k.setting.Keys.MTLS) == 0
}

// Required reports whether callers need a key.
func (k *Keys) Required() bool { return k.required }
