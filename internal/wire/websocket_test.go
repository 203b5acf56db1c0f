package wire

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// appendFrame is a frame as a peer sends it.
func appendSocketFrame(dst []byte, opcode byte, final bool, mask []byte, payload string) []byte {
	first := opcode
	if final {
		first |= 0x80
	}
	second := byte(0)
	if mask != nil {
		second = 0x80
	}
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, first, second|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, first, second|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, first, second|127), uint64(n))
	}
	dst = append(dst, mask...)
	for i := range len(payload) {
		c := payload[i]
		if mask != nil {
			c ^= mask[i&3]
		}
		dst = append(dst, c)
	}
	return dst
}

// TestFramesAreFoundHoweverTheyAreCut: text messages come out whole, whatever stands between
// their frames, whether masked, and whatever pieces the bytes come in.
func TestFramesAreFoundHoweverTheyAreCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var wire []byte
		var want []string
		for range rapid.IntRange(0, 6).Draw(t, "messages") {
			var mask []byte
			if rapid.Bool().Draw(t, "masked") {
				mask = rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "mask")
			}
			binary := rapid.IntRange(0, 3).Draw(t, "binary") == 0
			size := rapid.SampledFrom([]int{0, 1, 125, 126, 500, 1<<16 + 3}).Draw(t, "size")
			text := strings.Repeat("x", size/2) + strings.Repeat("y", size-size/2)
			opcode := byte(frameText)
			if binary {
				opcode = 2
			} else if size <= 1000 {
				want = append(want, text)
			}
			for first := true; first || text != ""; first = false {
				n := min(len(text), rapid.SampledFrom([]int{0, 1, 130, 1 << 17}).Draw(t, "piece"))
				if !first {
					opcode = frameContinuation
					n = max(n, min(len(text), 40000))
				}
				wire = appendSocketFrame(wire, opcode, n == len(text), mask, text[:n])
				text = text[n:]
				if text != "" && rapid.Bool().Draw(t, "ping") {
					wire = appendSocketFrame(wire, 9, true, mask, "ping")
				}
			}
		}
		wire = append(AppendClose(wire, 1000, "bye"), 0x81) // and half a head
		f := Frames{Limit: 1000}
		var got []string
		for len(wire) > 0 {
			n := min(len(wire), rapid.SampledFrom([]int{1, 2, 3, 50, 1 << 20}).Draw(t, "cut"))
			if len(wire) == 1 && (!f.Closed() || !f.Whole()) {
				t.Fatal("the closing frame was not seen")
			}
			if len(wire) > 1 {
				n = min(n, len(wire)-1)
			}
			if err := f.Pass(wire[:n], func(m []byte) { got = append(got, string(m)) }); err != nil {
				t.Fatal(err)
			}
			wire = wire[n:]
		}
		if f.Whole() {
			t.Error("half a head is taken for a whole frame")
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%d messages, want %d", len(got), len(want))
		}
	})
}

func TestFramesThatAreNoneAreRefused(t *testing.T) {
	for name, raw := range map[string][]byte{
		"compressed":   appendSocketFrame(nil, 0x40|frameText, true, nil, "x"),
		"endless":      {0x81, 127, 0xff, 0, 0, 0, 0, 0, 0, 0},
		"HTTP instead": []byte("pTTP/1.1 200 OK\r\n\r\n"),
	} {
		f := Frames{Limit: 100}
		if err := f.Pass(raw, func([]byte) {}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	f := Frames{Limit: 2}
	if err := f.Pass(appendSocketFrame(nil, frameText, true, nil, "long"), func([]byte) { t.Error("a long message was gathered") }); err != nil || f.Skipped() != 1 {
		t.Errorf("%v, %d skipped", err, f.Skipped())
	}
}

// FuzzSocketFrames: any bytes, cut at any place, give the same messages as in one piece.
func FuzzSocketFrames(f *testing.F) {
	f.Add(appendSocketFrame(nil, frameText, true, []byte{1, 2, 3, 4}, "hello"), 3)
	f.Add(appendSocketFrame(appendSocketFrame(nil, frameText, false, nil, "a"), frameContinuation, true, nil, "b"), 1)
	f.Add(AppendClose(nil, 1011, "gone"), 2)
	f.Fuzz(func(t *testing.T, raw []byte, cut int) {
		gather := func(pieces ...[]byte) (out [][]byte, failed bool) {
			scan := Frames{Limit: 64}
			for _, p := range pieces {
				if scan.Pass(p, func(m []byte) { out = append(out, bytes.Clone(m)) }) != nil {
					return out, true
				}
			}
			return out, false
		}
		at := 0
		if len(raw) > 0 {
			at = int(uint(cut) % uint(len(raw)))
		}
		one, failedOne := gather(raw)
		two, failedTwo := gather(raw[:at], raw[at:])
		if failedOne != failedTwo || len(one) != len(two) {
			t.Fatalf("%d messages in one piece, %d in two", len(one), len(two))
		}
		for i := range one {
			if !bytes.Equal(one[i], two[i]) {
				t.Fatalf("message %d differs", i)
			}
		}
	})
}
