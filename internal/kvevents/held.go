package kvevents

// Held follows what an engine's prefix cache holds in the accelerator's memory: the
// blocks that were told to be stored, and not to be removed since. It is not safe for
// concurrent use; the zero Held is ready.
//
// The rules:
//
//   - Blocks are told apart by the engine's hashes, so that one which is stored twice
//     counts once, and one that was there before we listened does not count when it is
//     removed.
//   - The count is exact from the engine's start on, and after a clearing. Where
//     batches are missing it begins anew, and is exact again when as much was removed
//     as is held and nearly all of that had been seen to be stored: engines remove
//     what was not used for longest.
//   - What an engine says is bounded: with more blocks than mostHeld nothing is exact.
type Held struct {
	blocks map[uint64]struct{}
	size   int // tokens of a block
	exact  bool
	// Of the blocks that were removed since this was decided last.
	seen, unseen int

	change Change // since the last Take
}

// Change is what became of a cache, in tokens.
type Change struct {
	Stored, Removed int  // since the one before
	Held            int  // now, of what was seen to be stored
	Exact           bool // that is all of it
}

const (
	mostHeld  = 1 << 20 // blocks: some 40 MB
	turnover  = 256     // blocks that must be removed at least to judge by them
	mostOlder = 20      // one in so many of these may have been there before
)

// Add takes in an event.
func (h *Held) Add(e *Event) {
	switch {
	case e.Kind == Cleared:
		h.empty(true)
	case e.Group != 0 || e.Medium != "" && e.Medium != accelerator:
	case e.Kind == Stored:
		if e.BlockSize > 0 {
			h.size = e.BlockSize
		}
		h.store(e.Hashes)
	case e.Kind == Removed:
		h.remove(e.Hashes)
	}
}

// Begin says that the first batch that was ever heard is the engine's first.
func (h *Held) Begin() { h.empty(true) }

// Miss says that batches are missing.
func (h *Held) Miss(l Lost) { h.empty(l.Restarted && l.Batches == 0) }

// Take is what happened since it was called last.
func (h *Held) Take() Change {
	c := h.change
	c.Held, c.Exact = len(h.blocks)*h.size, h.exact
	h.change = Change{}
	return c
}

func (h *Held) empty(exact bool) {
	clear(h.blocks)
	h.exact, h.seen, h.unseen = exact, 0, 0
}

func (h *Held) store(hashes []uint64) {
	if h.blocks == nil {
		h.blocks = map[uint64]struct{}{}
	}
	before := len(h.blocks)
	for _, hash := range hashes {
		h.blocks[hash] = struct{}{}
	}
	h.change.Stored += (len(h.blocks) - before) * h.size
	if len(h.blocks) > mostHeld {
		h.empty(false)
	}
}

func (h *Held) remove(hashes []uint64) {
	before := len(h.blocks)
	for _, hash := range hashes {
		delete(h.blocks, hash)
	}
	seen := before - len(h.blocks)
	h.change.Removed += seen * h.size
	h.seen, h.unseen = h.seen+seen, h.unseen+len(hashes)-seen
	if n := h.seen + h.unseen; n >= max(turnover, len(h.blocks)) {
		h.exact = h.unseen <= n/mostOlder
		h.seen, h.unseen = 0, 0
	}
}
