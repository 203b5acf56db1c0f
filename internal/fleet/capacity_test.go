package fleet

import (
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// after t0.
func after(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }

// small is a capacity of 60 tokens a second, 3600 at once.
var small = Provision{PerMinute: 3600, Ratio: 8, Burst: time.Minute, SpillAt: 1}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6*max(1, math.Abs(a), math.Abs(b)) }

func TestTheBucketFollowsTheDocumentedAlgorithm(t *testing.T) {
	c := &Capacity{p: small}
	check := func(step string, at float64, utilisation float64, spills time.Duration) {
		t.Helper()
		u, s := c.State(after(at))
		if !near(u, utilisation) || s.Round(time.Microsecond) != spills {
			t.Errorf("%s: utilisation %v, spills for %v; want %v and %v", step, u, s, utilisation, spills)
		}
	}
	check("at first", 0, 0, 0)
	first := c.Admit(after(0), Load{Input: 400, Output: 400}) // 400 + 8 x 400
	check("prompt and max_tokens are reserved", 0, 1, 0)
	check("at 100% it admits still", 0, 1, 0)
	second := c.Admit(after(0), Load{Input: 400, Output: 25}) // 400 + 8 x 25
	check("a burst goes above", 0, 1+600./3600, 10*time.Second)
	check("it drains all the time", 10, 1, 0)
	c.Settle(after(10), first, Load{Input: 400, Cached: 300, Output: 100}) // 100 + 800
	check("cached tokens and what was not written come back", 10, 1-2700./3600, 0)
	c.Settle(after(10), second, Load{Input: 400, Output: 100}) // 1200 instead of 600
	check("more than was expected is added", 10, 1-2100./3600, 0)
	check("it drains to nothing", 60, 0, 0)
	refused := c.Admit(after(60), Load{Input: 10_000})
	c.Settle(after(60), refused, Load{})
	check("a request that was refused takes nothing", 60, 0, 0)
}

// TestTheBucketsLaws: utilisation is never negative, time only drains, and what
// was added less what was drained is what is there.
func TestTheBucketsLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Provision{
			PerMinute: rapid.Float64Range(1, 1e7).Draw(t, "tpm"), Ratio: rapid.Float64Range(1, 10).Draw(t, "ratio"),
			Burst: time.Duration(rapid.IntRange(1, 120).Draw(t, "burst")) * time.Second, SpillAt: rapid.Float64Range(.1, 1.5).Draw(t, "spill"),
		}
		c := &Capacity{p: p}
		now, level := t0, 0.0 // the model: the level, kept as a sum
		var open []float64
		load := rapid.Custom(func(t *rapid.T) Load {
			return Load{rapid.Int64Range(0, 1e5).Draw(t, "in"), rapid.Int64Range(0, 1e5).Draw(t, "cached"), rapid.Int64Range(0, 1e4).Draw(t, "out")}
		})
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				reserved := c.Admit(now, load.Draw(t, "expected"))
				open = append(open, reserved)
				level += reserved
			case 1:
				if len(open) > 0 {
					took := load.Draw(t, "took")
					c.Settle(now, open[0], took)
					level += p.Weight(took) - open[0]
					open = open[1:]
				}
			case 2:
				before, _ := c.State(now)
				seconds := rapid.Float64Range(0.001, 90).Draw(t, "passes")
				now = now.Add(time.Duration(seconds * float64(time.Second)))
				level = max(0, level-p.PerMinute/60*seconds)
				if after, _ := c.State(now); after > before+1e-9 {
					t.Fatalf("time raises utilisation from %v to %v", before, after)
				}
			case 3: // an answer of a goroutine whose clock is behind
				before, _ := c.State(now)
				if again, _ := c.State(now.Add(-time.Minute)); again != before {
					t.Fatalf("looking back changes %v to %v", before, again)
				}
			}
			u, spills := c.State(now)
			full := p.PerMinute / 60 * p.Burst.Seconds()
			if u < 0 || math.Abs(u*full-max(0, level)) > 1e-3*max(1, level/1e3) {
				t.Fatalf("utilisation %v of %v, want a level of %v", u, full, level)
			}
			if (spills > 0) != (u > p.SpillAt) {
				t.Fatalf("utilisation %v spills for %v", u, spills)
			}
			if spills > 0 {
				if _, still := c.State(now.Add(spills)); still > time.Microsecond {
					t.Fatalf("after %v it spills for %v more", spills, still)
				}
				now = now.Add(spills) // looking ahead has drained it
				level = max(0, level-p.PerMinute/60*spills.Seconds())
			}
		}
	})
}

// TestTheOrderOfSettlementsDoesNotMatter: those of one moment, whatever was in
// the bucket.
func TestTheOrderOfSettlementsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type settlement struct {
			reserved float64
			took     Load
		}
		list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) settlement {
			return settlement{float64(rapid.IntRange(0, 5000).Draw(t, "reserved")), Load{Input: rapid.Int64Range(0, 5000).Draw(t, "took")}}
		}), 2, 8).Draw(t, "settlements")
		base := rapid.Int64Range(0, 3000).Draw(t, "base")
		var seen [2]float64
		for i, order := range [][]settlement{list, rapid.Permutation(list).Draw(t, "order")} {
			c := &Capacity{p: small}
			c.Admit(t0, Load{Input: base})
			for _, s := range order {
				c.Settle(t0, s.reserved, s.took)
			}
			seen[i], _ = c.State(t0)
		}
		if !near(seen[0], seen[1]) {
			t.Fatalf("%v and %v", seen[0], seen[1])
		}
	})
}

// TestALeakyBucketNeverAsksAFullOne holds the prediction against a provider that
// follows the documented algorithm: as its only client, who spills when the
// prediction says so, one is never refused.
func TestALeakyBucketNeverAsksAFullOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ours, level, now := &Capacity{p: small}, 0.0, t0
		asked := 0
		for range 200 {
			gap := rapid.Float64Range(0, 20).Draw(t, "gap")
			now, level = now.Add(time.Duration(gap*float64(time.Second))), max(0, level-60*gap)
			if _, spills := ours.State(now); spills > 0 {
				continue
			}
			if level > 3600+1e-3 {
				t.Fatalf("a request would be refused: %v of 3600", level)
			}
			asked++
			l := Load{Input: rapid.Int64Range(1, 2000).Draw(t, "in"), Output: rapid.Int64Range(1, 200).Draw(t, "out")}
			ours.Admit(now, l)
			level += float64(l.Input + 8*l.Output)
		}
		if asked == 0 {
			t.Fatal("nothing was asked")
		}
	})
}

func TestAReloadResizesAndKeepsWhatIsInUse(t *testing.T) {
	a := newTarget("a")
	if a.Capacity() != nil || a.View(t0, "m").Utilisation != 0 {
		t.Error("a target has a capacity that nobody configured")
	}
	a.Provision(t0, &small)
	a.Capacity().Admit(t0, Load{Input: 7200})
	if v := a.View(t0, "m"); !near(v.Utilisation, 2) || v.Spills != time.Minute {
		t.Errorf("full twice: %+v", v)
	}
	double := small
	double.PerMinute *= 2
	a.Provision(t0, &double)
	if v := a.View(t0, "m"); !near(v.Utilisation, 1) || v.Spills != 0 {
		t.Errorf("doubled: %+v", v)
	}
	a.Provision(t0, nil)
	if v := a.View(t0, "m"); v != (View{}) {
		t.Errorf("without a capacity: %+v", v)
	}
}

func TestConcurrentUseOfACapacityKeepsCount(t *testing.T) {
	c := &Capacity{p: small}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				c.Settle(t0, c.Admit(t0, Load{Input: 10, Output: 1}), Load{Input: 1})
				c.State(t0)
			}
		})
	}
	wg.Wait()
	if u, _ := c.State(t0); !near(u, 4000./3600) {
		t.Errorf("utilisation %v", u)
	}
}

func TestABucketAllocatesNothing(t *testing.T) {
	c, now := &Capacity{p: small}, t0
	if n := testing.AllocsPerRun(100, func() {
		now = now.Add(time.Second)
		c.Settle(now, c.Admit(now, Load{Input: 10}), Load{Input: 5})
		c.State(now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestSizing is the worked example of the documentation: gpt-5.2 with 1000
// requests a minute. The steps of 50 are its results, those of 5 our arithmetic.
func TestSizing(t *testing.T) {
	m, ok := PTUModelOf("GPT-5.2")
	if !ok {
		t.Fatal("gpt-5.2 is not in the table")
	}
	cases := []struct {
		each             Load
		exact            float64
		inFifty, inFives int
	}{
		{Load{Input: 100, Output: 50}, 147.06, 150, 150},
		{Load{Input: 100, Cached: 25, Output: 50}, 139.71, 150, 140},
		{Load{Input: 500, Output: 200}, 617.65, 650, 620},
		{Load{Input: 500, Cached: 125, Output: 200}, 580.88, 600, 585},
	}
	for _, c := range cases {
		exact, fifty := m.Size(1000, c.each, 50)
		_, five := m.Size(1000, c.each, 5)
		if math.Round(exact*100)/100 != c.exact || fifty != c.inFifty || five != c.inFives {
			t.Errorf("%+v: %.2f units, %d in steps of 50, %d in steps of 5; want %.2f, %d, %d", c.each, exact, fifty, five, c.exact, c.inFifty, c.inFives)
		}
	}
	if _, units := m.Size(1, Load{Input: 1}, 5); units != m.Minimum {
		t.Errorf("next to nothing needs %d units, want the minimum", units)
	}
}

func TestTheTableOfUnitsIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range ptuModels {
		if seen[m.Name] || m.InputTPM < 1000 || m.Ratio < 1 || m.Minimum < m.Increment || m.Increment < 1 || m.Name != strings.ToLower(m.Name) {
			t.Errorf("%+v", m)
		}
		seen[m.Name] = true
	}
	if len(seen) != 16 {
		t.Errorf("%d models, want 16", len(seen))
	}
}

func TestConfigIsACapacityInOneOfThreeWays(t *testing.T) {
	cases := []struct {
		config Config
		want   Provision
	}{
		{Config{PTU: 100, Model: "gpt-5.2"}, Provision{340_000, 8, time.Minute, 1}},
		{Config{PTU: 100, Model: "gpt-5.2", OutputRatio: 6, SpillAt: .9, Burst: 10 * time.Second}, Provision{340_000, 6, 10 * time.Second, .9}},
		{Config{InputTPM: 5000, OutputRatio: 5}, Provision{5000, 5, time.Minute, 1}},
		{Config{TokensPerSecond: 2500}, Provision{150_000, 1, time.Minute, 1}},
	}
	for _, c := range cases {
		c.config.Validate("x", func(path, wrong, _ string) { t.Errorf("%+v: %s %s", c.config, path, wrong) })
		if got := c.config.Provision(); got != c.want {
			t.Errorf("%+v: %+v, want %+v", c.config, got, c.want)
		}
	}
	if !(Config{}).IsZero() {
		t.Error("nothing is a capacity")
	}
}

func TestConfigReportsEveryProblem(t *testing.T) {
	cases := []struct {
		config Config
		at     string
		says   string
	}{
		{Config{SpillAt: .9}, "c", "stated in 0 ways"},
		{Config{InputTPM: 1, TokensPerSecond: 1}, "c", "stated in 2 ways"},
		{Config{InputTPM: -1}, "c", "negative"},
		{Config{PTU: 100}, "c.ptu", "depends on the model"},
		{Config{PTU: 100, Model: "gpt-5.2x"}, "c.model", `did you mean`},
		{Config{PTU: 101, Model: "gpt-5.2"}, "c.ptu", "in steps of 5"},
		{Config{PTU: 50, Model: "deepseek-r1"}, "c.ptu", "use 100 or more"},
		{Config{InputTPM: 1, Model: "gpt-5.2"}, "c.model", "there are no units"},
		{Config{InputTPM: 1, OutputRatio: 1e9}, "c.output_ratio", "out of range"},
		{Config{InputTPM: 1, SpillAt: 3}, "c.spill_at", "300%"},
		{Config{InputTPM: 1, Burst: 2 * time.Hour}, "c.burst", "out of range"},
	}
	for _, c := range cases {
		got := ""
		c.config.Validate("c", func(path, wrong, right string) { got += path + ": " + wrong + "; " + right + "\n" })
		if !strings.HasPrefix(got, c.at+": ") || !strings.Contains(got, c.says) {
			t.Errorf("%+v: %q, want %s and %q", c.config, got, c.at, c.says)
		}
	}
	var p Percent
	var r Ratio
	for _, text := range []string{"", "90", "x%", "-3%", "NaN%", "%"} {
		if p.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q is a share", text)
		}
	}
	for _, text := range []string{"", "x", "0", "-1", "NaN"} {
		if r.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q is a ratio", text)
		}
	}
	if p.UnmarshalText([]byte("92.5%")) != nil || p != .925 || r.UnmarshalText([]byte("1.5")) != nil || r != 1.5 {
		t.Errorf("%v %v", p, r)
	}
}
