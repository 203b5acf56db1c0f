package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/facts"
	"tailplane/internal/secret"
)

// Store holds in memory what package facts keeps of keys and parties, and the
// keys that live as long as the process. It follows the changes that other
// gateways make. Readers never wait for a writer.
type Store struct {
	pepper   Pepper
	hasher   *hasher // of pepper
	facts    facts.Store
	accounts *account.Accounts // nil: nothing has limits

	following sync.Mutex // serialises changes and reads of what is new

	mu       sync.Mutex // guards what follows
	inForce  *Keys
	records  map[string]*record // by id; those of the file are not among them
	docs     map[ref]partyDoc
	bad      map[[2]string]string     // what cannot be read, by kind and name
	used     map[string]*atomic.Int64 // by id; outlives records and settings
	revision int64
	stale    Staleness
}

// Staleness is how the store stands to what other gateways change.
type Staleness struct {
	Since time.Time // when it was last up to date; zero: never
	Err   error     // why it is not; nil when it is
}

// Options are how a store is opened.
type Options struct {
	// Dir is the state directory; empty keeps nothing.
	Dir string
	// Facts keeps keys and parties; nil keeps them in memory.
	Facts facts.Store
	// Pepper is the secret under which keys are hashed; zero takes that of Dir.
	Pepper secret.Ref
	// Accounts are the live limits; nil: there are none.
	Accounts *account.Accounts
}

// NewStore keeps everything in memory. Without accounts nothing has limits.
func NewStore(p Pepper, accounts *account.Accounts) *Store {
	return newStore(p, facts.NewMemory(), accounts)
}

func newStore(p Pepper, f facts.Store, accounts *account.Accounts) *Store {
	s := &Store{
		pepper: p, hasher: newHasher(p), facts: f, accounts: accounts,
		records: map[string]*record{}, docs: map[ref]partyDoc{}, bad: map[[2]string]string{}, used: map[string]*atomic.Int64{},
	}
	s.inForce = &Keys{store: s, nobody: Anonymous()}
	s.inForce.dir.Store(newDirectory())
	return s
}

// mostKeys bounds the store; a plane with more has a leak somewhere.
const mostKeys = 1_000_000

// OpenStore reads what there is. It makes the pepper of a state directory on
// first use, and takes over the keys of an earlier version once. Gateways that
// share facts must share the pepper: one with another pepper is refused.
func OpenStore(ctx context.Context, o Options, now time.Time) (*Store, error) {
	pepper, err := loadPepper(o.Dir, o.Pepper)
	if err != nil {
		return nil, fmt.Errorf("open the key store: %w", err)
	}
	if o.Facts == nil {
		o.Facts = facts.NewMemory()
	}
	s := newStore(pepper, o.Facts, o.Accounts)
	if err := s.CatchUp(ctx, now); err != nil {
		return nil, fmt.Errorf("open the key store: %w", err)
	}
	if err := s.agree(ctx, now); err != nil {
		return nil, fmt.Errorf("open the key store: %w", err)
	}
	if o.Dir != "" {
		if err := s.takeOver(ctx, o.Dir, now); err != nil {
			return nil, fmt.Errorf("open the key store: %w", err)
		}
	}
	return s, nil
}

// actorSelf stands in the audit trail for changes that nobody ordered.
const actorSelf = "tailplane"

// pepperDoc is what gateways with common facts compare. It is made of the pepper
// and tells nothing about it.
type pepperDoc struct {
	Check Hash `json:"check"`
}

const (
	pepperName  = "pepper"
	pepperCheck = "tailplane\x00pepper check"
)

// agree refuses a pepper that is not the one under which the stored keys were
// hashed.
func (s *Store) agree(ctx context.Context, now time.Time) error {
	check, _ := s.pepper.Hash(pepperCheck)
	body, err := json.Marshal(pepperDoc{check})
	if err != nil {
		return err
	}
	_, err = s.facts.Apply(ctx, actorSelf, now, []facts.Change{{Kind: facts.KindInstall, Name: pepperName, Body: body}})
	if !errors.Is(err, facts.ErrConflict) {
		return err
	}
	list, _, err := s.facts.All(ctx)
	if err != nil {
		return err
	}
	for _, f := range list {
		var doc pepperDoc
		if f.Kind == facts.KindInstall && f.Name == pepperName && (json.Unmarshal(f.Body, &doc) != nil || doc.Check != check) {
			return errors.New("the stored keys were made with another pepper, so that none of them would be recognised here; " +
				"give every gateway the same one with `keys.pepper: file:/path` (the file `pepper` of the first gateway's state directory), or restore it")
		}
	}
	return nil
}

// usage is when the key with an id was last used, which outlives settings.
func (s *Store) usage(id string) *atomic.Int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usageLocked(id)
}

func (s *Store) usageLocked(id string) *atomic.Int64 {
	used := s.used[id]
	if used == nil {
		used = new(atomic.Int64)
		s.used[id] = used
	}
	return used
}

// followEvery is how long a change of another gateway takes at most, beside the
// time that the database takes.
const followEvery = time.Second

// Follow takes over what other gateways change, until ctx ends. What cannot be
// read leaves everything as it is; [Store.Stale] tells.
func (s *Store) Follow(ctx context.Context) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			_ = s.CatchUp(ctx, time.Now()) // Stale tells
		}
	}
}

// Stale tells how the store stands to what other gateways change.
func (s *Store) Stale() Staleness {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stale
}

// CatchUp takes over what has changed.
func (s *Store) CatchUp(ctx context.Context, now time.Time) error {
	s.following.Lock()
	defer s.following.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s.mu.Lock()
	from := s.revision
	s.mu.Unlock()
	list, newest, err := s.facts.Since(ctx, from)
	again := err == nil && newest < from // the facts were restored from a backup
	if again {
		list, newest, err = s.facts.All(ctx)
	}
	s.mu.Lock()
	if s.stale.Err = err; err != nil {
		s.mu.Unlock()
		return err
	}
	s.stale.Since = now
	before := s.inForce.dir.Load()
	if again {
		s.forget(now)
	}
	limited := s.fold(list, now)
	if again {
		s.inForce.forget(before, now)
	}
	s.revision = newest
	s.mu.Unlock()
	s.load(ctx, limited, now)
	return nil
}

// longestLoad bounds the wait for the ledger in a change.
const longestLoad = 2 * time.Second

// load reads the balances of accounts that are new. When that fails their hard
// budgets refuse until the accounts have learnt them by themselves; the change is
// made all the same.
func (s *Store) load(ctx context.Context, limited bool, now time.Time) {
	if !limited || s.accounts == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, longestLoad)
	defer cancel()
	_ = s.accounts.Load(ctx, now)
}

// forget drops what was read of the facts. The caller holds mu.
func (s *Store) forget(now time.Time) {
	maps.DeleteFunc(s.records, func(_ string, r *record) bool { return !r.ephemeral })
	clear(s.docs)
	clear(s.bad)
	s.inForce.build(now)
}

// fold takes over facts, in whatever order they come, and tells whether there
// are limits among them. The caller holds mu.
func (s *Store) fold(list []facts.Fact, now time.Time) (limited bool) {
	var c changes
	for _, f := range list {
		level, isParty := partyLevel(f.Kind)
		switch {
		case f.Kind == facts.KindKey:
			limited = s.foldKey(f, &c) || limited
		case isParty:
			limited = s.foldParty(ref{level, f.Name}, f, &c) || limited
		}
	}
	s.inForce.update(c, now)
	return limited
}

// changes are what a directory has to take over.
type changes struct {
	gone, come []*record // a changed one is in both
	parties    map[ref]bool
}

func (s *Store) foldKey(f facts.Fact, c *changes) (limited bool) {
	old := s.records[f.Name]
	if old != nil && (old.ephemeral || old.revision >= f.Revision) {
		return false
	}
	if old != nil {
		c.gone = append(c.gone, old)
		delete(s.records, f.Name)
	}
	delete(s.bad, [2]string{f.Kind, f.Name})
	if f.Removed {
		return false
	}
	r := &record{id: f.Name, revision: f.Revision, used: s.usageLocked(f.Name)}
	if err := json.Unmarshal(f.Body, &r.doc); err != nil || len(r.doc.Secrets) == 0 || !valid(r.doc.Rules) {
		s.bad[[2]string{f.Kind, f.Name}] = fmt.Sprintf("the stored key %s cannot be read and opens nothing", f.Name)
		return false
	}
	s.records[f.Name] = r
	c.come = append(c.come, r)
	return !r.doc.Rules.IsZero()
}

func (s *Store) foldParty(at ref, f facts.Fact, c *changes) (limited bool) {
	old, is := s.docs[at]
	if is && old.revision >= f.Revision {
		return false
	}
	if c.parties == nil {
		c.parties = map[ref]bool{}
	}
	c.parties[at] = true
	delete(s.docs, at)
	delete(s.bad, [2]string{f.Kind, f.Name})
	if f.Removed {
		return false
	}
	doc := partyDoc{revision: f.Revision}
	if err := json.Unmarshal(f.Body, &doc.config); err != nil || !valid(doc.config.Rules()) {
		s.bad[[2]string{f.Kind, f.Name}] = fmt.Sprintf("the stored %s %q cannot be read; its keys open nothing", f.Kind, f.Name)
		return false
	}
	s.docs[at] = doc
	return !doc.config.Rules().IsZero()
}

// valid reports whether accounts take the rules, which another version may have
// written.
func valid(r account.Rules) bool {
	ok := true
	r.Validate("", func(string, string, string) { ok = false })
	return ok
}

func partyLevel(kind string) (account.Level, bool) {
	for _, level := range []account.Level{account.Organisation, account.Team, account.Customer} {
		if level.String() == kind {
			return level, true
		}
	}
	return 0, false
}

// use puts keys in force.
func (s *Store) use(k *Keys, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.inForce.dir.Load()
	k.build(now)
	s.inForce = k
	k.forget(before, now)
}

// Close closes the facts behind the store.
func (s *Store) Close() error { return s.facts.Close() }

// Len is the number of keys that are kept here, whatever has become of them.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.records)
}

// Problems tells what is not as it was meant: facts that the file overrules, that
// cannot be read, or that belong to something that is not there.
func (s *Store) Problems() []string {
	s.mu.Lock()
	list := slices.Collect(maps.Values(s.bad))
	k := s.inForce
	for at := range s.docs {
		if _, is := k.docs[at]; is {
			list = append(list, fmt.Sprintf("the %s %q stands in the file and in the store; the file's counts", at.level, at.name))
		}
	}
	for _, r := range s.records {
		for _, secret := range r.doc.Secrets {
			if e := k.dir.Load().index.handled(secret.Hash.handle()); e != nil && e.key.ID != r.id {
				list = append(list, fmt.Sprintf("keys %s and %s have the same text; it opens the first", e.key.ID, r.id))
			}
		}
	}
	s.mu.Unlock()
	d := k.dir.Load()
	for _, p := range d.parties {
		if p.broken != "" {
			list = append(list, fmt.Sprintf("the %s: %s; its keys open nothing", p, p.broken))
		}
	}
	for key := range d.keys {
		if key.broken != "" {
			list = append(list, fmt.Sprintf("key %s (%s): %s; it opens nothing", key.ID, key.Name, key.broken))
		}
	}
	slices.Sort(list)
	return list
}
