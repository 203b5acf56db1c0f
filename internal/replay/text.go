package replay

import (
	"strings"
	"time"
)

// Words writes the prompt of a request as text for engines that count one token
// for a word of three letters and the space before it, in two parts: up to the
// end of the lane, and the rest. Requests that share blocks share that text, and
// no others do.
func (t *Trace) Words(r *Request, lane int, salt uint64) (first, rest string) {
	var b strings.Builder
	b.Grow(r.Input * bytesPerToken)
	cut, block, full := 0, 0, r.Input/t.Block
	for _, run := range r.Runs {
		for i := range run.Count {
			if block == full {
				break
			}
			words(&b, mix(mix(salt)^mix(uint64(run.Start+int64(i)))), t.Block)
			if block++; block == lane {
				cut = b.Len()
			}
		}
	}
	left := r.Input - block*t.Block
	words(&b, mix(salt^uint64(r.At)^uint64(r.Input)<<32^uint64(r.Output)<<52), left)
	if text := b.String(); cut > 0 {
		return text[:cut], text[cut:]
	}
	return b.String(), ""
}

func words(b *strings.Builder, seed uint64, n int) {
	for range n {
		seed = mix(seed)
		b.WriteByte(' ')
		b.WriteByte('a' + byte(seed%26))
		b.WriteByte('a' + byte(seed>>16%26))
		b.WriteByte('a' + byte(seed>>32%26))
	}
}

// Faster is a setup in which everything takes 1/times as long: engines, and the
// arrivals of an open trace. What it gives is multiplied by [Outcome.Slower].
func (s Setup) Faster(times float64) Setup {
	s.Engine = slowed(s.Engine, times)
	s.Load.Scale *= times
	return s
}

// Slower takes the times of an outcome back to those of the trace.
func (o *Outcome) Slower(times float64) {
	for _, xs := range [][]float64{o.TTFT, o.TPOT, o.E2E, o.At} {
		for i := range xs {
			xs[i] *= times
		}
	}
	o.Makespan = time.Duration(float64(o.Makespan) * times)
}

// Played is what became of a setup elsewhere than in virtual time.
type Played struct {
	Setup   Setup
	Outcome *Outcome
}

// Summarise makes results of what was played, the first of which is what the
// others are compared with.
func Summarise(ps []Played) []Result {
	rs := make([]Result, len(ps))
	for i, p := range ps {
		rs[i] = summarise(&p.Setup, []Figures{p.Outcome.figures(&p.Setup)})
	}
	if len(rs) > 0 {
		compare(rs)
	}
	return rs
}
