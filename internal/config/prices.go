package config

import (
	"reflect"

	"tailplane/internal/meter"
)

// ParsePrices decodes and validates a file of prices, YAML or JSON, as
// [meter.Book.With] takes them: "target/model": {input: "2.50", output: "10"}. The
// prices are only to be used when there is no problem.
func ParsePrices(name string, text []byte) (map[string]meter.Override, []Problem) {
	prices := map[string]meter.Override{}
	d := newDecoder(name, text)
	if d.root != nil {
		d.value(d.root, reflect.ValueOf(&prices).Elem(), "")
	}
	if len(prices) == 0 && len(d.problems) == 0 {
		d.add(Problem{File: name, Line: 1, Col: 1, Wrong: "the file has no prices", Right: `write "target/model": {input: "2.50", output: "10"}, in dollars per million tokens`})
	}
	for key, price := range prices {
		price.Validate(key, d.report)
	}
	return prices, d.sorted()
}
