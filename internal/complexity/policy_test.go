package complexity

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tailplane/internal/llm"
)

func TestDecide(t *testing.T) {
	same, cold := Sight{Verdict: Same}, Sight{Verdict: Cold}
	off := Sight{Off, "digits", 0.7}
	none, proven, unproven := Floor{}, Floor{0.9, 0.4, true}, Floor{Share: 0.9}
	for _, c := range []struct {
		need      float32
		threshold float32
		floor     Floor
		sight     Sight
		held      Choice
		want      Choice
		why       Reason
	}{
		{0.3, 0.5, none, same, "", Weak, BecauseEasy},
		{0.5, 0.5, none, same, "", Strong, BecauseNeeded},
		{0.45, 0.5, proven, same, "", Strong, BecauseFloor},
		{0.6, 0.5, proven, same, "", Strong, BecauseNeeded},
		{0.39, 0.5, proven, same, "", Weak, BecauseEasy},
		{0.39, math.MaxFloat32, proven, same, "", Weak, BecauseEasy},
		{0.4, math.MaxFloat32, proven, same, "", Strong, BecauseFloor},
		{0.1, 0.5, unproven, same, "", Strong, BecauseUnproven},
		{0.1, 0.5, none, off, "", Strong, BecauseDrift},
		{0.1, 0.5, none, cold, "", Strong, BecauseCold},
		{0.1, 0.5, none, Sight{}, "", Strong, BecauseDrift}, // nobody looked
		{0.1, 0.5, none, same, Strong, Strong, BecauseHeld},
		{0.1, 0.5, none, same, Weak, Weak, BecauseEasy},
		{0.9, 0.5, none, same, Weak, Strong, BecauseNeeded}, // it may be taken over
	} {
		d := Decide(Facts{Score: Score{Need: c.need}, Threshold: c.threshold, Floor: c.floor, Sight: c.sight, Held: c.held})
		if d.Choice != c.want || d.Why != c.why {
			t.Errorf("%+v: %s", c, d)
		}
	}
	for held, want := range map[Choice]Reason{"": BecauseNoEmbedding, Weak: BecauseNoEmbedding, Strong: BecauseHeld} {
		if d := Decide(Facts{Blind: true, Sight: same, Threshold: 0.5, Held: held}); d.Choice != Strong || d.Why != want || d.String() != "strong: "+string(want) {
			t.Errorf("without a score, held by %q: %s", held, d)
		}
	}
	d := Decide(Facts{Score: Score{Need: 0.1, Risk: 0.2}, Threshold: 0.5, Sight: off})
	if got, want := d.String(), "strong: drift (need 0.100, limit 0.500, risk 0.200), digits 0.70"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestMoreNeedNeverMeansTheWeakModel, and a floor only ever takes from it.
func TestMoreNeedNeverMeansTheWeakModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := Facts{
			Score: Score{Need: rapid.Float32Range(0, 1).Draw(t, "need")}, Threshold: rapid.Float32Range(0, 1).Draw(t, "threshold"),
			Floor: Floor{Share: 0.9, Limit: rapid.Float32Range(0, 1).Draw(t, "limit"), Proven: rapid.Bool().Draw(t, "proven")},
			Sight: Sight{Verdict: rapid.SampledFrom([]Verdict{Cold, Same, Off}).Draw(t, "verdict")},
		}
		here := Decide(f)
		more := f
		more.Score.Need = rapid.Float32Range(f.Score.Need, 1).Draw(t, "more")
		if here.Choice == Strong && Decide(more).Choice == Weak {
			t.Fatalf("%+v", f)
		}
		bare := f
		bare.Floor = Floor{}
		if Decide(bare).Choice == Strong && here.Choice == Weak {
			t.Fatalf("the floor gave to the weak model: %+v", f)
		}
	})
}

func TestCheck(t *testing.T) {
	unsure, sure := -3.0, -0.2
	for _, c := range []struct {
		name string
		a    Answer
		want Flaw
	}{
		{"an answer", Answer{Text: "Paris.", Stop: llm.StopEnd}, ""},
		{"empty", Answer{Text: " \n", Stop: llm.StopEnd}, FlawEmpty},
		{"tools and no text", Answer{Stop: llm.StopTool, ToolCalls: 1}, ""},
		{"cut off", Answer{Text: "It is", Stop: llm.StopLength}, FlawTruncated},
		{"cut off in a tool call", Answer{Stop: llm.StopLength, ToolCalls: 1}, FlawTruncated},
		{"declined by the provider", Answer{Text: "No.", Stop: llm.StopRefusal}, FlawRefused},
		{"filtered", Answer{Text: "It", Stop: llm.StopFilter}, FlawRefused},
		{"failed", Answer{Text: "It", Stop: llm.StopError}, FlawFailed},
		{"declined in words", Answer{Text: "I’m sorry, but I can't help with that.", Stop: llm.StopEnd}, FlawRefused},
		{"an apology and an answer", Answer{Text: "I'm sorry, but I can only give a summary: " + strings.Repeat("word ", 100), Stop: llm.StopEnd}, ""},
		{"JSON", Answer{Text: ` {"a":[1]} `, JSON: true, Stop: llm.StopEnd}, ""},
		{"no JSON", Answer{Text: "{'a': 1}", JSON: true, Stop: llm.StopEnd}, FlawNoJSON},
		{"JSON in a fence", Answer{Text: "```json\n{}\n```", JSON: true, Stop: llm.StopEnd}, FlawNoJSON},
		{"unsure", Answer{Text: "Paris.", Logprob: &unsure, Stop: llm.StopEnd}, FlawUnsure},
		{"sure", Answer{Text: "Paris.", Logprob: &sure, Stop: llm.StopEnd}, ""},
	} {
		if got := Check(c.a, -1.5); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := Check(Answer{Text: "Paris.", Logprob: &unsure, Stop: llm.StopEnd}, 0); got != "" {
		t.Errorf("not asked to look at the probability: %q", got)
	}
}

func TestConfigIsValidated(t *testing.T) {
	share := func(x float64) *float64 { return &x }
	good := Config{File: "m.tpc", Weak: "a/small", Strong: "b/large", StrongShare: share(0.3), Floor: 0.9, Customers: map[string]float64{"acme": 0.95}}
	for _, c := range []struct {
		name  string
		edit  func(*Config)
		wrong string // paths, in order
	}{
		{"good", func(*Config) {}, ""},
		{"a floor alone", func(c *Config) { c.StrongShare = nil }, ""},
		{"nothing", func(c *Config) { *c = Config{} }, "file weak strong strong_share"},
		{"one model", func(c *Config) { c.Strong = c.Weak }, "strong"},
		{"percent", func(c *Config) { c.StrongShare = share(30) }, "strong_share"},
		{"certainty", func(c *Config) { c.Floor = 1 }, "floor"},
		{"not a number", func(c *Config) { c.Floor = math.NaN() }, "floor"},
		{"a customer", func(c *Config) { c.Customers = map[string]float64{"acme": -1, "b": 0.5} }, "customers.acme"},
		{"a probability", func(c *Config) { c.LeastLogprob = 0.5 }, "least_logprob"},
		{"a small window", func(c *Config) { c.Drift.Window = 20 }, "drift.window"},
		{"a large window", func(c *Config) { c.Drift.Window = 1 << 20 }, "drift.window"},
		{"an index", func(c *Config) { c.Drift.PSI = -1 }, "drift.psi"},
	} {
		conf := good
		conf.Customers = maps.Clone(good.Customers)
		c.edit(&conf)
		var paths []string
		conf.Validate(func(path, wrong, right string) {
			paths = append(paths, path)
			if wrong == "" || right == "" {
				t.Errorf("%s: %s is not explained", c.name, path)
			}
		})
		if got := strings.Join(paths, " "); got != c.wrong {
			t.Errorf("%s: %q, want %q", c.name, got, c.wrong)
		}
	}
}

// TestARouterKeepsItsShare of traffic like the training, and hands all of other
// traffic to the strong model.
func TestARouterKeepsItsShare(t *testing.T) {
	share := 0.3
	m := trained(t)
	r := NewRouter(Config{StrongShare: &share}, m, nil)
	samples := drawn(3000, 8)
	n := map[string]int{}
	for i := range samples {
		score := m.Score(samples[i].Vector)
		d := Decide(Facts{Score: score, Threshold: r.threshold, Sight: sight(r.guard, score, &samples[i].Shape)})
		n[fmt.Sprint(d.Choice, d.Why)]++
	}
	strong := n[fmt.Sprint(Strong, BecauseNeeded)]
	if got := float64(strong) / float64(strong+n[fmt.Sprint(Weak, BecauseEasy)]); math.Abs(got-share) > 0.05 {
		t.Errorf("%v of the traffic is strong, want %v: %v", got, share, n)
	}
	for i := range 200 {
		if d := r.Route(Ask{Text: fmt.Sprintf("SELECT qty_%d FROM ledger WHERE id = 12 AND x[3] > 4;", i)}); i > 150 && (d.Choice != Strong || d.Why != BecauseDrift) {
			t.Fatalf("other traffic: %s", d)
		}
	}
	if r.Sight().Verdict != Off {
		t.Errorf("%+v", r.Sight())
	}
}

func TestEachCustomerHasTheirFloor(t *testing.T) {
	m := trained(t)
	r := NewRouter(Config{Floor: 0.7, Customers: map[string]float64{"strict": 0.999, "none": 0}}, m, nil)
	for _, c := range []struct {
		customer string
		share    float64
		proven   bool
	}{{"", 0.7, true}, {"anybody", 0.7, true}, {"strict", 0.999, false}, {"none", 0, false}} {
		if f := r.FloorOf(c.customer); f.Share != c.share || f.Proven != c.proven {
			t.Errorf("%q: %+v", c.customer, f)
		}
	}
	if w := r.Warnings(nil); len(w) != 1 || !strings.Contains(w[0], "strict") {
		t.Errorf("%q", w)
	}
	if !slices.ContainsFunc(NewRouter(Config{Floor: 0.999}, m, nil).Warnings(nil), func(s string) bool { return strings.Contains(s, "0.999") }) {
		t.Error("a floor that is not proven is not told")
	}
}

// TestAReloadKeepsWhatTheGuardHasSeen, unless it is asked to watch otherwise or
// for another model.
func TestAReloadKeepsWhatTheGuardHasSeen(t *testing.T) {
	m, share := trained(t), 0.3
	conf := Config{StrongShare: &share}
	old := NewRouter(conf, m, nil)
	watch(old.guard, m, drawn(100, 1))
	more := 0.5
	again := conf
	again.StrongShare = &more
	if s := NewRouter(again, m, old).Sight(); s.Verdict != Same {
		t.Errorf("%+v", s)
	}
	again.Drift.Window = 1000
	if s := NewRouter(again, m, old).Sight(); s.Verdict != Cold {
		t.Errorf("another window: %+v", s)
	}
	if s := NewRouter(conf, trained(t), old).Sight(); s.Verdict != Cold {
		t.Errorf("another model: %+v", s)
	}
}
