package meter

import "slices"

// tierList is the prices of a service tier.
type tierList struct {
	name   string
	from   int64 // Unix microseconds
	prices []conditional
}

// tierOf is the tier that a provider's word means, in the spelling of the data
// file; empty is the standard tier. A word that is not known is itself, and
// finds no prices.
func tierOf(word string) string {
	switch word {
	case "", "default", "standard", "on_demand", "ON_DEMAND", "auto", "unspecified":
		// "auto" is what some servers repeat of the request.
		return ""
	case "ON_DEMAND_FLEX":
		return "flex"
	case "ON_DEMAND_PRIORITY":
		return "priority"
	}
	return word
}

// tier finds the prices of a tier at a moment; nil when they are not known.
func (r *Rate) tier(name string, micros int64) []conditional {
	for i := len(r.tiers) - 1; i >= 0; i-- {
		if t := &r.tiers[i]; t.name == name && micros >= t.from {
			return t.prices
		}
	}
	return nil
}

// share is a tier's rule: its prices as a share of the standard ones.
type share struct {
	percent int64
	// cached says what becomes of the price for reading from the cache: the
	// same share of it, all of it ("full": discounts do not add up), or none
	// ("none": it is charged like plain input).
	cached string
}

// of applies the rule. Prices for other things than tokens are left as they are.
func (s share) of(prices []conditional) []conditional {
	out := slices.Clone(prices)
	for i := range out {
		l := &out[i].list
		read, audio := l.cacheRead, l.cacheAudio
		for _, p := range []**tieredPrice{&l.input, &l.cacheRead, &l.cacheWrite, &l.cacheWrite1h, &l.output, &l.inputAudio, &l.cacheAudio, &l.outputAudio} {
			*p = (*p).percent(s.percent)
		}
		switch s.cached {
		case "full":
			l.cacheRead, l.cacheAudio = read, audio
		case "none":
			l.cacheRead, l.cacheAudio = nil, nil
		}
	}
	return out
}

// percent is a share of a price; what is below a pico-dollar is rounded half up.
func (p *tieredPrice) percent(n int64) *tieredPrice {
	if p == nil {
		return nil
	}
	out := &tieredPrice{base: p.base.percent(n)}
	for _, t := range p.tiers {
		out.tiers = append(out.tiers, tier{above: t.above, price: t.price.percent(n)})
	}
	return out
}

func (p Price) percent(n int64) Price {
	whole, rest := int64(p)/100, int64(p)%100
	return Price(whole*n + (rest*n+50)/100)
}
