package route

import (
	"math"
	"slices"

	"tailplane/internal/engine"
)

// The rules of learning:
//
//   - Everything begins with a prior and moves by what answers show; some fifty
//     of them outweigh the prior.
//   - What was waited in a queue says nothing about the speed of an engine: an
//     answer teaches only when the wait that was expected for it is the smaller
//     part.
//   - One answer moves nothing far: errors are bounded before they count.

// model is what was learned of a model, whoever serves it.
type model struct {
	bytesPerToken float64
	linear        float64 // seconds for each token of a prefill
	pair          float64 // seconds for each pair of tokens that attention looks at
	fixed         float64 // seconds that every first token takes
	answer        float64 // tokens of an answer, lately
	reuse         float64 // share of a prompt that is in the cache where it goes, lately
	fit           fit
	slow          slow
}

// The prior is an 8B model on one H100, by its roofline.
const (
	priorBytesPerToken = 4
	priorLinear        = 33e-6
	priorPair          = 1.1e-9
	priorFixed         = 10e-3
	priorAnswer        = 200
)

func newModel() model {
	m := model{bytesPerToken: priorBytesPerToken, linear: priorLinear, pair: priorPair, fixed: priorFixed, answer: priorAnswer}
	m.fit.seed(priorFixed, priorLinear, priorPair)
	return m
}

// tokens estimates how many a part of a prompt has.
func (m *model) tokens(bytes int) int { return int(float64(bytes) / m.bytesPerToken) }

// prefill is the time to compute the last uncached of so many tokens.
func (m *model) prefill(uncached, tokens int) float64 {
	u, pairs := shape(uncached, tokens)
	return m.linear*u + m.pair*pairs
}

// uncached is how many of the last of so many tokens take work seconds to compute:
// prefill the other way round.
func (m *model) uncached(work float64, tokens int) float64 {
	b := m.linear + m.pair*float64(tokens)
	left := b*b - 2*m.pair*work
	if left <= 0 {
		return float64(tokens)
	}
	return min(float64(tokens), 2*work/(b+math.Sqrt(left)))
}

// shape is a prefill as its cost sees it: tokens, and pairs of tokens.
func shape(uncached, tokens int) (u, pairs float64) {
	u = float64(max(1, uncached))
	return u, u * (float64(tokens) - u/2)
}

// learn takes in the time to a first token at a replica of that speed. It reports
// whether everything is slower than was thought so far, by a factor.
func (m *model) learn(t *Ticket, speed, took float64) (slower bool) {
	if t.wait > teachable*took {
		return false
	}
	u, pairs := t.kind.shape(t.uncached, t.tokens)
	alone := (took - t.wait) / speed
	if t.context == 0 { // nobody else was there
		if by, sure := m.slow.take(alone / (m.fixed + m.linear*u + m.pair*pairs)); sure {
			m.fixed, m.linear, m.pair = m.fixed*by, m.linear*by, m.pair*by
			m.fit.seed(m.fixed, m.linear, m.pair)
			return true
		}
	}
	m.fit.add(u, pairs, alone)
	m.fixed, m.linear, m.pair = m.fit.solve()
	return false
}

// slow is a run of answers of idle replicas that all took far longer than expected.
// The fit weighs errors in relation to what it expects, so it would need thousands of
// answers to leave a prior that is a hundred times too quick, as it is for an engine
// on a CPU: it begins anew at the scale of the least of the run. Others that are
// answered, too, may be why something takes long; where nobody is, the engine is.
type slow struct {
	least float64
	run   int
}

const (
	farSlower = 4
	surely    = 8
	mostBy    = 1000
)

// take takes in how many times longer an answer took, and returns by how much all
// of the run did once it is long enough.
func (s *slow) take(times float64) (by float64, sure bool) {
	if !(times >= farSlower) {
		*s = slow{}
		return 0, false
	}
	if s.run == 0 || times < s.least {
		s.least = times
	}
	if s.run++; s.run < surely {
		return 0, false
	}
	by = min(s.least, mostBy)
	*s = slow{}
	return by, true
}

// teachable is the largest share of a first token's time that may have been
// expected to be waited for.
const teachable = 0.3

// sent takes in how much of a prompt is expected in the cache where it goes.
func (m *model) sent(hit, tokens int) {
	m.reuse += (float64(hit)/float64(max(1, tokens)) - m.reuse) / recent
}

// recent is over how many requests what is learned of all of them is a mean.
const recent = 64

// count takes in what the target counted.
func (m *model) count(t *Ticket, r Result) {
	if r.Output > 0 {
		m.answer += (float64(r.Output) - m.answer) / recent
	}
	if r.Input < 16 || t.bytes == 0 {
		return
	}
	seen := min(16, max(0.5, float64(t.bytes)/float64(r.Input)))
	m.bytesPerToken += (seen - m.bytesPerToken) / 32
}

// fit is a weighted least-squares fit of fixed + linear*u + pair*pairs, by the
// error in relation to the time, with exponential forgetting and bounded errors
// (Huber). It is solved anew for each sample: three equations.
type fit struct {
	a    [3][3]float64
	b    [3]float64
	last [3]float64
}

// forgetting keeps the weight of some two hundred samples; the prior weighs as
// much as priorSamples.
const (
	forgetting   = 0.995
	priorSamples = 8
	late         = 0.4 // weight of an answer that took longer than expected: others may be why
	huber        = 0.7 // logarithm of the error from which a sample's pull no longer grows
)

// units scale the unknowns, so that the equations are well conditioned.
var units = [3]float64{1e-2, 1e-5, 1e-9}

func (f *fit) seed(fixed, linear, pair float64) {
	*f = fit{last: [3]float64{fixed, linear, pair}}
	for i := range f.a {
		x := f.last[i] / units[i]
		f.a[i][i] = priorSamples / (3 * x * x)
		f.b[i] = priorSamples / (3 * x)
	}
}

func (f *fit) add(u, pairs, took float64) {
	if !(took > 0) || math.IsInf(took, 1) {
		return
	}
	x := [3]float64{units[0], units[1] * u, units[2] * pairs}
	expected := f.last[0] + f.last[1]*u + f.last[2]*pairs
	w := 1 / (took*took + expected*expected)
	off := math.Log(took / max(expected, 1e-6))
	if off > 0 {
		w *= late
	}
	if off = math.Abs(off); off > huber {
		w *= huber / off
	}
	for i := range x {
		f.b[i] = f.b[i]*forgetting + w*x[i]*took
		for k := range x {
			f.a[i][k] = f.a[i][k]*forgetting + w*x[i]*x[k]
		}
	}
}

// solve returns the unknowns; none is negative, and what cannot be told apart
// stays as it was.
func (f *fit) solve() (fixed, linear, pair float64) {
	a, b := f.a, f.b
	for i := range a {
		a[i][i] += 1e-9 * a[i][i]
		if a[i][i] == 0 {
			return f.last[0], f.last[1], f.last[2]
		}
		for k := i + 1; k < 3; k++ {
			q := a[k][i] / a[i][i]
			for c := i; c < 3; c++ {
				a[k][c] -= q * a[i][c]
			}
			b[k] -= q * b[i]
		}
	}
	var x [3]float64
	for i := 2; i >= 0; i-- {
		x[i] = b[i]
		for c := i + 1; c < 3; c++ {
			x[i] -= a[i][c] * x[c]
		}
		x[i] /= a[i][i]
	}
	for i := range x {
		x[i] = max(x[i]*units[i], f.last[i]/2) // no step is far, and none crosses zero
		f.last[i] = min(x[i], 2*f.last[i])
	}
	return f.last[0], f.last[1], f.last[2]
}

// learnSpeed takes in how long a first token took beside what the group expects.
func (m *member) learnSpeed(g *model, t *Ticket, took float64) {
	m.firstToken = smooth(m.firstToken, took, 1.0/8)
	if t.wait > teachable*took || t.work < 4*g.fixed {
		return
	}
	m.reading.take(math.Log((took - t.wait) / (g.fixed + t.work)))
}

// learnPace takes in how long each token of an answer took beside what the
// tokens that were there let expect.
func (m *member) learnPace(t *Ticket, each float64) {
	m.perToken = smooth(m.perToken, each, 1.0/16)
	context := (float64(t.context+m.context) + m.remote.context) / 2
	m.writing.take(math.Log(each / (priorToken + priorContext*context)))
}

// priorToken is what a token takes when nobody else is there: an 8B model on one
// H100, by its roofline.
const priorToken = 6.5e-3

// pace is how a replica's times stand to what was expected: the logarithm of a low
// quantile, followed in steps, since what other requests do to one only adds to its
// time.
type pace struct {
	ratio   float64
	answers int
}

func (p *pace) take(ratio float64) {
	step := paceStep
	if p.answers < enoughAnswers {
		step *= 4
	}
	if ratio < p.ratio {
		p.ratio -= step * (1 - paceQuantile)
	} else {
		p.ratio += step * paceQuantile
	}
	p.answers++
}

const (
	paceQuantile = 0.25
	paceStep     = 0.15
)

// smooth is an exponential mean that begins with its first value.
func smooth(mean, value, share float64) float64 {
	if mean == 0 {
		return value
	}
	return mean + share*(value-mean)
}

// compare sets each member's paces in relation to its group: the middle is 1.
// Those that have shown nothing are as fast as the group.
func (g *Group) compare() {
	g.relate(func(m *member) (*pace, *float64) { return &m.reading, &m.speed })
	g.relate(func(m *member) (*pace, *float64) { return &m.writing, &m.drag })
}

func (g *Group) relate(of func(*member) (from *pace, to *float64)) {
	g.known = g.known[:0]
	for _, m := range g.slots {
		if m == nil {
			continue
		}
		if p, _ := of(m); p.answers >= enoughAnswers {
			g.known = append(g.known, p.ratio)
		}
	}
	if len(g.known) == 0 {
		return
	}
	slices.Sort(g.known)
	middle := g.known[len(g.known)/2]
	for _, m := range g.slots {
		if m == nil {
			continue
		}
		p, relative := of(m)
		*relative = 1
		if r := math.Exp(p.ratio - middle); p.answers >= enoughAnswers && math.Abs(r-1) >= noise {
			*relative = r
		}
	}
}

// A pace counts from so many answers on, and when it differs by more than noise.
const (
	enoughAnswers = 16
	noise         = 0.25
)

// learnCapacity takes in what an engine says that its cache holds, and reports whether
// that is another size.
func (m *member) learnCapacity(e engine.Sample) (resized bool) {
	if !e.Known.Has(engine.SignalKVTokens) || e.KVTokens <= 0 || e.KVTokens == m.capacity {
		return false
	}
	m.capacity, m.told = e.KVTokens, true
	return true
}

// confirm takes in what a target says that it found in its cache, and how fast it
// wrote.
func (m *member) confirm(g *Group, t *Ticket, r Result, wrote float64) {
	if r.Output > 1 && wrote > 0 {
		m.learnPace(t, wrote/float64(r.Output-1))
	}
	m.tells = m.tells || r.Cached > 0
	m.events.shown(float64(r.Cached), float64(r.Cached-t.hit))
	if r.Cached == NothingSaid && m.tells {
		r.Cached = 0
	}
	if r.Cached < 0 || t.hit < leastHit {
		return
	}
	share := min(1, float64(r.Cached)/float64(t.hit))
	m.kept += (share - m.kept) / 64
	m.trust = min(1, max(leastTrust, m.kept/doubtful))
	if m.told || m.events.decide() { // the engine says how much it holds
		return
	}
	if share < 0.5 {
		m.capacity = max(leastCapacity, m.capacity*0.98)
	} else if share > 0.9 && g.index.Used(m.slot) > g.index.Capacity(m.slot)*9/10 {
		m.capacity = min(mostCapacity, m.capacity*1.002)
	}
	g.resize(m)
}

// A hit teaches when it is leastHit tokens at least. Trust never sinks to zero,
// so that it can rise again.
const (
	leastHit      = 256
	doubtful      = 0.5 // share of the predicted hits that must be hits for them to count in full
	leastTrust    = 0.05
	leastCapacity = 8_192
	mostCapacity  = 64 << 20
)

func (g *Group) resize(m *member) { g.resizeFor(m, 0) }

// resizeFor leaves room for so many tokens beside what is thought to be there.
func (g *Group) resizeFor(m *member, tokens int) {
	g.index.Resize(m.slot, int64((m.events.room(m.capacity)+float64(tokens))*g.model.bytesPerToken))
}
