package reconcile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// page is one answer of a provider's usage or cost API.
type page struct {
	Data []struct {
		Start   json.Number       `json:"start_time"`  // OpenAI: Unix seconds
		Started string            `json:"starting_at"` // Anthropic: RFC 3339
		Results []json.RawMessage `json:"results"`
	} `json:"data"`
	More bool `json:"has_more"`
}

// readPages reads pages one after the other, or in a list.
func readPages(provider string, in io.Reader, c *collector) error {
	dec := json.NewDecoder(in)
	more, n := false, 0
	for {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("the export breaks off or is no JSON, at byte %d: %w", dec.InputOffset(), err)
		}
		pages := []json.RawMessage{raw}
		if bytes.HasPrefix(raw, []byte("[")) {
			if err := json.Unmarshal(raw, &pages); err != nil {
				return fmt.Errorf("the export is no list of pages: %w", err)
			}
		}
		for _, text := range pages {
			n++
			if more, err = readPage(provider, text, c); err != nil {
				return fmt.Errorf("page %d: %w", n, err)
			}
		}
	}
	if more {
		return fmt.Errorf("page %d says that there is another one (has_more): fetch the rest with its next_page, and put the pages one after the other", n)
	}
	return nil
}

func readPage(provider string, text []byte, c *collector) (more bool, err error) {
	var p page
	if err := json.Unmarshal(text, &p); err != nil {
		return false, fmt.Errorf("it is no page of a usage or cost API: %w", err)
	}
	if p.Data == nil {
		return false, errors.New("it has no data: export a page of a usage or cost API as it came")
	}
	for _, bucket := range p.Data {
		day, err := dayOf(string(bucket.Start))
		if bucket.Start == "" {
			day, err = dayOf(bucket.Started)
		}
		if err != nil {
			return false, err
		}
		for _, raw := range bucket.Results {
			if err := readResult(provider, day, raw, c); err != nil {
				return false, fmt.Errorf("%s: %w", day, err)
			}
		}
	}
	return p.More, nil
}

func readResult(provider, day string, raw []byte, c *collector) error {
	var a anthropicResult
	if provider != OpenAI && json.Unmarshal(raw, &a) == nil && a.known() {
		c.whose = Anthropic
		return a.add(day, c)
	}
	var o openAIResult
	if provider != Anthropic && json.Unmarshal(raw, &o) == nil && o.known() {
		c.whose = OpenAI
		return o.add(day, c)
	}
	return fmt.Errorf("a result is of no API that is known: %.80s", raw)
}

// stated is a number that an API may leave out.
type stated struct {
	unit Unit
	n    *json.Number
}

// addNumbers adds a line for each number that is there.
func addNumbers(base Line, list []stated, c *collector) error {
	for _, s := range list {
		d, err := decimalOf(s.n)
		if err != nil {
			return err
		}
		if !d.Stated() {
			continue
		}
		l := base
		l.Unit, l.Quantity = s.unit, d
		if err := c.add(l); err != nil {
			return err
		}
	}
	return nil
}

func decimalOf(n *json.Number) (Decimal, error) {
	if n == nil {
		return Decimal{}, nil
	}
	return ParseDecimal(string(*n))
}
