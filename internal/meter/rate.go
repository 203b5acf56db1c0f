package meter

import (
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
)

// Cost is what usage costs.
type Cost struct {
	// Nano is nano-dollars, rounded once, half up. With Status Unpriced it is
	// what the known prices add up to, and so a lower bound.
	Nano   int64
	Status ledger.Pricing
}

// priceList is the prices of a model. A nil price is not known; what is charged
// in its place stands at priceList.cost.
type priceList struct {
	input, cacheRead, cacheWrite, cacheWrite1h *tieredPrice
	output, inputAudio, outputAudio            *tieredPrice
	requests                                   *tieredPrice // for a thousand requests
}

// Rate is the prices of one model at one target, found once and used for every
// request. It is immutable and safe for concurrent use.
type Rate struct {
	// Model is the entry of the price book, or the override, that was found;
	// empty when there is none.
	Model  string
	status ledger.Pricing // Priced: prices tells; else the status of any usage
	prices []conditional
}

// Cost prices a usage at a moment. Figures below zero count as zero. A usage
// without any token is NoCharge at every rate.
//
// A class of tokens that has no price of its own is charged as follows, so that
// it is never silently free:
//
//   - cache read, cache write, audio in: like plain input
//   - cache write for an hour: like cache write; for Claude models twice the
//     input price, as Anthropic publishes it
//   - audio out: like output; reasoning is part of output everywhere
//   - input or output without a price: the status is Unpriced
//
// Where classes overlap more than Usage allows (audio that was read from the
// cache), cache figures stand and audio is what Input leaves.
func (r *Rate) Cost(at time.Time, u llm.Usage) Cost {
	if u.Input <= 0 && u.Output <= 0 {
		return Cost{Status: ledger.NoCharge}
	}
	if r.status != ledger.Priced {
		return Cost{Status: r.status}
	}
	unix := at.Unix()
	for i := len(r.prices) - 1; i > 0; i-- {
		if r.prices[i].holds(unix) {
			return r.prices[i].list.cost(u)
		}
	}
	return r.prices[0].list.cost(u)
}

// cost adds up the classes. The tier goes by all input tokens of the request,
// and then holds for every token.
func (l *priceList) cost(u llm.Usage) Cost {
	input, output := max(u.Input, 0), max(u.Output, 0)
	read := max(u.CacheRead, 0)
	write := max(u.CacheWrite, 0)
	hour := min(max(u.CacheWrite1h, 0), write)
	audioIn := min(max(u.InputAudio, 0), max(input-read-write, 0))
	audioOut := min(max(u.OutputAudio, 0), output)

	b := bill{tier: input}
	b.add(max(input-read-write-audioIn, 0), l.input)
	b.add(read, l.cacheRead, l.input)
	b.add(write-hour, l.cacheWrite, l.input)
	b.add(hour, l.cacheWrite1h, l.cacheWrite, l.input)
	b.add(audioIn, l.inputAudio, l.input)
	b.add(output-audioOut, l.output)
	b.add(audioOut, l.outputAudio, l.output)
	if l.requests != nil {
		b.sum.add(1000, l.requests.at(input)) // a thousandth for one request, in units that are a millionth
		b.charged = b.charged || l.requests.at(input) > 0
	}
	switch {
	case b.unknown:
		return Cost{Nano: b.sum.nano(), Status: ledger.Unpriced}
	case !b.charged:
		return Cost{Status: ledger.NoCharge}
	}
	return Cost{Nano: b.sum.nano(), Status: ledger.Priced}
}

// bill is a cost under construction.
type bill struct {
	tier    int64
	sum     amount
	charged bool // some token had a price above zero
	unknown bool // some token had none
}

// add charges n tokens at the first price that is known.
func (b *bill) add(n int64, prices ...*tieredPrice) {
	if n == 0 {
		return
	}
	for _, p := range prices {
		if p == nil {
			continue
		}
		price := p.at(b.tier)
		b.charged = b.charged || price > 0
		b.sum.add(n, price)
		return
	}
	b.unknown = true
}
