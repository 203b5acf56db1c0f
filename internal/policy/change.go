package policy

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/facts"
	"tailplane/internal/secret"
)

// What changes refuse.
var (
	// ErrInFile is wrapped by the refusal of a change to what the file says.
	ErrInFile = errors.New("it stands in the config file; change it there")
	// ErrNoParty is wrapped where a party is not there.
	ErrNoParty = errors.New("it is not there")
	// ErrInUse is wrapped by the refusal to remove what others belong to.
	ErrInUse = errors.New("it is in use")
)

// Order is what a new key shall be.
type Order struct {
	KeySpec
	Label string `json:"label,omitempty"` // stands in the key's text; up to 16 letters, digits and _
	// Lifetime is how long the key lives: [DefaultLifetime] when it is 0, without
	// end when it is [Never]. An ephemeral key also ends with the process.
	Lifetime  time.Duration `json:"-"`
	Ephemeral bool          `json:"ephemeral,omitempty"`
}

// Lifetimes of keys.
const (
	DefaultLifetime = 365 * 24 * time.Hour
	Never           = time.Duration(-1)
	longestLifetime = 10 * DefaultLifetime
	longestGrace    = 90 * 24 * time.Hour
	mostSecrets     = 8
)

// apply makes changes and takes them over at once.
func (s *Store) apply(ctx context.Context, actor string, now time.Time, list ...facts.Change) error {
	s.following.Lock()
	defer s.following.Unlock()
	newest, err := s.facts.Apply(ctx, actor, now, list)
	if err != nil {
		return err
	}
	made := make([]facts.Fact, len(list))
	for i, c := range list {
		revision := newest - int64(len(list)-1-i)
		made[i] = facts.Fact{Kind: c.Kind, Name: c.Name, Body: c.Body, Revision: revision, Removed: c.Body == nil}
	}
	s.mu.Lock()
	limited := s.fold(made, now)
	if s.revision == newest-int64(len(list)) {
		s.revision = newest // nobody else changed anything between
	}
	s.mu.Unlock()
	s.load(ctx, limited, now)
	return nil
}

// CreateKey makes a key and returns its text, which is nowhere kept.
func (s *Store) CreateKey(ctx context.Context, actor string, o Order, now time.Time) (secret.Value, *Key, error) {
	if err := s.checkKey(&o.KeySpec); err != nil {
		return secret.Value{}, nil, err
	}
	lifetime := cmp.Or(o.Lifetime, DefaultLifetime)
	if lifetime != Never && (lifetime < 0 || lifetime > longestLifetime) {
		return secret.Value{}, nil, fmt.Errorf("%w: a key lives up to ten years, or without end", ErrInvalid)
	}
	text, one, err := s.newSecret(o.Label)
	if err != nil {
		return secret.Value{}, nil, err
	}
	doc := keyDoc{KeySpec: o.KeySpec, Created: now.UTC(), Secrets: []Secret{one}}
	if lifetime != Never {
		doc.Expires = now.Add(lifetime).UTC()
	}
	id, err := newID()
	if err != nil {
		return secret.Value{}, nil, err
	}
	if o.Ephemeral {
		s.createEphemeral(id, doc, now)
		s.load(ctx, !o.Rules.IsZero(), now)
	} else if err := s.putKey(ctx, actor, id, doc, 0, now); err != nil {
		return secret.Value{}, nil, err
	}
	return text, s.byID(id), nil
}

// createEphemeral makes a key that no fact is made of, and drops those that are
// over.
func (s *Store) createEphemeral(id string, doc keyDoc, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &record{id: id, doc: doc, ephemeral: true, used: s.usageLocked(id)}
	c := changes{come: []*record{r}}
	for _, old := range s.records {
		if old.ephemeral && !old.doc.Expires.IsZero() && old.doc.Expires.Before(now) {
			c.gone = append(c.gone, old)
			delete(s.records, old.id)
			delete(s.used, old.id)
		}
	}
	s.records[id] = r
	s.inForce.update(c, now)
}

func (s *Store) putKey(ctx context.Context, actor, id string, doc keyDoc, seen int64, now time.Time) error {
	if seen == 0 && s.Len() >= mostKeys {
		return fmt.Errorf("the key store is full (%d keys)", mostKeys)
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return s.apply(ctx, actor, now, facts.Change{Kind: facts.KindKey, Name: id, Body: body, Seen: seen})
}

// newSecret makes a text and what is kept of it.
func (s *Store) newSecret(label string) (secret.Value, Secret, error) {
	if len(label) > 16 || strings.ContainsFunc(label, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return secret.Value{}, Secret{}, fmt.Errorf("%w: a label has up to 16 letters, digits and _", ErrInvalid)
	}
	text, err := NewToken(rand.Reader, label)
	if err != nil {
		return secret.Value{}, Secret{}, err
	}
	h, _ := s.pepper.Hash(text.Reveal())
	return text, Secret{Hash: h, Form: FormHMAC}, nil
}

func newID() (string, error) {
	var raw [6]byte
	_, err := rand.Read(raw[:])
	return hex.EncodeToString(raw[:]), err
}

// checkKey returns what is wrong with a spec where it shall be used.
func (s *Store) checkKey(spec *KeySpec) error {
	if err := spec.check(); err != nil {
		return err
	}
	if spec.MayNameCustomers && spec.Customer != "" {
		return fmt.Errorf("%w: a key with a customer has no use for may_name_customers; leave one of the two out", ErrInvalid)
	}
	d := s.directory()
	p, wrong := d.parties.nearest(spec.Organisation, spec.Team, spec.Customer, func(at ref) *Party { return d.parties[at] })
	if wrong == "" && p != nil {
		wrong = p.broken
	}
	if wrong != "" {
		return fmt.Errorf("%w: %s; make it first, or name another", ErrInvalid, wrong)
	}
	return nil
}

func (s *Store) directory() *directory {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inForce.dir.Load()
}

// byID is the key with an id, or nil.
func (s *Store) byID(id string) *Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.records[id]
	if r == nil {
		return nil
	}
	if e := s.inForce.dir.Load().index.at(r.doc.Secrets[0].Hash); e != nil && e.key.ID == id {
		return e.key
	}
	return s.inForce.dir.Load().key(r, func(ref, account.Rules) *account.Account { return nil }) // another key has its text
}

// changeable is the record of the key with an id or a name that only one has.
func (s *Store) changeable(name string) (*record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.records[name]; r != nil {
		return r, nil
	}
	for _, r := range s.inForce.fixed {
		if r.id == name || r.doc.Name == name {
			return nil, fmt.Errorf("key %q: %w", name, ErrInFile)
		}
	}
	var found *record
	for _, r := range s.records {
		switch {
		case r.doc.Name != name:
		case found != nil:
			return nil, fmt.Errorf("%w: %s, %s and perhaps more; name one by its id", ErrSeveral, found.id, r.id)
		default:
			found = r
		}
	}
	if found == nil {
		return nil, ErrNoKey
	}
	return found, nil
}

// change replaces the document of a key.
func (s *Store) change(ctx context.Context, actor, name string, now time.Time, do func(doc *keyDoc) error) (*Key, error) {
	r, err := s.changeable(name)
	if err != nil {
		return nil, err
	}
	doc := r.doc
	doc.Secrets = slices.Clone(doc.Secrets)
	if err := do(&doc); err != nil {
		return nil, err
	}
	if !r.ephemeral {
		if err := s.putKey(ctx, actor, r.id, doc, r.revision, now); err != nil {
			return nil, err
		}
		return s.byID(r.id), nil
	}
	s.mu.Lock()
	next := *r
	next.doc = doc
	s.records[r.id] = &next
	s.inForce.update(changes{gone: []*record{r}, come: []*record{&next}}, now)
	s.mu.Unlock()
	return s.byID(r.id), nil
}

// RotateKey gives a key another text and returns it. The texts it had open it for
// the grace; with none they end at once. Its id, and what was spent, stay.
func (s *Store) RotateKey(ctx context.Context, actor, name, label string, grace time.Duration, now time.Time) (secret.Value, *Key, error) {
	if grace < 0 || grace > longestGrace {
		return secret.Value{}, nil, fmt.Errorf("%w: the grace is 0 to %d days", ErrInvalid, longestGrace/(24*time.Hour))
	}
	text, one, err := s.newSecret(label)
	if err != nil {
		return secret.Value{}, nil, err
	}
	key, err := s.change(ctx, actor, name, now, func(doc *keyDoc) error {
		if !doc.Revoked.IsZero() {
			return fmt.Errorf("%w: the key is revoked; make another one", ErrInvalid)
		}
		ends := now.Add(grace).UTC()
		for i := range doc.Secrets {
			if at := &doc.Secrets[i].Expires; at.IsZero() || at.After(ends) {
				*at = ends
			}
		}
		doc.Secrets = append(doc.Secrets, one)
		if more := len(doc.Secrets) - mostSecrets; more > 0 {
			doc.Secrets = doc.Secrets[more:]
		}
		return nil
	})
	if err != nil {
		return secret.Value{}, nil, err
	}
	return text, key, nil
}

// RevokeKey takes a key back for good. It stays in the list, so that who shows it
// is told.
func (s *Store) RevokeKey(ctx context.Context, actor, name string, now time.Time) (*Key, error) {
	return s.change(ctx, actor, name, now, func(doc *keyDoc) error {
		if doc.Revoked.IsZero() {
			doc.Revoked = now.UTC()
		}
		return nil
	})
}

// UpdateKey changes what is said of a key. seen is the revision that the change
// was made upon; 0 takes whatever there is. A zero expiry is never.
func (s *Store) UpdateKey(ctx context.Context, actor, name string, spec KeySpec, expires time.Time, seen int64, now time.Time) (*Key, error) {
	if err := s.checkKey(&spec); err != nil {
		return nil, err
	}
	if seen != 0 {
		if r, err := s.changeable(name); err == nil && r.revision != seen {
			return nil, fmt.Errorf("key %q: %w (revision %d, not %d); read it again and repeat the change", name, facts.ErrConflict, r.revision, seen)
		}
	}
	return s.change(ctx, actor, name, now, func(doc *keyDoc) error {
		doc.KeySpec, doc.Expires = spec, expires
		return nil
	})
}

// ListKeys returns all keys, those of the file first, then by their age.
func (s *Store) ListKeys() []*Key {
	list := slices.Collect(s.directory().keys)
	slices.SortFunc(list, func(a, b *Key) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return list
}

// ListParties returns all parties by level and name.
func (s *Store) ListParties() []*Party { return s.directory().parties.sorted() }

// PutParty makes or replaces a party. seen is the revision that the change was
// made upon; 0 makes one.
func (s *Store) PutParty(ctx context.Context, actor string, level account.Level, name string, c PartyConfig, seen int64, now time.Time) (*Party, error) {
	at := ref{level, name}
	if err := s.checkParty(at, c); err != nil {
		return nil, err
	}
	body, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	if err := s.apply(ctx, actor, now, facts.Change{Kind: level.String(), Name: name, Body: body, Seen: seen}); err != nil {
		return nil, err
	}
	return s.directory().parties[at], nil
}

func (s *Store) checkParty(at ref, c PartyConfig) error {
	if _, is := partyLevel(at.level.String()); !is {
		return fmt.Errorf("%w: a party is an organisation, a team or a customer", ErrInvalid)
	}
	s.mu.Lock()
	docs := maps.Clone(s.inForce.docs)
	_, inFile := docs[at]
	if docs == nil {
		docs = map[ref]partyDoc{}
	}
	for _, up := range []ref{{account.Organisation, c.Organisation}, {account.Team, c.Team}} {
		if doc, is := s.inForce.doc(up); is {
			docs[up] = doc
		}
	}
	s.mu.Unlock()
	if inFile {
		return fmt.Errorf("%s %q: %w", at.level, at.name, ErrInFile)
	}
	setting := Setting{Organisations: map[string]PartyConfig{}, Teams: map[string]PartyConfig{}}
	for up, doc := range docs {
		switch up.level {
		case account.Organisation:
			setting.Organisations[up.name] = doc.config
		case account.Team:
			setting.Teams[up.name] = doc.config
		}
	}
	var wrong []error
	setting.party("", at, c, func(where, what, right string) {
		wrong = append(wrong, fmt.Errorf("%w: %s: %s; %s", ErrInvalid, cmp.Or(strings.TrimPrefix(where, "."), "name"), what, right))
	})
	return errors.Join(wrong...)
}

// RemoveParty removes a party that nothing belongs to.
func (s *Store) RemoveParty(ctx context.Context, actor string, level account.Level, name string, seen int64, now time.Time) error {
	at := ref{level, name}
	s.mu.Lock()
	_, inFile := s.inForce.docs[at]
	doc, is := s.docs[at]
	uses := s.users(at)
	s.mu.Unlock()
	switch {
	case inFile:
		return fmt.Errorf("%s %q: %w", level, name, ErrInFile)
	case !is:
		return fmt.Errorf("%s %q: %w", level, name, ErrNoParty)
	case len(uses) > 0:
		return fmt.Errorf("%s %q: %w by %s; remove them from it first, or disable it", level, name, ErrInUse, strings.Join(uses, ", "))
	}
	return s.apply(ctx, actor, now, facts.Change{Kind: level.String(), Name: name, Seen: cmp.Or(seen, doc.revision)})
}

// users are some of those that belong to a party. The caller holds mu.
func (s *Store) users(at ref) (list []string) {
	to := map[ref]bool{at: true}
	for other := range s.inForce.refs {
		if doc, _ := s.inForce.doc(other); doc.belongs(to) {
			list = append(list, fmt.Sprintf("%s %q", other.level, other.name))
		}
	}
	for _, r := range s.records {
		if r.belongs(to) && r.doc.Revoked.IsZero() {
			list = append(list, "key "+r.id)
		}
	}
	for _, r := range s.inForce.fixed {
		if r.belongs(to) {
			list = append(list, "key "+r.id)
		}
	}
	slices.Sort(list)
	const some = 3
	if more := len(list) - some; more > 0 {
		list = append(list[:some:some], fmt.Sprintf("%d more", more))
	}
	return list
}
