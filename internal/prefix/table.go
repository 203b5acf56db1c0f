package prefix

// table is a set of hashes in the order of use. Its zero value is empty.
//
// The entries lie in one slice and are linked from the newest to the oldest and
// round through entries[0], which is no entry. The slots are an open-addressing
// table of 32 bits of the hash and the number of the entry, at most three
// quarters full, so that most misses read one word. With the slack of its growth
// an entry costs at most 52 bytes or so.
type table struct {
	slots   []uint64 // bits 32.. of the hash, then the entry; 0 is free
	entries []entry
	free    int32 // entries to use again, linked by older; 0 if there is none
	n       int   // hashes in the table
}

type entry struct {
	hash         uint64 // 0 stands for none: the entry has its place in the order alone
	newer, older int32
	size         int32
	tick         uint32 // of the last use, in the owner's count
}

const fewestSlots = 64 // a power of two

// find returns the entry of a hash, or 0.
func (t *table) find(hash uint64) int32 {
	if t.n == 0 {
		return 0
	}
	tag, mask := hash>>32, uint64(len(t.slots)-1)
	for i := tag & mask; ; i = (i + 1) & mask {
		slot := t.slots[i]
		if slot == 0 {
			return 0
		}
		if slot>>32 == tag && t.entries[uint32(slot)].hash == hash {
			return int32(uint32(slot))
		}
	}
}

// put adds a hash that is not there as the newest. A hash of 0 can not be found.
func (t *table) put(hash uint64, size int32, tick uint32) {
	if len(t.entries) == 0 {
		t.entries = make([]entry, 1, fewestSlots)
	}
	e := t.free
	if e != 0 {
		t.free = t.entries[e].older
	} else {
		e = int32(len(t.entries))
		t.entries = append(t.entries, entry{})
	}
	t.entries[e] = entry{hash: hash, size: size, tick: tick}
	t.link(e)
	if hash == 0 {
		return
	}
	if t.n++; t.n*4 > len(t.slots)*3 {
		t.grow()
	}
	place(t.slots, hash>>32<<32|uint64(e))
}

// touch makes an entry the newest.
func (t *table) touch(e int32, tick uint32) {
	t.entries[e].tick = tick
	if t.entries[0].older != e {
		t.unlink(e)
		t.link(e)
	}
}

// remove takes an entry out.
func (t *table) remove(e int32) {
	t.unlink(e)
	if hash := t.entries[e].hash; hash != 0 {
		t.n--
		t.vacate(hash>>32<<32 | uint64(e))
	}
	t.entries[e] = entry{older: t.free}
	t.free = e
}

// oldest returns the entry that was not used for longest, or 0.
func (t *table) oldest() int32 {
	if len(t.entries) == 0 {
		return 0
	}
	return t.entries[0].newer
}

func (t *table) link(e int32) {
	first := t.entries[0].older
	t.entries[e].newer, t.entries[e].older = 0, first
	t.entries[first].newer = e
	t.entries[0].older = e
}

func (t *table) unlink(e int32) {
	newer, older := t.entries[e].newer, t.entries[e].older
	t.entries[newer].older = older
	t.entries[older].newer = newer
}

func (t *table) grow() {
	larger := make([]uint64, max(fewestSlots, 2*len(t.slots)))
	for _, slot := range t.slots {
		if slot != 0 {
			place(larger, slot)
		}
	}
	t.slots = larger
}

func place(slots []uint64, slot uint64) {
	mask := uint64(len(slots) - 1)
	i := slot >> 32 & mask
	for slots[i] != 0 {
		i = (i + 1) & mask
	}
	slots[i] = slot
}

// vacate frees a slot that is there, and moves those behind it up that could not
// be found past a hole.
func (t *table) vacate(slot uint64) {
	mask := uint64(len(t.slots) - 1)
	hole := slot >> 32 & mask
	for t.slots[hole] != slot {
		hole = (hole + 1) & mask
	}
	for i := (hole + 1) & mask; t.slots[i] != 0; i = (i + 1) & mask {
		home := t.slots[i] >> 32 & mask
		if (i-home)&mask >= (i-hole)&mask {
			t.slots[hole] = t.slots[i]
			hole = i
		}
	}
	t.slots[hole] = 0
}
