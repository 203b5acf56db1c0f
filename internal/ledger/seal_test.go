package ledger

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tailplane/internal/llm"
)

// TestASealNamesItsRecords: what is sealed is read back, strays with their start.
func TestASealNamesItsRecords(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var entries []entry
		for range rapid.IntRange(0, 20).Draw(r, "n") {
			at := time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(r, "at"))
			e := entry{id: rapid.StringN(1, 40, 80).Draw(r, "id"), start: micro(at), record: rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(r, "record")}
			if rapid.Bool().Draw(r, "regular") {
				e.id = idFrom(at.UnixMilli()) + "0000000000000000"
			}
			e.digest, e.stray = digestOf(e.record), isStray(e.id, at)
			entries = append(entries, e)
		}
		list, err := decodeSeal(appendSeal(nil, entries))
		if err != nil || len(list) != len(entries) {
			r.Fatalf("%d of %d records: %v", len(list), len(entries), err)
		}
		for i, e := range entries {
			if want := (sealedRecord{e.id, digestOf(e.record), e.start}); list[i] != want {
				r.Fatalf("%+v, want %+v", list[i], want)
			}
		}
	})
}

// FuzzDecodeSeal: bytes that somebody changed are an error, and nothing worse.
func FuzzDecodeSeal(f *testing.F) {
	regular := entry{id: idFrom(1) + "0000000000000000"}
	f.Add(appendSeal(nil, []entry{regular, {id: "x", stray: true, start: -1}}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := decodeSeal(data)
		if err != nil {
			return
		}
		for _, r := range list {
			if !bytes.Contains(data, []byte(r.id)) {
				t.Errorf("%q is not in %q", r.id, data)
			}
		}
	})
}

// TestOverflowOfTagsIsNoWrongSum: beyond the bound, which sets of tags and which names of
// models that nobody serves are summed as others goes by the order in which they come.
func TestOverflowOfTagsIsNoWrongSum(t *testing.T) {
	for name, makeUp := range map[string]func(ex *Exchange){
		"tags":  func(ex *Exchange) { ex.Tags = []string{ex.ID} },
		"names": func(ex *Exchange) { ex.Model, ex.Fault, ex.Attempts = ex.ID, llm.FaultUnknownModel, nil },
	} {
		var a, b rollup
		var list []*Exchange
		for n := range mostTagSets + 100 {
			ex := typical(id(n))
			makeUp(ex)
			list = append(list, ex)
		}
		for _, ex := range list {
			a.add(ex)
		}
		slices.Reverse(list)
		for _, ex := range list {
			b.add(ex)
		}
		if n := len(a.cells); n != mostTagSets+1 {
			t.Errorf("%s: %d cells, want %d", name, n, mostTagSets+1)
		}
		if !sameSums(&a, &b) {
			t.Errorf("%s: sums of the same records differ", name)
		}
		b.sums[0].first.cost++
		if sameSums(&a, &b) {
			t.Errorf("%s: a wrong sum is not seen", name)
		}
	}
}

// TestMadeUpNamesAreBoundedInAnHour: those of all its parts together.
func TestMadeUpNamesAreBoundedInAnHour(t *testing.T) {
	s := openLite(t)
	at := time.Date(2026, 11, 2, 3, 0, 0, 0, time.UTC)
	total := int64(0)
	for part := range mergeParts + 1 {
		var batch []*Exchange
		for n := range mostTagSets {
			ex := typical(idFrom(at.UnixMilli()) + fmt.Sprintf("%08d%08d", part, n))
			ex.Start, ex.Model, ex.Fault, ex.Outcome, ex.Attempts = at, fmt.Sprintf("made-up-%d-%d", part, n), llm.FaultUnknownModel, OutcomeRefused, nil
			batch = append(batch, ex)
		}
		total += int64(len(batch))
		if err := s.Append(t.Context(), Position{Segment: uint64(part + 1)}, batch); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := s.Usage(t.Context(), UsageQuery{By: []string{ByModel}})
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for _, r := range rows {
		sum += r.Requests
	}
	if len(rows) != mostTagSets+1 || sum != total {
		t.Errorf("%d names with %d requests, want %d with %d", len(rows), sum, mostTagSets+1, total)
	}
	if r, err := s.VerifyStore(t.Context()); err != nil || len(r.Problems) > 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
