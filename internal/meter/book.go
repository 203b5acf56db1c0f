package meter

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
)

// Book is a price book: list prices with their additions, and the operator's
// overrides. It is immutable but for a cache, and safe for concurrent use.
type Book struct {
	about     about
	providers map[string]*provider
	additions map[string][]addition // by provider
	overrides map[string]*Rate      // by lower-case key; see With

	mu     sync.RWMutex
	models map[string][]entry // by provider, read when first needed
	rates  map[rateKey]*Rate  // at most rateLimit
}

type rateKey struct{ target, kind, model string }

// rateLimit bounds the cache of rates: model names may come from clients.
const rateLimit = 4096

// Load returns the book that is built into the program.
func Load() (*Book, error) { return New(Files()) }

// Files are the data of the book that is built into the program: list prices,
// and what is added to them.
func Files() (prices, additions []byte) { return priceFile, additionFile }

// Check reads every line of the data of a book, and reports what is wrong: New
// reads most of them when they are first needed.
func Check(prices, additions []byte) (models int, err error) {
	b, err := New(prices, additions)
	if err != nil {
		return 0, err
	}
	for _, id := range slices.Sorted(maps.Keys(b.providers)) {
		list, err := b.providers[id].models()
		if err != nil {
			return 0, err
		}
		models += len(list)
	}
	return models, nil
}

// New returns the book of the data; data from elsewhere is checked before.
func New(prices, additions []byte) (*Book, error) {
	a, list, err := readFile(prices)
	if err != nil {
		return nil, err
	}
	more, rules, err := readAdditions(additions)
	if err != nil {
		return nil, err
	}
	a.Version += "+" + more.Version
	b := &Book{about: a, providers: map[string]*provider{}, additions: rules, models: map[string][]entry{}, rates: map[rateKey]*Rate{}}
	for _, p := range list {
		if b.providers[p.id] != nil {
			return nil, fmt.Errorf("price file: provider %s stands there twice", p.id)
		}
		b.providers[p.id] = p
	}
	return b, nil
}

// Version names the source and state of the list prices; the ledger keeps it
// with each exchange.
func (b *Book) Version() string { return b.about.Version }

// AsOf is the day of the list prices, as 2006-01-02.
func (b *Book) AsOf() string { return b.about.AsOf }

// Source says where the list prices come from and under which licence.
func (b *Book) Source() string { return b.about.Source + "; " + b.about.Licence }

// With returns a book in which overrides go before the list prices. A key is
// "target/model", "target/*", "target/**" (its replicas), "kind/model", "kind/*"
// or "model"; the first of these that is there counts, without regard to case.
// The error names every price that cannot be read.
func (b *Book) With(overrides map[string]Override) (*Book, error) {
	nb := &Book{about: b.about, providers: b.providers, additions: b.additions, overrides: map[string]*Rate{}, models: map[string][]entry{}, rates: map[rateKey]*Rate{}}
	maps.Copy(nb.overrides, b.overrides)
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(overrides)) {
		r, err := overrides[key].rate(key)
		if err != nil {
			errs = append(errs, fmt.Errorf("prices of %q: %w", key, err))
			continue
		}
		nb.overrides[strings.ToLower(key)] = r
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return nb, nil
}

// Price prices a usage of a model at a provider of a kind. It does not allocate
// for a model that was asked for before.
func (b *Book) Price(kind, model string, at time.Time, u llm.Usage) Cost {
	return b.Rate(kind, model).Cost(at, u)
}

// Rate finds the prices of a model, as the provider names it, at a provider of
// a kind ("openai", "anthropic", "bedrock", ...; see listOf). It is never nil:
// without prices, the rate's status is Unpriced; for the kind "sim" it is
// NoCharge unless there is an override.
func (b *Book) Rate(kind, model string) *Rate { return b.RateAt("", kind, model) }

// RateAt is Rate for a target by name, so that overrides for it count.
func (b *Book) RateAt(target, kind, model string) *Rate {
	k := rateKey{target, kind, model}
	b.mu.RLock()
	r := b.rates[k]
	b.mu.RUnlock()
	if r != nil {
		return r
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r = b.find(k)
	if len(b.rates) < rateLimit {
		b.rates[k] = r
	}
	return r
}

// find looks a rate up; the caller holds mu.
func (b *Book) find(k rateKey) *Rate {
	target, kind, model := strings.ToLower(k.target), strings.ToLower(k.kind), strings.ToLower(k.model)
	family := target[:max(0, strings.LastIndexByte(target, '/'))] // a replica is called FAMILY/NAME
	for _, key := range []string{target + "/" + model, target + "/*", family + "/**", kind + "/" + model, kind + "/*", model} {
		if r := b.overrides[key]; r != nil {
			return r
		}
	}
	if kind == "sim" {
		return &Rate{status: ledger.NoCharge}
	}
	r := b.listed(listOf(kind), model)
	r.add(b.additions[listOf(kind)], model)
	if r.Model == "" && r.status != ledger.Unpriced {
		r.Model = model
	}
	return r
}

// listed is the rate of a model in the catalogue's list of a provider.
func (b *Book) listed(list, model string) *Rate {
	if p := b.providers[list]; p != nil {
		for _, id := range append([]string{p.id}, p.fallbacks...) {
			if e := b.entry(id, model); e != nil {
				return e.rate()
			}
		}
	}
	return &Rate{status: ledger.Unpriced}
}

// entry is the first of a provider's models that the name belongs to.
func (b *Book) entry(provider, model string) *entry {
	list, read := b.models[provider]
	if p := b.providers[provider]; !read && p != nil {
		var err error
		if list, err = p.models(); err != nil {
			// The file is part of the program, and a test reads all of it; one
			// from elsewhere goes through Check.
			panic(err)
		}
		b.models[provider] = list
	}
	for i := range list {
		if list[i].match.match(model) {
			return &list[i]
		}
	}
	return nil
}

func (e *entry) rate() *Rate {
	r := &Rate{Model: e.id, status: ledger.Priced, prices: e.prices}
	switch {
	case e.free:
		r.status = ledger.NoCharge
	case len(e.prices) == 0:
		r.status = ledger.Unpriced
	case strings.Contains(strings.ToLower(e.id), "claude"):
		r.prices = withHourWrites(e.prices)
	}
	return r
}

// withHourWrites adds Anthropic's price for a cache entry that lives an hour:
// twice the input price, where writes for five minutes have a price at all.
func withHourWrites(in []conditional) []conditional {
	out := slices.Clone(in)
	for i := range out {
		l := &out[i].list
		if l.input == nil || l.cacheWrite == nil {
			continue
		}
		double := &tieredPrice{base: 2 * l.input.base}
		for _, t := range l.input.tiers {
			double.tiers = append(double.tiers, tier{above: t.above, price: 2 * t.price})
		}
		l.cacheWrite1h = double
	}
	return out
}

// listOf is the price list of a provider kind; the kind itself where the list
// has its name. Engines that somebody runs on their own GPUs (vllm, sglang, tgi,
// lmdeploy, ollama, llamacpp, lmstudio) and "openai-compatible" have none: what
// they cost is known to the operator, who says it in an override.
func listOf(kind string) string {
	switch kind {
	case "azure-openai", "azure-foundry":
		return "azure"
	case "bedrock", "aws-bedrock":
		return "aws"
	case "gemini", "vertex", "vertexai", "google-vertex":
		return "google"
	case "xai", "grok":
		return "x-ai"
	case "moonshot", "kimi":
		return "moonshotai"
	case "zhipu", "zai", "bigmodel":
		return "zhipuai"
	case "voyage":
		return "voyageai"
	case "together-ai", "togetherai":
		return "together"
	case "fireworks-ai":
		return "fireworks"
	}
	return kind
}
