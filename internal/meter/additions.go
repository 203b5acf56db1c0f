package meter

import (
	"bytes"
	_ "embed" // for the data file
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"tailplane/internal/ledger"
)

// The additions are what the catalogue of list prices does not say: service
// tiers, batches, and units other than tokens. They are lines of JSON, kept by
// hand: first about, then rules, each with its source and the day on which that
// said so. Of the rules for one provider that fit a model and hold at the moment,
// the last one counts: for each tier, and for units.

//go:embed additions.jsonl
var additionFile []byte

// addition is one rule.
type addition struct {
	Provider string   `json:"provider"`
	Match    *matcher `json:"match"` // nil fits every model
	From     string   `json:"from"`  // as in priceEntry
	Source   string   `json:"source"`
	AsOf     string   `json:"as_of"`

	// Tier names the tier that the rule is about; its prices are a share of the
	// standard ones, or stand here.
	Tier    string      `json:"tier"`
	Percent int64       `json:"percent"`
	Cached  string      `json:"cached"` // see share
	Prices  *priceEntry `json:"prices"`

	Units *unitEntry `json:"units"`
	Free  bool       `json:"free"` // the provider states that the model costs nothing

	from int64
}

// unitEntry is prices in dollars.
type unitEntry struct {
	Image       string `json:"image"`        // for one
	AudioHour   string `json:"audio_hour"`   // of sound
	AudioMinute string `json:"audio_minute"` // of sound, where the provider says it so
	Characters  string `json:"characters"`   // for a million
	Searches    string `json:"searches"`     // for a thousand search units
}

// maxPercent bounds a share, so that no price overflows.
const maxPercent = 800

// readAdditions reads the rules by provider.
func readAdditions(data []byte) (about, map[string][]addition, error) {
	var a about
	rules := map[string][]addition{}
	n := 0
	for text := range bytes.Lines(data) {
		if n++; n == 1 {
			if err := json.Unmarshal(text, &a); err != nil {
				return a, nil, fmt.Errorf("price additions, line 1: %w", err)
			}
			continue
		}
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		r, err := readAddition(text)
		if err != nil {
			return a, nil, fmt.Errorf("price additions, line %d: %w", n, err)
		}
		rules[r.Provider] = append(rules[r.Provider], r)
	}
	if a.Version == "" || a.AsOf == "" {
		return a, nil, errors.New("price additions, line 1: it has no version or no as_of date")
	}
	return a, rules, nil
}

func readAddition(text []byte) (addition, error) {
	var r addition
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return r, err
	}
	if _, err := time.Parse(time.DateOnly, r.AsOf); err != nil || r.Provider == "" || !strings.HasPrefix(r.Source, "https://") {
		return r, errors.New("a rule needs a provider, a source (https://...) and its as_of date")
	}
	kinds := 0
	for _, is := range []bool{r.Percent != 0, r.Prices != nil, r.Units != nil, r.Free} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return r, errors.New("a rule has one of percent, prices, units and free")
	case (r.Tier != "") != (r.Percent != 0 || r.Prices != nil):
		return r, errors.New("a tier has percent or prices, and only a tier has them")
	case r.Percent < 0 || r.Percent > maxPercent:
		return r, fmt.Errorf("a share of %d percent", r.Percent)
	case r.Cached != "" && (r.Percent == 0 || r.Cached != "full" && r.Cached != "none"):
		return r, fmt.Errorf("cached %q is neither full nor none, or stands beside no share", r.Cached)
	case r.Match == nil && r.Percent == 0:
		return r, errors.New("only a share can hold for every model of a provider")
	}
	if r.Units != nil {
		if _, err := r.Units.list(); err != nil {
			return r, err
		}
	}
	if r.Prices != nil {
		if _, err := r.Prices.conditional(); err != nil {
			return r, err
		}
	}
	var err error
	r.from, err = readFrom(r.From)
	return r, err
}

// list reads the prices.
func (e *unitEntry) list() (unitList, error) {
	var l unitList
	var minute *Price
	var errs []error
	for _, f := range []struct {
		text string
		to   **Price
	}{{e.Image, &l.images}, {e.AudioHour, &l.audio}, {e.AudioMinute, &minute}, {e.Characters, &l.characters}, {e.Searches, &l.searches}} {
		if f.text == "" {
			continue
		}
		p, err := ParsePrice(f.text)
		errs = append(errs, err)
		*f.to = &p
	}
	if minute != nil {
		if l.audio != nil || *minute > priceMax/60*1_000_000_000_000 {
			errs = append(errs, errors.New("sound has one price, for an hour or a minute"))
		}
		l.audio = new(60 * *minute)
	}
	if l == (unitList{}) {
		errs = append(errs, errors.New("no unit has a price"))
	}
	return l, errors.Join(errs...)
}

// add puts the rules that fit a model, in lower case, on top of its rate.
func (r *Rate) add(rules []addition, model string) {
	for i := range rules {
		rule := &rules[i]
		switch {
		case rule.Match != nil && !rule.Match.match(model):
		case rule.Free:
			r.status = ledger.NoCharge
		case rule.Units != nil:
			l, _ := rule.Units.list() // read before
			l.from = rule.from
			r.units = append(r.units, l)
		case rule.Prices != nil:
			c, _ := rule.Prices.conditional() // read before
			r.tiers = append(r.tiers, tierList{rule.Tier, rule.from, []conditional{c}})
		case len(r.prices) > 0:
			r.tiers = append(r.tiers, tierList{rule.Tier, rule.from, share{rule.Percent, rule.Cached}.of(r.prices)})
		}
	}
	if len(r.units) > 0 && r.status == ledger.Unpriced {
		r.status = ledger.Priced
	}
}
