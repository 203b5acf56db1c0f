package meter

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
)

func hourly(t testing.TB, price string) *Rate {
	t.Helper()
	b, err := (&Book{}).With(map[string]Override{"gpu/*": {PerHour: price}})
	if err != nil {
		t.Fatal(err)
	}
	return b.RateAt("gpu", "vllm", "any")
}

func TestTimeCostsWhatTheHourCosts(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	for _, c := range []struct {
		price  string
		nanos  int64
		want   int64
		status ledger.Pricing
	}{
		{"98.32", nanosPerHour, 98_320_000_000, ledger.Priced},
		{"98.32", nanosPerHour / 3600, 27_311_111, ledger.Priced},
		{"3.6", 1_000_000, 1_000, ledger.Priced},
		{"3.6", 499, 0, ledger.Priced}, // below half a nano-dollar
		{"3.6", 500, 1, ledger.Priced}, // rounded half up, once
		{"3.6", 0, 0, ledger.Unpriced}, // a usage without time is not free
		{"0", 500, 0, ledger.NoCharge},
	} {
		got := hourly(t, c.price).Cost(at, llm.Usage{Input: 10, Output: 10, CapacityNanos: c.nanos})
		if got != (Cost{c.want, c.status}) {
			t.Errorf("%s an hour, %d ns: %+v, want %d %s", c.price, c.nanos, got, c.want, c.status)
		}
	}
}

// TestAPromptThatIsComputedElsewhereIsChargedOnce: where it is answered; there it costs
// the time that it takes, where time is what is paid for.
func TestAPromptThatIsComputedElsewhereIsChargedOnce(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	book, err := (&Book{}).With(map[string]Override{"list/*": {Input: "1", Output: "2"}})
	if err != nil {
		t.Fatal(err)
	}
	usage := llm.Usage{Input: 1000, Output: 1, CapacityNanos: nanosPerHour / 3600}
	for _, c := range []struct {
		name string
		rate *Rate
		why  string
		want Cost
	}{
		{"an answer", book.RateAt("list", "vllm", "m"), "first", Cost{1_002_000, ledger.Priced}},
		{"a leg", book.RateAt("list", "vllm", "m"), ledger.WhyPrefill, Cost{0, ledger.NoCharge}},
		{"a leg without a price", book.RateAt("none", "vllm", "m"), ledger.WhyPrefill, Cost{0, ledger.NoCharge}},
		{"a leg by the hour", hourly(t, "3.6"), ledger.WhyPrefill, Cost{1_000_000, ledger.Priced}},
	} {
		if got := c.rate.Attempt(at, &ledger.Attempt{Why: c.why, Usage: usage}); got != c.want {
			t.Errorf("%s costs %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestNothingCostsMoreThanItsBound: whatever a request of so many tokens turns
// out to be.
func TestNothingCostsMoreThanItsBound(t *testing.T) {
	book, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	models := []struct{ kind, model string }{
		{"openai", "gpt-5-mini"},
		{"openai", "gpt-4o-audio-preview"},
		{"anthropic", "claude-sonnet-4-5"},
		{"gemini", "gemini-2.5-pro"},
		{"bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"},
	}
	at := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	bounded := 0
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.SampledFrom(models).Draw(t, "model")
		r := book.Rate(m.kind, m.model)
		in, out := rapid.Int64Range(0, 2_000_000).Draw(t, "input"), rapid.Int64Range(0, 100_000).Draw(t, "output")
		bound, ok := r.Bound(at, in, out)
		if !ok {
			return
		}
		bounded++
		part := func(label string, of int64) int64 { return rapid.Int64Range(0, of).Draw(t, label) }
		u := llm.Usage{Input: part("in", in), Output: part("out", out), Tier: rapid.SampledFrom([]string{"", "flex", "priority", "batch"}).Draw(t, "tier")}
		u.CacheRead = part("read", u.Input)
		u.CacheWrite = part("write", u.Input-u.CacheRead)
		u.CacheWrite1h = part("hour", u.CacheWrite)
		u.InputAudio = part("audio", u.Input-u.CacheRead-u.CacheWrite)
		if got := r.Cost(at, u); got.Nano > bound {
			t.Fatalf("%s: %+v costs %d, the bound for %d and %d tokens is %d", m.model, u, got.Nano, in, out, bound)
		}
	})
	if bounded == 0 {
		t.Error("no model has a bound")
	}
}
