package complexity

import (
	"fmt"
	"maps"
	"slices"
)

// Config is what the file says under `complexity:` of one model name. A share is
// a number from 0 to 1.
type Config struct {
	File string `yaml:"file"` // path of what `tailplane route train` made
	// Weak and Strong are what is chosen between, as in a route: "target/model" or
	// the name of another model.
	Weak   string `yaml:"weak"`
	Strong string `yaml:"strong"`
	// StrongShare is how many of the requests the strong model gets while traffic
	// is like the training; with a floor alone it may stay away.
	StrongShare *float64 `yaml:"strong_share"`
	// Floor is the share of the weak model's answers that are to be as good as the
	// strong model's; zero promises nothing. Customers overrides it.
	Floor     float64            `yaml:"floor"`
	Customers map[string]float64 `yaml:"customers"`
	// Cascade looks at the weak model's answer before it is sent, and asks the
	// strong model when it is not usable. Streams are not looked at.
	Cascade bool `yaml:"cascade"`
	// LeastLogprob is the mean log-probability of a token below which a weak answer
	// is not trusted, where the target tells it; zero does not look.
	LeastLogprob float64 `yaml:"least_logprob"`
	Drift        Drift   `yaml:"drift"`
}

// Validate reports what is wrong, with the path below the block and what would be
// right.
func (c Config) Validate(report func(path, wrong, right string)) {
	for _, need := range []struct{ path, value, right string }{
		{"file", c.File, "name the file that `tailplane route train` made"},
		{"weak", c.Weak, "name the model for easy requests"},
		{"strong", c.Strong, "name the model for the others"},
	} {
		if need.value == "" {
			report(need.path, "it is missing", need.right)
		}
	}
	if c.Weak != "" && c.Weak == c.Strong {
		report("strong", "it is the weak model", "name two")
	}
	if c.StrongShare == nil && c.Floor == 0 && len(c.Customers) == 0 {
		report("strong_share", "nothing says how much the strong model gets", "set strong_share or floor")
	}
	if c.StrongShare != nil && !isShare(*c.StrongShare) {
		report("strong_share", fmt.Sprintf("%v is no share", *c.StrongShare), "write a number from 0 to 1, such as 0.3")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Customers)) {
		if f := c.Customers[name]; !isShare(f) || f == 1 {
			report("customers."+name, fmt.Sprintf("%v is no floor", f), "write a number from 0, below 1, such as 0.9")
		}
	}
	if !isShare(c.Floor) || c.Floor == 1 {
		report("floor", fmt.Sprintf("%v is no floor", c.Floor), "write a number from 0, below 1, such as 0.9")
	}
	if !(c.LeastLogprob <= 0) {
		report("least_logprob", fmt.Sprintf("%v is no logarithm of a probability", c.LeastLogprob), "write one below zero, such as -1.5")
	}
	c.Drift.validate(report)
}

func isShare(x float64) bool { return x >= 0 && x <= 1 }

// mostWindow bounds a guard's memory.
const mostWindow = 1 << 16

func (d Drift) validate(report func(path, wrong, right string)) {
	d = d.Or(DefaultDrift())
	if d.Fewest < 16 || d.Window < d.Fewest || d.Window > mostWindow {
		report("drift.window", fmt.Sprintf("a window of %d with at least %d does not work", d.Window, d.Fewest), fmt.Sprintf("take fewest from 16, and window from there to %d", mostWindow))
	}
	if !(d.PSI > 0) {
		report("drift.psi", fmt.Sprintf("%v is no index", d.PSI), "write a number above 0; 0.15 is the default")
	}
}
