package gossip

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var anyDelta = rapid.Custom(func(t *rapid.T) Delta {
	hash := rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64Range(1, 3), rapid.Uint64())
	number := rapid.OneOf(rapid.Just(int32(0)), rapid.Int32Range(0, math.MaxInt32))
	return Delta{
		Group: hash.Draw(t, "group"), Replica: hash.Draw(t, "replica"), Kind: rapid.Uint8Range(Sent, Done).Draw(t, "kind"),
		Work: number.Draw(t, "work"), Tokens: number.Draw(t, "tokens"),
		Lane: hash.Draw(t, "lane"), Head: hash.Draw(t, "head"), End: number.Draw(t, "end"),
	}
})

// written is the packet of as many deltas as fit.
func written(epoch, sequence uint64, deltas []Delta) ([]byte, int) {
	var p packet
	p.reset(epoch, sequence)
	for i, d := range deltas {
		if !p.add(d) {
			return p.buf, i
		}
	}
	return p.buf, len(deltas)
}

func TestAPacketReadsAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		deltas := rapid.SliceOfN(anyDelta, 0, 80).Draw(t, "deltas")
		epoch, sequence := rapid.Uint64().Draw(t, "epoch"), rapid.Uint64().Draw(t, "sequence")
		b, n := written(epoch, sequence, deltas)
		if len(b) > mostPayload || n < min(len(deltas), (mostPayload-headerSize)/deltaSize) {
			t.Fatalf("%d deltas in %d bytes", n, len(b))
		}
		e, s, err := header(b)
		if e != epoch || s != sequence || err != nil {
			t.Fatalf("header: %d %d %v", e, s, err)
		}
		got, err := new(reader).read(b)
		if err != nil || !slices.Equal(got, deltas[:n]) {
			t.Fatalf("read %v %v, want %v", got, err, deltas[:n])
		}
	})
}

func TestWhatIsBelowZeroIsNothing(t *testing.T) {
	b, _ := written(1, 1, []Delta{{Work: -1, Tokens: math.MinInt32, Head: 9, End: -7}})
	if got, err := new(reader).read(b); err != nil || got[0] != (Delta{Head: 9}) {
		t.Errorf("read %v %v", got, err)
	}
}

func TestRubbishUnderTheRightKeyDoesNotDecode(t *testing.T) {
	head := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte{version}, 7), 1)
	with := func(b ...byte) []byte { return append(slices.Clone(head), b...) }
	whole, _ := written(7, 1, []Delta{work(1), work(2)})
	cases := map[string][]byte{
		"the highest bit":       with(unknown|hasPair, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
		"a fourth kind":         with(3),
		"a pair that is not":    with(0, 0),
		"half a pair":           with(hasPair, 1, 2, 3),
		"a number without end":  append(whole[:len(whole):len(whole)], hasWork, 0, 0xff),
		"a number too large":    append(whole[:len(whole):len(whole)], hasWork, 0, 0x80, 0x80, 0x80, 0x80, 0x08),
		"a tag without an end":  append(whole[:len(whole):len(whole)], Sent),
		"the end is cut off":    whole[:len(whole)-1],
		"another pair's number": append(whole[:len(whole):len(whole)], Sent, 1),
	}
	for name, b := range cases {
		if got, err := new(reader).read(b); err == nil {
			t.Errorf("%s: read as %v", name, got)
		}
	}
	for _, b := range [][]byte{nil, {version}, head[:headerSize-1], append([]byte{version + 1}, head[1:]...)} {
		if _, _, err := header(b); err == nil {
			t.Errorf("%v has a header", b)
		}
	}
}

// TestADecisionTakesLessThanFortyBytes: what a request costs on the wire in all
// of its life.
func TestADecisionTakesLessThanFortyBytes(t *testing.T) {
	var deltas []Delta
	for i := range uint64(2000) {
		hash := func(n uint64) uint64 { return (i*8 + n) * 0x9e3779b97f4a7c15 }
		d := Delta{Group: 0xfeedfacefeedface, Replica: i % 8 * 0x9e3779b97f4a7c15, Work: 180_000, Tokens: 12_000, Lane: hash(1), Head: hash(2), End: 48_128}
		deltas = append(deltas, d, Delta{Group: d.Group, Replica: d.Replica, Kind: First, Work: d.Work}, Delta{Group: d.Group, Replica: d.Replica, Kind: Done, Tokens: d.Tokens})
	}
	payload, packets := 0, 0
	for rest := deltas; len(rest) > 0; packets++ {
		b, n := written(1, uint64(packets), rest)
		payload, rest = payload+len(b), rest[n:]
	}
	const around = 2 + len(label) + 29 + 5 + 1
	each := float64(payload+packets*around) / 2000
	t.Logf("a decision with its first token and its end: %.1f bytes, %.1f with encryption; %d packets for 6,000 deltas", float64(payload)/2000, each, packets)
	if each > 42 || payload > 40*2000 {
		t.Errorf("a decision takes %.1f bytes", each)
	}
}

func FuzzPacket(f *testing.F) {
	for _, deltas := range [][]Delta{nil, {work(1)}, {work(1), {Group: 1, Replica: 2, Kind: Done}, {Group: 3, Replica: 9, Kind: First, Work: math.MaxInt32}}} {
		b, _ := written(7, 1, deltas)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, _, err := header(b); err != nil || len(b) > mostPayload {
			return
		}
		got, err := new(reader).read(b)
		if err != nil {
			return
		}
		if len(got) > mostDeltas {
			t.Fatalf("%d deltas in %d bytes", len(got), len(b))
		}
		for _, d := range got {
			if d.Kind > Done || d.Work < 0 || d.Tokens < 0 || d.End < 0 {
				t.Fatalf("read %+v", d)
			}
		}
		// What was read can be told again.
		for rest := got; len(rest) > 0; {
			again, n := written(7, 1, rest)
			back, err := new(reader).read(again)
			if err != nil || !slices.Equal(back, rest[:n]) {
				t.Fatalf("read %v %v, want %v", back, err, rest[:n])
			}
			rest = rest[n:]
		}
	})
}
