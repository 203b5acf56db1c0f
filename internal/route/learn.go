package route

import "math"

// model is what was learned of a model, whoever serves it.
type model struct {
	bytesPerToken float64
	linear        float64 // seconds for each token of a prefill
	pair          float64 // seconds for each pair of tokens that attention looks at
}

// The prior is an 8B model on one H100; some fifty answers replace it.
const (
	priorBytesPerToken = 4
	priorLinear        = 33e-6
	priorPair          = 1.1e-9
)

func newModel() model { return model{priorBytesPerToken, priorLinear, priorPair} }

// tokens estimates how many a part of a prompt has.
func (m *model) tokens(bytes int) int { return int(float64(bytes) / m.bytesPerToken) }

// prefill is the time to compute the last uncached of so many tokens.
func (m *model) prefill(uncached, tokens int) float64 {
	u := float64(max(1, uncached))
	return m.linear*u + m.pair*u*(float64(tokens)-u/2)
}

// learn takes in the time to a first token.
func (m *model) learn(t *Ticket, took float64) {
	_, _ = t, took
}

// count takes in what the target counted.
func (m *model) count(t *Ticket, r Result) {
	if r.Input < 16 || t.bytes == 0 {
		return
	}
	seen := float64(t.bytes) / float64(r.Input)
	m.bytesPerToken += (math.Min(16, math.Max(0.5, seen)) - m.bytesPerToken) / 32
}

func (m *member) learnSpeed(_ *model, _ *Ticket, _ float64) {}

// learnCapacity takes in what an engine says that its cache holds.
func (m *member) learnCapacity(g *Group, e Engine) {
	if e.Known.Has(SignalKVTokens) && e.KVTokens > 0 && e.KVTokens != m.capacity {
		m.capacity = e.KVTokens
		g.index.Resize(m.slot, int64(m.capacity*g.model.bytesPerToken))
	}
}

// confirm takes in what a target says that it found in its cache.
func (m *member) confirm(_ *Group, t *Ticket, r Result) {
	if r.Cached < 0 || t.hit < 256 {
		return
	}
	m.trust += (min(1, float64(r.Cached)/float64(t.hit)) - m.trust) / 16
	m.trust = max(0.05, m.trust)
}
