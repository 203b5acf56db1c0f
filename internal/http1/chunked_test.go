package http1

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// decodeCut decodes body cut into reads at the given sizes, with a small
// destination or in place, and returns what a reader would have seen.
func decodeCut(body []byte, cuts func(max int) int, inPlace bool) (data []byte, done bool, left int, err error) {
	var c ChunkDecoder
	for len(body) > 0 && !c.Done() {
		n := cuts(len(body))
		piece := bytes.Clone(body[:n])
		dst := piece
		if !inPlace {
			dst = make([]byte, cuts(n))
		}
		got, used, err := c.Decode(dst, piece)
		data = append(data, dst[:got]...)
		if err != nil {
			return data, false, len(body), err
		}
		body = body[used:]
	}
	return data, c.Done(), len(body), nil
}

func TestAnyCutOfAChunkedBodyGivesTheSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var wire, want bytes.Buffer
		for _, chunk := range rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 300), 0, 8).Draw(t, "chunks") {
			ext := rapid.SampledFrom([]string{"", ";a=b", ";x", " ", "\t "}).Draw(t, "ext")
			fmt.Fprintf(&wire, "%0*x%s\r\n%s\r\n", rapid.IntRange(1, 8).Draw(t, "width"), len(chunk), ext, chunk)
			want.Write(chunk)
		}
		wire.WriteString("0\r\n" + rapid.SampledFrom([]string{"", "X-Sum: 1\r\n", "A:\r\nB: c d\r\n"}).Draw(t, "trailer") + "\r\n")
		extra := rapid.IntRange(0, 3).Draw(t, "extra")
		wire.WriteString("!!!"[:extra])
		cuts := func(limit int) int { return rapid.IntRange(1, limit).Draw(t, "cut") }
		data, done, left, err := decodeCut(wire.Bytes(), cuts, rapid.Bool().Draw(t, "in place"))
		if err != nil || !done || left != extra || !bytes.Equal(data, want.Bytes()) {
			t.Fatalf("done %v, %d left of %d, %v; got %q, want %q", done, left, extra, err, data, want.Bytes())
		}
	})
}

func TestMalformedChunksAreRefused(t *testing.T) {
	whole := func(n int) int { return n }
	for name, body := range map[string]string{
		"empty size":            "\r\n",
		"only an extension":     ";x\r\n",
		"leading space":         " 1\r\na\r\n",
		"negative":              "-1\r\n",
		"sign":                  "+1\r\na\r\n",
		"hex prefix":            "0x1\r\na\r\n",
		"17 digits":             "00000000000000001\r\na\r\n",
		"above int64":           "8000000000000000\r\na",
		"bare LF":               "1\na\r\n",
		"CR in the line":        "1\rx\na\r\n",
		"space before digits":   "1 1\r\na",
		"space before ext":      "1 ;x\r\na",
		"data too long":         "1\r\nab\r\n",
		"data ended by LF":      "1\r\na\n",
		"line too long":         "1;" + strings.Repeat("x", 5000) + "\r\na\r\n",
		"too much beside data":  strings.Repeat("1;"+strings.Repeat("x", 3000)+"\r\na\r\n", 10),
		"trailer without colon": "0\r\nabc\r\n\r\n",
		"trailer without name":  "0\r\n: x\r\n\r\n",
		"folded trailer":        "0\r\nA: b\r\n c\r\n\r\n",
		"trailer with bare LF":  "0\r\nA: b\n\r\n",
		"trailer with NUL":      "0\r\nA: \x00\r\n\r\n",
		"long trailer":          "0\r\n" + strings.Repeat("A: b\r\n", 1000) + "\r\n",
		"bad end":               "0\r\n\rx",
	} {
		if _, done, _, err := decodeCut([]byte(body), whole, true); err == nil || done {
			t.Errorf("%s: done %v, %v", name, done, err)
		}
	}
}

func FuzzChunks(f *testing.F) {
	f.Add([]byte("5;x\r\nhello\r\n0\r\nA: b\r\n\r\n"), byte(1))
	f.Add([]byte("fffffffffffffff\r\n"), byte(7))
	f.Fuzz(func(t *testing.T, body []byte, seed byte) {
		whole := func(n int) int { return n }
		a, doneA, leftA, errA := decodeCut(body, whole, true)
		step := uint32(seed) + 1
		b, doneB, leftB, errB := decodeCut(body, func(n int) int {
			step = step*1664525 + 1013904223
			return 1 + int(step>>8)%n
		}, seed%2 == 0)
		if doneA != doneB || (errA == nil) != (errB == nil) || !bytes.Equal(a, b) || doneA && leftA != leftB {
			t.Errorf("whole: %q %v %d %v; cut: %q %v %d %v", a, doneA, leftA, errA, b, doneB, leftB, errB)
		}
	})
}
