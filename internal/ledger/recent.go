package ledger

import "hash/maphash"

// recentIDs tells that an id is not stored, without looking. An exchange that is
// stored stays as it is when its id comes again, and blocks have no index that
// would tell; so the ids of the last batches are kept in two Bloom filters, which
// take turns. What it does not vouch for may be stored.
type recentIDs struct {
	seed       maphash.Seed
	young, old idFilter
	size       int   // of young
	newest     int64 // of all ids so far, in Unix milliseconds
	before     int64 // newest when old was young
	blind      int64 // what is not newer may be in neither
}

const (
	recentMost = 32 << 10 // ids in a filter, but for one batch
	// filterWords makes 32 bits for each id, of which it sets 4 in one word: of the ids
	// that are not stored, it does not vouch for one in 500.
	filterWords = recentMost / 2
)

// newRecentIDs is for a store whose newest id is of a moment.
func newRecentIDs(newest int64) recentIDs {
	return recentIDs{
		seed: maphash.MakeSeed(), young: make(idFilter, filterWords), old: make(idFilter, filterWords),
		newest: newest, before: newest, blind: newest,
	}
}

// vouches says that an id of a moment is not stored.
func (r *recentIDs) vouches(id string, milli int64) bool {
	if milli > r.newest {
		return true
	}
	h := maphash.String(r.seed, id)
	return milli > r.blind && !r.young.has(h) && !r.old.has(h)
}

// add notes a batch that is, or may be, stored.
func (r *recentIDs) add(entries []entry) {
	if r.size >= recentMost {
		r.blind, r.before = r.before, r.newest
		r.young, r.old = r.old, r.young
		clear(r.young)
		r.size = 0
	}
	for i := range entries {
		if milli, ok := idMilli(entries[i].id); ok {
			if !entries[i].stray { // whose id may say any time, and is never asked about
				r.newest = max(r.newest, milli)
			}
			r.young.add(maphash.String(r.seed, entries[i].id))
		}
	}
	r.size += len(entries)
}

// idFilter is a Bloom filter all of whose bits for a hash are in one word.
type idFilter []uint64

// of is the word and the bits of a hash.
func (f idFilter) of(h uint64) (word *uint64, bits uint64) {
	bits = 1<<(h&63) | 1<<(h>>6&63) | 1<<(h>>12&63) | 1<<(h>>18&63)
	return &f[h>>24%filterWords], bits
}

func (f idFilter) add(h uint64) {
	word, bits := f.of(h)
	*word |= bits
}

func (f idFilter) has(h uint64) bool {
	word, bits := f.of(h)
	return *word&bits == bits
}
