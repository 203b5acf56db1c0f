package policy

import (
	"encoding/binary"
	"iter"
	"math"
	"slices"
	"time"

	"tailplane/internal/account"
)

// index finds an entry by the beginning of its hash. It is cut into 256 shards, so
// that a change copies one of them and not a hundred thousand entries.
type index [256]shard

// entry is what a hash stands for. With many keys a look-up is a wait for memory:
// an entry has all that decides whether a text opens something, and is one line of
// memory long.
type entry struct {
	hash    Hash
	until   int64            // Unix nanoseconds from when on the text opens nothing, whatever the reason
	key     *Key             // nil: the place is free
	plain   bool             // the hash is of FormSHA256
	account *account.Account // of the key, to be fetched while the key is
}

// What may stand in until: a key without an end, and one that opens nothing at all.
const (
	always = math.MaxInt64
	never  = math.MinInt64
)

// until is from when on a text of the key that expires opens nothing.
func (k *Key) until(expires time.Time) int64 {
	if !k.Revoked.IsZero() || k.broken != "" {
		return never
	}
	until := int64(always)
	for _, t := range [...]time.Time{expires, k.Expires} {
		switch year := t.Year(); {
		case t.IsZero() || year > 2261: // where Unix nanoseconds end
		case year < 1970:
			return never
		default:
			until = min(until, t.UnixNano())
		}
	}
	return until
}

func (e *entry) opens(now time.Time) bool { return now.UnixNano() < e.until }

// lack is why the text opens nothing; empty when it does.
func (e *entry) lack(now time.Time) Lack {
	switch lack := e.key.lack(now); {
	case lack != "":
		return lack
	case !e.opens(now):
		return LackReplaced
	}
	return ""
}

// at is the entry to a hash: one look, and a comparison of hashes.
func (x *index) at(h Hash) *entry {
	if e := x.handled(h.handle()); e != nil && e.hash == h {
		return e
	}
	return nil
}

// of is the entry to a hash of a form: a hash that was imported opens nothing
// that was hashed here, and the other way about.
func (x *index) of(h Hash, form Form) *entry {
	if e := x.at(h); e != nil && e.plain == (form == FormSHA256) {
		return e
	}
	return nil
}

// handled is the entry to the beginning of a hash.
func (x *index) handled(at handle) *entry {
	s := &x[at[0]]
	if s.taken == 0 {
		return nil
	}
	if e := s.find(at); e.key != nil {
		return e
	}
	return nil
}

func (x *index) all() iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for i := range x {
			for k := range x[i].places {
				if e := &x[i].places[k]; e.key != nil && !yield(e) {
					return
				}
			}
		}
	}
}

func (x *index) len() (n int) {
	for i := range x {
		n += x[i].taken
	}
	return n
}

// shard is an open table: an entry stands in the place that its handle says or,
// where that is taken, in the first one behind it that was free. The length is a
// power of two, and a quarter at least stays free.
type shard struct {
	places []entry
	taken  int
}

// first is the place that a handle says, in a table of any length.
func (at handle) first() uint64 { return binary.LittleEndian.Uint64(at[1:]) }

// find is the entry to a handle, or else the free place for it. There must be
// places.
func (s *shard) find(at handle) *entry {
	last := uint64(len(s.places) - 1)
	for i := at.first(); ; i++ {
		if e := &s.places[i&last]; e.key == nil || e.hash.handle() == at {
			return e
		}
	}
}

// put adds an entry, or replaces the one with its handle.
func (s *shard) put(en entry) {
	if 4*(s.taken+1) > 3*len(s.places) {
		old := s.places
		*s = shard{places: make([]entry, max(8, 2*len(old)))}
		for i := range old {
			if old[i].key != nil {
				s.put(old[i])
			}
		}
	}
	e := s.find(en.hash.handle())
	if e.key == nil {
		s.taken++
	}
	*e = en
}

// remove takes away the entry to a handle, which must be there. Those behind it
// are put anew, so that each is found from the place that its handle says.
func (s *shard) remove(at handle) {
	last := uint64(len(s.places) - 1)
	i := at.first()
	for s.places[i&last].hash.handle() != at {
		i++
	}
	s.places[i&last] = entry{}
	s.taken--
	for i++; s.places[i&last].key != nil; i++ {
		e := s.places[i&last]
		s.places[i&last] = entry{}
		*s.find(e.hash.handle()) = e
	}
}

// indexEdit makes another index of one.
type indexEdit struct {
	*index
	own [256]bool // shards that are the new index's alone
}

func (x *index) edit() *indexEdit {
	next := *x
	return &indexEdit{index: &next}
}

func (e *indexEdit) shard(at handle) *shard {
	s := &e.index[at[0]]
	if !e.own[at[0]] {
		s.places = slices.Clone(s.places)
		e.own[at[0]] = true
	}
	return s
}

// put adds an entry; false when its place is another key's.
func (e *indexEdit) put(en entry) bool {
	at := en.hash.handle()
	if old := e.handled(at); old != nil && old.key.ID != en.key.ID {
		return false
	}
	e.shard(at).put(en)
	return true
}

// remove takes away the entry of a key's hash.
func (e *indexEdit) remove(h Hash, id string) {
	if old := e.at(h); old != nil && old.key.ID == id {
		e.shard(h.handle()).remove(h.handle())
	}
}
