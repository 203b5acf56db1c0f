package sim

import (
	"errors"
	"fmt"
	"time"
)

// Rules of this file: the timing model and its calibration are data and one
// formula. A Profile is a value; nothing here keeps state.

// Profile describes one engine: how long a step takes, how much it can hold,
// and how far its scheduler may batch. The zero values of the timing fields are
// valid and make an engine without delays.
type Profile struct {
	Name string

	// Timing of one step; see Profile.Step for the formula.
	Base     time.Duration // fixed cost: weights are read once
	Prefill  time.Duration // per prompt token computed in the step
	PairNano float64       // nanoseconds per (query token, context token) pair of a prefill chunk
	PerSeq   time.Duration // per sequence in the step
	CtxNano  float64       // nanoseconds per context token of a decoding sequence

	// Entry is the fixed time between arrival and the waiting queue: HTTP
	// front end, chat template, tokenizer.
	Entry time.Duration
	// Jitter is the relative half-width of a uniform, seeded factor on each
	// step's time: 0.1 means 0.9 to 1.1. In [0,1).
	Jitter float64

	KVTokens   int // capacity of the KV cache in tokens
	BlockSize  int // tokens per KV block
	StepTokens int // token budget of one step; longer prompts are prefilled in chunks
	MaxSeqs    int // sequences in one step
	MaxContext int // longest prompt plus output of one request, in tokens
	MaxWaiting int // longest waiting queue; 0 means no limit
}

// Llama8B is Llama-3-8B in bf16 on one H100. The timing constants are roofline
// estimates at about 50% of peak compute with 128 KiB of KV per token; they are
// estimates and have not been measured on a GPU. The batch limits are vLLM's
// usual defaults.
func Llama8B() Profile {
	return Profile{
		Name: "llama-3-8b/1xh100",
		Base: 6500 * time.Microsecond, Prefill: 33 * time.Microsecond, PairNano: 1.1,
		PerSeq: 60 * time.Microsecond, CtxNano: 52,
		KVTokens: 380_000, BlockSize: 16, StepTokens: 8192, MaxSeqs: 256, MaxContext: 131_072,
	}
}

// Llama70B is Llama-3-70B in bf16 on four H100s, estimated as Llama8B is.
func Llama70B() Profile {
	return Profile{
		Name: "llama-3-70b/4xh100",
		Base: 18500 * time.Microsecond, Prefill: 78 * time.Microsecond, PairNano: 1.5,
		PerSeq: 90 * time.Microsecond, CtxNano: 40,
		KVTokens: 420_000, BlockSize: 16, StepTokens: 8192, MaxSeqs: 256, MaxContext: 131_072,
	}
}

// Fast is the demo's quick engine: about 80 ms to the first token of a short
// prompt, then about 80 tokens a second. It describes no hardware; the numbers
// are chosen so that streaming is visible and a reply takes about half a second.
func Fast() Profile {
	return Profile{
		Name: "fast",
		Base: 12 * time.Millisecond, Prefill: 60 * time.Microsecond, PairNano: 1.1,
		PerSeq: 60 * time.Microsecond, CtxNano: 52,
		Entry: 65 * time.Millisecond, Jitter: 0.1,
		KVTokens: 131_072, BlockSize: 16, StepTokens: 8192, MaxSeqs: 128, MaxContext: 32_768,
		MaxWaiting: 1024,
	}
}

// Slow is the demo's overloaded engine: about 0.7 s to the first token, 25
// tokens a second, and a KV cache small enough that a few dozen requests fill
// it. It describes no hardware.
func Slow() Profile {
	return Profile{
		Name: "slow",
		Base: 40 * time.Millisecond, Prefill: 400 * time.Microsecond, PairNano: 4,
		PerSeq: 500 * time.Microsecond, CtxNano: 120,
		Entry: 650 * time.Millisecond, Jitter: 0.2,
		KVTokens: 16_384, BlockSize: 16, StepTokens: 2048, MaxSeqs: 32, MaxContext: 16_384,
		MaxWaiting: 256,
	}
}

// Instant has no delays at all. Benchmarks put it behind a gateway to measure
// the gateway.
func Instant() Profile {
	return Profile{
		Name:     "instant",
		KVTokens: 1 << 20, BlockSize: 16, StepTokens: 1 << 16, MaxSeqs: 1024, MaxContext: 131_072,
		MaxWaiting: 4096,
	}
}

// Validate reports every field that an engine cannot run with.
func (p Profile) Validate() error {
	var errs []error
	positive := func(name string, v int) {
		if v <= 0 {
			errs = append(errs, fmt.Errorf("%s is %d: want a positive number", name, v))
		}
	}
	positive("KVTokens", p.KVTokens)
	positive("BlockSize", p.BlockSize)
	positive("StepTokens", p.StepTokens)
	positive("MaxSeqs", p.MaxSeqs)
	positive("MaxContext", p.MaxContext)
	if p.BlockSize > 0 && p.KVTokens > 0 && p.KVTokens < p.BlockSize {
		errs = append(errs, fmt.Errorf("KVTokens is %d: want at least one block of %d", p.KVTokens, p.BlockSize))
	}
	if p.Base < 0 || p.Prefill < 0 || p.PerSeq < 0 || p.Entry < 0 || p.PairNano < 0 || p.CtxNano < 0 {
		errs = append(errs, errors.New("a timing field is negative: want zero or more"))
	}
	if p.Jitter < 0 || p.Jitter >= 1 {
		errs = append(errs, fmt.Errorf("jitter is %g: want 0 or more and below 1", p.Jitter))
	}
	if p.MaxWaiting < 0 {
		errs = append(errs, fmt.Errorf("MaxWaiting is %d: want 0 (no limit) or more", p.MaxWaiting))
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("sim: profile %q: %w", p.Name, errors.Join(errs...))
}

// Work is what one step computes; Engine fills it in while it schedules.
type Work struct {
	PrefillTokens int
	Pairs         float64 // sum over prefill chunks of n*(done + n/2)
	Seqs          int     // sequences in the step, prefilling or decoding
	Context       int     // sum of context tokens of the decoding sequences
}

// addPrefill counts a chunk of n tokens on top of done tokens already present.
func (w *Work) addPrefill(n, done int) {
	w.PrefillTokens += n
	w.Pairs += float64(n) * (float64(done) + float64(n)/2)
	w.Seqs++
}

// addDecode counts one token of a sequence with context tokens before it.
func (w *Work) addDecode(context int) {
	w.Context += context
	w.Seqs++
}

// Step is the time one step takes:
//
//	base + pf*prefill_tokens + att*sum(n*(done+n/2)) + perReq*batch + ctx*sum(context)
//
// where n is a prefill chunk's tokens and done the context before it. The last
// sum runs over decoding sequences only: a prefill chunk's reading of its
// context is already in the third term.
func (p Profile) Step(w Work) time.Duration {
	d := p.Base + time.Duration(w.PrefillTokens)*p.Prefill + time.Duration(w.Seqs)*p.PerSeq
	return d + time.Duration(p.PairNano*w.Pairs+p.CtxNano*float64(w.Context))
}

// Blocks is the number of whole KV blocks the engine has.
func (p Profile) Blocks() int { return p.KVTokens / p.BlockSize }
