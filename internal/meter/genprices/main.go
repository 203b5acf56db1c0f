// Command genprices makes the data file of package meter from the catalogue of
// model prices that Pydantic Services publishes as genai-prices under the MIT
// licence. It takes facts only: names, match rules, prices, dates. It converts
// no number: prices stay decimal text.
//
//	go run ./internal/meter/genprices -in data.json -as-of 2026-08-21 -out internal/meter/prices.jsonl
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"tailplane/internal/meter"
)

func main() {
	in := flag.String("in", "", "the catalogue's data.json")
	out := flag.String("out", "", "the file to write")
	asOf := flag.String("as-of", "", "the day of the catalogue, as 2006-01-02")
	flag.Parse()
	if err := run(*in, *out, *asOf); err != nil {
		fmt.Fprintln(os.Stderr, "genprices:", err)
		os.Exit(1)
	}
}

func run(in, out, asOf string) error {
	if in == "" || out == "" {
		return errors.New("-in and -out are needed")
	}
	if _, err := time.Parse(time.DateOnly, asOf); err != nil {
		return fmt.Errorf("-as-of is needed, the day of the catalogue: %w", err)
	}
	data, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	text, err := generate(data, asOf)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	return os.WriteFile(out, text, 0o644)
}

// The catalogue, as far as it is used.
type (
	sourceProvider struct {
		ID        string        `json:"id"`
		Fallbacks []string      `json:"fallback_model_providers"`
		Models    []sourceModel `json:"models"`
	}
	sourceModel struct {
		ID     string          `json:"id"`
		Match  json.RawMessage `json:"match"`
		Prices json.RawMessage `json:"prices"`
	}
	sourcePrice struct {
		Constraint *struct {
			StartDate string `json:"start_date"`
			StartTime string `json:"start_time"`
			EndTime   string `json:"end_time"`
		} `json:"constraint"`
		Prices map[string]json.RawMessage `json:"prices"`
	}
	sourceTiers struct {
		Base  json.Number `json:"base"`
		Tiers []struct {
			Start json.Number `json:"start"`
			Price json.Number `json:"price"`
		} `json:"tiers"`
	}
)

// The lines of the data file, in package meter's form.
type (
	aboutLine struct {
		Source  string `json:"source"`
		Licence string `json:"licence"`
		AsOf    string `json:"as_of"`
		Version string `json:"version"`
	}
	providerLine struct {
		Provider  string   `json:"provider"`
		Fallbacks []string `json:"fallbacks,omitempty"`
	}
	modelLine struct {
		Model  string          `json:"model"`
		Match  json.RawMessage `json:"match"`
		Free   bool            `json:"free,omitempty"`
		Prices []priceLine     `json:"prices,omitempty"`
	}
	priceLine struct {
		From        string `json:"from,omitempty"`
		Begin       string `json:"begin,omitempty"`
		End         string `json:"end,omitempty"`
		Input       any    `json:"input,omitempty"`
		CacheRead   any    `json:"cache_read,omitempty"`
		CacheWrite  any    `json:"cache_write,omitempty"`
		Output      any    `json:"output,omitempty"`
		InputAudio  any    `json:"input_audio,omitempty"`
		CacheAudio  any    `json:"cache_audio_read,omitempty"`
		OutputAudio any    `json:"output_audio,omitempty"`
		Requests    any    `json:"requests_kcount,omitempty"`
	}
)

// generate turns the catalogue into the data file.
func generate(data []byte, asOf string) ([]byte, error) {
	var list []sourceProvider
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	lines := []any{aboutLine{
		Source:  "genai-prices by Pydantic Services Inc., https://github.com/pydantic/genai-prices",
		Licence: "MIT License, Copyright (c) Pydantic Services Inc. 2025 to present",
		AsOf:    asOf,
		Version: fmt.Sprintf("genai-prices/%s/%.8x", asOf, sha256.Sum256(data)),
	}}
	for _, p := range list {
		lines = append(lines, providerLine{Provider: p.ID, Fallbacks: p.Fallbacks})
		for _, m := range p.Models {
			l, err := convert(p.ID, m)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", p.ID, m.ID, err)
			}
			lines = append(lines, l)
		}
	}
	for _, l := range lines {
		if err := enc.Encode(l); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

func convert(provider string, m sourceModel) (modelLine, error) {
	l := modelLine{Model: m.ID, Match: m.Match}
	var prices []sourcePrice
	if m.Prices[0] == '[' {
		if err := json.Unmarshal(m.Prices, &prices); err != nil {
			return l, err
		}
	} else {
		prices = make([]sourcePrice, 1)
		if err := json.Unmarshal(m.Prices, &prices[0].Prices); err != nil {
			return l, err
		}
		if len(prices[0].Prices) == 0 {
			// The catalogue leaves out zeros. OpenRouter states them in the name.
			l.Free = provider == "openrouter" && strings.HasSuffix(m.ID, ":free")
			return l, nil
		}
	}
	for _, p := range prices {
		c, err := convertPrices(p)
		if err != nil {
			return l, err
		}
		l.Prices = append(l.Prices, c)
	}
	return l, nil
}

func convertPrices(p sourcePrice) (priceLine, error) {
	var l priceLine
	if c := p.Constraint; c != nil {
		l.From = c.StartDate
		var err1, err2 error
		l.Begin, err1 = utcTime(c.StartTime)
		l.End, err2 = utcTime(c.EndTime)
		if err := errors.Join(err1, err2); err != nil {
			return l, err
		}
	}
	for name, raw := range p.Prices {
		price, err := convertPrice(raw)
		if err != nil {
			return l, fmt.Errorf("%s: %w", name, err)
		}
		switch name {
		case "input_mtok":
			l.Input = price
		case "cache_read_mtok":
			l.CacheRead = price
		case "cache_write_mtok":
			l.CacheWrite = price
		case "output_mtok":
			l.Output = price
		case "input_audio_mtok":
			l.InputAudio = price
		case "cache_audio_read_mtok":
			l.CacheAudio = price
		case "output_audio_mtok":
			l.OutputAudio = price
		case "requests_kcount":
			l.Requests = price
		default:
			return l, fmt.Errorf("%s is a kind of price that this program does not know: teach it and package meter", name)
		}
	}
	return l, nil
}

// utcTime cuts the zone off a time of day; any zone but UTC is an error.
func utcTime(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	t, ok := strings.CutSuffix(s, "Z")
	if !ok {
		return "", fmt.Errorf("time %q is not in UTC", s)
	}
	return t, nil
}

// convertPrice keeps a number's decimal text, in its shortest form.
func convertPrice(raw json.RawMessage) (any, error) {
	if raw[0] != '{' {
		return decimal(string(raw))
	}
	var t sourceTiers
	if err := json.Unmarshal(raw, &t); err != nil {
		return nil, err
	}
	base, err := decimal(t.Base.String())
	if err != nil {
		return nil, err
	}
	out := []any{base}
	for _, tier := range t.Tiers {
		price, err := decimal(tier.Price.String())
		if err != nil {
			return nil, err
		}
		out = append(out, []any{tier.Start, price})
	}
	return out, nil
}

// decimal is the number in its shortest form. The catalogue holds a few quotients
// that were written by a floating-point program (0.08333333333333334): digits
// behind the twelfth, a pico-dollar, are rounded, half up.
func decimal(s string) (string, error) {
	if i := strings.IndexByte(s, '.'); i >= 0 && !strings.ContainsAny(s, "eE") && len(s)-i-1 > 12 {
		cut, up := s[:i+13], s[i+13] >= '5'
		p, err := meter.ParsePrice(cut)
		if up {
			p++
		}
		return p.String(), err
	}
	p, err := meter.ParsePrice(s)
	return p.String(), err
}
