package ledger

import (
	"fmt"
	"testing"
)

// A stray's id may say a time that is far ahead (that of a batch is a hash). It makes
// nothing else look old.
func TestAStrayMakesNothingLookOld(t *testing.T) {
	known := newRecentIDs(0)
	known.add([]entry{{id: idFrom(1<<47) + "0000000000000000", stray: true}})
	for milli := range int64(3) {
		batch := make([]entry, recentMost)
		for i := range batch {
			batch[i].id = idFrom(milli+1) + fmt.Sprintf("%016d", i)
		}
		known.add(batch)
	}
	if !known.vouches(idFrom(10)+"0000000000000000", 10) {
		t.Error("what is newer than all others may be stored")
	}
}
