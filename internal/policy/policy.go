// Package policy says who may call and what.
//
// It owns client keys: their text, their hashes, the AWS key pairs that stand for
// them, what each may use, and the file in which they are kept. It never keeps a key's text, never asks a
// database on the way of a request, and never sees a request's body.
//
// Start reading at [Keys.Find]; token.go has the form of a key, pair.go that of its
// AWS key pair.
package policy

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/secret"
)

// Config is the `keys:` section of the file.
type Config struct {
	// Required is whether callers need a key: yes unless it says no.
	Required *bool `yaml:"required"`
	// Static are keys whose text comes from the environment or a file.
	Static []Static `yaml:"static"`
}

// Static is a key that the operator brings along.
type Static struct {
	Name     string     `yaml:"name"`
	Key      secret.Ref `yaml:"key"`
	Customer string     `yaml:"customer"`
	// Models are patterns of the model names that the key may call; none
	// means all.
	Models []string `yaml:"models"`
}

// Validate reports every problem of the section.
func (c Config) Validate(report func(at, wrong, right string)) {
	seen := map[string]bool{}
	for i, s := range c.Static {
		at := fmt.Sprintf("keys.static[%d]", i)
		if s.Name == "" {
			report(at, "the key has no name", "add `name:`, it stands in the ledger")
		}
		if seen[s.Name] {
			report(at+".name", fmt.Sprintf("the name %q stands twice", s.Name), "give every key its own")
		}
		seen[s.Name] = true
		if s.Key.IsZero() {
			report(at, fmt.Sprintf("key %q has no reference to its text", s.Name), "add `key: env:NAME` or `key: file:/path`")
		}
		for j, pattern := range s.Models {
			if _, err := path.Match(pattern, ""); err != nil {
				report(fmt.Sprintf("%s.models[%d]", at, j), fmt.Sprintf("%q is not a pattern", pattern), "use * and ? as in gpt-*")
			}
		}
	}
}

// Key is a caller's identity. It is immutable.
type Key struct {
	ID       string    `json:"id"` // public, stands in the ledger
	Name     string    `json:"name"`
	Customer string    `json:"customer,omitempty"`
	Models   []string  `json:"models,omitempty"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires,omitzero"`
	Hash     string    `json:"hash"` // hex of the HMAC

	Networks         []netip.Prefix
	MayNameCustomers bool
	Party            *Party
	Account          *account.Account
}

// MayCall reports whether the key may use a model name.
func (k *Key) MayCall(model string) bool {
	return len(k.Models) == 0 || slices.ContainsFunc(k.Models, func(pattern string) bool {
		ok, err := path.Match(pattern, model)
		return pattern == "*" || ok && err == nil
	})
}

// Narrow reports whether there are models that the key may not call.
func (k *Key) Narrow() bool { return len(k.Models) > 0 && !slices.Contains(k.Models, "*") }

func (k *Key) expired(now time.Time) bool { return !k.Expires.IsZero() && !now.Before(k.Expires) }

// Anonymous is who calls when no key is required and none is shown.
func Anonymous() *Key { return &Key{ID: "anonymous", Name: "anonymous"} }

// Keys finds the key to a text: those of the config, then those of the store.
// It is immutable but for the store behind it.
type Keys struct {
	required bool
	static   map[Hash]*Key
	handles  map[handle]*Key // the same by access key id
	store    *Store
	nobody   *Key
}

// NewKeys resolves the static keys of a valid config. The error names the
// reference that cannot be resolved.
func NewKeys(c Config, store *Store) (*Keys, error) {
	k := &Keys{required: c.Required == nil || *c.Required, static: map[Hash]*Key{}, handles: map[handle]*Key{}, store: store, nobody: Anonymous()}
	for _, s := range c.Static {
		text, err := s.Key.Resolve()
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", s.Name, err)
		}
		h, ok := store.pepper.Hash(text.Reveal())
		if !ok {
			return nil, fmt.Errorf("key %q: %s is longer than %d bytes", s.Name, s.Key, longestToken)
		}
		if other, taken := k.static[h]; taken {
			return nil, fmt.Errorf("keys %q and %q have the same text", other.Name, s.Name)
		}
		key := &Key{ID: "static-" + s.Name, Name: s.Name, Customer: s.Customer, Models: s.Models, Hash: fmt.Sprintf("%x", h)}
		k.static[h], k.handles[h.handle()] = key, key
	}
	return k, nil
}

// Find returns the key to a text, or nil when it opens nothing. An empty text
// is the anonymous caller where no key is required. It allocates nothing, and
// takes the same time for every wrong text: what is compared are hashes.
func (k *Keys) Find(text string, now time.Time) *Key {
	if text == "" {
		if k.required {
			return nil
		}
		return k.nobody
	}
	h, ok := k.store.pepper.Hash(text)
	if !ok {
		return nil
	}
	if key := k.static[h]; key != nil {
		return key
	}
	if key := k.store.find(h); key != nil && !key.expired(now) {
		return key
	}
	if !k.required {
		return k.nobody
	}
	return nil
}

// Named returns the key with a name or an id, or nil. It is for people's
// questions and looks at every key.
func (k *Keys) Named(name string) *Key {
	for _, keys := range []map[Hash]*Key{k.static, k.store.held.Load().keys} {
		for _, key := range keys {
			if key.Name == name || key.ID == name {
				return key
			}
		}
	}
	return nil
}

// Empty reports whether a key is required and none is there, so that nobody
// could call.
func (k *Keys) Empty() bool {
	return k.required && len(k.static) == 0 && k.store.Len() == 0
}
