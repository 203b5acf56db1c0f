package prefix

import "math"

// Index knows which prompts each replica has. Replicas are small numbers from 0;
// one that was not resized yet has room for nothing, and a number is free to be
// used again after Clear. It is not safe for concurrent use, and only Insert,
// Head and Elsewhere use memory.
//
// The checkpoints of a replica are kept in the order of use, a chain's first
// before its last, so that the oldest is never one that a younger one continues.
// What is known of a chain is therefore always its beginning, and found by going
// along it. What other gateways sent is known by last checkpoints alone, which are
// compared one by one.
type Index struct {
	replicas []replica
	heads    heads
}

// replica is what one replica has.
type replica struct {
	known     table // checkpoints, each of the size of its segment
	capacity  int64
	used      int64  // sum of sizes in known
	owed      int64  // bytes of others that are not in known yet
	gone      int64  // bytes that were evicted there and are in known yet
	tick      uint32 // counts what was sent
	forgotten uint32 // heads of this tick and of those before are old
}

// leastElsewhere is how many bytes of others make an entry.
const leastElsewhere = coarse

// NewIndex returns an empty index.
func NewIndex() *Index { return new(Index) }

// of returns a replica, or nil if nothing was ever said of it.
func (x *Index) of(replica int) *replica {
	if replica < 0 || replica >= len(x.replicas) {
		return nil
	}
	return &x.replicas[replica]
}

// Resize sets the capacity of a replica, in bytes of prompts, and evicts what is
// over it. A negative number of a replica is ignored.
func (x *Index) Resize(replica int, bytes int64) {
	if replica < 0 {
		return
	}
	x.grow(replica)
	r := x.of(replica)
	r.capacity = max(0, bytes)
	if r.capacity == 0 {
		x.Clear(replica)
	}
	r.evict(r.capacity)
}

func (x *Index) grow(n int) {
	for n >= len(x.replicas) {
		x.replicas = append(x.replicas, replica{})
	}
}

// Insert makes the replica have the chain: what it has of it is as new as the
// rest, and what it no longer has room for is evicted, oldest first. Of a chain
// that is larger than the replica, its beginning is kept. It returns what Lookup
// would have returned before.
func (x *Index) Insert(replica int, c *Chain) (known int) {
	r := x.of(replica)
	if r == nil {
		return 0
	}
	known = x.headed(replica, r, c)
	marks := c.Marks
	for len(marks) > 0 && int64(marks[len(marks)-1].End) > r.capacity {
		marks = marks[:len(marks)-1]
	}
	r.tick++
	n, last := r.known.touch(marks, r.tick)
	end := 0
	if n > 0 {
		end = marks[n-1].End
	}
	known = max(known, end)
	for _, m := range marks[n:] {
		if m.Hash == 0 || m.End <= end {
			break // no chain has such a checkpoint
		}
		last = r.known.put(last, m.Hash, int32(m.End-end), r.tick)
		r.used += int64(m.End - end)
		end = m.End
	}
	r.evict(r.capacity)
	return known
}

// Lookup returns how many bytes of the chain the replica has: the longest known
// prefix, up to a checkpoint.
func (x *Index) Lookup(replica int, c *Chain) int {
	r := x.of(replica)
	if r == nil {
		return 0
	}
	known := x.headed(replica, r, c)
	if n := r.known.longest(c.Marks); n > 0 {
		known = max(known, c.Marks[n-1].End)
	}
	return known
}

// headed returns how many bytes of the chain are known by a head.
func (x *Index) headed(replica int, r *replica, c *Chain) int {
	for _, h := range x.heads.meet(c.Marks) {
		if int(h.replica) == replica && after(h.tick, r.forgotten) {
			return int(h.end)
		}
	}
	return 0
}

// after compares ticks, which begin again at 0 when all were used.
func after(a, b uint32) bool { return int32(a-b) > 0 }

// Head says that the replica has a prompt that another gateway sent it, of which
// only the last checkpoint is known. It takes no room: Elsewhere says what the
// prompt took. A head is forgotten with what was inserted before it.
func (x *Index) Head(replica int, hash uint64, end int) {
	r := x.of(replica)
	if r == nil || hash == 0 || end <= 0 || end > lastMark {
		return
	}
	r.tick++
	x.heads.put(head{hash: hash, replica: int32(replica), end: int32(end), tick: r.tick})
}

// Elsewhere says that others filled so many bytes of the replica with prompts
// that it did not have: they push out what is older.
func (x *Index) Elsewhere(replica int, bytes int64) {
	r := x.of(replica)
	if r == nil || bytes <= 0 {
		return
	}
	r.owed = min(r.owed+bytes, r.capacity, math.MaxInt32)
	if r.owed < leastElsewhere {
		return
	}
	r.tick++
	r.known.put(0, 0, int32(r.owed), r.tick)
	r.used += r.owed
	r.owed = 0
	r.evict(r.capacity)
}

// Shrink evicts so many bytes of what is oldest, for a replica that said that it
// evicted some. Checkpoints go whole: what is too little for the oldest counts for the
// next time. The capacity stays.
func (x *Index) Shrink(replica int, bytes int64) {
	r := x.of(replica)
	if r == nil || bytes <= 0 {
		return
	}
	for r.gone += min(bytes, r.used); r.used > 0; {
		old := r.known.at(r.known.oldest())
		n := min(int64(old.n), r.gone/int64(old.size))
		if n == 0 {
			return
		}
		r.gone -= n * int64(old.size)
		r.evict(r.used - n*int64(old.size))
	}
	r.gone = 0
}

// evict drops what is oldest until no more than room is used, and the heads that
// are as old as that.
func (r *replica) evict(room int64) {
	for r.used > room {
		e := r.known.oldest()
		old := r.known.at(e)
		size := int64(old.size)
		n := min(int64(old.n), (r.used-room+size-1)/size)
		r.forgotten = old.tick
		r.used -= n * size
		r.known.drop(e, int(n))
	}
}

// Clear forgets what a replica has and frees its memory: it was restarted, said
// that its cache is empty, or is gone. Its capacity stays.
func (x *Index) Clear(replica int) {
	if r := x.of(replica); r != nil {
		r.known, r.used, r.owed, r.gone, r.forgotten = table{}, 0, 0, 0, r.tick
	}
}

// Used returns how many bytes of prompts the replica has.
func (x *Index) Used(replica int) int64 {
	if r := x.of(replica); r != nil {
		return r.used
	}
	return 0
}

// Capacity returns how many it has room for.
func (x *Index) Capacity(replica int) int64 {
	if r := x.of(replica); r != nil {
		return r.capacity
	}
	return 0
}

// Len returns how many checkpoints the index holds, heads included.
func (x *Index) Len() int {
	n := x.heads.n
	for i := range x.replicas {
		n += x.replicas[i].known.n
	}
	return n
}
