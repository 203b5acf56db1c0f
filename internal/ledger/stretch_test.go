package ledger

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// summing is a store that keeps sums alone, and fails when told to.
type summing struct {
	*Memory
	fail bool
	pos  Position
	sums rollup
}

var errTold = errors.New("the store was told to fail")

func (s *summing) Position(context.Context) (Position, error) { return s.pos, nil }

func (s *summing) appendRecords(_ context.Context, pos Position, b *recordBatch) error {
	if s.fail {
		return errTold
	}
	if s.pos.Before(pos) {
		s.pos = pos
		all := b.total()
		for i := range all.cells {
			s.sums.merge(&all.cells[i], &all.sums[i])
		}
	}
	return nil
}

// Sums that were made while records were written equal those of the records,
// however settling, draining, failing, rotating and restarting follow each other.
func TestSumsOfStretchesEqualSumsOfRecords(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		store := &summing{Memory: NewMemory(1)}
		open := func() *Journal {
			j, err := OpenJournal(JournalOptions{Dir: filepath.Join(dir, "journal"), SegmentBytes: 8 << 10, Store: store})
			if err != nil {
				t.Fatal(err)
			}
			return j
		}
		begin := typical("").Start
		j, n, want := open(), 0, rollup{}
		rt.Repeat(map[string]func(*rapid.T){
			"settle": func(rt *rapid.T) {
				for range rapid.IntRange(1, 12).Draw(rt, "n") {
					ex := typical(fmt.Sprintf("%s%016d", idFrom(begin.UnixMilli()), n))
					if rapid.IntRange(0, 30).Draw(rt, "stray") == 0 {
						ex.ID = "stray-" + id(n)
					}
					ex.Start, ex.Model, ex.Cost = begin, rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "model"), int64(n)
					n++
					if err := errors.Join(j.Admit(ex), j.Settle(ex)); err != nil {
						rt.Fatal(err)
					}
					want.add(ex)
				}
			},
			"drain":   func(rt *rapid.T) { _ = j.Flush(t.Context()) },
			"break":   func(rt *rapid.T) { store.fail = true },
			"mend":    func(rt *rapid.T) { store.fail = false },
			"restart": func(rt *rapid.T) { _ = j.Close(); j = open() },
		})
		store.fail = false
		if err := j.Flush(t.Context()); err != nil {
			rt.Fatal(err)
		}
		_ = j.Close()
		if d := cmp.Diff(asMap(&want), asMap(&store.sums), cmp.AllowUnexported(cell{}, sums{}, tally{})); d != "" {
			rt.Fatal(d)
		}
	})
}

func asMap(r *rollup) map[cell]sums {
	out := map[cell]sums{}
	for i, c := range r.cells {
		out[c] = r.sums[i]
	}
	return out
}
