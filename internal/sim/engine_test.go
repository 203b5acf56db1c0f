package sim

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestStepTimesMatchHandComputedValues pins the formula and the calibration;
// the wanted values are worked out in the comments.
func TestStepTimesMatchHandComputedValues(t *testing.T) {
	chunk := func(n, done int) (w Work) { w.addPrefill(n, done); return w }
	decode := func(seqs, context int) (w Work) {
		for range seqs {
			w.addDecode(context)
		}
		return w
	}
	both := decode(8, 2000)
	both.addPrefill(1000, 500)
	cases := []struct {
		name    string
		profile Profile
		work    Work
		want    time.Duration
	}{
		// 6.5ms + 512*33us + 1.1ns*512*256 + 60us = 6500+16896+144.1792+60 us
		{"8B prompt of 512", Llama8B(), chunk(512, 0), 23_600_179},
		// 6.5ms + 8192*33us + 1.1ns*8192*(8192+4096) + 60us = 6500+270336+110729.6256+60 us... in ns below
		{"8B second chunk of 8192", Llama8B(), chunk(8192, 8192), 6_500_000 + 270_336_000 + 110_729_625 + 60_000},
		// 6.5ms + 60us + 52ns*1000
		{"8B decode one", Llama8B(), decode(1, 1000), 6_612_000},
		// 6.5ms + 64*60us + 52ns*64*2000 = 6500+3840+6656 us
		{"8B decode 64", Llama8B(), decode(64, 2000), 16_996_000},
		// 6.5ms + 33ms + 1.1ns*1000*(500+500) + 9*60us + 52ns*16000 = 6500+33000+1100+540+832 us
		{"8B mixed", Llama8B(), both, 41_972_000},
		// 18.5ms + 1024*78us + 1.5ns*1024*512 + 90us = 18500+79872+786.432+90 us
		{"70B prompt of 1024", Llama70B(), chunk(1024, 0), 99_248_432},
		// 18.5ms + 32*90us + 40ns*32*1000 = 18500+2880+1280 us
		{"70B decode 32", Llama70B(), decode(32, 1000), 22_660_000},
		{"instant", Instant(), both, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := c.profile.Step(c.work); got != c.want {
				t.Errorf("step takes %d ns, want %d ns", got, c.want)
			}
		})
	}
}

// exact is a small engine without jitter whose times are easy to add up.
func exact() Profile {
	return Profile{
		Name: "exact", Base: 10 * time.Millisecond, Prefill: time.Millisecond, PerSeq: time.Millisecond,
		KVTokens: 256, BlockSize: 4, StepTokens: 16, MaxSeqs: 4, MaxContext: 128,
	}
}

func newEngine(t testing.TB, p Profile) *Engine {
	t.Helper()
	e, err := NewEngine(p, 1)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestOneRequestIsPrefilledInChunksThenDecoded(t *testing.T) {
	e := newEngine(t, exact())
	if err := e.Submit(0, Request{ID: 7, Prompt: 20, Output: 3}); err != nil {
		t.Fatal(err)
	}
	// 10+16+1 ms, then 10+4+1 ms to the first token, then 10+1 ms each.
	want := []Emission{
		{ID: 7, At: 42 * time.Millisecond},
		{ID: 7, At: 53 * time.Millisecond, Token: 1},
		{ID: 7, At: 64 * time.Millisecond, Token: 2, Done: true},
	}
	if diff := cmp.Diff(want, e.Advance(time.Second)); diff != "" {
		t.Error(diff)
	}
	if l := e.Load(); l != (Load{Blocks: 64}) {
		t.Errorf("the engine is not empty afterwards: %+v", l)
	}
}

func TestEntryDelaysAdmission(t *testing.T) {
	p := exact()
	p.Entry = 100 * time.Millisecond
	e := newEngine(t, p)
	_ = e.Submit(time.Second, Request{ID: 1, Prompt: 4, Output: 1})
	if next, ok := e.Next(); !ok || next != 1100*time.Millisecond {
		t.Fatalf("next event at %v, %v", next, ok)
	}
	want := []Emission{{ID: 1, At: 1115 * time.Millisecond, Done: true, Queued: p.Entry}}
	if diff := cmp.Diff(want, e.Advance(2*time.Second)); diff != "" {
		t.Error(diff)
	}
}

func TestRepeatedPromptIsCached(t *testing.T) {
	e := newEngine(t, exact())
	hashes := []uint64{1, 2, 3, 4, 5}
	_ = e.Submit(0, Request{ID: 1, Prompt: 16, Output: 4, Hashes: hashes})
	_ = e.Advance(time.Second)

	cases := []struct {
		name   string
		req    Request
		cached int
	}{
		{"same prompt computes its last block again", Request{Prompt: 16, Output: 1, Hashes: hashes}, 12},
		{"longer prompt reuses all computed blocks", Request{Prompt: 18, Output: 1, Hashes: hashes}, 16},
		{"other first block finds nothing", Request{Prompt: 16, Output: 1, Hashes: []uint64{9, 2, 3, 4}}, 0},
		{"no hashes find nothing", Request{Prompt: 16, Output: 1}, 0},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			now := time.Duration(i+2) * time.Second
			c.req.ID = uint64(i + 10)
			if err := e.Submit(now, c.req); err != nil {
				t.Fatal(err)
			}
			out := e.Advance(now + 900*time.Millisecond)
			if len(out) != 1 || out[0].Cached != c.cached {
				t.Errorf("got %+v, want one emission with %d cached", out, c.cached)
			}
		})
	}
}

// TestGeneratedBlocksServeTheNextTurn: 16 prompt + 5 output tokens leave the
// fifth block full and computed.
func TestGeneratedBlocksServeTheNextTurn(t *testing.T) {
	e := newEngine(t, exact())
	hashes := []uint64{1, 2, 3, 4, 5}
	_ = e.Submit(0, Request{ID: 1, Prompt: 16, Output: 5, Hashes: hashes})
	_ = e.Advance(time.Second)
	_ = e.Submit(time.Second, Request{ID: 2, Prompt: 24, Output: 1, Hashes: append(hashes, 6)})
	if out := e.Advance(2 * time.Second); len(out) != 1 || out[0].Cached != 20 {
		t.Errorf("got %+v, want 20 cached tokens", out)
	}
}

func TestRequestsThatCannotRunAreRefused(t *testing.T) {
	p := exact()
	p.MaxWaiting = 1
	p.MaxSeqs = 1
	e := newEngine(t, p)
	cases := []struct {
		name string
		req  Request
		want error
	}{
		{"longer than the context", Request{ID: 1, Prompt: 128, Output: 1}, ErrTooLong},
		{"no prompt", Request{ID: 1, Output: 1}, nil},
	}
	for _, c := range cases {
		err := e.Submit(0, c.req)
		if err == nil || (c.want != nil && !errors.Is(err, c.want)) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	for id := range uint64(2) {
		if err := e.Submit(0, Request{ID: id, Prompt: 4, Output: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Submit(0, Request{ID: 0, Prompt: 4, Output: 1}); err == nil || errors.Is(err, ErrQueueFull) {
		t.Errorf("a taken id: got %v", err)
	}
	if err := e.Submit(0, Request{ID: 9, Prompt: 4, Output: 1}); !errors.Is(err, ErrQueueFull) {
		t.Errorf("a full queue: got %v", err)
	}
}

func TestHoldMakesTheCacheRunFull(t *testing.T) {
	e := newEngine(t, exact())
	if got := e.Hold(0, 248); got != 248 {
		t.Fatalf("held %d", got)
	}
	_ = e.Submit(0, Request{ID: 1, Prompt: 9, Output: 1})
	if _, ok := e.Next(); ok || e.Load().Waiting != 1 {
		t.Fatal("a prompt was admitted that does not fit")
	}
	e.Hold(time.Second, 0)
	if out := e.Advance(2 * time.Second); len(out) != 1 || !out[0].Done {
		t.Errorf("got %+v after the blocks came back", out)
	}
}

func TestProfilesAreValidAndBrokenOnesAreNot(t *testing.T) {
	for _, p := range []Profile{Llama8B(), Llama70B(), Fast(), Slow(), Instant(), exact()} {
		if err := p.Validate(); err != nil {
			t.Error(err)
		}
	}
	for name, spoil := range map[string]func(p *Profile){
		"no kv":        func(p *Profile) { p.KVTokens = 0 },
		"tiny kv":      func(p *Profile) { p.KVTokens = 3 },
		"no budget":    func(p *Profile) { p.StepTokens = 0 },
		"negative":     func(p *Profile) { p.Base = -1 },
		"jitter":       func(p *Profile) { p.Jitter = 1 },
		"queue":        func(p *Profile) { p.MaxWaiting = -1 },
		"no sequences": func(p *Profile) { p.MaxSeqs = 0 },
	} {
		p := exact()
		spoil(&p)
		if p.Validate() == nil {
			t.Errorf("%s passed", name)
		}
	}
}

// act is one step of a random workload.
type act struct {
	at     time.Duration
	req    Request
	cancel bool
	hold   int // tokens, or -1
}

func workload(t *rapid.T) []act {
	var at time.Duration
	var acts []act
	for i := range rapid.IntRange(1, 40).Draw(t, "requests") {
		at += time.Duration(rapid.IntRange(0, 40).Draw(t, "gap")) * time.Millisecond
		family := rapid.Uint64Range(1, 3).Draw(t, "family")
		prompt := rapid.IntRange(1, 60).Draw(t, "prompt")
		output := rapid.IntRange(0, 40).Draw(t, "output")
		hashes := make([]uint64, (prompt+output)/4)
		for b := range hashes {
			hashes[b] = family*1000 + uint64(b)
		}
		acts = append(acts, act{at: at, hold: -1, req: Request{ID: uint64(i), Prompt: prompt, Output: output, Hashes: hashes}})
		switch rapid.IntRange(0, 9).Draw(t, "also") {
		case 0:
			at += time.Duration(rapid.IntRange(0, 30).Draw(t, "patience")) * time.Millisecond
			acts = append(acts, act{at: at, hold: -1, cancel: true, req: Request{ID: uint64(rapid.IntRange(0, i).Draw(t, "victim"))}})
		case 1:
			acts = append(acts, act{at: at, hold: rapid.IntRange(0, 120).Draw(t, "hold")})
		}
	}
	return acts
}

// play runs a workload; before each act it advances in the given strides, and
// calls check after everything.
func play(p Profile, acts []act, stride time.Duration, check func(e *Engine)) (out []Emission, cancelled map[uint64]bool) {
	e, err := NewEngine(p, 42)
	if err != nil {
		panic(err)
	}
	cancelled = make(map[uint64]bool)
	var now time.Duration
	collect := func(to time.Duration) {
		for stride > 0 && now+stride < to {
			now += stride
			out = append(out, e.Advance(now)...)
			check(e)
		}
		now = to
	}
	for _, a := range acts {
		collect(a.at)
		switch {
		case a.hold >= 0:
			e.Hold(a.at, a.hold)
		case a.cancel:
			cancelled[a.req.ID] = e.Cancel(a.at, a.req.ID) || cancelled[a.req.ID]
		default:
			if err := e.Submit(a.at, a.req); err != nil {
				panic(err)
			}
		}
		check(e)
	}
	e.Hold(now, 0)
	for {
		next, ok := e.Next()
		if !ok {
			break
		}
		if stride > 0 {
			collect(next)
		}
		out = append(out, e.Advance(next)...)
		check(e)
	}
	return append(out, e.Advance(now+time.Hour)...), cancelled
}

func tight() Profile {
	p := exact()
	p.Entry = 5 * time.Millisecond
	p.Jitter = 0.3
	p.KVTokens = 128
	return p
}

func TestTokensAreConservedUnderAnyWorkload(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		acts := workload(t)
		var end *Engine
		out, cancelled := play(tight(), acts, 0, func(e *Engine) { end = e })
		tokens := make(map[uint64]int)
		done := make(map[uint64]bool)
		var last time.Duration
		for _, m := range out {
			if m.At < last {
				t.Fatalf("time runs backwards: %+v", m)
			}
			last = m.At
			if done[m.ID] {
				t.Fatalf("emission after the last one: %+v", m)
			}
			done[m.ID] = m.Done
			if m.Token >= 0 {
				if m.Token != tokens[m.ID] {
					t.Fatalf("token %d follows %d tokens of request %d", m.Token, tokens[m.ID], m.ID)
				}
				tokens[m.ID]++
			}
		}
		for _, a := range acts {
			if a.cancel || a.hold >= 0 || cancelled[a.req.ID] {
				continue
			}
			if !done[a.req.ID] || tokens[a.req.ID] != a.req.Output {
				t.Fatalf("request %d gave %d of %d tokens, done %v", a.req.ID, tokens[a.req.ID], a.req.Output, done[a.req.ID])
			}
		}
		if l := end.Load(); l.Running+l.Waiting+l.UsedBlocks != 0 {
			t.Fatalf("the engine is not empty: %+v", l)
		}
	})
}

func TestKVNeverExceedsCapacityAndReferencesAddUp(t *testing.T) {
	preempted := int64(0)
	rapid.Check(t, func(t *rapid.T) {
		_, _ = play(tight(), workload(t), 3*time.Millisecond, func(e *Engine) {
			preempted += e.counters.Preemptions
			refs := make(map[int32]int32)
			for _, s := range e.running {
				if len(s.blocks)*e.profile.BlockSize < s.computed+s.chunk {
					t.Fatalf("request %d computes %d tokens in %d blocks", s.req.ID, s.computed+s.chunk, len(s.blocks))
				}
				for _, b := range s.blocks {
					refs[b]++
				}
			}
			for _, b := range e.held {
				refs[b]++
			}
			for _, s := range e.waiting {
				if len(s.blocks) != 0 {
					t.Fatalf("waiting request %d holds %d blocks", s.req.ID, len(s.blocks))
				}
			}
			if len(refs) != e.cache.used() || e.cache.used() > e.profile.Blocks() {
				t.Fatalf("%d blocks referred to, %d used, %d exist", len(refs), e.cache.used(), e.profile.Blocks())
			}
			for i, b := range e.cache.blocks {
				if b.refs != refs[int32(i)] {
					t.Fatalf("block %d has %d references, counted %d", i, b.refs, refs[int32(i)])
				}
				if at, ok := e.cache.index[b.hash]; b.hashed && (!ok || at != int32(i)) {
					t.Fatalf("block %d is not found by its hash", i)
				}
			}
			if len(e.running) > e.profile.MaxSeqs {
				t.Fatalf("%d sequences run", len(e.running))
			}
		})
	})
	if preempted == 0 {
		t.Error("no workload preempted anything: the law was not put to the test")
	}
}

func TestRequestsAreAdmittedInOrderOfArrival(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		acts := workload(t)
		out, _ := play(tight(), acts, 0, func(*Engine) {})
		submitted := make(map[uint64]time.Duration)
		for _, a := range acts {
			if !a.cancel && a.hold < 0 {
				submitted[a.req.ID] = a.at
			}
		}
		type start struct {
			id uint64
			at time.Duration
		}
		var starts []start
		for _, m := range out {
			if m.Token <= 0 {
				starts = append(starts, start{m.ID, submitted[m.ID] + m.Queued})
			}
		}
		slices.SortFunc(starts, func(a, b start) int { return int(a.id) - int(b.id) })
		for i := 1; i < len(starts); i++ {
			if starts[i].at < starts[i-1].at {
				t.Fatalf("request %d was admitted at %v, before request %d at %v", starts[i].id, starts[i].at, starts[i-1].id, starts[i-1].at)
			}
		}
	})
}

func TestGranularityOfAdvanceChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		acts := workload(t)
		want, _ := play(tight(), acts, 0, func(*Engine) {})
		for _, stride := range []time.Duration{time.Millisecond, 7 * time.Millisecond, 333 * time.Microsecond} {
			got, _ := play(tight(), acts, stride, func(*Engine) {})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("in strides of %v (-whole +strides):\n%s", stride, diff)
			}
		}
	})
}

// BenchmarkEngine is one decode step of a full batch, in ns per token.
func BenchmarkEngine(b *testing.B) {
	for _, batch := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			e := newEngine(b, Llama8B())
			var id uint64
			var now time.Duration
			for b.Loop() {
				for l := e.Load(); l.Running+l.Waiting < batch; l = e.Load() {
					id++
					if err := e.Submit(now, Request{ID: id, Prompt: 256, Output: 512}); err != nil {
						b.Fatal(err)
					}
				}
				now, _ = e.Next()
				e.Advance(now)
			}
		})
	}
}
