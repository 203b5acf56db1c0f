package fleet

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tailplane/internal/suggest"
)

// Config is the `capacity:` of a target in the file: its size in exactly one of
// three ways, and from when on requests go elsewhere.
type Config struct {
	// PTU are the provisioned throughput units of an Azure deployment of Model,
	// whose worth the table knows.
	PTU   int    `yaml:"ptu"`
	Model string `yaml:"model"`
	// InputTPM are input tokens per minute, for what the table does not know and
	// for Bedrock.
	InputTPM int `yaml:"input_tpm"`
	// TokensPerSecond are the same per second, for Vertex and for own GPUs.
	TokensPerSecond int `yaml:"tokens_per_second"`
	// OutputRatio is what a token of output weighs; default: the table's, or 1.
	OutputRatio Ratio `yaml:"output_ratio"`
	// SpillAt is the utilisation above which requests go to the next candidate;
	// default 100%.
	SpillAt Percent `yaml:"spill_at"`
	// Burst is how much work is taken at once; default 1m.
	Burst time.Duration `yaml:"burst"`
}

// IsZero reports whether the file states no capacity.
func (c Config) IsZero() bool { return c == Config{} }

const defaultBurst = time.Minute

// Provision is the capacity that a valid config states.
func (c Config) Provision() Provision {
	p := Provision{PerMinute: float64(c.InputTPM + 60*c.TokensPerSecond), Ratio: 1}
	if m, ok := PTUModelOf(c.Model); ok && c.PTU > 0 {
		p = m.Provision(c.PTU)
	}
	p.Ratio = cmp.Or(float64(c.OutputRatio), p.Ratio)
	p.Burst, p.SpillAt = cmp.Or(c.Burst, defaultBurst), cmp.Or(float64(c.SpillAt), 1)
	return p
}

// Validate reports every problem; path is where the config stands.
func (c Config) Validate(path string, report func(path, wrong, right string)) {
	if c.IsZero() {
		return
	}
	ways := 0
	for _, n := range []int{c.PTU, c.InputTPM, c.TokensPerSecond} {
		if n != 0 {
			ways++
		}
		if n < 0 {
			report(path, "a capacity cannot be negative", "use a whole number from 1")
		}
	}
	if ways != 1 {
		report(path, fmt.Sprintf("the capacity is stated in %d ways", ways), "write exactly one of ptu (with model), input_tpm and tokens_per_second")
	}
	c.validatePTU(path, report)
	if c.OutputRatio < 0 || c.OutputRatio > 1000 {
		report(path+".output_ratio", fmt.Sprintf("%v is out of range", float64(c.OutputRatio)), "use a number above 0, such as 4")
	}
	if c.SpillAt < 0 || c.SpillAt > 2 {
		report(path+".spill_at", fmt.Sprintf("%v%% is out of range", 100*float64(c.SpillAt)), "use 1% to 200%")
	}
	if c.Burst < 0 || c.Burst > time.Hour {
		report(path+".burst", fmt.Sprintf("%v is out of range", c.Burst), "use 1s to 1h")
	}
}

func (c Config) validatePTU(path string, report func(path, wrong, right string)) {
	m, known := PTUModelOf(c.Model)
	switch {
	case c.PTU == 0 && c.Model != "":
		report(path+".model", "a model says what a unit is worth, and there are no units", "add `ptu: N`, or leave the model out")
	case c.PTU == 0:
	case c.Model == "":
		report(path+".ptu", "what a unit is worth depends on the model", "add `model:` with one of "+strings.Join(ptuNames(), ", "))
	case !known:
		report(path+".model", fmt.Sprintf("it is not known what a unit is worth for %q", c.Model),
			"use one of "+strings.Join(ptuNames(), ", ")+", or state input_tpm and output_ratio"+suggest.Phrase(suggest.Nearest(c.Model, ptuNames())))
	case c.PTU > 0 && (c.PTU < m.Minimum || c.PTU%m.Increment != 0):
		report(path+".ptu", fmt.Sprintf("%s is not deployed with %d units", m.Name, c.PTU), fmt.Sprintf("use %d or more, in steps of %d", m.Minimum, m.Increment))
	}
}

// Ratio is a positive number in the file.
type Ratio float64

// UnmarshalText reads a plain number.
func (r *Ratio) UnmarshalText(text []byte) error {
	n, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(n > 0) { // NaN neither
		return fmt.Errorf("%q is not a positive number; write one such as 8", text)
	}
	*r = Ratio(n)
	return nil
}

// Percent is a share in the file, written as 100%.
type Percent float64

// UnmarshalText reads a number with a percent sign.
func (p *Percent) UnmarshalText(text []byte) error {
	number, sign := strings.CutSuffix(string(text), "%")
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !sign || !(n > 0) {
		return fmt.Errorf("%q is not a share; write one such as 90%%", text)
	}
	*p = Percent(n / 100)
	return nil
}
