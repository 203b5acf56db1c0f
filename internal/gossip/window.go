package gossip

// windowSize is how far a packet may be behind the newest one: ten seconds of a
// busy gateway. What is older cannot be told from a replay.
const windowSize = 1024

// window remembers which packets of an epoch came. The zero window saw nothing
// and takes any packet as the first.
type window struct {
	seen    [windowSize / 64]uint64 // a bit for each sequence number, modulo the size
	first   uint64
	highest uint64
	count   uint64 // packets that were marked; 0 = none yet
}

// fresh reports whether a packet did not come before, as far as can be known.
func (w *window) fresh(n uint64) bool {
	switch {
	case w.count == 0 || n > w.highest:
		return true
	case w.highest-n >= windowSize:
		return false
	}
	return w.seen[n%windowSize/64]&(1<<(n%64)) == 0
}

// mark remembers a packet that is fresh.
func (w *window) mark(n uint64) {
	switch {
	case w.count == 0:
		w.first, w.highest = n, n
	case n > w.highest:
		w.forget(w.highest+1, n)
		w.highest = n
	}
	w.first = min(w.first, n)
	w.seen[n%windowSize/64] |= 1 << (n % 64)
	w.count++
}

// forget clears the places of from to to, which held much older ones.
func (w *window) forget(from, to uint64) {
	if to-from >= windowSize {
		clear(w.seen[:])
		return
	}
	for n := from; ; n++ {
		w.seen[n%windowSize/64] &^= 1 << (n % 64)
		if n == to {
			return
		}
	}
}

// lost is how many packets between the first and the newest did not come.
func (w *window) lost() uint64 {
	if w.count == 0 {
		return 0
	}
	return w.highest - w.first + 1 - w.count
}
