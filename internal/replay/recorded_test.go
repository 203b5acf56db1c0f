package replay

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tailplane/internal/complexity"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/meter"
	"tailplane/internal/models"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// rec is a streamed exchange that a target answered: 1000 tokens in, 600 of them
// from its cache, 101 out.
func rec(n int, model, target, served string) *ledger.Exchange {
	return &ledger.Exchange{
		ID: fmt.Sprintf("req_%06d", n), Start: noon.Add(time.Duration(n) * time.Second), Op: llm.OpGenerate, Dialect: llm.Chat,
		Model: model, Stream: true, Bytes: 4000, Reason: "first of its route", Outcome: ledger.OutcomeOK,
		Total: 1100 * time.Millisecond, Cost: 1000, PriceStatus: ledger.Priced,
		Attempts: []ledger.Attempt{{
			Target: target, Kind: "vllm", Model: served, FirstToken: 100 * time.Millisecond, Took: 1100 * time.Millisecond,
			Usage: llm.Usage{Input: 1000, CacheRead: 600, Output: 101, Source: llm.UsageReported}, Cost: 1000, Priced: ledger.Priced,
		}},
	}
}

// again decides records by a config whose targets a, b and c are vllm at 1, 2 and 0
// (no price) dollars; c alone is labelled eu.
func again(t *testing.T, m models.Config, list ...*ledger.Exchange) *Changes {
	t.Helper()
	book, err := meter.Load()
	if err == nil {
		book, err = book.With(map[string]meter.Override{
			"a/*": {Input: "1", Output: "1", CacheRead: "0.1"}, "b/*": {Input: "2", Output: "2", CacheRead: "0.2"},
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	a := NewAgain(RecordedConfig{Models: m, Book: book, Targets: []RecordedTarget{
		{Name: "a", Kind: "vllm"},
		{Name: "b", Kind: "vllm"},
		{Name: "c", Kind: "vllm", Labels: []string{"eu"}},
		{Name: "fleet", Kind: "vllm", Discovered: true},
	}})
	for _, ex := range list {
		a.Learn(ex)
	}
	for _, ex := range list {
		a.Decide(ex)
	}
	return a.Changes()
}

func route1(to ...string) models.Model {
	m := models.Model{}
	for _, t := range to {
		m.Route = append(m.Route, models.Step{To: t})
	}
	return m
}

func pool(policy string, targets ...string) models.Model {
	return models.Model{Pool: targets, ServedAs: "x", Policy: models.Policy{Name: policy}}
}

func config(m models.Model, rules ...models.Rule) models.Config {
	return models.Config{Models: map[string]models.Model{"m": m}, Rules: rules}
}

// chose is a record of a choice by a policy among candidates, cheapest first.
func chose(n int, policy string, list ...ledger.Choice) *ledger.Exchange {
	ex := rec(n, "m", list[0].Target, "x")
	ex.Policy, ex.Choice, ex.Among, ex.Reason = policy, list, len(list), "the least predicted cost"
	return ex
}

func TestWhereARecordedRequestWouldGo(t *testing.T) {
	fell := rec(1, "m", "b", "x")
	fell.Reason = "those before it are cooling down, broken or full"
	tagged := rec(1, "m", "a", "x")
	tagged.Tags, tagged.Customer = []string{"batch"}, "acme"
	ofTwo := chose(1, "auto", ledger.Choice{Target: "b", Cost: 5}, ledger.Choice{Target: "a", Cost: 9}, ledger.Choice{Target: "c", Not: "it is left alone after failures"})
	barred := chose(1, "auto", ledger.Choice{Target: "b", Cost: 5}, ledger.Choice{Target: "a", Cost: 9}, ledger.Choice{Target: "c", Not: "a rule leaves it out"})
	cases := []struct {
		name  string
		file  models.Config
		ex    *ledger.Exchange
		goes  string // empty: nowhere
		says  string // why, of one that moves or is refused
		moved int64
	}{
		{"the same route", config(route1("a/x", "b/x")), rec(1, "m", "a", "x"), "a/x", "", 0},
		{"another order", config(route1("b/x", "a/x")), rec(1, "m", "a", "x"), "b/x", "first", 1},
		{"another model there", config(route1("a/y")), rec(1, "m", "a", "x"), "a/y", "first", 1},
		{"past one that was down", config(route1("a/x", "b/x")), fell, "b/x", "", 0},
		{"past one, to where none leads now", config(route1("a/x")), fell, "a/x", "first", 1},
		{"a rule for its tag", config(route1("a/x"), models.Rule{When: `"batch" in tags && customer == "acme"`, To: "b/x"}), tagged, "b/x", "first", 1},
		{"a rule for others", config(route1("a/x"), models.Rule{When: `customer == "else"`, To: "b/x"}), tagged, "a/x", "", 0},
		{"a rule by the hour", config(route1("a/x", "b/x"), models.Rule{When: "hour == 12", Only: []string{"b"}}), rec(1, "m", "a", "x"), "b/x", "first", 1},
		{"a label", config(models.Model{Route: route1("a/x", "c/x").Route, Require: []string{"eu"}}), rec(1, "m", "a", "x"), "c/x", "first", 1},
		{"a label that none has", config(models.Model{Route: route1("a/x").Route, Require: []string{"eu"}}), rec(1, "m", "a", "x"), "", "a/x: it is not labelled eu", 0},
		{"a name that has gone", models.Config{}, rec(1, "m", "a", "x"), "", `no model "m"`, 0},
		{"the recorded costs", config(pool("auto", "a", "b")), ofTwo, "b/x", "", 0},
		{"the next of the recorded costs", config(pool("auto", "a", "c")), ofTwo, "a/x", "first", 1},
		{"one that was not ready then", config(pool("auto", "b", "c")), ofTwo, "b/x", "", 0},
		{"one that only a rule kept out", config(pool("lowest_cost", "a", "c")), barred, "c/x", "price", 1},
		{"another policy", config(pool("lowest_cost", "a", "b")), ofTwo, "a/x", "price", 1},
		{"a replica that was met", config(route1("fleet/x")), rec(1, "m", "fleet/r1", "x"), "fleet/r1/x", "", 0},
	}
	for _, c := range cases {
		got := again(t, c.file, c.ex)
		if got.Looked != 1 || got.Moved != c.moved || len(got.Left) != 0 || (got.Refused == 1) != (c.goes == "") {
			t.Errorf("%s: %+v", c.name, got)
			continue
		}
		m, to := got.Models[0], ""
		for _, target := range m.Targets {
			if target.After == 1 {
				to = target.Target
			}
		}
		why := m.Why
		if len(got.Samples) > 0 {
			why = got.Samples[0].Why
		}
		if to != c.goes || !strings.Contains(why, c.says) {
			t.Errorf("%s: it goes to %q (%s), want %q (%s)", c.name, to, why, c.goes, c.says)
		}
	}
}

func TestWhatCannotBeDecidedAgainIsCounted(t *testing.T) {
	refused, nameless, unjudged, judged := rec(1, "m", "a", "x"), rec(2, "", "a", "x"), rec(3, "m", "a", "x"), rec(4, "m", "a", "x")
	refused.Attempts = nil
	judged.Reason = "strong: needed (need 0.9, limit 0.5, risk 0.1); first of its route"
	pair := models.Config{Models: map[string]models.Model{
		"m":    {Complexity: &complexity.Config{Weak: "weak", Strong: "strong"}},
		"weak": route1("b/x"), "strong": route1("a/x"),
	}}
	got := again(t, pair, refused, nameless, unjudged, judged)
	if got.Looked != 4 || len(got.Left) != 3 || got.Moved != 0 || got.Refused != 0 || got.Models[0].Requests != 1 || got.Models[0].Targets[0] != (TargetChange{"a/x", 1, 1}) {
		t.Errorf("%+v", got)
	}
}

// TestCostsAreExact: 400 fresh and 600 cached tokens in and 101 out cost 561 and
// 1122 thousandths of a dollar for a million, and with nothing cached 1101 and 2202.
func TestCostsAreExact(t *testing.T) {
	unpriced := rec(3, "m", "a", "x")
	unpriced.PriceStatus = ledger.Unpriced
	got := again(t, config(route1("b/x")), rec(1, "m", "a", "x"), rec(2, "m", "b", "x"), unpriced)
	want := Money{Requests: 2, Before: 2000, After: 2 * 1_122_000, AfterCold: 1_122_000 + 2_202_000, Unpriced: 1}
	if got.Cost != want || got.Models[0].Cost != want {
		t.Errorf("%+v, want %+v", got.Cost, want)
	}
	if got := again(t, config(route1("c/x")), rec(1, "m", "a", "x")).Cost; got != (Money{Unpriced: 1}) {
		t.Errorf("at a target without a price: %+v", got)
	}
}

// TestAPromptThatWasComputedElsewhereIsNoAnswer: its attempt stands before the one that
// answered, and decides nothing.
func TestAPromptThatWasComputedElsewhereIsNoAnswer(t *testing.T) {
	leg := ledger.Attempt{Target: "b", Kind: "vllm", Model: "x", Why: ledger.WhyPrefill, FirstToken: time.Hour, Usage: llm.Usage{Input: 1000, Output: 1}, Priced: ledger.NoCharge}
	both, only := rec(1, "m", "a", "x"), rec(2, "m", "a", "x")
	both.Attempts = append([]ledger.Attempt{leg}, both.Attempts...)
	only.Attempts = []ledger.Attempt{leg}
	plain := again(t, config(route1("a/x")), rec(1, "m", "a", "x"))
	if got := again(t, config(route1("a/x")), both); got.Moved != 0 || got.Cost != plain.Cost || got.First != plain.First {
		t.Errorf("%+v, want %+v", got, plain)
	}
	if got := again(t, config(route1("a/x")), only); len(got.Left) != 1 || got.Left[0].Why != "no target was asked" {
		t.Errorf("without an answer: %+v", got)
	}
}

// TestAnEmbeddingIsNoAnswer: the attempt for it is neither where a request went nor
// how fast its target is; its cost stays wherever the request goes.
func TestAnEmbeddingIsNoAnswer(t *testing.T) {
	ex := rec(1, "m", "a", "x")
	embedding := rec(2, "m", "b", "x").Attempts[0]
	embedding.Why, embedding.Usage = ledger.WhyEmbedding, llm.Usage{Input: 1000}
	ex.Attempts = slices.Insert(ex.Attempts, 0, embedding)
	alone := rec(3, "m", "a", "x")
	alone.Attempts = alone.Attempts[:0]
	alone.Attempts = append(alone.Attempts, embedding)
	got := again(t, config(route1("b/x")), ex, alone)
	if got.Moved != 1 || got.Samples[0].Before != "a/x" || len(got.Left) != 1 || got.First.Unknown != 1 {
		t.Errorf("%+v", got)
	}
	plain := again(t, config(route1("b/x")), rec(1, "m", "a", "x"))
	only := again(t, config(route1("b/x")), func() *ledger.Exchange {
		one := rec(1, "m", "b", "x")
		one.Attempts[0].Usage = embedding.Usage
		return one
	}())
	if want := plain.Cost.After + only.Cost.After; got.Cost.After != want || only.Cost.After == 0 {
		t.Errorf("it would cost %d, want %d", got.Cost.After, want)
	}
}

func TestFirstTokensAreExpectedAsOthersOfTheirSizeHadThem(t *testing.T) {
	slow, large := rec(2, "other", "b", "x"), rec(3, "other", "b", "x")
	slow.Attempts[0].FirstToken = 300 * time.Millisecond
	large.Attempts[0].FirstToken, large.Attempts[0].Usage.Input = 5*time.Second, 60_000
	file := config(route1("b/x"))
	file.Models["other"] = route1("b/x")
	got := again(t, file, rec(1, "m", "a", "x"), slow, large)
	if m := got.Models[0]; m.Model != "m" || m.First != (FirstTokens{Requests: 1, Before: 100 * time.Millisecond, After: 300 * time.Millisecond}) {
		t.Errorf("%+v", m)
	}
	if got := again(t, config(route1("b/x")), rec(1, "m", "a", "x")); got.First != (FirstTokens{Unknown: 1}) {
		t.Errorf("of a target that nobody was at: %+v", got.First)
	}
}

// TestTheSameFileChangesNothing: whatever a policy chose then, it chooses now.
func TestTheSameFileChangesNothing(t *testing.T) {
	for _, policy := range models.Policies() {
		if policy == models.PolicyWeighted || policy == models.PolicyPriority {
			continue
		}
		var list []*ledger.Exchange
		for n := range 60 {
			names := []string{"a", "b", "c"}
			list = append(list, chose(n, policy,
				ledger.Choice{Target: names[n%3], Cost: int64(n)}, ledger.Choice{Target: names[(n+1)%3], Cost: int64(n + 1)},
				ledger.Choice{Target: names[(n+2)%3], Cost: int64(n + 2)}))
		}
		if got := again(t, config(pool(policy, "a", "b", "c")), list...); got.Moved != 0 || got.Looked != 60 {
			t.Errorf("%s: %d of %d move", policy, got.Moved, got.Looked)
		}
	}
}

// TestChanceMovesNoMoreThanItMust: from halves to 3 of 4, a quarter moves, all in one
// direction.
func TestChanceMovesNoMoreThanItMust(t *testing.T) {
	var list []*ledger.Exchange
	for n := range 2000 {
		list = append(list, rec(n, "m", []string{"a", "b"}[n%2], "x"))
	}
	weighted := func(a, b models.Weight) models.Config {
		return config(models.Model{Route: []models.Step{{To: "a/x", Weight: a}, {To: "b/x", Weight: b}}})
	}
	if got := again(t, weighted(1, 1), list...); got.Moved != 0 {
		t.Errorf("the same weights move %d", got.Moved)
	}
	got := again(t, weighted(3, 1), list...)
	for _, s := range got.Samples {
		if s.After != "a/x" {
			t.Errorf("%+v", s)
		}
	}
	if got.Moved < 440 || got.Moved > 560 {
		t.Errorf("%d of 2000 move, want about 500", got.Moved)
	}
}

// TestLoadIsWhatIsDecidedHere: requests that overlap are spread, though all of them
// went to one target.
func TestLoadIsWhatIsDecidedHere(t *testing.T) {
	var list []*ledger.Exchange
	for n := range 40 {
		ex := rec(n, "m", "a", "x")
		ex.Start, ex.Total = noon.Add(time.Duration(n)*time.Millisecond), time.Minute
		list = append(list, ex)
	}
	got := again(t, config(pool("least_request", "a", "b")), list...)
	for _, target := range got.Models[0].Targets {
		if target.After != 20 {
			t.Errorf("%+v", got.Models[0].Targets)
		}
	}
}

// TestNamesAreBounded: clients make up models.
func TestNamesAreBounded(t *testing.T) {
	var list []*ledger.Exchange
	for n := range 2 * mostModels {
		list = append(list, rec(n, fmt.Sprintf("a/%d", n), "b", fmt.Sprint(n)))
	}
	got := again(t, models.Config{}, list...)
	if len(got.Models) != mostModels+1 || got.Moved != 2*mostModels || len(got.Samples) != mostSamples {
		t.Fatalf("%d models, %d moved, %d examples", len(got.Models), got.Moved, len(got.Samples))
	}
	total := int64(0)
	for _, m := range got.Models {
		total += m.Requests
	}
	if total != 2*mostModels {
		t.Errorf("%d requests are told", total)
	}
}
