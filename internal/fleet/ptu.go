package fleet

import (
	"math"
	"slices"
	"strings"
)

// PTUModel is what a provisioned throughput unit of Azure is worth for a model.
type PTUModel struct {
	Name     string
	InputTPM int // converted input tokens per minute and unit
	Ratio    int // what a token of output weighs
	// Minimum and Increment bound a deployment in the widest region (global, data
	// zone); regional ones begin at more and grow in larger steps, which are
	// multiples of these.
	Minimum, Increment int
}

// ptuModels is the table of Microsoft's provisioned-throughput.md and
// provisioned-throughput-onboarding.md (azure-ai-docs), as of May 2026.
var ptuModels = []PTUModel{
	{"gpt-5.4", 2400, 6, 15, 5},
	{"gpt-5.3-codex", 3400, 8, 15, 5},
	{"gpt-5.2", 3400, 8, 15, 5},
	{"gpt-5.1", 4750, 8, 15, 5},
	{"gpt-5", 4750, 8, 15, 5},
	{"gpt-5-mini", 23750, 8, 15, 5},
	{"gpt-4.1", 3000, 4, 15, 5},
	{"gpt-4.1-mini", 14900, 4, 15, 5},
	{"gpt-4.1-nano", 59400, 4, 15, 5},
	{"gpt-4o", 2500, 4, 15, 5},
	{"gpt-4o-mini", 37000, 4, 15, 5},
	{"o3", 3000, 4, 15, 5},
	{"o4-mini", 5400, 4, 15, 5},
	{"llama-3.3-70b", 8450, 4, 100, 100},
	{"deepseek-r1", 4000, 4, 100, 100},
	{"deepseek-v3", 4000, 4, 100, 100},
}

// PTUModelOf finds a model of the table; case does not matter.
func PTUModelOf(name string) (PTUModel, bool) {
	i := slices.IndexFunc(ptuModels, func(m PTUModel) bool { return strings.EqualFold(m.Name, name) })
	if i < 0 {
		return PTUModel{}, false
	}
	return ptuModels[i], true
}

// ptuNames lists the models of the table.
func ptuNames() []string {
	var out []string
	for _, m := range ptuModels {
		out = append(out, m.Name)
	}
	return out
}

// Provision is the capacity of so many units.
func (m PTUModel) Provision(units int) Provision {
	return Provision{PerMinute: float64(units * m.InputTPM), Ratio: float64(m.Ratio), Burst: defaultBurst, SpillAt: 1}
}

// Size is how many units so many requests of a load in a minute need: exactly,
// and as they can be bought in steps of that many.
func (m PTUModel) Size(requests int, each Load, step int) (exact float64, units int) {
	exact = float64(requests) * m.Provision(1).Weight(each) / float64(m.InputTPM)
	return exact, max(m.Minimum, int(math.Ceil(exact/float64(step)))*step)
}
