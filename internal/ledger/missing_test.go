package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestAMissingSegmentIsTold, unless the store has what was in it.
func TestAMissingSegmentIsTold(t *testing.T) {
	const stored, all = 4, 9 // segments
	for first := 1; first <= all; first++ {
		for last := first; last <= min(first+1, all); last++ {
			dir, m := t.TempDir(), NewMemory(0)
			o := JournalOptions{Dir: dir, SegmentBytes: 4 << 10, Store: m}
			j, err := OpenJournal(o)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; j.Stats().Segments < all; i++ {
				if err := j.Settle(typical(id(i))); err != nil {
					t.Fatal(err)
				}
				if j.Stats().Segments == stored {
					if err := j.Flush(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			for gone := first; gone <= last; gone++ {
				if err := os.Remove(filepath.Join(dir, segmentName(uint64(gone)))); err != nil {
					t.Fatal(err)
				}
			}
			var want []string
			switch lost := max(first, stored+1); {
			case last < lost || last == all: // whether there was one behind the last, nothing tells
			case lost == last:
				want = []string{fmt.Sprintf("segment %d is missing, and the store does not have what was in there", last)}
			default:
				want = []string{fmt.Sprintf("segments %d to %d are missing, and the store does not have what was in there", lost, last)}
			}
			if got := openTest(t, o).Recovered().Damage(); !slices.Equal(got, want) {
				t.Errorf("without segments %d to %d: %q", first, last, got)
			}
		}
	}
}
