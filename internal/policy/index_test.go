package policy

import (
	"maps"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

func TestAnEntryIsALineOfMemory(t *testing.T) {
	if n := unsafe.Sizeof(entry{}); n != 64 {
		t.Errorf("an entry has %d bytes", n)
	}
}

// TestIndexIsAMap compares indexes with maps, over hashes that crowd: in few
// shards, at few places, with equal handles.
func TestIndexIsAMap(t *testing.T) {
	hashes := rapid.Custom(func(t *rapid.T) (h Hash) {
		h[0] = byte(rapid.IntRange(0, 1).Draw(t, "shard"))
		h[1] = byte(rapid.IntRange(0, 40).Draw(t, "place"))
		h[9] = byte(rapid.IntRange(0, 1).Draw(t, "handle"))
		h[31] = byte(rapid.IntRange(0, 1).Draw(t, "hash"))
		return h
	})
	keys := []*Key{{ID: "a"}, {ID: "b"}}
	same := func(t *rapid.T, x *index, want map[handle]entry) {
		if x.len() != len(want) {
			t.Fatalf("%d entries, want %d", x.len(), len(want))
		}
		left := maps.Clone(want)
		for e := range x.all() {
			if left[e.hash.handle()] != *e {
				t.Fatalf("%x stands in it", e.hash)
			}
			delete(left, e.hash.handle())
		}
		for at, e := range want {
			other := e.hash
			other[31] ^= 2
			if x.handled(at) == nil || x.at(e.hash) == nil || *x.at(e.hash) != e || x.at(other) != nil {
				t.Fatalf("%x is not found, or another one is", e.hash)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		x, want := new(index), map[handle]entry{}
		for range rapid.IntRange(1, 6).Draw(t, "edits") {
			before, was := x, maps.Clone(want)
			e := x.edit()
			for range rapid.IntRange(0, 60).Draw(t, "steps") {
				h, key := hashes.Draw(t, "hash"), rapid.SampledFrom(keys).Draw(t, "key")
				old, is := want[h.handle()]
				if rapid.Bool().Draw(t, "put") {
					en := entry{hash: h, key: key, until: int64(len(want))}
					if e.put(en) != (!is || old.key == key) {
						t.Fatalf("put %x of %s, where %v stands", h, key.ID, old)
					}
					if !is || old.key == key {
						want[h.handle()] = en
					}
					continue
				}
				e.remove(h, key.ID)
				if is && old.hash == h && old.key == key {
					delete(want, h.handle())
				}
			}
			x = e.index
			same(t, x, want)
			same(t, before, was)
		}
	})
}
