package policy

import (
	"crypto/sha256"
	"encoding"
	"fmt"
	"hash"
	"sync"
)

// hasher is a Pepper for the way of a request. It begins where SHA-256 is behind
// each of the padded blocks, so that a text costs half of what it costs there.
type hasher struct {
	inner, outer []byte    // states, as their digest writes them
	idle         sync.Pool // of *hashing
}

// hashing is the memory of one hash.
type hashing struct {
	digest digest
	text   [longestToken]byte
	sum    Hash
}

// digest is what sha256.New promises.
type digest interface {
	hash.Hash
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

func newHasher(p Pepper) *hasher {
	return &hasher{
		inner: behind(p.inner[:]), outer: behind(p.outer[:]),
		idle: sync.Pool{New: func() any { return &hashing{digest: sha256.New().(digest)} }},
	}
}

// behind is the state of SHA-256 behind a block.
func behind(block []byte) []byte {
	d := sha256.New().(digest)
	d.Write(block)
	state, err := d.MarshalBinary()
	if err != nil {
		panic(fmt.Sprintf("policy: SHA-256 does not tell its state: %v", err))
	}
	return state
}

// hash is Pepper.Hash of a text of up to longestToken bytes.
func (h *hasher) hash(text string) Hash {
	w := h.idle.Get().(*hashing)
	n := copy(w.text[:], text)
	w.resume(h.inner, w.text[:n])
	clear(w.text[:n])
	w.resume(h.outer, w.sum[:])
	sum := w.sum
	h.idle.Put(w)
	return sum
}

// resume makes sum that of what follows a state.
func (w *hashing) resume(state, more []byte) {
	if err := w.digest.UnmarshalBinary(state); err != nil {
		panic(fmt.Sprintf("policy: SHA-256 does not know its own state: %v", err))
	}
	w.digest.Write(more)
	w.digest.Sum(w.sum[:0])
}
