package route

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tailplane/internal/llm"
	"tailplane/internal/models"
)

func TestOrder(t *testing.T) {
	s := time.Second
	cases := []struct {
		name  string
		views []View
		roll  uint64
		want  []int
		why   Why
	}{
		{"one", []View{{}}, 0, []int{0}, WhyOnly},
		{"in order", []View{{Group: 0}, {Group: 1}, {Group: 2}}, 7, []int{0, 1, 2}, WhyFirst},
		{"the first cools down", []View{{Group: 0, Wait: s}, {Group: 1}}, 0, []int{1, 0}, WhyFallback},
		{"the first is broken", []View{{Group: 0, Broken: true}, {Group: 1}}, 0, []int{1, 0}, WhyFallback},
		{"all unready", []View{{Wait: 2 * s}, {Group: 1, Wait: s}, {Group: 2, Broken: true}}, 0, []int{2, 1, 0}, WhyLastHope},
		{"weights, low roll", []View{{Weight: 9}, {Weight: 1}}, 8, []int{0, 1}, WhyWeighted},
		{"weights, high roll", []View{{Weight: 9}, {Weight: 1}}, 9, []int{1, 0}, WhyWeighted},
		{"ranked by a policy", []View{{Ranked: "cost", Rank: 1}, {Ranked: "cost"}}, 0, []int{1, 0}, "cost"},
		{"the first is at its capacity", []View{{Spills: true}, {Group: 1}}, 0, []int{1, 0}, WhySpill},
		{"one of two groups is", []View{{Spills: true}, {Group: 1, Wait: s}, {Group: 2}}, 0, []int{2, 0, 1}, WhyFallback},
		{"at its capacity and alone", []View{{Spills: true}}, 0, []int{0}, WhyLastHope},
		{"at its capacity beside a replica", []View{{Ranked: "cost", Spills: true}, {Ranked: "cost"}}, 0, []int{1, 0}, WhySpill},
		{"headroom ranks a group", []View{{Prefer: true, Headroom: .2}, {Prefer: true, Headroom: .9}, {Prefer: true, Headroom: .5}, {Group: 1, Prefer: true, Headroom: 1}}, 0, []int{1, 2, 0, 3}, WhyHeadroom},
		{"about the same headroom is drawn for", []View{{Prefer: true, Headroom: .91, Weight: 1}, {Prefer: true, Headroom: .94, Weight: 9}, {Prefer: true, Headroom: .1, Weight: 90}}, 5, []int{1, 0, 2}, WhyHeadroom},
		{"all have the same", []View{{Prefer: true, Headroom: 1, Weight: 9}, {Prefer: true, Headroom: 1, Weight: 1}}, 9, []int{1, 0}, WhyWeighted},
		{"and are ranked by a policy", []View{{Prefer: true, Ranked: "cost", Rank: 3}, {Prefer: true, Ranked: "cost", Rank: 1}}, 0, []int{1, 0}, "cost"},
		{"exhausted until its reset", []View{{Prefer: true, Headroom: 0, Wait: s}, {Prefer: true, Headroom: .1}}, 0, []int{1, 0}, WhyFallback},
		{"one behind the first cools down", []View{{}, {Group: 1, Wait: s}}, 0, []int{0, 1}, WhyFirst},
		{"headroom that nobody asked for", []View{{Headroom: .2, Weight: 9}, {Headroom: .9, Weight: 1}}, 0, []int{0, 1}, WhyWeighted},
		{"unable ones are left out", []View{{Cannot: "no embeddings"}, {Group: 1}}, 0, []int{1}, WhyOnly},
		{"reserved ones are never first", []View{{Group: 0, Wait: s}, {Group: 1, Reserved: true}, {Group: 2, Broken: true}}, 0, []int{2, 0, 1}, WhyLastHope},
		{"nothing but reserved ones", []View{{Cannot: "x"}, {Group: 1, Reserved: true}}, 0, nil, WhyNobody},
		{"nobody", []View{{Cannot: "x"}, {Cannot: "y"}}, 0, nil, WhyNobody},
		{"none", nil, 0, nil, WhyNobody},
	}
	for _, c := range cases {
		got, why := Order(nil, c.views, c.roll)
		if !slices.Equal(got, c.want) || why != c.why {
			t.Errorf("%s: %v (%s), want %v (%s)", c.name, got, why, c.want, c.why)
		}
	}
}

// TestOrderIsAPermutationOfTheAble: whatever the state, each candidate that can
// serve stands in the order once, ready ones first, groups in order.
func TestOrderIsAPermutationOfTheAble(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 8).Draw(t, "n")
		views := make([]View, n)
		group := 0
		for i := range views {
			group += rapid.IntRange(0, 1).Draw(t, "step")
			views[i] = View{
				Group: group, Weight: rapid.IntRange(0, 5).Draw(t, "weight"), Rank: rapid.IntRange(0, 3).Draw(t, "rank"), Ranked: rapid.SampledFrom([]Why{"", "cost"}).Draw(t, "ranked"),
				InFlight: int64(rapid.IntRange(0, 9).Draw(t, "inflight")), Broken: rapid.Bool().Draw(t, "broken"),
				Wait:   time.Duration(rapid.IntRange(0, 2).Draw(t, "wait")) * time.Second,
				Spills: rapid.Bool().Draw(t, "spills"), Prefer: rapid.Bool().Draw(t, "prefer"), Headroom: rapid.Float64Range(0, 1).Draw(t, "headroom"),
			}
			if rapid.IntRange(0, 4).Draw(t, "able") == 0 {
				views[i].Cannot = "x"
			}
		}
		order, _ := Order(nil, views, rapid.Uint64().Draw(t, "roll"))
		seen := map[int]bool{}
		unready, last := false, -1
		for _, i := range order {
			if seen[i] || views[i].Cannot != "" {
				t.Fatalf("%d stands twice or cannot serve: %v", i, order)
			}
			seen[i] = true
			if !views[i].Ready() {
				unready = true
				continue
			}
			if unready || views[i].Group < last {
				t.Fatalf("order %v of %+v", order, views)
			}
			last = views[i].Group
		}
		for i := range views {
			if views[i].Cannot == "" && !seen[i] {
				t.Fatalf("%d is missing from %v", i, order)
			}
		}
	})
}

func TestWeightsShareTrafficInProportion(t *testing.T) {
	views := []View{{Weight: 70}, {Weight: 20}, {Weight: 10}}
	var count [3]int
	roll := uint64(1)
	const n = 20_000
	for range n {
		roll = mix(roll)
		order, _ := Order(nil, views, roll)
		count[order[0]]++
	}
	for i, v := range views {
		if share := 100 * float64(count[i]) / n; share < float64(v.Weight)-2 || share > float64(v.Weight)+2 {
			t.Errorf("candidate %d got %.1f%%, want about %d%%", i, share, v.Weight)
		}
	}
}

func TestOrderAllocatesNothing(t *testing.T) {
	views := []View{{Weight: 3, Prefer: true, Headroom: .1}, {Weight: 1, Headroom: .9}, {Group: 1, Wait: time.Second}, {Group: 1, Broken: true}}
	buf := make([]int, 0, 8)
	if n := testing.AllocsPerRun(100, func() { Order(buf[:0], views, 42) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAfter(t *testing.T) {
	rules := models.Default().Retry
	long := time.Hour
	cases := []struct {
		name  string
		fault llm.Fault
		s     Situation
		want  Verdict
	}{
		{"nobody can mend it", llm.Fault{Retry: llm.RetryNever}, Situation{Rules: rules, Tries: 1, More: true, TimeLeft: long}, Verdict{Do: GiveUp}},
		{"nobody can, but the chain names it", llm.Fault{Retry: llm.RetryNever}, Situation{Rules: rules, Tries: 1, More: true, Named: true, TimeLeft: long}, Verdict{Do: Next}},
		{"the chain names it, before any retry", llm.Fault{Retry: llm.RetrySame}, Situation{Rules: rules, Tries: 1, More: true, Named: true, TimeLeft: long}, Verdict{Do: Next}},
		{"the chain names one that is gone", llm.Fault{Retry: llm.RetryNever}, Situation{Rules: rules, Tries: 1, Named: true, TimeLeft: long}, Verdict{Do: GiveUp}},
		{"another target can", llm.Fault{Retry: llm.RetryElsewhere}, Situation{Rules: rules, Tries: 1, More: true, TimeLeft: long}, Verdict{Do: Next}},
		{"another target could", llm.Fault{Retry: llm.RetryElsewhere}, Situation{Rules: rules, Tries: 1, TimeLeft: long}, Verdict{Do: GiveUp}},
		{"time can", llm.Fault{Retry: llm.RetrySame}, Situation{Rules: rules, Tries: 1, TimeLeft: long, Roll: 0.5}, Verdict{Do: Again, Wait: rules.Backoff / 2}},
		{"time had its chance", llm.Fault{Retry: llm.RetrySame}, Situation{Rules: rules, Tries: 2, More: true, TimeLeft: long}, Verdict{Do: Next}},
		{"Retry-After is a floor", llm.Fault{Retry: llm.RetrySame, After: 3 * time.Second}, Situation{Rules: rules, Tries: 1, TimeLeft: long, Roll: 0.5}, Verdict{Do: Again, Wait: 3 * time.Second}},
		{"no wait while another is at hand", llm.Fault{Retry: llm.RetrySame, After: time.Second}, Situation{Rules: rules, Tries: 1, More: true, TimeLeft: long}, Verdict{Do: Next}},
		{"the other one demands a wait, too", llm.Fault{Retry: llm.RetrySame, After: 3 * time.Second}, Situation{Rules: rules, Tries: 1, More: true, NextWait: time.Second, TimeLeft: long}, Verdict{Do: Next, Wait: time.Second}},
		{"and a longer one", llm.Fault{Retry: llm.RetrySame, After: 3 * time.Second}, Situation{Rules: rules, Tries: 1, More: true, NextWait: 4 * time.Second, TimeLeft: long}, Verdict{Do: Again, Wait: 3 * time.Second}},
		{"the only other one demands too much", llm.Fault{Retry: llm.RetryElsewhere}, Situation{Rules: rules, Tries: 1, More: true, NextWait: time.Minute, TimeLeft: long}, Verdict{Do: GiveUp}},
		{"the time is over", llm.Fault{Retry: llm.RetryElsewhere}, Situation{Rules: rules, Tries: 1, More: true}, Verdict{Do: GiveUp}},
		{"too long a wait", llm.Fault{Retry: llm.RetrySame, After: time.Minute}, Situation{Rules: rules, Tries: 1, TimeLeft: long}, Verdict{Do: GiveUp}},
		{"no time left", llm.Fault{Retry: llm.RetrySame, After: 3 * time.Second}, Situation{Rules: rules, Tries: 1, TimeLeft: time.Second}, Verdict{Do: GiveUp}},
	}
	for _, c := range cases {
		got := After(&c.fault, c.s)
		if got.Why == "" {
			t.Errorf("%s: the verdict does not explain itself", c.name)
		}
		got.Why = ""
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestBackoffIsFullJitterBelowADoublingCeiling(t *testing.T) {
	r := models.Retry{Backoff: 100 * time.Millisecond, MaxBackoff: time.Second}
	rapid.Check(t, func(t *rapid.T) {
		tries := rapid.IntRange(1, 60).Draw(t, "tries")
		roll := rapid.Float64Range(0, 0.999999).Draw(t, "roll")
		ceiling := min(r.Backoff<<min(tries-1, 20), r.MaxBackoff)
		if d := Backoff(r, tries, roll); d < 0 || d >= ceiling {
			t.Fatalf("backoff %v is outside [0, %v)", d, ceiling)
		}
	})
}
