package complexity

import (
	"cmp"
	"math"
	"slices"
	"sync"
)

const (
	bins = 10
	// tracks are the figures whose distribution is watched: the need, the novelty,
	// and the shape but for its bias.
	tracks       = 2 + Shapes - 1
	noveltyTrack = 1
)

// reference is how the figures were distributed in the training, each in bins of
// equal weight as far as its values allow, and out of fold where a model is asked.
type reference struct {
	Edges    [tracks][bins - 1]float32
	Share    [tracks][bins]float32
	MostNew  float32 // novelty that one prompt in a thousand exceeded
	Measured bool
}

func figures(need, novelty float32, s *Shape) (f [tracks]float32) {
	f[0], f[1] = need, novelty
	copy(f[2:], s[1:])
	return f
}

func trackName(i int) string {
	switch i {
	case 0:
		return "need"
	case 1:
		return "unknown words"
	}
	return shapeNames[i-1]
}

func referenceOf(samples []Sample, scores []crossed) (r reference) {
	if len(samples) == 0 {
		return r
	}
	column := make([]float32, len(samples))
	for t := range tracks {
		for i := range samples {
			column[i] = figures(scores[i].need(), scores[i].novelty, &samples[i].Shape)[t]
		}
		slices.Sort(column)
		for e := range r.Edges[t] {
			r.Edges[t][e] = column[len(column)*(e+1)/bins]
		}
		for _, x := range column {
			r.Share[t][r.bin(t, x)] += 1 / float32(len(column))
		}
		if t == noveltyTrack {
			r.MostNew = column[len(column)-1-len(column)/1000]
		}
	}
	r.Measured = true
	return r
}

// bin is where a value of a track belongs: the number of edges at or below it.
func (r *reference) bin(track int, x float32) int {
	n := 0
	for _, e := range r.Edges[track] {
		if x >= e {
			n++
		}
	}
	return n
}

// Verdict is what the guard thinks of the traffic.
type Verdict string

const (
	Cold Verdict = "cold" // too few requests yet
	Same Verdict = "same" // like the training
	Off  Verdict = "off"  // not like the training
)

// Drift is how a guard is set.
type Drift struct {
	// Window is how many of the latest requests are looked at.
	Window int `yaml:"window"`
	// Fewest is how many there must be before the guard says anything but Cold.
	Fewest int `yaml:"fewest"`
	// PSI is the population stability index of any one figure above which the
	// traffic is another. Only what there is more of than in the training counts,
	// so that the usual mark of a significant shift, 0.25, is about 0.15 here; what
	// chance contributes to it is taken off.
	PSI float64 `yaml:"psi"`
}

// DefaultDrift is what holds where nothing is said.
func DefaultDrift() Drift { return Drift{Window: 512, Fewest: 64, PSI: 0.15} }

// Or returns d with what is zero taken from e.
func (d Drift) Or(e Drift) Drift {
	d.Window = cmp.Or(d.Window, e.Window)
	d.Fewest = cmp.Or(d.Fewest, e.Fewest)
	d.PSI = cmp.Or(d.PSI, e.PSI)
	return d
}

// Guard compares the traffic with the training. It is safe for concurrent use,
// and its memory is bounded by the window: 17 bytes for each request.
type Guard struct {
	ref     *reference
	trained int // samples behind the reference
	set     Drift

	mu     sync.Mutex
	ring   [][tracks]uint8
	next   int
	counts [tracks][bins]int32
	since  int // requests since the last look at the whole
	told   Sight
}

// Sight is the guard's opinion, with the figure that differs most.
type Sight struct {
	Verdict Verdict
	Figure  string
	PSI     float64 // of that figure, chance taken off
}

// NewGuard watches traffic for a model.
func NewGuard(m *Model, set Drift) *Guard {
	set = set.Or(DefaultDrift())
	return &Guard{ref: &m.reference, trained: m.Samples, set: set, ring: make([][tracks]uint8, 0, set.Window), told: Sight{Verdict: Cold}}
}

// lookEvery is after how many requests the whole window is judged again.
const lookEvery = 16

// Observe takes a request into the window.
func (g *Guard) Observe(s Score, shape *Shape) {
	if !g.ref.Measured {
		return
	}
	var row [tracks]uint8
	for t, x := range figures(s.Need, s.Novelty, shape) {
		row[t] = uint8(g.ref.bin(t, x))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.put(row)
	if g.since++; len(g.ring) >= g.set.Fewest && (g.since >= lookEvery || g.told.Verdict == Cold) {
		g.told, g.since = g.judge(), 0
	}
}

// Look says what to think of a request, and changes nothing: one with more unknown
// words than hardly any in the training is off by itself.
func (g *Guard) Look(s Score) Sight {
	if !g.ref.Measured {
		return Sight{Verdict: Off, Figure: "no reference"}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.told.Verdict == Same && s.Novelty > g.ref.MostNew {
		return Sight{Verdict: Off, Figure: "unknown words of the request"}
	}
	return g.told
}

// Now is the opinion without a request.
func (g *Guard) Now() Sight {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.told
}

func (g *Guard) put(row [tracks]uint8) {
	if len(g.ring) < cap(g.ring) {
		g.ring = append(g.ring, row)
	} else {
		for t, b := range g.ring[g.next] {
			g.counts[t][b]--
		}
		g.ring[g.next] = row
		g.next = (g.next + 1) % len(g.ring)
	}
	for t, b := range row {
		g.counts[t][b]++
	}
}

func (g *Guard) judge() Sight {
	worst := Sight{Verdict: Same}
	for t := range tracks {
		if t == noveltyTrack && g.knownBetter() {
			continue
		}
		if psi := stability(&g.ref.Share[t], &g.counts[t], len(g.ring)) - g.chance(); psi > worst.PSI {
			worst.Figure, worst.PSI = trackName(t), psi
		}
	}
	if worst.PSI > g.set.PSI {
		worst.Verdict = Off
	}
	return worst
}

// knownBetter tells whether the window has fewer unknown words than the training
// had out of fold, which is no reason to doubt.
func (g *Guard) knownBetter() bool {
	var more float64
	for b := range bins {
		more += float64(b) * (float64(g.counts[noveltyTrack][b])/float64(len(g.ring)) - float64(g.ref.Share[noveltyTrack][b]))
	}
	return more <= 0
}

// chance is what a stability index is expected to be, with every bin in use,
// between two samples of one distribution: the window and the training.
func (g *Guard) chance() float64 {
	return (bins - 1) / 2.0 * (1/float64(len(g.ring)) + 1/float64(max(1, g.trained)))
}

// stability is the half of the population stability index of counts against
// shares that comes from the bins with more than their share. Traffic that is a
// part of the training's is as well known as all of it; what the training had
// little of is not.
func stability(share *[bins]float32, counts *[bins]int32, n int) float64 {
	psi := 0.0
	for b := range bins {
		want := (float64(share[b]) + 1e-3) / (1 + bins*1e-3)
		got := (float64(counts[b]) + 0.5) / (float64(n) + 0.5*bins)
		if got > want {
			psi += (got - want) * math.Log(got/want)
		}
	}
	return psi
}
