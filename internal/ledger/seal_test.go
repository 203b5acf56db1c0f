package ledger

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
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

// TestOverflowOfTagsIsNoWrongSum: beyond the bound, which sets of tags are summed as
// others goes by the order in which they come.
func TestOverflowOfTagsIsNoWrongSum(t *testing.T) {
	var a, b rollup
	var list []*Exchange
	for n := range mostTagSets + 100 {
		ex := typical(id(n))
		ex.Tags = []string{id(n)}
		list = append(list, ex)
	}
	for _, ex := range list {
		a.add(ex)
	}
	slices.Reverse(list)
	for _, ex := range list {
		b.add(ex)
	}
	if !sameSums(&a, &b) {
		t.Error("sums of the same records differ")
	}
	b.sums[0].first.cost++
	if sameSums(&a, &b) {
		t.Error("a wrong sum is not seen")
	}
}
