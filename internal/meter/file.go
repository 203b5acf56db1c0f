package meter

import (
	"bytes"
	_ "embed" // for the data file
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
)

// The data file is lines of JSON: first about, then for each provider a line
// with its id, followed by a line for each of its models.

//go:embed prices.jsonl
var priceFile []byte

// about is the first line: where the prices come from.
type about struct {
	Source  string `json:"source"`
	Licence string `json:"licence"`
	AsOf    string `json:"as_of"`
	Version string `json:"version"`
}

// line is one of the other lines: of a provider, or of a model.
type line struct {
	Provider  string   `json:"provider"`
	Fallbacks []string `json:"fallbacks"`

	Model string   `json:"model"`
	Match *matcher `json:"match"`
	// Free marks a model that its provider states to cost nothing.
	Free   bool         `json:"free"`
	Prices []priceEntry `json:"prices"`
}

// priceEntry is the prices of a model under a condition. The last entry of a
// model whose condition holds is the one that counts; if none holds, the first.
type priceEntry struct {
	From  string `json:"from"`  // a date (UTC) or an RFC 3339 time: the entry holds from it on
	Begin string `json:"begin"` // with End: a time of day, UTC; the entry holds in between
	End   string `json:"end"`

	Input       *tieredPrice `json:"input"`
	CacheRead   *tieredPrice `json:"cache_read"`
	CacheWrite  *tieredPrice `json:"cache_write"`
	Output      *tieredPrice `json:"output"`
	InputAudio  *tieredPrice `json:"input_audio"`
	CacheAudio  *tieredPrice `json:"cache_audio_read"`
	OutputAudio *tieredPrice `json:"output_audio"`
	Requests    *tieredPrice `json:"requests_kcount"`
}

// tieredPrice is "0.25", or ["0.25", [200000, "0.5"], ...]: above a number of
// input tokens all tokens cost the tier's price.
type tieredPrice struct {
	base  Price
	tiers []tier
}

type tier struct {
	above int64
	price Price
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *tieredPrice) UnmarshalJSON(text []byte) error {
	var parts []json.RawMessage
	if text[0] != '[' {
		parts = []json.RawMessage{text}
	} else if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	for i, part := range parts {
		if i == 0 {
			if err := unmarshalPrice(part, &p.base); err != nil {
				return err
			}
			continue
		}
		var t tier
		var price json.RawMessage
		if err := json.Unmarshal(part, &[]any{&t.above, &price}); err != nil {
			return err
		}
		if err := unmarshalPrice(price, &t.price); err != nil {
			return err
		}
		if n := len(p.tiers); n > 0 && p.tiers[n-1].above >= t.above {
			return fmt.Errorf("price tiers are not in order: %s", text)
		}
		p.tiers = append(p.tiers, t)
	}
	if len(parts) == 0 {
		return errors.New("a price is empty")
	}
	return nil
}

func unmarshalPrice(text []byte, p *Price) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	var err error
	*p, err = ParsePrice(s)
	return err
}

// at is the price for a request that reads this many input tokens.
func (p *tieredPrice) at(input int64) Price {
	price := p.base
	for _, t := range p.tiers {
		if input > t.above {
			price = t.price
		}
	}
	return price
}

// provider is what the file says about one of them. Its models are read when
// one of them is first asked for: most programs use few providers.
type provider struct {
	id        string
	fallbacks []string
	lines     [][]byte
}

// readFile splits the file by provider.
func readFile(data []byte) (about, []*provider, error) {
	first, rest, _ := bytes.Cut(data, []byte("\n"))
	var a about
	if err := json.Unmarshal(first, &a); err != nil {
		return a, nil, fmt.Errorf("price file, line 1: %w", err)
	}
	if a.Version == "" || a.AsOf == "" {
		return a, nil, errors.New("price file, line 1: it has no version or no as_of date")
	}
	var out []*provider
	n := 1
	for text := range bytes.Lines(rest) {
		n++
		if bytes.HasPrefix(text, []byte(`{"provider":`)) {
			var l line
			if err := json.Unmarshal(text, &l); err != nil {
				return a, nil, fmt.Errorf("price file, line %d: %w", n, err)
			}
			out = append(out, &provider{id: l.Provider, fallbacks: l.Fallbacks})
			continue
		}
		if len(out) == 0 {
			return a, nil, fmt.Errorf("price file, line %d: a model stands before any provider", n)
		}
		p := out[len(out)-1]
		p.lines = append(p.lines, text)
	}
	return a, out, nil
}

// entry is a model of the file, ready to price.
type entry struct {
	id     string
	match  matcher
	free   bool
	prices []conditional
}

// conditional is a price list with the condition under which it holds.
type conditional struct {
	list       priceList
	from       int64 // Unix microseconds; always is the beginning of time
	daily      bool
	begin, end int64 // seconds of the day
}

// models reads the models of a provider.
func (p *provider) models() ([]entry, error) {
	out := make([]entry, 0, len(p.lines))
	for _, text := range p.lines {
		e, err := readModel(text)
		if err != nil {
			return nil, fmt.Errorf("prices of %s: %w: %s", p.id, err, bytes.TrimSpace(text))
		}
		out = append(out, e)
	}
	return out, nil
}

func readModel(text []byte) (entry, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	var l line
	if err := dec.Decode(&l); err != nil {
		return entry{}, err
	}
	if l.Model == "" || l.Match == nil {
		return entry{}, errors.New("a model needs a name and a match rule")
	}
	e := entry{id: l.Model, match: *l.Match, free: l.Free}
	for _, p := range l.Prices {
		c, err := p.conditional()
		if err != nil {
			return entry{}, err
		}
		e.prices = append(e.prices, c)
	}
	return e, nil
}

func (p priceEntry) conditional() (conditional, error) {
	c := conditional{list: priceList{
		input: p.Input, cacheRead: p.CacheRead, cacheWrite: p.CacheWrite, output: p.Output,
		inputAudio: p.InputAudio, cacheAudio: p.CacheAudio, outputAudio: p.OutputAudio, requests: p.Requests,
	}}
	var err error
	if c.from, err = readFrom(p.From); err != nil {
		return c, err
	}
	if p.Begin == "" && p.End == "" {
		return c, nil
	}
	begin, err1 := time.Parse(time.TimeOnly, p.Begin)
	end, err2 := time.Parse(time.TimeOnly, p.End)
	c.daily = true
	c.begin, c.end = secondOfDay(begin), secondOfDay(end)
	return c, errors.Join(err1, err2)
}

// always is the moment from which an entry without a date holds.
const always = math.MinInt64

// readFrom reads the moment from which something holds, in Unix microseconds.
func readFrom(text string) (int64, error) {
	if text == "" {
		return always, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t, err = time.Parse(time.RFC3339Nano, text)
	}
	return t.UnixMicro(), err
}

func secondOfDay(t time.Time) int64 {
	h, m, s := t.Clock()
	return int64(h*3600 + m*60 + s)
}

// holds says whether the condition is met at a moment, in Unix microseconds. An
// interval of the day may run over midnight.
func (c *conditional) holds(micros int64) bool {
	if micros < c.from {
		return false
	}
	if !c.daily {
		return true
	}
	const day = 86400 * 1_000_000
	s := (micros%day + day) % day / 1_000_000
	if c.begin <= c.end {
		return c.begin <= s && s < c.end
	}
	return s >= c.begin || s < c.end
}
