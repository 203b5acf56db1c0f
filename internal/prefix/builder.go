package prefix

import "github.com/zeebo/xxh3"

// Builder writes a chain: it takes the canonical stream in pieces and makes a
// checkpoint at every 256 bytes up to 16 KB, and at every KB up to 2 MB. How the
// stream is cut into pieces does not show in the chain.
//
// A chain stands for whole strides only: what follows the last one is counted
// and in no checkpoint.
type Builder struct {
	chain  *Chain
	hash   uint64 // at the last checkpoint
	end    int    // where that is
	stride int    // to the next; 0 behind the last possible one
	beyond int    // bytes that came after that
	n      int    // bytes in held, always fewer than stride
	held   [coarse]byte
}

// NewBuilder returns a builder that needs Start. Builders can be used again.
func NewBuilder() *Builder { return new(Builder) }

// Start begins a stream, whose chain goes to c in place of what it held.
func (b *Builder) Start(seed uint64, c *Chain) {
	c.Reset()
	b.chain, b.hash = c, seed
	b.end, b.stride, b.beyond, b.n = 0, fine, 0, 0
}

// Write adds p to the stream; it cannot fail.
func (b *Builder) Write(p []byte) (int, error) {
	b.add(p)
	return len(p), nil
}

// WriteString is Write for a string.
func (b *Builder) WriteString(s string) (int, error) {
	for rest := s; len(rest) > 0; {
		if b.stride == 0 {
			b.beyond += len(rest)
			break
		}
		n := copy(b.held[b.n:b.stride], rest)
		rest = rest[n:]
		if b.n += n; b.n == b.stride {
			b.n = 0
			b.checkpoint(b.held[:b.stride])
		}
	}
	return len(s), nil
}

// MarkLane makes everything so far the chain's lane; only the first call counts.
func (b *Builder) MarkLane() {
	if b.chain.Lane != 0 {
		return
	}
	b.chain.Lane = max(1, step(b.hash^laneSalt, xxh3.Hash(b.held[:b.n])))
}

// Finish completes the chain. The builder keeps nothing of it.
func (b *Builder) Finish() {
	b.chain.Bytes = b.end + b.n + b.beyond
	b.chain = nil
}

// add is Write. What fits before the next checkpoint is only copied; whole
// strides of a long piece are hashed where they are.
func (b *Builder) add(p []byte) {
	if b.n+len(p) < b.stride {
		b.n += copy(b.held[b.n:], p)
		return
	}
	b.addLong(p)
}

func (b *Builder) addLong(p []byte) {
	if b.n > 0 {
		n := copy(b.held[b.n:b.stride], p)
		p, b.n = p[n:], 0
		b.checkpoint(b.held[:b.stride])
	}
	for b.stride > 0 && len(p) >= b.stride {
		n := b.stride
		b.checkpoint(p[:n])
		p = p[n:]
	}
	if b.stride == 0 {
		b.beyond += len(p)
		return
	}
	b.n = copy(b.held[:], p)
}

func (b *Builder) addByte(c byte) {
	if b.n+1 < b.stride {
		b.held[b.n] = c
		b.n++
		return
	}
	b.addLong([]byte{c})
}

// checkpoint ends a segment, which is one stride long.
func (b *Builder) checkpoint(segment []byte) {
	b.hash = step(b.hash, xxh3.Hash(segment))
	b.end += len(segment)
	b.chain.Marks = append(b.chain.Marks, Mark{Hash: b.hash, End: b.end})
	switch b.end {
	case fineEnd:
		b.stride = coarse
	case lastMark:
		b.stride = 0
	}
}
