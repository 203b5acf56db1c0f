package meter

import (
	"math"
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

// priceList is the prices of a model's tokens. A nil price is not known; what is
// charged in its place stands at Rate.Cost.
type priceList struct {
	input, cacheRead, cacheWrite, cacheWrite1h *tieredPrice
	output, inputAudio, cacheAudio             *tieredPrice
	outputAudio                                *tieredPrice
	requests                                   *tieredPrice // for a thousand requests
}

// hasTokens reports whether tokens of any class have a price.
func (l *priceList) hasTokens() bool {
	tokens := *l
	tokens.requests = nil
	return tokens != priceList{}
}

// unitList is the prices of what is not counted in tokens. A nil price is not
// known.
type unitList struct {
	images     *Price // for one
	audio      *Price // for an hour of sound
	characters *Price // for a million
	searches   *Price // for a thousand search units
	from       int64  // Unix microseconds
}

// Rate is the prices of one model at one target, found once and used for every
// request. It is immutable and safe for concurrent use.
type Rate struct {
	// Model is the entry of the price book, or the override, that was found;
	// empty when there is none.
	Model  string
	status ledger.Pricing // Priced: prices tells; else the status of any usage
	prices []conditional
	units  []unitList // the last one that holds counts
	tiers  []tierList // of the tiers other than the standard one
	flat   bool       // an override: the same at every tier
	hourly Price      // for an hour of the target's time; then nothing else has a price
}

// Hourly reports whether the target's time is what costs.
func (r *Rate) Hourly() bool { return r.hourly > 0 }

// PerHour is the price of an hour of the target's time in nano-dollars; 0 when time
// is not what costs.
func (r *Rate) PerHour() int64 { return r.ofTime(nanosPerHour).Nano }

// Cost prices a usage at a moment. Figures below zero count as zero. A usage of
// nothing is NoCharge at every rate.
//
// The service tier that answered decides which prices count; a tier whose prices
// are not known is Unpriced, and its Nano is 0: it may be dearer or cheaper than
// the standard one.
//
// A class of tokens that has no price of its own is charged as follows, so that
// it is never silently free:
//
//   - cache read, cache write, audio in: like plain input
//   - cache write for an hour: like cache write; for Claude models twice the
//     input price, as Anthropic publishes it
//   - audio read from the cache: like audio in, else like cache read
//   - audio out: like output; reasoning is part of output everywhere
//   - input or output without a price: the status is Unpriced
//
// Where classes overlap more than Usage allows, cache figures stand and audio is
// what Input leaves.
//
// Providers charge a request by one measure: tokens, images, time, characters or
// searches. A measure that was used and has no price makes the status Unpriced
// unless another one that was used has a price.
func (r *Rate) Cost(at time.Time, u llm.Usage) Cost {
	if u.Input <= 0 && u.Output <= 0 && !u.HasUnits() {
		return Cost{Status: ledger.NoCharge}
	}
	if r.status != ledger.Priced {
		return Cost{Status: r.status}
	}
	if r.hourly > 0 {
		return r.ofTime(u.CapacityNanos)
	}
	micros := at.UnixMicro()
	prices, units := r.prices, r.units
	if u.Tier != "" && !r.flat {
		if tier := tierOf(u.Tier); tier != "" {
			if prices = r.tier(tier, micros); prices == nil {
				return Cost{Status: ledger.Unpriced}
			}
			units = nil
		}
	}
	list := &noPrices
	if len(prices) > 0 {
		list = current(prices, micros)
	}
	if !u.HasUnits() {
		return list.cost(&u, nil)
	}
	for i := len(units) - 1; i >= 0; i-- {
		if micros >= units[i].from {
			return list.cost(&u, &units[i])
		}
	}
	return list.cost(&u, &noUnits)
}

// Attempt is what an attempt costs, as Cost says of its usage. The tokens of one that
// only computes a prompt are charged where it is answered: it costs its target's time,
// where that is what is paid for, and else nothing.
func (r *Rate) Attempt(at time.Time, a *ledger.Attempt) Cost {
	if a.Leg() && !r.Hourly() {
		return Cost{Status: ledger.NoCharge}
	}
	return r.Cost(at, a.Usage)
}

// ofTime prices a part of the target's time. Usage that does not say which part
// it took has no price.
func (r *Rate) ofTime(nanos int64) Cost {
	if nanos <= 0 {
		return Cost{Status: ledger.Unpriced}
	}
	var sum amount // zero where no hour has a price
	sum.add(nanos, r.hourly)
	return Cost{Nano: sum.nano(nanosPerHour / 1_000_000), Status: ledger.Priced}
}

// nanosPerHour turns a price in pico-dollars for an hour, times nanoseconds, into
// the units of an amount: a millionth of them.
const nanosPerHour = 3_600_000_000_000

// Bound is the most that a request of at most so many input and output tokens can
// cost at a moment, at whatever service tier it is answered and however much of
// its input is written to or read from a cache. ok is false when there is no such
// amount: a price is unknown, or time is what costs.
func (r *Rate) Bound(at time.Time, input, output int64) (nano int64, ok bool) {
	if r.status == ledger.NoCharge {
		return 0, true
	}
	if r.status != ledger.Priced || r.hourly > 0 || len(r.prices) == 0 {
		return 0, false
	}
	micros := at.UnixMicro()
	lists := []*priceList{current(r.prices, micros)}
	for i := range r.tiers {
		if t := &r.tiers[i]; micros >= t.from && len(t.prices) > 0 {
			lists = append(lists, current(t.prices, micros))
		}
	}
	for _, l := range lists {
		for _, u := range []llm.Usage{
			{Input: input, Output: output},
			{Input: input, Output: output, CacheRead: input},
			{Input: input, Output: output, CacheWrite: input},
			{Input: input, Output: output, CacheWrite: input, CacheWrite1h: input},
			{Input: input, Output: output, InputAudio: input, OutputAudio: output},
		} {
			c := l.cost(&u, nil)
			if c.Status == ledger.Unpriced {
				return 0, false
			}
			nano = max(nano, c.Nano)
		}
	}
	return nano, true
}

// What is priced where nothing is known.
var (
	noPrices priceList
	noUnits  unitList
)

// current is the price list that counts at a moment, in Unix microseconds.
func current(prices []conditional, micros int64) *priceList {
	for i := len(prices) - 1; i > 0; i-- {
		if prices[i].holds(micros) {
			return &prices[i].list
		}
	}
	return &prices[0].list
}

// cost adds up what was used. units is nil when that is tokens only.
func (l *priceList) cost(u *llm.Usage, units *unitList) Cost {
	b := bill{tier: max(u.Input, 0)}
	b.tokens(u, l)
	if units != nil {
		b.units(u, units, l.hasTokens())
	}
	if l.requests != nil {
		price := l.requests.at(b.tier)
		b.sum.add(1000, price) // a thousandth for one request, in units that are a millionth
		b.charged = b.charged || price > 0
	}
	switch {
	case b.unknown:
		return Cost{Nano: b.nano(), Status: ledger.Unpriced}
	case !b.charged:
		return Cost{Status: ledger.NoCharge}
	}
	return Cost{Nano: b.nano(), Status: ledger.Priced}
}

// bill is a cost under construction.
type bill struct {
	tier    int64
	sum     amount
	sound   amount // of time: milliseconds times the price for an hour
	charged bool   // something had a price above zero
	unknown bool   // something had none
}

// tokens adds up the classes. The tier goes by all input tokens of the request,
// and then holds for every token.
func (b *bill) tokens(u *llm.Usage, l *priceList) {
	input, output := max(u.Input, 0), max(u.Output, 0)
	read := max(u.CacheRead, 0)
	write := max(u.CacheWrite, 0)
	hour := min(max(u.CacheWrite1h, 0), write)
	readAudio := min(max(u.CacheReadAudio, 0), read)
	audioIn := min(max(u.InputAudio-readAudio, 0), max(input-read-write, 0))
	audioOut := min(max(u.OutputAudio, 0), output)

	b.add(max(input-read-write-audioIn, 0), l.input)
	b.add(read-readAudio, l.cacheRead, l.input)
	b.add(output-audioOut, l.output)
	if write > 0 {
		b.add(write-hour, l.cacheWrite, l.input)
		b.add(hour, l.cacheWrite1h, l.cacheWrite, l.input)
	}
	if readAudio|audioIn|audioOut != 0 { // seldom
		b.add(readAudio, l.cacheAudio, l.inputAudio, l.cacheRead, l.input)
		b.add(audioIn, l.inputAudio, l.input)
		b.add(audioOut, l.outputAudio, l.output)
	}
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

// units charges what was used beside tokens; hasTokens says whether those have
// prices.
func (b *bill) units(u *llm.Usage, l *unitList, hasTokens bool) {
	var known, missing bool
	charge := func(n, scale int64, p *Price, to *amount) {
		switch {
		case n <= 0:
		case p == nil:
			missing = true
		default:
			known = true
			b.charged = b.charged || *p > 0
			to.add(min(n, math.MaxInt64/scale)*scale, *p)
		}
	}
	charge(u.Images, 1_000_000, l.images, &b.sum)
	charge(u.AudioMillis, 1, l.audio, &b.sound)
	charge(u.Characters, 1, l.characters, &b.sum)
	charge(u.SearchUnits, 1000, l.searches, &b.sum)
	tokens := u.Input > 0 || u.Output > 0
	switch {
	case known && !hasTokens:
		b.unknown = false
	case missing && !known && !(tokens && hasTokens):
		b.unknown = true
	}
}

// nano is the sum, rounded once.
func (b *bill) nano() int64 {
	if b.sound == (amount{}) {
		return b.sum.nano(1)
	}
	// A millisecond at a price for an hour is 5/18 of the sum's units.
	total := b.sum.times(18)
	total.plus(b.sound.times(5))
	return total.nano(18)
}
