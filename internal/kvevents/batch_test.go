package kvevents

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// What msgspec 0.22 makes of the events that vLLM defines: as arrays (until
// 2026) and as maps (since), with an event that nobody knows among them; and of
// SGLang's, with pairs for tokens.
const (
	asArrays = "93cb41da4a9d1c100000959aab426c6f636b53746f72656492c420000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1fcf8000000000000005c09801ccc8ce00011170ce0001f5000506070804c0a3475055c09292a26d6d01c0c09aab426c6f636b53746f72656491fd0794090a0b0c0402a3435055a3616461c00192aa426c6f636b4d6f76656481a16193010281a162c094ac426c6f636b52656d6f76656491c420000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1fa3475055c091b0416c6c426c6f636b73436c656172656403"
	asMaps   = "83a27473cb41da4a9d1c100000a66576656e74739589a474797065ab426c6f636b53746f726564ac626c6f636b5f68617368657392c420000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1fcf8000000000000005b1706172656e745f626c6f636b5f68617368c0a9746f6b656e5f6964739801ccc8ce00011170ce0001f50005060708aa626c6f636b5f73697a6504a76c6f72615f6964c0a66d656469756da3475055a96c6f72615f6e616d65c0aa65787472615f6b6579739292a26d6d01c089a474797065ab426c6f636b53746f726564ac626c6f636b5f68617368657391fdb1706172656e745f626c6f636b5f6861736807a9746f6b656e5f69647394090a0b0caa626c6f636b5f73697a6504a76c6f72615f696402a66d656469756da3435055a96c6f72615f6e616d65a3616461a967726f75705f6964780182a474797065aa426c6f636b4d6f766564a3686f7781a16193010281a162c083a474797065ac426c6f636b52656d6f766564ac626c6f636b5f68617368657391c420000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1fa66d656469756da347505581a474797065b0416c6c426c6f636b73436c6561726564b2646174615f706172616c6c656c5f72616e6b03"
	ofPairs  = "92cb3ff80000000000009296ab426c6f636b53746f726564910bc09292010292020302c092ac426c6f636b52656d6f766564910b"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBothFormsOfABatchSayTheSame(t *testing.T) {
	const long = 0x18191a1b1c1d1e1f // the end of the bytes 0 to 1f
	want := []Event{
		{Kind: Stored, Blocks: 2, Tokens: 8, BlockSize: 4, Hashes: []uint64{long, 1<<63 + 5}, TokenIDs: []uint32{1, 200, 70000, 128256, 5, 6, 7, 8}, Medium: "GPU", Rank: 3},
		{Kind: Stored, Blocks: 1, Tokens: 4, BlockSize: 4, Hashes: []uint64{1<<64 - 3}, Parent: 7, HasParent: true, TokenIDs: []uint32{9, 10, 11, 12}, Medium: "CPU", Group: 1, Rank: 3},
		{Kind: Removed, Blocks: 1, Tokens: 4, Hashes: []uint64{long}, Medium: "GPU", Rank: 3},
		{Kind: Cleared, Rank: 3},
	}
	var d decoder
	for _, text := range []string{asArrays, asMaps, asArrays} {
		got, unknown, err := d.batch(unhex(t, text))
		if err != nil || unknown != 1 {
			t.Fatalf("%d unknown, error %v", unknown, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%.20s: -want +got\n%s", text, diff)
		}
	}
}

func TestPairsAreCountedOnly(t *testing.T) {
	got, _, err := new(decoder).batch(unhex(t, ofPairs))
	want := []Event{{Kind: Stored, Blocks: 1, Tokens: 2, BlockSize: 2, Hashes: []uint64{11}}, {Kind: Removed, Blocks: 1, Tokens: 2, Hashes: []uint64{11}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestWhatIsNoBatch(t *testing.T) {
	huge := strings.Repeat("ff", 4)
	for name, b := range map[string][]byte{
		"nothing":                   nil,
		"a number":                  pack(7),
		"a text":                    pack("BlockStored"),
		"a batch without events":    pack([]any{1.5}),
		"events that are no list":   pack([]any{1.5, 7}),
		"an event that is a number": batchOf(1 << 40),
		"something after the end":   append(batchOf(stored(1, 1)), 0),
		"hashes that are no list":   batchOf([]any{"BlockStored", 5, nil, []any{}, 16}),
		"a hash that is none":       batchOf([]any{"BlockRemoved", []any{1.5}}),
		"a hash that is short":      batchOf([]any{"BlockRemoved", []any{"abc"}}),
		"tokens that are no list":   batchOf([]any{"BlockStored", []any{1}, nil, "abc", 16}),
		"blocks without end":        batchOf([]any{"BlockStored", []any{1}, nil, []any{}, 1 << 30}),
		"a list of 4,294,967,295":   unhex(t, "92cb3ff8000000000000dd"+huge),
		"a map of 4,294,967,295":    unhex(t, "df"+huge),
		"a text of 4,294,967,295":   unhex(t, "91db"+huge),
		"a byte that means nothing": unhex(t, "92cb3ff8000000000000c1"),
	} {
		if got, _, err := new(decoder).batch(b); err == nil {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
	whole := unhex(t, asMaps)
	for n := range whole {
		if _, _, err := new(decoder).batch(whole[:n]); err == nil {
			t.Fatalf("the first %d bytes are read as a batch", n)
		}
	}
}

// TestManyEventsTakeBoundedMemory: what a message of 8 MiB can make us hold.
func TestManyEventsTakeBoundedMemory(t *testing.T) {
	many := func(n int, v byte) []byte {
		head := []byte{0x93, 0xc0, 0xdd, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
		return append(append(head, bytes.Repeat([]byte{v}, n)...), 0)
	}
	if _, unknown, err := new(decoder).batch(many(mostEvents, 0x90)); err != nil || unknown != mostEvents {
		t.Errorf("%d events: %d unknown, error %v", mostEvents, unknown, err)
	}
	if _, _, err := new(decoder).batch(many(mostEvents+1, 0x90)); err == nil {
		t.Errorf("%d events are read", mostEvents+1)
	}
	if _, _, err := new(decoder).batch(batchOf([]any{"BlockRemoved", numbers(0, mostHashes)})); err != nil {
		t.Errorf("%d hashes are not read: %v", mostHashes, err)
	}
	if _, _, err := new(decoder).batch(batchOf([]any{"BlockRemoved", numbers(0, mostHashes)}, removed(1, 1))); err == nil {
		t.Errorf("%d hashes are read", mostHashes+1)
	}
	tokens := func(n int) []byte {
		b := append(pack("BlockStored"), 0x90, 0xc0, 0xdd, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
		return append([]byte{0x92, 0xc0, 0x91, 0x94}, append(b, make([]byte, n)...)...)
	}
	if got, _, err := new(decoder).batch(tokens(mostTokens)); err != nil || got[0].Tokens != mostTokens {
		t.Errorf("%d tokens are not read: %v", mostTokens, err)
	}
	if _, _, err := new(decoder).batch(tokens(mostTokens + 1)); err == nil {
		t.Errorf("%d tokens are read", mostTokens+1)
	}
}

func TestDeepValuesArePassedOver(t *testing.T) {
	deep := append(bytes.Repeat([]byte{0x91}, 1<<20), 0xc0)
	b := append([]byte{0x92}, deep...)
	b = append(b, pack([]any{stored(1, 1)})...)
	if got, _, err := new(decoder).batch(b); err != nil || len(got) != 1 {
		t.Errorf("%d events, error %v", len(got), err)
	}
}

func TestNumbersInEveryForm(t *testing.T) {
	for text, want := range map[string]token{
		"7f": {kind: unsigned, n: 127}, "cc80": {kind: unsigned, n: 128}, "cd0100": {kind: unsigned, n: 256}, "ce00010000": {kind: unsigned, n: 65536},
		"ff": {kind: negative, n: 1<<64 - 1}, "d080": {kind: negative, n: 1<<64 - 128}, "d1ff00": {kind: negative, n: 1<<64 - 256}, "d2ffffff00": {kind: negative, n: 1<<64 - 256},
		"d07f": {kind: unsigned, n: 127}, "d300000000000000ff": {kind: unsigned, n: 255}, "cfffffffffffffffff": {kind: unsigned, n: 1<<64 - 1},
		"c0": {}, "c2": {kind: boolean}, "c3": {kind: boolean, n: 1}, "ca00000001": {kind: float, n: 1},
	} {
		u := unpacker{rest: unhex(t, text)}
		if got := u.next(); got.kind != want.kind || got.n != want.n || u.bad || len(u.rest) != 0 {
			t.Errorf("%s: %+v, %d bytes left, want %+v", text, got, len(u.rest), want)
		}
	}
	for _, text := range []string{"d4017f", "d5010203", "d60101020304", "c7020102ff", "d701" + strings.Repeat("00", 8), "d801" + strings.Repeat("00", 16), "c8000101ff", "c90000000101ff", "c5000161", "c60000000161", "d90161", "dc0001c0", "dd00000001c0", "de0001c0c0", "df00000001c0c0"} {
		u := unpacker{rest: unhex(t, text)}
		if u.skip(); u.bad || len(u.rest) != 0 {
			t.Errorf("%s: %d bytes left, bad %v", text, len(u.rest), u.bad)
		}
	}
}

func TestOrder(t *testing.T) {
	for _, c := range []struct {
		heard []uint64
		want  []Lost
	}{
		{[]uint64{0, 1, 2}, nil},
		{[]uint64{500, 501}, nil}, // it ran before we came
		{[]uint64{7, 8, 12, 13}, []Lost{{Batches: 3}}},
		{[]uint64{7, 8, 0, 1}, []Lost{{Restarted: true}}},
		{[]uint64{7, 3, 4}, []Lost{{Batches: 3, Restarted: true}}},
	} {
		var o order
		var got []Lost
		for _, n := range c.heard {
			if gap := o.take(n); gap != (Lost{}) {
				got = append(got, gap)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.heard, got, c.want)
		}
	}
}

func TestOrderFindsEveryGap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := rapid.IntRange(1, 100).Draw(t, "sent")
		keep := rapid.SliceOfN(rapid.Bool(), sent, sent).Draw(t, "keep")
		var o order
		var lost, heard, first, last uint64
		for n := range uint64(sent) {
			if !keep[n] {
				continue
			}
			if heard == 0 {
				first = n
			}
			heard, last = heard+1, n
			lost += o.take(n).Batches
		}
		if heard > 0 && lost+heard != last-first+1 {
			t.Fatalf("heard %d and lost %d between %d and %d", heard, lost, first, last)
		}
	})
}

func TestABatchIsNotAllocatedForByTheToken(t *testing.T) {
	var d decoder
	b := unhex(t, asMaps)
	one := testing.AllocsPerRun(100, func() { _, _, _ = d.batch(b) })
	big := batchOf(stored(1, 500), removed(1, 500))
	_, _, _ = d.batch(big)
	if n := testing.AllocsPerRun(10, func() { _, _, _ = d.batch(big) }); n > 12 || one > 30 {
		t.Errorf("500 blocks make %v allocations, a small batch %v", n, one)
	}
}

func BenchmarkBatchOf8192Tokens(b *testing.B) {
	var d decoder
	payload := batchOf(stored(1, 512), removed(1, 512))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := d.batch(payload); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzBatch(f *testing.F) {
	for _, text := range []string{asArrays, asMaps, ofPairs} {
		f.Add(unhex(f, text))
	}
	f.Add(batchOf(stored(1, 3), removed(1, 2), []any{"AllBlocksCleared"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var d decoder
		got, unknown, err := d.batch(b)
		if err != nil && (got != nil || unknown != 0) {
			t.Fatal("a batch that is none has events")
		}
		for _, e := range got {
			if e.Kind < Stored || e.Kind > Cleared || e.Blocks != len(e.Hashes) || e.Tokens < 0 || len(e.Medium) > mostMedium || e.TokenIDs != nil && len(e.TokenIDs) != e.Tokens && e.Kind == Stored {
				t.Fatalf("%+v", e)
			}
		}
		if len(d.hashes) > len(b) || len(d.tokens) > len(b) {
			t.Fatalf("%d bytes became %d hashes and %d tokens", len(b), len(d.hashes), len(d.tokens))
		}
		again, _, err2 := d.batch(b)
		if (err == nil) != (err2 == nil) || len(again) != len(got) {
			t.Fatal("the second reading differs")
		}
	})
}
