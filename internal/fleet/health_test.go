package fleet

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tailplane/internal/engine"
	"tailplane/internal/llm"
)

// fail reports so many faults of a kind.
func fail(t *Target, now time.Time, kind llm.FaultKind, n int) {
	for range n {
		t.Begin(now, 0)
		t.Report(now, "m", fault(kind, llm.ScopeTarget, 0))
		t.End()
	}
}

// serve has the target serve so many requests, one after another.
func serve(t *Target, now time.Time, n int) {
	for range n {
		t.Begin(now, 0)
		t.Report(now, "m", nil)
		t.End()
	}
}

func TestABlipIsOverWithTheFirstSuccess(t *testing.T) {
	a := newTarget("a")
	now := t0
	fail(a, now, llm.FaultServer, defaults.Faults-1)
	if a.View(now, "m").Broken {
		t.Fatal("it opens too early")
	}
	fail(a, now, llm.FaultServer, 1)
	if v := a.View(now, "m"); !v.Broken || !v.Ejected || v.Cause != CauseFaults {
		t.Fatalf("it does not open: %+v", v)
	}
	now = now.Add(defaults.Pause)
	if a.View(now, "m").Broken {
		t.Fatal("no trial after the pause")
	}
	a.Begin(now, 0)
	if !a.View(now, "m").Broken {
		t.Error("others are not kept off during the trial")
	}
	a.Report(now, "m", nil)
	a.End()
	if v := a.View(now, "m"); v != (View{}) {
		t.Errorf("after a success: %+v", v)
	}
	if a.troubled.Load() {
		t.Error("a target that is well again still costs a lock")
	}
}

func TestLostConnectionsTripSooner(t *testing.T) {
	a := newTarget("a")
	fail(a, t0, llm.FaultConnect, defaults.Lost-1)
	fail(a, t0, llm.FaultServer, 1)
	fail(a, t0, llm.FaultConnect, 1)
	if a.View(t0, "m").Broken {
		t.Fatal("they are not in a row")
	}
	a = newTarget("a")
	fail(a, t0, llm.FaultConnect, defaults.Lost)
	if v := a.View(t0, "m"); !v.Broken || v.Cause != CauseLost {
		t.Fatalf("%+v", v)
	}
}

// TestTheWayBack goes all of it: a failed trial ejects, twice as long each time;
// then one, two, four at once, and a slow start.
func TestTheWayBack(t *testing.T) {
	a := newTarget("a")
	now := t0
	fail(a, now, llm.FaultConnect, defaults.Lost)
	now = now.Add(defaults.Pause)
	pause := time.Duration(0)
	for n := range 9 {
		fail(a, now, llm.FaultConnect, 1)
		s := a.Standing(now)
		full := min(defaults.Eject<<n, defaults.EjectMost)
		if s.State != Ejected || s.Cause != CauseLost || s.Left > full || s.Left < full*3/4 {
			t.Fatalf("ejection %d: %+v, want up to %v", n+1, s, full)
		}
		pause = s.Left
		if !a.View(now.Add(pause-1), "m").Broken || a.View(now.Add(pause), "m").Broken {
			t.Fatalf("ejection %d is not kept", n+1)
		}
		now = now.Add(pause)
	}
	for _, atOnce := range []int{1, 2, 4} {
		for i := range atOnce {
			if a.View(now, "m").Broken {
				t.Fatalf("%d of %d are in trial, and no further one is taken", i, atOnce)
			}
			a.Begin(now, 0)
		}
		if v := a.View(now, "m"); !v.Broken || !v.Ejected {
			t.Fatalf("%d in trial, and more are taken: %+v", atOnce, v)
		}
		if got := a.Standing(now).State; got != HalfOpen {
			t.Fatal(got)
		}
		for range atOnce {
			a.Report(now, "m", nil)
			a.End()
		}
	}
	cold := a.View(now, "m")
	half := a.View(now.Add(defaults.SlowStart/2), "m")
	if cold.Broken || cold.Penalty != coldPenalty || math.Abs(half.Penalty-coldPenalty/2) > 1e-9 || a.Standing(now).State != SlowStart {
		t.Errorf("the slow start: %+v, then %+v", cold, half)
	}
	now = now.Add(defaults.SlowStart)
	if got := a.Standing(now).State; got != Healthy {
		t.Errorf("after the slow start it is %v", got)
	}
	serve(a, now, 1)
	if v := a.View(now, "m"); v != (View{}) || a.troubled.Load() {
		t.Errorf("at the end: %+v", v)
	}
	if got := a.Ejections(); got[CauseLost] != 10 {
		t.Errorf("counted %v", got)
	}
}

func TestATrialThatSaysNothingGivesItsPlaceBack(t *testing.T) {
	a := newTarget("a")
	fail(a, t0, llm.FaultConnect, defaults.Lost)
	now := t0.Add(defaults.Pause)
	for name, f := range map[string]*llm.Fault{
		"a bad request":    fault(llm.FaultBadRequest, llm.ScopeRequest, 0),
		"the caller left":  fault(llm.FaultClientGone, llm.ScopeTarget, 0),
		"it has no room":   fault(llm.FaultRateLimit, llm.ScopeModel, 0),
		"it is overloaded": fault(llm.FaultOverloaded, llm.ScopeTarget, 0),
	} {
		a.Begin(now, 0)
		a.Report(now, "m", f)
		a.End()
		if v := a.View(now, "m"); v.Broken || !v.Ejected {
			t.Errorf("after %s: %+v", name, v)
		}
	}
	a.Begin(now, 0) // and this one never reports
	if !a.View(now, "m").Broken || a.View(now.Add(trialPatience), "m").Broken {
		t.Error("a trial that never reports holds up the others for ever, or for no time")
	}
}

func TestEchoesOfOldRequestsDoNotLengthenAnEjection(t *testing.T) {
	a := newTarget("a")
	for range 100 {
		a.Begin(t0, 0)
	}
	for range 100 {
		a.Report(t0, "m", fault(llm.FaultCut, llm.ScopeTarget, 0))
	}
	if s := a.Standing(t0); s.Left > defaults.Pause || a.Ejections()[CauseFaults] != 1 {
		t.Errorf("%+v %v", s, a.Ejections())
	}
}

func TestTooManyFailuresEject(t *testing.T) {
	run := func(n int, failed func(i int) bool) *Target {
		a := newTarget("a")
		for i := range n {
			if failed(i) {
				fail(a, t0, llm.FaultServer, 1)
			} else {
				serve(a, t0, 1)
			}
		}
		return a
	}
	three := func(i int) bool { return i%5 < 3 } // of five fail
	if v := run(rateOver+1, three).View(t0, "m"); v.Cause != CauseRate {
		t.Errorf("three of five fail: %+v", v)
	}
	if v := run(rateOver-2, three).View(t0, "m"); v.Ejected {
		t.Errorf("it is judged by %d requests: %+v", rateOver-2, v)
	}
	one := run(1000, func(i int) bool { return i%5 == 0 })
	if v := one.View(t0, "m"); v.Ejected {
		t.Errorf("one of five fails: %+v", v)
	}
	serve(one, t0, 200)
	if one.troubled.Load() {
		t.Error("after two hundred good requests it is still counted")
	}
}

func TestLateFirstTokensDegradeAndThenEject(t *testing.T) {
	a := newTarget("a")
	serve(a, t0, 1)
	now := t0
	for range lateOver - 1 {
		a.Residual(now, 5)
	}
	if v := a.View(now, "m"); v != (View{}) {
		t.Errorf("judged by few: %+v", v)
	}
	a.Residual(now, 5)
	if v := a.View(now, "m"); v.Penalty != latePenalty || v.Broken || a.Standing(now).State != Degraded {
		t.Errorf("five deviations late: %+v", v)
	}
	for range 100 {
		now = now.Add(time.Minute)
		a.Residual(now, 5)
	}
	if a.View(now, "m").Ejected {
		t.Error("slow but healthy is ejected")
	}
	for range 40 {
		a.Residual(now, 0)
	}
	if v := a.View(now, "m"); v != (View{}) || a.Standing(now).State != Healthy {
		t.Errorf("in time again: %+v", v)
	}
	for range 100 {
		now = now.Add(time.Second)
		a.Residual(now, 50)
	}
	if got := a.Ejections()[CauseSlow]; got != 1 || !a.View(now, "m").Ejected {
		t.Errorf("far too late for a minute: ejected %d times", got)
	}
	b := newTarget("b")
	for range 100 {
		b.Residual(t0, math.NaN())
		b.Residual(t0, -50)
	}
	if v := b.View(t0, "m"); v.Penalty != 0 {
		t.Errorf("early is late: %+v", v)
	}
}

func TestWhatWatchTells(t *testing.T) {
	a := newTarget("a")
	if got := a.Standing(t0).State; got != Unknown {
		t.Errorf("at first it is %v", got)
	}
	a.Unready(t0, 15*time.Second)
	if v := a.View(t0, "m"); !v.Broken || v.Ejected || v.Cause != CauseUnready || a.Standing(t0).State != Warming {
		t.Errorf("loading: %+v", v)
	}
	if a.View(t0.Add(15*time.Second), "m").Broken {
		t.Error("what it said holds for ever, although nobody says it again")
	}
	a.Ready(t0.Add(time.Second))
	if v := a.View(t0.Add(time.Second), "m"); v.Broken || v.Penalty == 0 || a.Standing(t0.Add(time.Second)).State != SlowStart {
		t.Errorf("loaded: %+v", v)
	}
	b := newTarget("b")
	b.Ready(t0)
	if b.Standing(t0).State != Healthy || b.troubled.Load() {
		t.Error("one that serves from the first does not")
	}
	b.Eject(t0, CauseWedged)
	first := b.Standing(t0).Left
	b.Eject(t0.Add(first-time.Second), CauseWedged)
	if s := b.Standing(t0.Add(first - time.Second)); s.Left < defaults.Eject || s.Cause != CauseWedged {
		t.Errorf("a standstill that goes on is let go: %+v", s)
	}
	if got := b.Ejections()[CauseWedged]; got != 1 {
		t.Errorf("counted %d times", got)
	}
	b.Try(t0.Add(first))
	if b.View(t0.Add(first), "m").Broken {
		t.Error("it is not tried although it answers")
	}
}

func TestDrainedByTheFileAndByHand(t *testing.T) {
	a := newTarget("a")
	serve(a, t0, 1)
	a.Drain(DrainFile, true)
	a.Drain(DrainLive, true)
	a.Drain(DrainFile, false)
	if v := a.View(t0, "m"); !v.Draining || !v.Broken || a.Standing(t0).State != Drained {
		t.Errorf("one word takes back the other's: %+v", v)
	}
	a.Drain(DrainLive, false)
	if v := a.View(t0, "m"); v != (View{}) {
		t.Errorf("%+v", v)
	}
}

func TestRulesOfTheFile(t *testing.T) {
	var f Fleet
	f.Use(Rules{Faults: 2, Pause: time.Minute})
	a := f.Target("a")
	fail(a, t0, llm.FaultServer, 2)
	if s := a.Standing(t0); s.State != Ejected || s.Left != time.Minute || f.Rules().Lost != defaults.Lost {
		t.Errorf("%+v", s)
	}
	bad := Rules{Faults: -1, Pause: time.Nanosecond, Outlier: 1000, EjectShare: 2, Eject: 10 * time.Minute}
	var at []string
	bad.Validate(func(path, _, _ string) { at = append(at, path) })
	if len(at) != 5 {
		t.Errorf("problems at %v", at)
	}
	DefaultRules().Validate(func(path, wrong, _ string) { t.Errorf("%s: %s", path, wrong) })
}

// TestHealthNeverHangs: whatever is told, in whatever order, a target that serves
// well from then on is fully used again, and costs no lock.
func TestHealthNeverHangs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := newTarget("a")
		now := t0
		kinds := []llm.FaultKind{llm.FaultConnect, llm.FaultServer, llm.FaultRateLimit, llm.FaultCut}
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 8).Draw(t, "what") {
			case 0, 1:
				fail(a, now, rapid.SampledFrom(kinds).Draw(t, "kind"), rapid.IntRange(1, 6).Draw(t, "n"))
			case 2:
				serve(a, now, 1)
			case 3:
				a.Begin(now, 0) // and leaves in silence
				a.End()
			case 4:
				a.Residual(now, rapid.Float64Range(-20, 40).Draw(t, "z"))
			case 5:
				a.Unready(now, 15*time.Second)
			case 6:
				a.Ready(now)
			case 7:
				a.Eject(now, CauseWedged)
			case 8:
				now = now.Add(time.Duration(rapid.IntRange(0, 20_000).Draw(t, "ms")) * time.Millisecond)
			}
			if v := a.View(now, "m"); v.Penalty < 0 || v.Penalty > 1 || v.Ejected && v.Cause == "" {
				t.Fatalf("%+v", v)
			}
		}
		for range 400 {
			now = now.Add(5 * time.Second)
			if !a.View(now, "m").Broken {
				serve(a, now, 1)
				a.Residual(now, 0)
			}
		}
		if v := a.View(now, "m"); v != (View{}) || a.troubled.Load() {
			t.Fatalf("it does not come back: %+v, %+v", v, a.health)
		}
	})
}

func TestAdmit(t *testing.T) {
	ok := View{}
	ejected := func(c Cause) View { return View{Broken: true, Ejected: true, Cause: c} }
	faults, rate, slow := ejected(CauseFaults), ejected(CauseRate), ejected(CauseSlow)
	lost, wedged := ejected(CauseLost), ejected(CauseWedged)
	unready := View{Broken: true, Cause: CauseUnready}
	drained := View{Broken: true, Draining: true}
	cases := []struct {
		name  string
		group []View
		want  string // of each: asked, lifted, out
		panic bool
	}{
		{"all are well", []View{ok, ok}, "aa", false},
		{"one of two", []View{ok, slow}, "ao", false},
		{"one alone is left to its fallback", []View{faults}, "o", false},
		{"both of two are left to their fallback", []View{faults, rate}, "oo", true},
		{"two of three: the late one is lifted", []View{ok, faults, slow}, "aol", false},
		{"of judged ones the gravest stays", []View{ok, slow, rate, faults}, "allo", false},
		{"a certain one takes the place", []View{ok, lost, slow}, "aol", false},
		{"certain ones are never lifted", []View{ok, lost, wedged, unready}, "aooo", false},
		{"two of seven", []View{ok, ok, ok, ok, faults, rate, slow}, "aaaaool", false},
		{"three of ten", []View{ok, ok, ok, ok, ok, ok, rate, rate, rate, rate}, "aaaaaalooo", false},
		{"a drained one is no member", []View{ok, drained, slow, rate}, "aolo", false},
		{"all are lost", []View{lost, lost, lost}, "ooo", true},
		{"nobody else than one that loads", []View{unready, lost, lost}, "ooo", true},
		{"all load", []View{unready, unready}, "oo", true},
		{"all but drained are lost", []View{drained, lost, lost}, "ooo", true},
		{"drained", []View{drained, drained}, "oo", false},
	}
	for _, c := range cases {
		group := append([]View(nil), c.group...)
		lifted := Admit(group, 0.3)
		got, n := "", 0
		for i, v := range group {
			switch {
			case v.Broken:
				got += "o"
			case c.group[i].Broken:
				got += "l"
				n++
			default:
				got += "a"
			}
		}
		if got != c.want || n != lifted {
			t.Errorf("%s: %s and %d lifted, want %s", c.name, got, lifted, c.want)
		}
		if got := Panic(group); got != c.panic {
			t.Errorf("%s: panic %v", c.name, got)
		}
		for i, v := range group {
			if c.group[i].Draining != v.Broken && c.panic && c.group[i].Cause != CauseUnready {
				t.Errorf("%s: in panic %d is %+v", c.name, i, v)
			}
		}
	}
}

// TestAdmitKeepsItsShare, for groups of any kind: as long as somebody is left, no
// more than the share is out for a judgement, and nothing certain is lifted.
func TestAdmitKeepsItsShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		causes := []Cause{"", CauseSlow, CauseRate, CauseFaults, CauseLost, CauseWedged}
		drawn := rapid.SliceOfN(rapid.SampledFrom(causes), 2, 30).Draw(t, "group")
		share := rapid.Float64Range(0.01, 1).Draw(t, "share")
		var group []View
		left := 0
		for _, c := range drawn {
			group = append(group, View{Broken: c != "", Ejected: c != "", Cause: c})
			if c == "" {
				left++
			}
		}
		before := append([]View(nil), group...)
		Admit(group, share)
		if left == 0 {
			if diff := cmp.Diff(before, group); diff != "" {
				t.Fatal(diff)
			}
			return
		}
		out := 0
		for i, v := range group {
			if before[i].Broken && before[i].Cause.Certain() != v.Broken && before[i].Cause.Certain() {
				t.Fatalf("%s was lifted", before[i].Cause)
			}
			if v.Broken && !v.Cause.Certain() {
				out++
			}
		}
		if most := max(1, int(share*float64(len(group))+1e-9)); out > most {
			t.Fatalf("%d of %d are out, at most %d may", out, len(group), most)
		}
	})
}

func TestSignalsGrowOld(t *testing.T) {
	a := newTarget("a")
	if s := a.Signals(t0); s.Known != 0 {
		t.Fatalf("something is known of nothing: %+v", s)
	}
	all := Signals{At: t0, Every: 500 * time.Millisecond}
	all.Known = loads | sizes | engine.SignalPrompt
	all.Running = 7
	a.Observe(all)
	cases := []struct {
		age  time.Duration
		want int // of: everything, without load, size alone, nothing
	}{{0, 0}, {leastLoadAge, 0}, {leastLoadAge + 1, 1}, {mostTotalsAge, 1}, {mostTotalsAge + 1, 2}, {mostSizeAge, 2}, {mostSizeAge + 1, 3}}
	for _, c := range cases {
		want := all.Known
		switch c.want {
		case 1:
			want &^= loads
		case 2:
			want = sizes
		case 3:
			want = 0
		}
		if got := a.Signals(t0.Add(c.age)); got.Known != want || got.Running != 7 {
			t.Errorf("after %v: %v, want %v", c.age, got.Known.Names(), want.Names())
		}
	}
	slow := all
	slow.Every = 15 * time.Second
	a.Observe(slow)
	if !a.Signals(t0.Add(time.Minute)).Known.Has(loads) {
		t.Error("an engine that is looked at rarely is never known")
	}
}

// BenchmarkHealthy is what a target without trouble costs a request.
func BenchmarkHealthy(b *testing.B) {
	a := newTarget("a")
	serve(a, t0, 1)
	b.ReportAllocs()
	for b.Loop() {
		_ = a.View(t0, "m")
		a.Begin(t0, 0)
		a.Report(t0, "m", nil)
		a.End()
	}
}
