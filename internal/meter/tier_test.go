package meter

import (
	"bytes"
	"encoding/json"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
)

// The expected amounts are worked out by hand from the published prices.
func TestServiceTiersByHand(t *testing.T) {
	b := load(t)
	tests := []struct {
		name, kind, model string
		u                 llm.Usage
		nano              int64
		status            ledger.Pricing
	}{
		{"the standard tier by its names", "openai", "gpt-5", llm.Usage{Input: 1000, Tier: "default"}, 1_250_000, ledger.Priced},
		{"what the request said", "openai", "gpt-5", llm.Usage{Input: 1000, Tier: "auto"}, 1_250_000, ledger.Priced},
		{"flex is half", "openai", "gpt-5", llm.Usage{Input: 1000, CacheRead: 400, Output: 10, Tier: "flex"}, 600*625 + 400*62 + 200 + 10*5_000, ledger.Priced},
		{"priority is double", "openai", "gpt-5", llm.Usage{Input: 1000, CacheRead: 400, Output: 10, Tier: "priority"}, 600*2_500 + 400*250 + 10*20_000, ledger.Priced},
		{"priority by its own price list", "openai", "gpt-4o-mini-2024-07-18", llm.Usage{Input: 1000, CacheRead: 400, Output: 10, Tier: "priority"}, 600*250 + 400*125 + 10*1_000, ledger.Priced},
		{"a batch at OpenAI", "openai", "gpt-5-mini", llm.Usage{Input: 1000, Output: 10, Tier: "batch"}, 125_000 + 10_000, ledger.Priced},
		{"a batch in which caching is no discount", "openai", "gpt-4.1", llm.Usage{Input: 1000, CacheRead: 400, Tier: "batch"}, 1_000_000, ledger.Priced},
		{"a tier that this model has not", "openai", "gpt-4.1", llm.Usage{Input: 1000, Tier: "flex"}, 0, ledger.Unpriced},
		{"a tier that nobody knows", "openai", "gpt-5", llm.Usage{Input: 1000, Tier: "ultrafast"}, 0, ledger.Unpriced},
		{"a batch at Anthropic, cache writes too", "anthropic", "claude-opus-4-6", llm.Usage{Input: 1000, CacheWrite: 300, CacheWrite1h: 100, Output: 10, Tier: "batch"}, 700*2_500 + 200*3_125 + 100*5_000 + 10*12_500, ledger.Priced},
		{"Anthropic's commitment has no list price", "anthropic", "claude-opus-4-6", llm.Usage{Input: 1000, Tier: "priority"}, 0, ledger.Unpriced},
		{"Google's discounts do not add up", "gemini", "gemini-2.5-flash", llm.Usage{Input: 1000, CacheRead: 400, Output: 10, Tier: "flex"}, 600*150 + 400*30 + 10*1_250, ledger.Priced},
		{"Google's own words", "vertex", "gemini-2.5-flash", llm.Usage{Input: 1000, Tier: "ON_DEMAND_PRIORITY"}, 540_000, ledger.Priced},
		{"provisioned throughput was paid before", "vertex", "gemini-2.5-flash", llm.Usage{Input: 1000, Tier: "PROVISIONED_THROUGHPUT"}, 0, ledger.Unpriced},
		{"above the long-context edge", "gemini", "gemini-2.5-pro", llm.Usage{Input: 200_001, Tier: "batch"}, 200_001 * 1_250, ledger.Priced},
		{"at the long-context edge", "gemini", "gemini-2.5-pro", llm.Usage{Input: 200_000, Tier: "batch"}, 200_000 * 625, ledger.Priced},
		{"Bedrock's priority", "bedrock", "us.amazon.nova-pro-v1:0", llm.Usage{Input: 1000, Tier: "priority"}, 1_400_000, ledger.Priced},
		{"Groq's batch", "groq", "openai/gpt-oss-20b", llm.Usage{Input: 1_000_000, Tier: "batch"}, 37_500_000, ledger.Priced},
		{"Mistral's batch", "mistral", "mistral-small-latest", llm.Usage{Input: 1000, Tier: "batch"}, 50_000, ledger.Priced},
		{"xAI's batch is a fifth off", "xai", "grok-4.3", llm.Usage{Output: 1000, Tier: "batch"}, 2_000_000, ledger.Priced},
		{"a free model is free at every tier", "openrouter", "x-ai/grok-4.1-fast:free", llm.Usage{Input: 1, Tier: "flex"}, 0, ledger.NoCharge},
		{"an engine of one's own", "sim", "fast", llm.Usage{Input: 1, Tier: "priority"}, 0, ledger.NoCharge},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			if got := b.Price(tc.kind, tc.model, on("2026-11-28 12:00:00"), tc.u); got != (Cost{tc.nano, tc.status}) {
				t.Errorf("got %+v, want %d %s", got, tc.nano, tc.status)
			}
		})
	}
}

func TestUnitsByHand(t *testing.T) {
	b, err := load(t).With(map[string]Override{
		"own/*": {Images: "0.02", AudioHour: "0.036", Characters: "1", Searches: "2"},
		"both":  {Input: "1", Output: "2", Images: "0.5"},
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, target, kind, model string
		u                         llm.Usage
		nano                      int64
		status                    ledger.Pricing
	}{
		{"a minute of sound", "", "openai", "whisper-1", llm.Usage{AudioMillis: 60_000}, 6_000_000, ledger.Priced},
		{"a millisecond of sound", "", "openai", "whisper-1", llm.Usage{AudioMillis: 1}, 100, ledger.Priced},
		{"a price for an hour that no second divides", "", "groq", "whisper-large-v3", llm.Usage{AudioMillis: 1000}, 30_833, ledger.Priced},
		{"the whole hour", "", "groq", "whisper-large-v3", llm.Usage{AudioMillis: 3_600_000}, 111_000_000, ledger.Priced},
		{"a text to speak", "", "openai", "tts-1-hd", llm.Usage{Characters: 4096}, 4096 * 30_000, ledger.Priced},
		{"the sound that came of it is no second charge", "", "openai", "tts-1", llm.Usage{Characters: 100, AudioMillis: 9000}, 1_500_000, ledger.Priced},
		{"images", "", "gemini", "imagen-3.0-generate-001", llm.Usage{Images: 3}, 120_000_000, ledger.Priced},
		{"searches", "", "cohere", "rerank-v4.0-pro", llm.Usage{SearchUnits: 2}, 5_000_000, ledger.Priced},
		{"tokens of a rerank are told, not charged", "", "cohere", "rerank-v3.5", llm.Usage{SearchUnits: 1, Input: 700}, 2_000_000, ledger.Priced},
		{"moderation is free", "", "openai", "omni-moderation-latest", llm.Usage{Input: 50}, 0, ledger.NoCharge},
		{"images of a model that charges tokens", "", "openai", "gpt-5", llm.Usage{Images: 1, Input: 1000}, 1_250_000, ledger.Priced},
		{"images whose price nobody knows", "", "openai", "dall-e-3", llm.Usage{Images: 1}, 0, ledger.Unpriced},
		{"images alone at a price for tokens", "", "openai", "gpt-5", llm.Usage{Images: 1}, 0, ledger.Unpriced},
		{"units at a tier", "", "openai", "whisper-1", llm.Usage{AudioMillis: 1000, Tier: "batch"}, 0, ledger.Unpriced},
		{"all of an override", "own", "vllm", "x", llm.Usage{Images: 1, AudioMillis: 1, Characters: 1, SearchUnits: 1}, 20_000_000 + 10 + 1_000 + 2_000_000, ledger.Priced},
		{"an override holds at every tier", "own", "vllm", "x", llm.Usage{Images: 1, Tier: "priority"}, 20_000_000, ledger.Priced},
		{"both measures have a price", "", "vllm", "both", llm.Usage{Images: 1, Input: 1}, 500_001_000, ledger.Priced},
		{"tokens without a price beside searches are told", "own", "vllm", "x", llm.Usage{SearchUnits: 1, Output: 1}, 2_000_000, ledger.Priced},
		{"below zero is nothing", "own", "vllm", "x", llm.Usage{Images: -1}, 0, ledger.NoCharge},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			if got := b.RateAt(tc.target, tc.kind, tc.model).Cost(on("2026-11-28 12:00:00"), tc.u); got != (Cost{tc.nano, tc.status}) {
				t.Errorf("got %+v, want %d %s", got, tc.nano, tc.status)
			}
		})
	}
}

// book is a book of one provider "p" with one model "m", and rules.
func book(t *testing.T, prices string, rules ...string) *Book {
	t.Helper()
	const head = `{"source":"s","licence":"l","as_of":"2026-01-01","version":"v"}` + "\n"
	list := head + `{"provider":"p"}` + "\n" + `{"model":"m","match":{"equals":"m"},"prices":` + prices + `}` + "\n"
	b, err := New([]byte(list), []byte(head+strings.Join(rules, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryDateHoldsFromItsMicrosecondOn(t *testing.T) {
	const source = `"source":"https://example.com","as_of":"2026-01-01"`
	b := book(t, `[{"input":"1","output":"1"},{"from":"2026-03-01","input":"2","output":"2"},{"from":"2026-04-01T10:00:00.000001Z","input":"3","output":"3"}]`,
		`{"provider":"p","tier":"flex","percent":50,"from":"2026-02-01",`+source+`}`,
		`{"provider":"p","tier":"flex","percent":25,"from":"2026-05-01T00:00:00.5Z",`+source+`}`,
		`{"provider":"p","match":{"equals":"m"},"units":{"image":"1"},"from":"2026-02-01",`+source+`}`,
		`{"provider":"p","match":{"equals":"m"},"units":{"image":"2"},"from":"2026-06-01",`+source+`}`)
	at := func(text string) time.Time {
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, tc := range []struct {
		at   string
		u    llm.Usage
		want Cost
	}{
		{"1969-12-31T23:59:59Z", llm.Usage{Input: 1}, Cost{1_000, ledger.Priced}},
		{"2026-02-28T23:59:59.999999999Z", llm.Usage{Input: 1}, Cost{1_000, ledger.Priced}},
		{"2026-03-01T00:00:00Z", llm.Usage{Input: 1}, Cost{2_000, ledger.Priced}},
		{"2026-03-01T01:00:00+01:00", llm.Usage{Input: 1}, Cost{2_000, ledger.Priced}},
		{"2026-04-01T10:00:00.000000999Z", llm.Usage{Input: 1}, Cost{2_000, ledger.Priced}},
		{"2026-04-01T10:00:00.000001Z", llm.Usage{Input: 1}, Cost{3_000, ledger.Priced}},
		{"2026-01-31T23:59:59.999999Z", llm.Usage{Input: 1, Tier: "flex"}, Cost{0, ledger.Unpriced}},
		{"2026-02-01T00:00:00Z", llm.Usage{Input: 1, Tier: "flex"}, Cost{500, ledger.Priced}},
		{"2026-03-01T00:00:00Z", llm.Usage{Input: 1, Tier: "flex"}, Cost{1_000, ledger.Priced}},
		{"2026-05-01T00:00:00.499999Z", llm.Usage{Input: 1, Tier: "flex"}, Cost{1_500, ledger.Priced}},
		{"2026-05-01T00:00:00.5Z", llm.Usage{Input: 1, Tier: "flex"}, Cost{750, ledger.Priced}},
		{"2026-01-31T23:59:59.999999Z", llm.Usage{Images: 1}, Cost{0, ledger.Unpriced}},
		{"2026-02-01T00:00:00Z", llm.Usage{Images: 1}, Cost{1_000_000_000, ledger.Priced}},
		{"2026-05-31T23:59:59.999999Z", llm.Usage{Images: 1}, Cost{1_000_000_000, ledger.Priced}},
		{"2026-06-01T00:00:00Z", llm.Usage{Images: 1}, Cost{2_000_000_000, ledger.Priced}},
	} {
		if got := b.Price("p", "m", at(tc.at), tc.u); got != tc.want {
			t.Errorf("%s %+v: got %+v, want %+v", tc.at, tc.u, got, tc.want)
		}
	}
}

// Every rule has its source and finds something to be a rule about.
func TestEveryAdditionIsOfUse(t *testing.T) {
	b := load(t)
	for provider, rules := range b.additions {
		for _, r := range rules {
			if r.Match == nil || r.Units != nil || r.Free {
				if r.Match == nil && b.providers[provider] == nil {
					t.Errorf("%s %s: the catalogue has no such provider", provider, r.Tier)
				}
				continue
			}
			found := 0
			for _, id := range append([]string{provider}, b.providers[provider].fallbacks...) {
				list, err := b.providers[id].models()
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range list {
					// What the catalogue calls regional goes by other prefixes.
					name := strings.ToLower(strings.Replace(e.id, "regional.", "us.", 1))
					if r.Match.match(name) {
						found++
					}
				}
			}
			if found == 0 {
				t.Errorf("%s %s: no model of the catalogue has a name that the rule fits", provider, r.Tier)
			}
		}
	}
}

// A share of a price is exact where a pico-dollar can say it; the share of
// tokens costs the share of their price, to within what is rounded away.
func TestAShareOfAPriceIsAShareOfTheCost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, u := drawPrices(t), drawUsage(t)
		l.requests = nil
		percent := rapid.Int64Range(1, maxPercent).Draw(t, "percent")
		of := share{percent: percent}.of([]conditional{{list: l}})[0].list
		exact := oracle(l, u)
		exact.Mul(exact, big.NewRat(percent, 100))
		got := new(big.Rat).SetInt64(of.cost(&u, nil).Nano)
		if got.Cmp(big.NewRat(math.MaxInt64, 1)) == 0 {
			return
		}
		tokens := u.Input + u.CacheRead + u.CacheWrite + u.Output
		most := new(big.Rat).Add(big.NewRat(1, 2), big.NewRat(tokens, 2_000_000_000)) // half a nano-dollar, and half a pico-dollar for a million tokens
		if diff := new(big.Rat).Sub(exact, got); diff.Abs(diff).Cmp(most) > 0 {
			t.Fatalf("%d percent of %+v: got %s, exactly it is %s", percent, u, got.FloatString(3), exact.FloatString(3))
		}
	})
}

// The whole is the sum of its parts, each of which may be rounded by half a
// nano-dollar.
func TestPartsAddUpToTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		price := func(name string) *Price { return new(Price(rapid.Int64Range(1, 1e13).Draw(t, name))) }
		n := rapid.Int64Range(0, 1e7)
		units := unitList{images: price("image"), audio: price("hour"), characters: price("characters"), searches: price("searches")}
		l := priceList{input: &tieredPrice{base: *price("input")}, output: &tieredPrice{base: *price("output")}}
		whole := llm.Usage{
			Input: n.Draw(t, "in"), Output: n.Draw(t, "out"), Images: n.Draw(t, "images"),
			AudioMillis: n.Draw(t, "ms"), Characters: n.Draw(t, "chars"), SearchUnits: n.Draw(t, "units"),
		}
		parts := []llm.Usage{
			{Input: whole.Input},
			{Output: whole.Output},
			{Images: whole.Images},
			{AudioMillis: whole.AudioMillis},
			{Characters: whole.Characters},
			{SearchUnits: whole.SearchUnits},
		}
		sum := int64(0)
		for i := range parts {
			sum += l.cost(&parts[i], &units).Nano
		}
		got := l.cost(&whole, &units).Nano
		if d := got - sum; d < -3 || d > 3 {
			t.Fatalf("the whole costs %d, its parts %d", got, sum)
		}
		exact := oracle(l, whole)
		add := func(n int64, p Price, num, den int64) {
			x := new(big.Rat).Mul(big.NewRat(n, 1), big.NewRat(int64(p), 1))
			exact.Add(exact, x.Mul(x, big.NewRat(num, den)))
		}
		add(whole.Images, *units.images, 1, 1_000)
		add(whole.AudioMillis, *units.audio, 1, 3_600_000_000)
		add(whole.Characters, *units.characters, 1, 1_000_000_000)
		add(whole.SearchUnits, *units.searches, 1, 1_000_000)
		half := exact.Add(exact, big.NewRat(1, 2))
		if want := new(big.Int).Div(half.Num(), half.Denom()); want.Int64() != got {
			t.Fatalf("got %d, exactly it is %s", got, want)
		}
	})
}

func TestSumsThatDoNotFitAreTheLargest(t *testing.T) {
	p := new(Price(1e18))
	l := unitList{images: p, audio: p, characters: p, searches: p}
	for _, u := range []llm.Usage{{Images: math.MaxInt64}, {AudioMillis: math.MaxInt64}, {Characters: math.MaxInt64}, {SearchUnits: math.MaxInt64}, {Images: math.MaxInt64, AudioMillis: math.MaxInt64}} {
		if got := noPrices.cost(&u, &l); got.Nano != math.MaxInt64 {
			t.Errorf("%+v costs %+v", u, got)
		}
	}
}

func TestAudioReadFromTheCacheHasItsPrice(t *testing.T) {
	u := llm.Usage{Input: 100, CacheRead: 60, CacheReadAudio: 20, InputAudio: 50}
	for prices, want := range map[string]int64{
		`[{"input":"1","cache_read":"0.1","input_audio":"10","cache_audio_read":"2"}]`: 10*1_000 + 40*100 + 30*10_000 + 20*2_000,
		`[{"input":"1","cache_read":"0.1","input_audio":"10"}]`:                        10*1_000 + 40*100 + 50*10_000,
		`[{"input":"1","cache_read":"0.1"}]`:                                           40*1_000 + 60*100,
		`[{"input":"1"}]`:                                                              100 * 1_000,
	} {
		if got := book(t, prices).Price("p", "m", on("2026-01-01 00:00:00"), u); got != (Cost{want, ledger.Priced}) {
			t.Errorf("%s: got %+v, want %d", prices, got, want)
		}
	}
}

func TestWrongAdditionsAreRefused(t *testing.T) {
	const good = `"source":"https://example.com","as_of":"2026-01-01"`
	for name, text := range map[string]string{
		"no source":            `{"provider":"p","tier":"flex","percent":50,"as_of":"2026-01-01"}`,
		"no date":              `{"provider":"p","tier":"flex","percent":50,"source":"https://example.com"}`,
		"no provider":          `{"tier":"flex","percent":50,` + good + `}`,
		"nothing":              `{"provider":"p",` + good + `}`,
		"two things":           `{"provider":"p","match":{"equals":"m"},"free":true,"units":{"image":"1"},` + good + `}`,
		"a share without tier": `{"provider":"p","percent":50,` + good + `}`,
		"units at a tier":      `{"provider":"p","match":{"equals":"m"},"tier":"flex","units":{"image":"1"},` + good + `}`,
		"too large a share":    `{"provider":"p","tier":"flex","percent":801,` + good + `}`,
		"unknown cached":       `{"provider":"p","tier":"flex","percent":50,"cached":"some",` + good + `}`,
		"units for all":        `{"provider":"p","units":{"image":"1"},` + good + `}`,
		"no unit":              `{"provider":"p","match":{"equals":"m"},"units":{},` + good + `}`,
		"two prices for sound": `{"provider":"p","match":{"equals":"m"},"units":{"audio_hour":"1","audio_minute":"1"},` + good + `}`,
		"a wrong price":        `{"provider":"p","match":{"equals":"m"},"units":{"image":"cheap"},` + good + `}`,
		"a wrong moment":       `{"provider":"p","tier":"flex","percent":50,"from":"soon",` + good + `}`,
		"unknown member":       `{"provider":"p","tier":"flex","percent":50,"colour":"red",` + good + `}`,
	} {
		if _, err := readAddition([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, _, err := readAdditions([]byte("{}\n")); err == nil {
		t.Error("additions without a version were accepted")
	}
}

func TestTiersAndUnitsDoNotAllocate(t *testing.T) {
	b := load(t)
	flex, sound := b.Rate("openai", "gpt-5"), b.Rate("openai", "whisper-1")
	now := on("2026-11-28 12:00:00")
	if n := testing.AllocsPerRun(100, func() {
		flex.Cost(now, llm.Usage{Input: 1000, Tier: "flex"})
		sound.Cost(now, llm.Usage{AudioMillis: 1000})
	}); n != 0 {
		t.Errorf("it allocates %v times", n)
	}
}

func TestBuiltInDataIsWhole(t *testing.T) {
	n, err := Check(Files())
	if err != nil || n < 1400 {
		t.Errorf("%d models, %v", n, err)
	}
	prices, additions := Files()
	bad := bytes.Replace(prices, []byte(`"prices":[{"input":"`), []byte(`"prices":[{"input":"x`), 1)
	if _, err := Check(bad, additions); err == nil {
		t.Error("a wrong price in the middle was not found")
	}
}

func FuzzAddition(f *testing.F) {
	for line := range bytes.Lines(additionFile) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := readAddition(text)
		if err != nil {
			return
		}
		rate := Rate{status: ledger.Priced, prices: []conditional{{list: priceList{input: &tieredPrice{base: 1e12}}}}}
		rate.add([]addition{r}, "m")
		for _, u := range []llm.Usage{{Input: 1000, Tier: r.Tier}, {Images: 1}, {AudioMillis: 1}} {
			if c := rate.Cost(time.Unix(1_800_000_000, 0), u); c.Nano < 0 {
				raw, _ := json.Marshal(u)
				t.Fatalf("%s costs %d", raw, c.Nano)
			}
		}
	})
}
