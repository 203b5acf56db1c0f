package kvevents

import (
	"testing"

	"pgregory.net/rapid"
)

func blocks(from, n int) []uint64 {
	var hashes []uint64
	for i := range n {
		hashes = append(hashes, uint64(from+i))
	}
	return hashes
}

func storedBlocks(from, n int) *Event {
	return &Event{Kind: Stored, Hashes: blocks(from, n), BlockSize: 16}
}

func removedBlocks(from, n int) *Event { return &Event{Kind: Removed, Hashes: blocks(from, n)} }

func TestWhatIsHeld(t *testing.T) {
	var h Held
	for i, step := range []struct {
		do   func()
		want Change
	}{
		{func() { h.Add(storedBlocks(1, 100)) }, Change{Stored: 1600, Held: 1600}},
		{func() { h.Begin() }, Change{Exact: true}},
		{func() { h.Add(storedBlocks(1, 4)); h.Add(storedBlocks(3, 4)) }, Change{Stored: 96, Held: 96, Exact: true}}, // two of them twice
		{func() { h.Add(removedBlocks(5, 9)) }, Change{Removed: 32, Held: 64, Exact: true}},                          // more than there is
		{func() { h.Add(&Event{Kind: Stored, Hashes: blocks(50, 3), BlockSize: 16, Medium: "CPU"}) }, Change{Held: 64, Exact: true}},
		{func() { h.Add(&Event{Kind: Removed, Hashes: blocks(1, 3), Group: 1}) }, Change{Held: 64, Exact: true}},
		{func() { h.Add(&Event{Kind: Cleared}) }, Change{Exact: true}},
		{func() { h.Add(removedBlocks(1000, 300)) }, Change{}},                                                       // that was there before, so something was missed
		{func() { h.Add(storedBlocks(1, 400)) }, Change{Stored: 6400, Held: 6400}},                                   //
		{func() { h.Add(removedBlocks(2000, 20)); h.Add(removedBlocks(1, 200)) }, Change{Removed: 3200, Held: 3200}}, // 220 of 256
		{func() { h.Add(removedBlocks(201, 180)) }, Change{Removed: 2880, Held: 320, Exact: true}},                   // 20 in 400 were older
		{func() { h.Miss(Lost{Batches: 1}) }, Change{}},
		{func() { h.Miss(Lost{Restarted: true}) }, Change{Exact: true}},
		{func() { h.Miss(Lost{Batches: 2, Restarted: true}) }, Change{}},
		{func() { h.Begin(); h.Add(storedBlocks(0, mostHeld)) }, Change{Stored: mostHeld * 16, Held: mostHeld * 16, Exact: true}},
		{func() { h.Add(storedBlocks(mostHeld, 1)) }, Change{Stored: 16}},
	} {
		step.do()
		if got := h.Take(); got != step.want {
			t.Errorf("step %d: %+v, want %+v", i, got, step.want)
		}
	}
}

// TestHeldIsNeverMoreThanThereIs: an engine stores and removes blocks, oldest first,
// and batches get lost. Without a loss the count is exact.
func TestHeldIsNeverMoreThanThereIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h Held
		h.Begin()
		first, next, sum, whole := 0, 0, 0, true
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			n := rapid.IntRange(0, 300).Draw(t, "blocks")
			e := storedBlocks(next, n)
			if next += n; rapid.Bool().Draw(t, "remove") {
				next -= n
				n = min(n, next-first)
				e = removedBlocks(first, n)
				first += n
			}
			if rapid.IntRange(0, 9).Draw(t, "lost") == 0 {
				h.Miss(Lost{Batches: 1})
				whole, sum = false, 0
				continue
			}
			h.Add(e)
			c := h.Take()
			sum += c.Stored - c.Removed
			truth := (next - first) * h.size
			if c.Held > truth || c.Held != sum || whole && (!c.Exact || c.Held != truth) {
				t.Fatalf("%+v of %d tokens, %d by the sum; nothing was lost: %v", c, truth, sum, whole)
			}
		}
	})
}
