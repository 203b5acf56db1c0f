// Package prefix knows which replica has which prompts in its cache, without a
// tokenizer and without help from the engine: a prompt is a chain of
// checkpoints, hashes of everything before certain offsets, and the index keeps
// the checkpoints of what was sent to each replica.
//
// It owns what counts as the prompt in a request's body, in which order, and
// where checkpoints stand. It never looks at a clock, takes no lock, starts
// nothing, and refuses no body: what it does not understand is hashed as it
// stands, and a hash that says too much or too little costs a cache miss and
// nothing else. It is no validator and keeps no secrets: who knows a seed can
// make two prompts with one chain.
//
// Start reading at FromBody (body.go) for how a body becomes a chain, at Builder
// for checkpoints, and at Index for what is done with them.
package prefix

import (
	"math/bits"

	"github.com/zeebo/xxh3"
)

// Mark is a checkpoint: the hash of everything before End, the seed included.
type Mark struct {
	Hash uint64
	End  int // in bytes of the canonical stream
}

// Chain is the checkpoints of one prompt, in order. Its memory is used again
// after Reset, so a chain that is kept in a pool costs no allocation. The zero
// Chain is empty and ready.
type Chain struct {
	Marks []Mark
	Bytes int    // length of the canonical stream, what lies behind the last checkpoint included
	Lane  uint64 // hash after the first user message, so beyond shared tools and system; 0 if there is none

	scratch scratch // of FromBody
}

// Reset empties the chain and keeps its memory, unless one unusual body made it
// large.
func (c *Chain) Reset() {
	c.Marks, c.Bytes, c.Lane = c.Marks[:0], 0, 0
	c.scratch.reset()
}

// Where checkpoints stand. Short prompts need the fine ones; a long one does not
// get better by knowing its hit to 64 tokens.
const (
	fine     = 256
	fineEnd  = 16 << 10
	coarse   = 1 << 10
	lastMark = 2 << 20 // nothing behind it is told apart
)

// Seed is where the chains of a tenant at a model start, with the adapter if it
// has one. Chains of different seeds share no checkpoint, so nobody is routed by
// what another tenant sent.
func Seed(tenant, model, adapter string) uint64 {
	h := step(seedSalt, xxh3.HashString(tenant))
	h = step(h, xxh3.HashString(model))
	return step(h, xxh3.HashString(adapter))
}

// Odd numbers without a meaning, which keep the three uses of step apart.
const (
	seedSalt = 0x9d39247e33776d41
	laneSalt = 0x2af7398005aaa5c7
	multiply = 0x9fb21c651e98df25
)

// step is one link of a chain: the hash so far and that of the next segment.
// For a given prev it loses nothing of next.
func step(prev, next uint64) uint64 {
	h := bits.RotateLeft64(prev, 25)*multiply + next
	h ^= h >> 32
	h *= multiply
	h ^= h >> 29
	h *= multiply
	return h ^ h>>32
}
