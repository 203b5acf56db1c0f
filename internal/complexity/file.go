package complexity

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
)

// The file of a model, little-endian throughout: magic, [fileHead], the names
// and the source (each a length and bytes), in the second version the name of the
// embedding model that it was trained with, the levels of the risk, the ladders,
// the sketch, the buckets of seen words, the weights of the buckets, and the
// SHA-256 of all that. Nothing in it is compressed, so its size is bounded by
// what it says. A model without embeddings is written in the first version, which
// every program reads.

const (
	fileMagic   = "TPCMODEL"
	fileVersion = 2
	plainFile   = 1 // the version of a model without embeddings
	// MostFile is the size that no model file exceeds.
	MostFile = 1 << 20
	// mostName bounds the name of a model or customer in the file, mostSource what
	// is said of where it comes from.
	mostName   = 128
	mostSource = 512
)

// fileHead is what has the same size in every file.
type fileHead struct {
	Version             uint16
	Bits, Shapes, Heads uint8
	Seed                uint64
	Samples             uint32
	Scale               [heads]float32
	Shape               [heads]Shape
	Quantiles           [100]float32
	Edges               [tracks][bins - 1]float32
	Share               [tracks][bins]float32
	MostNew             float32
	Levels              uint16
	Ladders             uint16
	Sketched            uint16
}

// ErrNoModel is wrapped by every error of [Decode].
var ErrNoModel = errors.New("no model of complexity")

// Encode writes a model out.
func (m *Model) Encode() []byte {
	b := append(make([]byte, 0, MostFile), fileMagic...)
	version, texts := uint16(plainFile), []string{clip(m.Weak, mostName), clip(m.Strong, mostName), clip(m.Source, mostSource)}
	if m.Embedding != "" {
		version, texts = fileVersion, append(texts, clip(m.Embedding, mostName))
	}
	b = put(b, fileHead{
		Version: version, Bits: bucketBits, Shapes: Shapes, Heads: heads, Seed: m.Seed, Samples: uint32(m.Samples),
		Scale: m.scale, Shape: m.shape, Quantiles: m.quantiles,
		Edges: m.reference.Edges, Share: m.reference.Share, MostNew: m.reference.MostNew,
		Levels: uint16(len(m.risk.From)), Ladders: uint16(len(m.ladders)), Sketched: uint16(len(m.sketch)),
	})
	for _, text := range texts {
		b = putText(b, text)
	}
	b = put(put(b, m.risk.From), m.risk.Risk)
	for _, l := range m.ladders {
		b = put(putText(b, l.Customer), l.Rungs)
	}
	b = put(b, []uint64(m.sketch))
	b = append(b, m.seen[:]...)
	for i := range m.bucket {
		b = append(b, byte(m.bucket[i][weakly]), byte(m.bucket[i][strongly]))
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func clip(text string, most int) string { return text[:min(len(text), most)] }

func putText(b []byte, text string) []byte {
	return append(binary.LittleEndian.AppendUint16(b, uint16(len(text))), text...)
}

func put(b []byte, v any) []byte {
	b, err := binary.Append(b, binary.LittleEndian, v)
	if err != nil {
		panic(err) // a type without a fixed size: a mistake of this file
	}
	return b
}

// Decode reads a model. A file that is not whole, or not one, is refused.
func Decode(file []byte) (*Model, error) {
	end := len(file) - sha256.Size
	switch {
	case len(file) > MostFile:
		return nil, fmt.Errorf("%w: %d bytes are more than there can be", ErrNoModel, len(file))
	case !bytes.HasPrefix(file, []byte(fileMagic)) || end < len(fileMagic):
		return nil, fmt.Errorf("%w: it does not begin like one", ErrNoModel)
	}
	if sum := sha256.Sum256(file[:end]); !bytes.Equal(sum[:], file[end:]) {
		return nil, fmt.Errorf("%w: it is damaged (its checksum is another)", ErrNoModel)
	}
	return decode(file[len(fileMagic):end])
}

// decode reads what stands between magic and checksum.
func decode(body []byte) (*Model, error) {
	c := cursor{rest: body}
	var h fileHead
	c.take(&h)
	switch {
	case c.short:
		return nil, fmt.Errorf("%w: it is cut short", ErrNoModel)
	case h.Version < plainFile || h.Version > fileVersion || h.Bits != bucketBits || h.Shapes != Shapes || h.Heads != heads:
		return nil, fmt.Errorf("%w: it is of version %d, and this program reads %d to %d; train it again", ErrNoModel, h.Version, plainFile, fileVersion)
	case h.Levels > mostLevels || h.Ladders > mostLadders || h.Sketched > mostSketched:
		return nil, fmt.Errorf("%w: it has more levels, customers or keys than there can be", ErrNoModel)
	}
	m := &Model{
		Weak: c.text(mostName), Strong: c.text(mostName), Source: c.text(mostSource), Seed: h.Seed, Samples: int(h.Samples),
		scale: h.Scale, shape: h.Shape, quantiles: h.Quantiles,
		reference: reference{Edges: h.Edges, Share: h.Share, MostNew: h.MostNew, Measured: true},
		risk:      isotonic{make([]float32, h.Levels), make([]float32, h.Levels)},
		ladders:   make([]ladder, h.Ladders), sketch: make(sketch, h.Sketched),
	}
	if h.Version > plainFile {
		m.Embedding = c.text(mostName)
		c.short = c.short || m.Embedding == ""
	}
	c.take(m.risk.From)
	c.take(m.risk.Risk)
	for i := range m.ladders {
		m.ladders[i] = ladder{c.text(mostName), make([]rung, rungs)}
		c.take(m.ladders[i].Rungs)
	}
	c.take([]uint64(m.sketch))
	copy(m.seen[:], c.bytes(len(m.seen)))
	packed := c.bytes(Buckets * heads)
	if c.short || len(c.rest) > 0 {
		return nil, fmt.Errorf("%w: its parts do not add up to its size", ErrNoModel)
	}
	for i := range m.bucket {
		m.bucket[i] = [heads]int8{int8(packed[heads*i]), int8(packed[heads*i+1])}
	}
	return m, m.sound()
}

// sound refuses figures that no training makes: they would be compared with
// later, and NaN compares with nothing.
func (m *Model) sound() error {
	finite := true
	for _, x := range slices.Concat(m.scale[:], m.shape[weakly][:], m.shape[strongly][:], m.quantiles[:], m.risk.From, m.risk.Risk, []float32{m.reference.MostNew}) {
		finite = finite && !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0)
	}
	for t := range tracks {
		for _, x := range slices.Concat(m.reference.Edges[t][:], m.reference.Share[t][:]) {
			finite = finite && !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0)
		}
		finite = finite && slices.Min(m.reference.Share[t][:]) >= 0
	}
	ordered := slices.IsSorted(m.risk.From) && slices.IsSorted(m.risk.Risk) && slices.IsSorted(m.quantiles[:]) && slices.IsSorted(m.sketch)
	for _, l := range m.ladders {
		for _, r := range l.Rungs {
			ordered = ordered && r.Worse >= 0 && r.Worse <= float32(r.N) && !isNaN(r.Below)
		}
	}
	if !finite || !ordered {
		return fmt.Errorf("%w: it has figures that no training makes", ErrNoModel)
	}
	return nil
}

// cursor reads off the front of bytes; once there are too few, it only says so.
type cursor struct {
	rest  []byte
	short bool
}

func (c *cursor) bytes(n int) []byte {
	if c.short || len(c.rest) < n {
		c.short = true
		return nil
	}
	out := c.rest[:n]
	c.rest = c.rest[n:]
	return out
}

func (c *cursor) take(v any) {
	b := c.bytes(binary.Size(v))
	if c.short {
		return
	}
	if _, err := binary.Decode(b, binary.LittleEndian, v); err != nil {
		panic("complexity: " + reflect.TypeOf(v).String() + " has no fixed size") // a mistake of this file
	}
}

func (c *cursor) text(most int) string {
	var n uint16
	c.take(&n)
	if int(n) > most {
		c.short = true
	}
	return string(c.bytes(int(n)))
}
