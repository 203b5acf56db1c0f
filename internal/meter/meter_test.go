package meter

import (
	"encoding/json"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func load(t testing.TB) *Book {
	t.Helper()
	b, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func on(day string) time.Time {
	t, err := time.Parse(time.DateTime, day)
	if err != nil {
		panic(err)
	}
	return t
}

// The expected amounts are worked out by hand from the published prices.
func TestListPricesByHand(t *testing.T) {
	b := load(t)
	tests := []struct {
		name, kind, model, at string
		u                     llm.Usage
		nano                  int64
		status                ledger.Pricing
	}{
		{
			"input and output", "anthropic", "claude-3-5-sonnet-20241022", "2026-01-01 00:00:00",
			llm.Usage{Input: 1000, Output: 100},
			1000*3_000 + 100*15_000, ledger.Priced,
		},
		{
			"cached input is cheaper, written input dearer", "anthropic", "claude-3-5-sonnet-latest", "2026-01-01 00:00:00",
			llm.Usage{Input: 1000, CacheRead: 600, CacheWrite: 300, Output: 1},
			100*3_000 + 600*300 + 300*3_750 + 15_000, ledger.Priced,
		},
		{
			"an hour's cache write is twice the input price", "anthropic", "claude-3-5-sonnet-latest", "2026-01-01 00:00:00",
			llm.Usage{Input: 300, CacheWrite: 300, CacheWrite1h: 200},
			100*3_750 + 200*6_000, ledger.Priced,
		},
		{
			"at the tier's edge the base price holds", "anthropic", "claude-opus-4-6", "2026-03-12 23:59:59",
			llm.Usage{Input: 200_000, Output: 10},
			200_000*5_000 + 10*25_000, ledger.Priced,
		},
		{
			"above it all tokens cost the tier's price", "anthropic", "claude-opus-4-6", "2026-03-12 23:59:59",
			llm.Usage{Input: 200_001, CacheRead: 1, Output: 10},
			200_000*10_000 + 1_000 + 10*37_500, ledger.Priced,
		},
		{
			"from its date the new price holds", "anthropic", "claude-opus-4-6", "2026-03-13 00:00:00",
			llm.Usage{Input: 200_001, Output: 10},
			200_001*5_000 + 10*25_000, ledger.Priced,
		},
		{"a price falls on a date", "openai", "o3", "2025-06-09 23:59:59", llm.Usage{Input: 10, Output: 1}, 10*10_000 + 40_000, ledger.Priced},
		{"and is low after", "openai", "o3", "2025-06-10 00:00:00", llm.Usage{Input: 10, Output: 1}, 10*2_000 + 8_000, ledger.Priced},
		{"night", "deepseek", "deepseek-chat", "2025-05-01 00:29:59", llm.Usage{Input: 1000}, 135_000, ledger.Priced},
		{"day", "deepseek", "deepseek-chat", "2025-05-01 00:30:00", llm.Usage{Input: 1000}, 270_000, ledger.Priced},
		{"night again", "deepseek", "deepseek-chat", "2025-05-01 16:30:00", llm.Usage{Input: 1000}, 135_000, ledger.Priced},
		{"a price for the request", "perplexity", "sonar-pro", "2026-01-01 00:00:00", llm.Usage{Input: 1, Output: 1}, 14_000_000 + 3_000 + 15_000, ledger.Priced},
		{"embeddings have no output", "voyage", "voyage-3-large", "2026-01-01 00:00:00", llm.Usage{Input: 1000}, 180_000, ledger.Priced},
		{"output that has no price is not free", "voyage", "voyage-3-large", "2026-01-01 00:00:00", llm.Usage{Input: 1000, Output: 1}, 180_000, ledger.Unpriced},
		{"case does not matter", "OpenAI", "O3", "2026-01-01 00:00:00", llm.Usage{Input: 1}, 2_000, ledger.Priced},
		{"azure sells what openai sells", "azure", "o3", "2026-01-01 00:00:00", llm.Usage{Input: 1}, 2_000, ledger.Priced},
		{"an unknown model", "openai", "gpt-99", "2026-01-01 00:00:00", llm.Usage{Input: 1}, 0, ledger.Unpriced},
		{"an unknown provider", "acme", "o3", "2026-01-01 00:00:00", llm.Usage{Input: 1}, 0, ledger.Unpriced},
		{"an engine of one's own", "vllm", "o3", "2026-01-01 00:00:00", llm.Usage{Input: 1}, 0, ledger.Unpriced},
		{"the simulator", "sim", "fast", "2026-01-01 00:00:00", llm.Usage{Input: 1, Output: 5}, 0, ledger.NoCharge},
		{"a model stated to be free", "openrouter", "x-ai/grok-4.1-fast:free", "2026-01-01 00:00:00", llm.Usage{Input: 1}, 0, ledger.NoCharge},
		{"nothing used", "openai", "gpt-99", "2026-01-01 00:00:00", llm.Usage{Source: llm.UsageNone}, 0, ledger.NoCharge},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got := b.Price(tc.kind, tc.model, on(tc.at), tc.u)
			if got != (Cost{tc.nano, tc.status}) {
				t.Errorf("got %+v, want %d %s", got, tc.nano, tc.status)
			}
		})
	}
}

func TestOverridesGoFirst(t *testing.T) {
	b, err := load(t).With(map[string]Override{
		"gpus/llama-3": {Input: "0.1", Output: "0.4"},
		"gpus/*":       {Input: "1", Output: "1"},
		"found/**":     {Input: "3", Output: "3"},
		"openai/o3":    {Input: "1.5", Output: "6", CacheRead: "0"},
		"Shared-Model": {Input: "7", InputAudio: "70", OutputAudio: "9"},
		"sim/*":        {Input: "2", Output: "2"},
		"round":        {Input: "0.0005", Output: "0.000499"},
		"zero":         {Input: "0", Output: "0.0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		target, kind, model string
		u                   llm.Usage
		want                Cost
	}{
		{"gpus", "vllm", "Llama-3", llm.Usage{Input: 10, Output: 10}, Cost{5_000, ledger.Priced}},
		{"gpus", "vllm", "other", llm.Usage{Input: 10, Output: 10}, Cost{20_000, ledger.Priced}},
		{"found/10-0-0-7-8000", "vllm", "llama-3", llm.Usage{Input: 10}, Cost{30_000, ledger.Priced}},
		{"found", "vllm", "llama-3", llm.Usage{Input: 10}, Cost{0, ledger.Unpriced}},
		{"gpus/other", "vllm", "llama-3", llm.Usage{Input: 10}, Cost{0, ledger.Unpriced}}, // a target of its own
		{"", "vllm", "llama-3", llm.Usage{Input: 10}, Cost{0, ledger.Unpriced}},
		{"eu", "openai", "o3", llm.Usage{Input: 10, CacheRead: 4, Output: 1}, Cost{6*1_500 + 6_000, ledger.Priced}},
		{"eu", "openai", "o3", llm.Usage{Input: 4, CacheRead: 4}, Cost{0, ledger.NoCharge}},
		{"eu", "openai", "o3-2025-04-16", llm.Usage{Input: 10}, Cost{20_000, ledger.Priced}},
		{"", "tgi", "shared-model", llm.Usage{Input: 10, CacheRead: 2, CacheWrite: 3, InputAudio: 1}, Cost{9*7_000 + 70_000, ledger.Priced}},
		{"", "tgi", "shared-model", llm.Usage{Input: 10, CacheRead: 9, InputAudio: 5}, Cost{9*7_000 + 70_000, ledger.Priced}},
		{"", "tgi", "shared-model", llm.Usage{Input: 1, Output: 2, OutputAudio: 1}, Cost{7_000 + 9_000, ledger.Unpriced}},
		{"", "sim", "fast", llm.Usage{Input: 1}, Cost{2_000, ledger.Priced}},
		{"", "x", "round", llm.Usage{Input: 1}, Cost{1, ledger.Priced}},  // 0.5 nano: up
		{"", "x", "round", llm.Usage{Output: 1}, Cost{0, ledger.Priced}}, // 0.499 nano: down
		{"", "x", "round", llm.Usage{Input: 1, Output: 1}, Cost{1, ledger.Priced}},
		{"", "x", "round", llm.Usage{Input: 3}, Cost{2, ledger.Priced}}, // 1.5
		{"", "x", "zero", llm.Usage{Input: 3}, Cost{0, ledger.NoCharge}},
		{"", "x", "zero", llm.Usage{Input: -5, Output: -5}, Cost{0, ledger.NoCharge}},
	}
	for _, tc := range tests {
		if got := b.RateAt(tc.target, tc.kind, tc.model).Cost(on("2026-01-01 00:00:00"), tc.u); got != tc.want {
			t.Errorf("%s/%s/%s %+v: got %+v, want %+v", tc.target, tc.kind, tc.model, tc.u, got, tc.want)
		}
	}
	if got := load(t).Price("sim", "fast", time.Now(), llm.Usage{Input: 1}); got.Status != ledger.NoCharge {
		t.Error("With changed the book that it was called on")
	}
}

func TestWrongOverridesAreAllNamed(t *testing.T) {
	_, err := load(t).With(map[string]Override{"a": {Input: "1,5", Output: "-1"}, "b": {}, "c": {Input: "1"}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{`"a"`, "input:", "output:", `"b"`, "no price is given"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), `"c"`) {
		t.Errorf("a right one is named: %v", err)
	}
}

func TestDecimalText(t *testing.T) {
	tests := map[string]Price{
		"0": 0, "0.0": 0, "3": 3e12, "3.": 3e12, ".5": 5e11, "0.135": 135e9, "0.000000000001": 1, "0.0000000000010": 1,
		"1e-12": 1, "7.5e-2": 75e9, "2E1": 20e12, "1e+2": 100e12, "1000000": 1e18, "00012.50": 125e11, "0.00000000000000": 0, "0e50": 0,
	}
	for text, want := range tests {
		got, err := ParsePrice(text)
		if err != nil || got != want {
			t.Errorf("ParsePrice(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", ".", "-1", "+1", "1,5", "0x10", "1e", "e5", "1e-13", "0.0000000000001", "1000000.000000000001", "1e7", "99999999999999999999", "1e99", "1e100", " 1", "1_0", "NaN", "Inf", "1.2.3", "1e-"} {
		if got, err := ParsePrice(text); err == nil {
			t.Errorf("ParsePrice(%q) = %d, want an error", text, got)
		}
	}
}

func TestDecimalTextRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Price(rapid.Int64Range(0, 1e18).Draw(t, "price"))
		if got, err := ParsePrice(p.String()); err != nil || got != p {
			t.Fatalf("%d is %q is %d, %v", p, p, got, err)
		}
	})
}

func FuzzParsePrice(f *testing.F) {
	for _, s := range []string{"0.25", "1e-3", "1000000", "0.0000000000001", "9e11"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePrice(s)
		if err != nil {
			return
		}
		want, ok := new(big.Rat).SetString(s)
		if !ok || want.Cmp(big.NewRat(int64(p), 1e12)) != 0 || p < 0 {
			t.Fatalf("ParsePrice(%q) = %d pico-dollars, exactly it is %v dollars", s, p, want)
		}
	})
}

func drawPrices(t *rapid.T) priceList {
	var l priceList
	for _, p := range []**tieredPrice{&l.input, &l.cacheRead, &l.cacheWrite, &l.cacheWrite1h, &l.output, &l.inputAudio, &l.cacheAudio, &l.outputAudio, &l.requests} {
		if !rapid.Bool().Draw(t, "known") {
			continue
		}
		*p = &tieredPrice{base: Price(rapid.Int64Range(0, 1e15).Draw(t, "base"))}
		if rapid.Bool().Draw(t, "tiered") {
			(*p).tiers = []tier{{above: rapid.Int64Range(0, 1e6).Draw(t, "above"), price: (*p).base + Price(rapid.Int64Range(0, 1e14).Draw(t, "more"))}}
		}
	}
	return l
}

func drawUsage(t *rapid.T) llm.Usage {
	n := rapid.OneOf(rapid.Int64Range(0, 3e5), rapid.Int64Range(0, 1e12))
	return llm.Usage{
		Input: n.Draw(t, "input"), CacheRead: n.Draw(t, "read"), CacheWrite: n.Draw(t, "write"), CacheWrite1h: n.Draw(t, "hour"),
		InputAudio: n.Draw(t, "audio in"), CacheReadAudio: n.Draw(t, "audio read"), Output: n.Draw(t, "output"), OutputAudio: n.Draw(t, "audio out"),
	}
}

// oracle prices with rational numbers of any size, in nano-dollars.
func oracle(l priceList, u llm.Usage) *big.Rat {
	sum := new(big.Rat)
	add := func(n int64, prices ...*tieredPrice) {
		for _, p := range prices {
			if p != nil {
				cost := new(big.Rat).Mul(big.NewRat(n, 1_000_000), big.NewRat(int64(p.at(u.Input)), 1_000))
				sum.Add(sum, cost)
				return
			}
		}
	}
	hour := min(u.CacheWrite1h, u.CacheWrite)
	heard := min(u.CacheReadAudio, u.CacheRead)
	audio := min(max(0, u.InputAudio-heard), max(0, u.Input-u.CacheRead-u.CacheWrite))
	sound := min(u.OutputAudio, u.Output)
	add(max(0, u.Input-u.CacheRead-u.CacheWrite-audio), l.input)
	add(u.CacheRead-heard, l.cacheRead, l.input)
	add(heard, l.cacheAudio, l.inputAudio, l.cacheRead, l.input)
	add(u.CacheWrite-hour, l.cacheWrite, l.input)
	add(hour, l.cacheWrite1h, l.cacheWrite, l.input)
	add(audio, l.inputAudio, l.input)
	add(u.Output-sound, l.output)
	add(sound, l.outputAudio, l.output)
	if l.requests != nil {
		sum.Add(sum, big.NewRat(int64(l.requests.at(u.Input)), 1_000_000))
	}
	return sum
}

func TestCostIsExactAndRoundedOnceHalfUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, u := drawPrices(t), drawUsage(t)
		exact := oracle(l, u)
		half := new(big.Rat).Add(exact, big.NewRat(1, 2))
		want := new(big.Int).Div(half.Num(), half.Denom())
		if !want.IsInt64() {
			want.SetInt64(math.MaxInt64)
		}
		got := l.cost(&u, nil)
		if got.Nano != want.Int64() {
			t.Fatalf("%+v: got %d, exactly it is %s", u, got.Nano, exact.FloatString(3))
		}
		if got.Status == ledger.NoCharge && exact.Sign() != 0 {
			t.Fatalf("no charge for %s", exact.FloatString(3))
		}
	})
}

func TestCostIsLinearInTokens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := priceList{input: &tieredPrice{base: Price(rapid.Int64Range(1, 1e15).Draw(t, "input"))}, output: &tieredPrice{base: Price(rapid.Int64Range(1, 1e15).Draw(t, "output"))}}
		n, m := rapid.Int64Range(1, 1e6).Draw(t, "n"), rapid.Int64Range(1, 1e6).Draw(t, "m")
		one := l.cost(&llm.Usage{Input: n * 1_000_000, Output: m * 1_000_000}, nil).Nano
		two := l.cost(&llm.Usage{Input: n * 2_000_000, Output: m * 2_000_000}, nil).Nano
		if d := two - 2*one; d < -1 || d > 1 {
			t.Fatalf("%d tokens cost %d, twice as many %d", n, one, two)
		}
	})
}

func TestMoreTokensNeverCostLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, u := drawPrices(t), drawUsage(t)
		// Audio that Input does not leave room for is not charged as audio; so
		// that more input only adds plain tokens, leave room for all of it.
		u.Input = u.CacheRead + u.CacheWrite + u.InputAudio + rapid.Int64Range(0, 1e6).Draw(t, "plain")
		more := u
		more.Input += rapid.Int64Range(0, 1e6).Draw(t, "more input")
		more.Output += rapid.Int64Range(0, 1e6).Draw(t, "more output")
		a, b := l.cost(&u, nil), l.cost(&more, nil)
		if b.Nano < a.Nano {
			t.Fatalf("%+v costs %+v, %+v costs %+v", u, a, more, b)
		}
		if a.Status == ledger.Unpriced && b.Status != ledger.Unpriced {
			t.Fatalf("more tokens made %s of %s", b.Status, a.Status)
		}
	})
}

func TestEveryEntryLoadsAndPrices(t *testing.T) {
	b := load(t)
	if b.Version() == "" || b.AsOf() != "2026-08-21" || !strings.Contains(b.Source(), "MIT") {
		t.Errorf("version %q as of %q from %q", b.Version(), b.AsOf(), b.Source())
	}
	models, priced := 0, 0
	for id, p := range b.providers {
		list, err := p.models()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			models++
			r := e.rate()
			got := r.Cost(on("2026-08-21 12:00:00"), llm.Usage{Input: 1_000_000, CacheRead: 1000, CacheWrite: 1000, CacheWrite1h: 10, InputAudio: 10})
			switch {
			case r.status == ledger.Priced && got.Status == ledger.Priced && got.Nano > 0:
				priced++
			case r.status == ledger.Priced:
				t.Errorf("%s %s: %+v", id, e.id, got)
			}
		}
	}
	if models < 1400 || priced < 1250 {
		t.Errorf("%d models, %d with a price", models, priced)
	}
	t.Logf("%d models, %d with a price", models, priced)
}

func TestPriceDoesNotAllocate(t *testing.T) {
	b := load(t)
	now := on("2026-08-21 12:00:00")
	u := llm.Usage{Input: 250_000, CacheRead: 1000, Output: 500}
	b.Price("google", "gemini-2.5-pro", now, u)
	if n := testing.AllocsPerRun(100, func() { b.Price("google", "gemini-2.5-pro", now, u) }); n != 0 {
		t.Errorf("Price allocates %v times", n)
	}
}

func TestRateCacheIsBounded(t *testing.T) {
	b := load(t)
	for i := range rateLimit + 100 {
		b.Rate("vllm", strings.Repeat("x", i))
	}
	if len(b.rates) != rateLimit {
		t.Errorf("%d rates are kept", len(b.rates))
	}
	if b.Price("openai", "o3", on("2026-01-01 00:00:00"), llm.Usage{Input: 1}).Nano != 2_000 {
		t.Error("a full cache changes the answer")
	}
}

func TestEstimateIsAQuarterOfTheBytes(t *testing.T) {
	for bytes, want := range map[int]int64{-1: 0, 0: 0, 1: 1, 4: 1, 5: 2, 4000: 1000} {
		if got := EstimateTokens(bytes); got != want {
			t.Errorf("EstimateTokens(%d) = %d, want %d", bytes, got, want)
		}
	}
}

func TestDamagedPriceFileIsRefused(t *testing.T) {
	const head = `{"source":"s","licence":"l","as_of":"2026-01-01","version":"v"}` + "\n"
	for name, text := range map[string]string{
		"empty":           "",
		"no version":      "{}\n",
		"model first":     head + `{"model":"m"}`,
		"provider twice":  head + `{"provider":"p"}` + "\n" + `{"provider":"p"}`,
		"broken provider": head + `{"provider":`,
	} {
		if _, err := New([]byte(text), additionFile); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, text := range map[string]string{
		"no match":         `{"model":"m"}`,
		"unknown member":   `{"model":"m","match":{"equals":"m"},"price":1}`,
		"number":           `{"model":"m","match":{"equals":"m"},"prices":[{"input":0.5}]}`,
		"tiers disordered": `{"model":"m","match":{"equals":"m"},"prices":[{"input":["1",[9,"2"],[5,"3"]]}]}`,
		"empty tiers":      `{"model":"m","match":{"equals":"m"},"prices":[{"input":[]}]}`,
		"bad date":         `{"model":"m","match":{"equals":"m"},"prices":[{"from":"soon"}]}`,
		"half an interval": `{"model":"m","match":{"equals":"m"},"prices":[{"begin":"01:00:00"}]}`,
		"two conditions":   `{"model":"m","match":{"equals":"m","contains":"m"}}`,
		"no condition":     `{"model":"m","match":{}}`,
		"empty condition":  `{"model":"m","match":{"contains":""}}`,
		"bad regex":        `{"model":"m","match":{"regex":"("}}`,
	} {
		if _, err := readModel([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestMatchRules(t *testing.T) {
	tests := []struct {
		rule, yes, no string
	}{
		{`{"equals":"A"}`, "a", "ab"},
		{`{"starts_with":"gpt-"}`, "gpt-4", "my-gpt-4"},
		{`{"ends_with":":free"}`, "x:free", "x:free2"},
		{`{"contains":"claude"}`, "us.claude-3", "clade"},
		{`{"regex":"^o[134]"}`, "o3-mini", "go3"},
		{`{"or":[{"equals":"a"},{"equals":"b"}]}`, "b", "c"},
		{`{"and":[{"starts_with":"a"},{"ends_with":"z"}]}`, "a-z", "a-y"},
	}
	for _, tc := range tests {
		var m matcher
		if err := json.Unmarshal([]byte(tc.rule), &m); err != nil {
			t.Fatal(err)
		}
		if !m.match(tc.yes) || m.match(tc.no) {
			t.Errorf("%s: %q %v, %q %v", tc.rule, tc.yes, m.match(tc.yes), tc.no, m.match(tc.no))
		}
	}
}

func BenchmarkCost(b *testing.B) {
	r := load(b).Rate("google", "gemini-2.5-pro")
	now := time.Now()
	u := llm.Usage{Input: 250_000, CacheRead: 1000, Output: 500}
	b.ReportAllocs()
	for b.Loop() {
		r.Cost(now, u)
	}
}

func BenchmarkPriceByName(b *testing.B) {
	book := load(b)
	now := time.Now()
	u := llm.Usage{Input: 250_000, CacheRead: 1000, Output: 500}
	b.ReportAllocs()
	for b.Loop() {
		book.Price("google", "gemini-2.5-pro", now, u)
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		load(b).Rate("openai", "o3")
	}
}
