package route

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tailplane/internal/engine"
	"tailplane/internal/prefix"
)

// told is one replica whose cache is said to hold 40,960 tokens, and what it has been
// sent: prompts of 4,096 tokens, which it answers at once.
type told struct {
	*Group
	now  time.Time
	said float64
}

const promptTokens = 8 * 512

func newTold() *told {
	x := &told{Group: newTestGroup("auto"), now: begin, said: 10 * promptTokens}
	x.look(1)
	return x
}

// look says what of a prompt is believed to be in the cache.
func (x *told) look(lane uint64) int {
	var d Decision
	q := Query{Chain: prompt(lane, 8)}
	f := Facts{Name: "t/m", Engine: engine.Sample{Known: engine.SignalKVTokens, KVTokens: x.said}}
	x.Pick(x.now, &q, []Facts{f}, &d, true)
	return d.Replicas[0].Hit
}

// send sends the prompt of a lane, of which the engine says that it found so much.
func (x *told) send(lane uint64, cached int) {
	var t Ticket
	q := Query{Chain: prompt(lane, 8)}
	x.Sent(x.now, &q, "t/m", &t)
	x.now = x.now.Add(500 * time.Millisecond)
	t.First(x.now)
	t.Done(x.now, Result{OK: true, Cached: cached, Output: 10})
}

// serve sends prompts that the engine stores.
func (x *told) serve(held int, lanes ...uint64) {
	for i, lane := range lanes {
		x.send(lane, NothingSaid)
		x.tell(promptTokens, 0, held+(i+1)*promptTokens)
	}
}

// tell is what an engine says of which all is heard.
func (x *told) tell(stored, removed, held int) {
	x.Cached(x.now, "t/m", Cached{Stored: stored, Removed: removed, Held: held, Exact: true})
}

func (x *told) knows(t *testing.T, lanes ...uint64) {
	t.Helper()
	for lane := uint64(1); lane <= 40; lane++ {
		known := x.look(lane) > promptTokens/2
		want := false
		for _, l := range lanes {
			want = want || l == lane
		}
		if known != want {
			t.Errorf("lane %d is known: %v, want %v", lane, known, want)
		}
	}
}

func TestWhatAnEngineSaysOfItsCacheDecides(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(x *told)
		want []uint64
	}{
		{"what is removed is the oldest", func(x *told) {
			x.serve(0, 1, 2, 3, 4)
			x.tell(0, 2*promptTokens, 2*promptTokens)
		}, []uint64{3, 4}},
		{"a little at a time", func(x *told) {
			x.serve(0, 1, 2, 3, 4)
			for i := range 512 {
				x.tell(0, 16, 4*promptTokens-16*(i+1))
			}
		}, []uint64{3, 4}},
		{"what others store is removed after what is older, and before what is younger", func(x *told) {
			x.serve(0, 1, 2)
			x.tell(2*promptTokens, 0, 4*promptTokens)
			x.serve(4*promptTokens, 3, 4)
			x.tell(0, 4*promptTokens, 2*promptTokens)
		}, []uint64{3, 4}},
		{"more is in a cache than it is said to hold", func(x *told) {
			x.serve(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)
		}, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}},
		{"less is in a cache than it is said to hold", func(x *told) {
			x.serve(0, 1, 2, 3)
			for lane := uint64(4); lane <= 9; lane++ {
				x.send(lane, NothingSaid)
				x.tell(promptTokens, promptTokens, 3*promptTokens)
			}
		}, []uint64{7, 8, 9}},
		{"after a gap it is what was held when it was full", func(x *told) {
			x.serve(0, 1, 2, 3)
			for lane := uint64(4); lane <= 9; lane++ {
				x.send(lane, NothingSaid)
				x.tell(promptTokens, promptTokens, 3*promptTokens)
			}
			x.Cached(x.now, "t/m", Cached{})
			x.send(10, NothingSaid)
			x.send(11, NothingSaid)
		}, []uint64{9, 10, 11}},
		{"a gap leaves what is known", func(x *told) {
			x.serve(0, 1, 2, 3)
			x.Cached(x.now, "t/m", Cached{Held: 100})
		}, []uint64{1, 2, 3}},
		{"without events the capacity decides, with what others store", func(x *told) {
			for lane := range uint64(10) {
				x.send(lane+1, NothingSaid)
				x.Cached(x.now, "t/m", Cached{Stored: promptTokens})
			}
			x.Cached(x.now, "t/m", Cached{Stored: 7 * promptTokens})
		}, []uint64{8, 9, 10}},
		{"where another gateway sends, too, it is what was held when it was full", func(x *told) {
			x.Apply(x.now, "other", Delta{Replica: Hash("t/m"), Work: 0.001, Tokens: 20})
			x.serve(0, 1, 2, 3)
			x.tell(promptTokens, promptTokens, 3*promptTokens)
			x.serve(3*promptTokens, 4)
			x.tell(4*promptTokens, 5*promptTokens, 3*promptTokens)
			x.serve(2*promptTokens, 5)
			x.Silent(x.now, "other")
		}, []uint64{3, 4, 5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newTold()
			c.do(x)
			x.knows(t, c.want...)
		})
	}
}

// TestEventsThatCannotBeTrue leave what an estimate of the capacity gives, or a part
// of it where nothing contradicts them.
func TestEventsThatCannotBeTrue(t *testing.T) {
	lanes := func(from, to uint64) (list []uint64) {
		for ; from <= to; from++ {
			list = append(list, from)
		}
		return list
	}
	for _, c := range []struct {
		name  string
		lie   func(x *told) // after a prompt
		found int           // in the cache, by the answers; of a prompt that is known
		doubt bool
		want  []uint64
	}{
		{"nothing is ever stored", func(x *told) { x.tell(0, 0, 0) }, NothingSaid, true, lanes(31, 40)},
		{"all is removed at once", func(x *told) { x.tell(promptTokens, promptTokens, 0) }, NothingSaid, false, lanes(40, 40)},
		{"all is removed at once, and found", func(x *told) { x.tell(promptTokens, promptTokens, 0) }, promptTokens, true, lanes(31, 40)},
		{"more is removed than there is", func(x *told) { x.tell(promptTokens, math.MaxInt, 3) }, promptTokens, true, lanes(31, 40)},
		{"less than nothing", func(x *told) { x.tell(-5, -1<<60, -7) }, NothingSaid, true, lanes(31, 40)},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newTold()
			x.tell(0, 0, 0)
			for lane := range uint64(40) {
				x.send(lane+1, c.found)
				c.lie(x)
			}
			for lane := uint64(31); lane <= 40; lane++ {
				x.send(lane, c.found) // once more, when there is doubt
			}
			x.now = x.now.Add(time.Minute)
			x.tell(0, 0, 0)
			if got := x.members["t/m"].events.doubted; got != c.doubt {
				t.Errorf("doubted: %v", got)
			}
			x.knows(t, c.want...)
		})
	}
}

// TestWhateverAnEngineSays, a prompt that was just answered is known, unless it is
// larger than the part of a cache that is believed in any case, and nothing is left due
// for ever.
func TestWhateverAnEngineSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := newTold()
		number := rapid.OneOf(rapid.IntRange(0, 20_000), rapid.SampledFrom([]int{-1, math.MinInt, math.MaxInt, 1 << 40}))
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			x.now = x.now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
			switch rapid.IntRange(0, 5).Draw(t, "do") {
			case 0:
				x.forget("t")
				x.look(1)
			case 1:
				x.Apply(x.now, "other", Delta{Replica: Hash("t/m"), Work: rapid.Float64Range(0, 1).Draw(t, "work"), Tokens: 5000, Head: prefix.Mark{Hash: 7, End: 20_000}})
			default:
				x.Cached(x.now, "t/m", Cached{Stored: number.Draw(t, "stored"), Removed: number.Draw(t, "removed"), Held: number.Draw(t, "held"), Exact: rapid.Bool().Draw(t, "exact")})
			}
			lane := uint64(rapid.IntRange(1, 9).Draw(t, "lane"))
			x.send(lane, rapid.IntRange(-2, promptTokens).Draw(t, "found"))
			e := &x.members["t/m"].events
			if x.look(lane) == 0 || e.fresh != 0 || !(e.due >= 0) || !(e.room(x.said) >= x.said/8) {
				t.Fatalf("lane %d: hit %d, %+v", lane, x.look(lane), *e)
			}
		}
		x.now = x.now.Add(24 * time.Hour)
		x.Cached(x.now, "t/m", Cached{})
		if due := x.members["t/m"].events.due; due > 1 {
			t.Fatalf("%v tokens are due for ever", due)
		}
	})
}

// TestAClearingBeginsAnew: what was due or doubted before is so no more.
func TestAClearingBeginsAnew(t *testing.T) {
	var gs Groups
	g := gs.Group("m")
	x := &told{Group: g, now: begin, said: 10 * promptTokens}
	x.look(1)
	x.serve(0, 1, 2)
	if !gs.Cached(x.now, "t", Cached{Held: 2 * promptTokens, Exact: true}) {
		t.Error("the events do not decide")
	}
	x.members["t/m"].events.doubt()
	if gs.Cached(x.now, "t", Cached{Held: 2 * promptTokens, Exact: true}) {
		t.Error("the events decide in spite of doubt")
	}
	gs.Cleared("t")
	x.knows(t)
	if !gs.Cached(x.now, "t", Cached{Exact: true}) {
		t.Error("the events of an engine that began anew do not decide")
	}
	if gs.Cached(x.now, "other", Cached{Exact: true}) {
		t.Error("the events of an engine that nobody asks decide")
	}
}
