package complexity

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestAModelComesBackFromItsFile(t *testing.T) {
	samples := drawn(2000, 1)
	for i := range samples {
		samples[i].Customer = []string{"acme", "globex", ""}[i%3]
	}
	m, err := Train(t.Context(), Training{Weak: "small", Strong: "large", Source: "drawn", HashSeed: 42, Samples: samples, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	file := m.Encode()
	if len(file) > MostFile {
		t.Errorf("%d bytes", len(file))
	}
	back, err := Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(m, back) {
		t.Error("it is another model")
	}
}

// TestTheLargestFileIsWithinBounds: names and customers as long and as many as
// there can be.
func TestTheLargestFileIsWithinBounds(t *testing.T) {
	m := trained(t)
	long := strings.Repeat("x", 1000)
	m.Weak, m.Strong, m.Source = long, long, long
	m.ladders = nil
	for range mostLadders {
		m.ladders = append(m.ladders, ladder{long[:mostName], make([]rung, rungs)})
	}
	m.sketch = make(sketch, mostSketched)
	file := m.Encode()
	if len(file) > MostFile {
		t.Fatalf("%d bytes", len(file))
	}
	if _, err := Decode(file); err != nil {
		t.Error(err)
	}
}

func sealed(body []byte) []byte {
	b := append([]byte(fileMagic), body...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func TestADamagedFileIsRefused(t *testing.T) {
	good := trained(t).Encode()
	body := good[len(fileMagic) : len(good)-sha256.Size]
	edit := func(f func(b []byte) []byte) []byte { return sealed(f(bytes.Clone(body))) }
	scaleAt := binary.Size(uint16(0)) + 3 + 8 + 4
	for _, c := range []struct {
		name string
		file []byte
		says string
	}{
		{"empty", nil, "begin"},
		{"magic alone", []byte(fileMagic), "begin"},
		{"a flipped bit", func() []byte { b := bytes.Clone(good); b[len(b)/2] ^= 1; return b }(), "checksum"},
		{"cut", good[:len(good)-100], "checksum"},
		{"too large", append(bytes.Clone(good), make([]byte, MostFile)...), "more than"},
		{"a later version", edit(func(b []byte) []byte { b[0] = 9; return b }), "version 9"},
		{"cut and sealed", edit(func(b []byte) []byte { return b[:len(b)-1] }), "add up"},
		{"only a head", edit(func(b []byte) []byte { return b[:10] }), "short"},
		{"more behind", edit(func(b []byte) []byte { return append(b, 0) }), "add up"},
		{"not a number", edit(func(b []byte) []byte {
			binary.LittleEndian.PutUint32(b[scaleAt:], math.Float32bits(float32(math.NaN())))
			return b
		}), "figures"},
	} {
		m, err := Decode(c.file)
		if !errors.Is(err, ErrNoModel) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want %q", c.name, err, c.says)
		}
		if m != nil && err == nil {
			t.Errorf("%s: it was taken", c.name)
		}
	}
}

// FuzzDecode: whatever stands between magic and checksum, what is taken can be
// asked, and is written as it was read.
func FuzzDecode(f *testing.F) {
	good := trained(f).Encode()
	body := good[len(fileMagic) : len(good)-sha256.Size]
	head := len(body) - Buckets*heads - Buckets/8
	// The large parts of fixed size are added here, so that the fuzzer has the rest.
	f.Add(body[:head])
	f.Add([]byte{})
	embedded := slices.Insert(bytes.Clone(body[:head]), binary.Size(fileHead{})+len("\x05\x00small\x05\x00large\x05\x00drawn"), []byte("\x01\x00e")...)
	embedded[0] = fileVersion
	f.Add(embedded)
	tail := body[head:]
	f.Fuzz(func(t *testing.T, data []byte) {
		file := sealed(append(bytes.Clone(data), tail...))
		m, err := Decode(file)
		if err != nil {
			if !errors.Is(err, ErrNoModel) {
				t.Fatal(err)
			}
			return
		}
		if again := m.Encode(); !bytes.Equal(again, file) {
			t.Fatal("it is written otherwise")
		}
		sight(NewGuard(m, Drift{}), m.Score(see("prove this lemma")), &Shape{})
		m.Floor("acme", 0.9)
	})
}
