package complexity

import (
	"math"
	"math/bits"
	"slices"
)

const (
	// tables is how many buckets an embedding falls into, and tableBits how many
	// projections decide about each. Half the tables, or one bit more or less, cost
	// up to 0.03 of APGR with 1,000 made-up outcomes, and 0.01 with 5,000. Their
	// product is a power of two.
	tables    = 128
	tableBits = 4
	// MostDimensions is how long an embedding is at most.
	MostDimensions = 8192
)

// Embedding is what an embedding model says of a text: the vector, and the
// model's name. Without a name there is none.
type Embedding struct {
	Model  string
	Vector []float32
}

// Meaning returns the buckets of an embedding, in ascending order: in each of
// some tables, the signs of random projections name one, so that two embeddings
// share the more of them the smaller the angle between them is (SimHash; Charikar
// 2002, "Similarity estimation techniques from rounding algorithms"). Its length
// does not matter, and of the embedding itself nothing but these signs is left.
// Under another seed, or of another model, the buckets are others. The slice
// belongs to the extractor and holds until the next call; it is empty where there
// is no embedding, or one that has no direction.
func (e *Extractor) Meaning(seed uint64, of Embedding) []uint32 {
	e.meaning = e.meaning[:0]
	basis := mix(seed ^ 0xd1b54a32d192ed03)
	for i := range len(of.Model) {
		basis = (basis ^ uint64(of.Model[i])) * prime
	}
	basis = mix(basis)
	if of.Model == "" || !e.turn(basis, of.Vector) {
		return e.meaning
	}
	for t := range uint64(tables) {
		signs := t
		for _, x := range e.turned[t*tableBits : (t+1)*tableBits] {
			signs = signs<<1 | uint64(math.Float32bits(x)>>31)
		}
		e.meaning = append(e.meaning, uint32(mix(basis+signs+1)%Buckets))
	}
	slices.Sort(e.meaning)
	e.meaning = slices.Compact(e.meaning)
	return e.meaning
}

// turn rotates a vector by chance, so that each coordinate becomes its projection
// on a random direction. Three times, signs are drawn for the coordinates and the
// Hadamard transform mixes them (Andoni and others 2015, "Practical and optimal
// LSH for angular distance"): that takes n log n additions, and no matrix. It
// reports whether the vector has a direction.
func (e *Extractor) turn(seed uint64, vector []float32) bool {
	most := float32(0)
	for _, x := range vector {
		if isNaN(x) {
			return false
		}
		most = max(most, x, -x)
	}
	if most == 0 || math.IsInf(float64(most), 0) || len(vector) > MostDimensions {
		return false
	}
	size := max(tables*tableBits, 1<<bits.Len(uint(len(vector)-1)))
	if cap(e.turned) < size {
		e.turned = make([]float32, size)
	}
	e.turned = e.turned[:size]
	clear(e.turned[copy(e.turned, vector):])
	// A power of two leaves the digits as they are, and sums far from overflow.
	_, exponent := math.Frexp(float64(most))
	scale := math.Ldexp(1, -exponent)
	for i, x := range e.turned[:len(vector)] {
		e.turned[i] = float32(float64(x) * scale)
	}
	for range 3 {
		seed = flip(seed, e.turned)
		hadamard(e.turned)
	}
	return true
}

// flip changes the signs of about half the coordinates, and returns the next seed.
func flip(seed uint64, v []float32) uint64 {
	for len(v) >= 64 {
		seed += 0x9e3779b97f4a7c15
		drawn := mix(seed)
		for i := range v[:64] {
			v[i] = math.Float32frombits(math.Float32bits(v[i]) ^ uint32(drawn>>i)<<31)
		}
		v = v[64:]
	}
	return seed
}

// hadamard multiplies a vector, whose length is a power of two and at least 8, by
// Hadamard's matrix in place.
func hadamard(v []float32) {
	for at := 0; at+8 <= len(v); at += 8 {
		x := (*[8]float32)(v[at:])
		a, b, c, d := x[0]+x[1], x[0]-x[1], x[2]+x[3], x[2]-x[3]
		e, f, g, h := x[4]+x[5], x[4]-x[5], x[6]+x[7], x[6]-x[7]
		a, b, c, d = a+c, b+d, a-c, b-d
		e, f, g, h = e+g, f+h, e-g, f-h
		*x = [8]float32{a + e, b + f, c + g, d + h, a - e, b - f, c - g, d - h}
	}
	for half := 8; half < len(v); half *= 2 {
		for at := 0; at < len(v); at += 2 * half {
			a, b := v[at:at+half], v[at+half:at+2*half]
			b = b[:len(a)]
			for i, x := range a {
				y := b[i]
				a[i], b[i] = x+y, x-y
			}
		}
	}
}
