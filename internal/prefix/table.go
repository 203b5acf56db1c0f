package prefix

// table is a set of checkpoints in the order of use. Its zero value is empty.
//
// Checkpoints that follow each other in a chain, were used together last and have
// the same size share a run. Only the first of a run is found by its hash; the
// others are found behind it, by whoever comes along the chain. The runs are linked
// from the newest to the oldest and round through number 0, which is no run; those
// of a chain that was just used lie side by side in that list.
//
// Runs lie in pages that never move, so that the table grows without a copy, and
// are found by buckets of lists, from which one is taken out without a look at
// others. A checkpoint costs 15 bytes where runs are full, and 61 where each has one.
type table struct {
	buckets []uint32 // the first run of each list; 0 is none
	pages   []*[pageRuns]run
	made    uint32 // runs in pages that were used once, number 0 included
	free    uint32 // runs to use again, linked by older; 0 if there is none
	hashed  int    // runs that are found by hash
	n       int    // checkpoints with a hash
}

// run is checkpoints in the order of their chain: the first n of hashes.
type run struct {
	hashes       [runLength]uint64 // the first is 0 where the run has its place in the order alone
	newer, older uint32
	next         uint32 // of its bucket
	size         int32  // of each checkpoint
	tick         uint32 // of the last use, in the owner's count
	n            uint8
}

const (
	runLength     = 4
	pageRuns      = 256 // which fill their memory without a rest
	fewestBuckets = 64  // a power of two
)

func (t *table) at(e uint32) *run { return &t.pages[e/pageRuns][e%pageRuns] }

func (t *table) bucket(hash uint64) *uint32 { return &t.buckets[hash>>32&uint64(len(t.buckets)-1)] }

// find returns the run whose first checkpoint has the hash, or 0.
func (t *table) find(hash uint64) uint32 {
	if t.hashed == 0 {
		return 0
	}
	e := *t.bucket(hash)
	for e != 0 && t.at(e).hashes[0] != hash {
		e = t.at(e).next
	}
	return e
}

// follow is find, with a run that is likely to be it.
func (t *table) follow(likely uint32, hash uint64) uint32 {
	if likely != 0 && t.at(likely).hashes[0] == hash && hash != 0 {
		return likely
	}
	return t.find(hash)
}

// match returns with how many of the marks the run begins.
func (r *run) match(marks []Mark) int {
	n := min(int(r.n), len(marks))
	for i := range n {
		if r.hashes[i] != marks[i].Hash {
			return i
		}
	}
	return n
}

// longest returns how many of the marks are there, from the first on.
func (t *table) longest(marks []Mark) (n int) {
	likely := uint32(0)
	for n < len(marks) {
		e := t.follow(likely, marks[n].Hash)
		if e == 0 {
			break
		}
		r := t.at(e)
		n += r.match(marks[n:])
		likely = r.older
	}
	return n
}

// touch makes those of the marks that are there the newest, the first before the
// rest. It returns how many they are, and the run with the last of them.
func (t *table) touch(marks []Mark, tick uint32) (n int, last uint32) {
	likely := uint32(0)
	for n < len(marks) {
		e := t.follow(likely, marks[n].Hash)
		if e == 0 {
			break
		}
		r := t.at(e)
		same := r.match(marks[n:])
		if same < int(r.n) {
			t.split(e, same)
		}
		likely, r.tick = r.older, tick
		if t.at(last).older != e {
			t.unlink(r)
			t.link(e, last)
		}
		n, last = n+same, e
	}
	return n, last
}

// split leaves the first n checkpoints in a run; the others get one of their own.
func (t *table) split(e uint32, n int) {
	r := t.at(e)
	rest := run{size: r.size, tick: r.tick, n: r.n - uint8(n)}
	copy(rest.hashes[:], r.hashes[n:r.n])
	clear(r.hashes[n:])
	r.n = uint8(n)
	t.add(rest, e)
}

// put adds a checkpoint that is not there behind the run that has the one before it
// in the chain, which is among the newest; 0 is none. It returns the run that it is
// in. A hash of 0 cannot be found.
func (t *table) put(last uint32, hash uint64, size int32, tick uint32) uint32 {
	if hash != 0 {
		t.n++
	}
	if last != 0 {
		if r := t.at(last); r.n < runLength && r.size == size {
			r.hashes[r.n] = hash
			r.n++
			return last
		}
	}
	return t.add(run{hashes: [runLength]uint64{hash}, size: size, tick: tick, n: 1}, last)
}

// add makes a run, which is as old as after, or older.
func (t *table) add(r run, after uint32) uint32 {
	e := t.free
	if e != 0 {
		t.free = t.at(e).older
	} else {
		e = t.fresh()
	}
	*t.at(e) = r
	t.link(e, after)
	if r.hashes[0] == 0 {
		return e
	}
	if t.hashed++; t.hashed > len(t.buckets) {
		t.grow()
	} else {
		t.file(e)
	}
	return e
}

// fresh returns a run that was never used.
func (t *table) fresh() uint32 {
	if t.made%pageRuns == 0 {
		t.pages = append(t.pages, new([pageRuns]run))
	}
	t.made = max(t.made, 1) + 1
	return t.made - 1
}

// drop takes the last n checkpoints out of a run.
func (t *table) drop(e uint32, n int) {
	r := t.at(e)
	if r.hashes[0] != 0 {
		t.n -= n
	}
	if n < int(r.n) {
		r.n -= uint8(n)
		clear(r.hashes[r.n:])
		return
	}
	t.unlink(r)
	if r.hashes[0] != 0 {
		t.hashed--
		at := t.bucket(r.hashes[0])
		for *at != e {
			at = &t.at(*at).next
		}
		*at = r.next
	}
	*r = run{older: t.free}
	t.free = e
}

// oldest returns the run that was not used for longest, or 0.
func (t *table) oldest() uint32 {
	if t.made == 0 {
		return 0
	}
	return t.at(0).newer
}

// link gives a run its place in the order: next to after, on the older side; after 0
// it is the newest.
func (t *table) link(e, after uint32) {
	older := t.at(after).older
	r := t.at(e)
	r.newer, r.older = after, older
	t.at(older).newer = e
	t.at(after).older = e
}

func (t *table) unlink(r *run) {
	t.at(r.newer).older = r.older
	t.at(r.older).newer = r.newer
}

// file makes a run be found by its hash.
func (t *table) file(e uint32) {
	r := t.at(e)
	b := t.bucket(r.hashes[0])
	r.next, *b = *b, e
}

// grow doubles the buckets and files all runs anew.
func (t *table) grow() {
	t.buckets = make([]uint32, max(fewestBuckets, 2*len(t.buckets)))
	for e := t.oldest(); e != 0; e = t.at(e).newer {
		if t.at(e).hashes[0] != 0 {
			t.file(e)
		}
	}
}
