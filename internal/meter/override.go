package meter

import (
	"errors"
	"fmt"

	"tailplane/internal/ledger"
)

// Override is an operator's prices for a model, as decimal numbers: in dollars
// for a million tokens or characters, an image, an hour of sound, or a thousand
// searches. It replaces the list prices as a whole and holds at every service
// tier; an empty member has no price and follows the rules at [Rate.Cost].
type Override struct {
	Input        string `yaml:"input" json:"input,omitempty"`
	Output       string `yaml:"output" json:"output,omitempty"`
	CacheRead    string `yaml:"cache_read" json:"cache_read,omitempty"`
	CacheWrite   string `yaml:"cache_write" json:"cache_write,omitempty"`
	CacheWrite1h string `yaml:"cache_write_1h" json:"cache_write_1h,omitempty"`
	InputAudio   string `yaml:"input_audio" json:"input_audio,omitempty"`
	OutputAudio  string `yaml:"output_audio" json:"output_audio,omitempty"`
	Images       string `yaml:"images" json:"images,omitempty"`
	AudioHour    string `yaml:"audio_hour" json:"audio_hour,omitempty"`
	Characters   string `yaml:"characters" json:"characters,omitempty"`
	Searches     string `yaml:"searches" json:"searches,omitempty"`
	// PerHour is for an hour of the target, used or not: provisioned capacity, or
	// one's own GPUs. It is shared by the requests in flight; no other price
	// stands beside it.
	PerHour string `yaml:"per_hour" json:"per_hour,omitempty"`
}

// IsZero reports whether no price is given.
func (o Override) IsZero() bool { return o == Override{} }

// Validate reports every problem of the prices that stand at path.
func (o Override) Validate(path string, report func(path, wrong, right string)) {
	for _, f := range o.texts() {
		if f.text == "" {
			continue
		}
		if _, err := ParsePrice(f.text); err != nil {
			report(path+"."+f.name, err.Error(), "write dollars "+f.unit+", such as 0.25")
		}
	}
	tokens := o
	tokens.Images, tokens.AudioHour, tokens.Characters, tokens.Searches, tokens.PerHour = "", "", "", "", ""
	if o.PerHour != "" && o != (Override{PerHour: o.PerHour}) {
		report(path, "a target that costs by the hour has no other price", "leave only `per_hour`")
	}
	if !tokens.IsZero() && (o.Input == "" || o.Output == "") {
		report(path, "a price needs both input and output", "add the missing one, in dollars per million tokens")
	}
}

// text is one price as it is written.
type text struct{ name, text, unit string }

func (o Override) texts() []text {
	const tokens = "per million tokens"
	return []text{
		{"input", o.Input, tokens},
		{"output", o.Output, tokens},
		{"cache_read", o.CacheRead, tokens},
		{"cache_write", o.CacheWrite, tokens},
		{"cache_write_1h", o.CacheWrite1h, tokens},
		{"input_audio", o.InputAudio, tokens},
		{"output_audio", o.OutputAudio, tokens},
		{"images", o.Images, "for an image"},
		{"audio_hour", o.AudioHour, "for an hour of sound"},
		{"characters", o.Characters, "per million characters"},
		{"searches", o.Searches, "per thousand searches"},
		{"per_hour", o.PerHour, "for an hour of the target"},
	}
}

// rate is the prices, by the name of their key.
func (o Override) rate(key string) (*Rate, error) {
	r := &Rate{Model: key, status: ledger.Priced, flat: true}
	if o.PerHour != "" {
		var err error
		if r.hourly, err = ParsePrice(o.PerHour); err != nil {
			return r, fmt.Errorf("per_hour: %w", err)
		}
		if r.hourly == 0 {
			r.status = ledger.NoCharge
		}
		return r, nil
	}
	var l priceList
	var errs []error
	to := []**tieredPrice{&l.input, &l.output, &l.cacheRead, &l.cacheWrite, &l.cacheWrite1h, &l.inputAudio, &l.outputAudio}
	for i, f := range o.texts()[:len(to)] {
		if f.text == "" {
			continue
		}
		p, err := ParsePrice(f.text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.name, err))
			continue
		}
		*to[i] = &tieredPrice{base: p}
	}
	if l != (priceList{}) {
		r.prices = []conditional{{list: l}}
	}
	if e := (unitEntry{Image: o.Images, AudioHour: o.AudioHour, Characters: o.Characters, Searches: o.Searches}); e != (unitEntry{}) {
		units, err := e.list()
		units.from = always
		errs = append(errs, err)
		r.units = []unitList{units}
	}
	if r.prices == nil && r.units == nil && len(errs) == 0 {
		errs = append(errs, errors.New("no price is given: write at least input and output"))
	}
	return r, errors.Join(errs...)
}
