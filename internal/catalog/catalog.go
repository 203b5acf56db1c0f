// Package catalog is what is known about models and does not come from the
// operator: list prices, limits and abilities, and the calendar of retirements.
//
// It owns the catalogue that is built into the program, the signed file that
// replaces it ([Bundle]), the keys that are trusted for that, and where an
// update is kept. It never asks the network for anything: a file is brought by
// hand or by the operator's own means.
//
// Start reading at [Catalog], then bundle.go, which has the format. The data
// files models.jsonl and retirements.jsonl are made by the program in
// gencatalog; the prices are package meter's.
package catalog

//go:generate go run ./gencatalog -models ../../../shared/catalog/models.dev/models -models-as-of 2026-07-02 -calendar ../../../shared/catalog/calendar/deprecations-info/data.json -out .

import (
	"bytes"
	_ "embed" // for the data files
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"tailplane/internal/meter"
)

var (
	//go:embed models.jsonl
	modelFile []byte
	//go:embed retirements.jsonl
	retirementFile []byte
)

// embeddedMade is the version of the catalogue that is built in: the day on
// which its files were put together. An update must be newer.
const embeddedMade = "2026-11-28T00:00:00Z"

// The parts of a catalogue, in the order in which a bundle has them.
const (
	Prices      = "prices"      // package meter's list of prices
	Additions   = "additions"   // package meter's additions to it
	Models      = "models"      // limits and abilities
	Retirements = "retirements" // the calendar
)

var partNames = []string{Prices, Additions, Models, Retirements}

// Part says where a part comes from.
type Part struct {
	Name    string `json:"name"`
	Source  string `json:"source"`
	Licence string `json:"licence,omitempty"`
	AsOf    string `json:"as_of"`  // a day
	Entries int    `json:"lines"`  // beside the first
	Bytes   int    `json:"bytes"`  // of its text
	Sum     string `json:"sha256"` // of its text
}

// Catalog is a catalogue. Every line of one from elsewhere has been read; the
// lines of the one that is built in are read when they are first needed. It is
// immutable and safe for concurrent use.
type Catalog struct {
	// Made is its version: the moment at which it was put together.
	Made  time.Time
	Parts []Part
	// Embedded tells the one that is built in.
	Embedded bool

	texts       map[string][]byte
	models      func() map[string]Model      // by name, in lower case
	retirements func() map[string]Retirement // by "provider/name", in lower case
}

// Model is the limits and abilities of a model. A limit of zero is not known.
type Model struct {
	Model   string   `json:"model"` // "maker/name"
	Context int64    `json:"context"`
	Input   int64    `json:"input"`
	Output  int64    `json:"output"`
	Takes   []string `json:"takes"` // text, image, audio, video, pdf
	Makes   []string `json:"makes"`
	Can     []string `json:"can"`  // tools, schema, reasoning, temperature
	Open    bool     `json:"open"` // its weights are
}

// Retirement is the end of a model at a provider. Dates are days; Shutdown is
// empty where the provider names none.
type Retirement struct {
	Provider   string   `json:"provider"`
	Model      string   `json:"model"`
	Deprecated string   `json:"deprecated"`
	Shutdown   string   `json:"shutdown"`
	Instead    []string `json:"instead"` // what the provider recommends
	Source     string   `json:"source"`
}

// Embedded is the catalogue that is built into the program.
func Embedded() (*Catalog, error) {
	prices, additions := meter.Files()
	made, err := time.Parse(time.RFC3339, embeddedMade)
	if err != nil {
		return nil, err
	}
	c, err := describeAll(made, map[string][]byte{Prices: prices, Additions: additions, Models: modelFile, Retirements: retirementFile})
	if err != nil {
		return nil, err
	}
	c.Embedded = true
	// The files are part of the program, and a test reads all of them.
	c.models = sync.OnceValue(func() map[string]Model { return mustRead(readModels(modelFile)) })
	c.retirements = sync.OnceValue(func() map[string]Retirement { return mustRead(readRetirements(retirementFile)) })
	return c, nil
}

func mustRead[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// New reads the texts of all parts. The catalogue keeps them.
func New(made time.Time, texts map[string][]byte) (*Catalog, error) {
	c, err := describeAll(made, texts)
	if err != nil {
		return nil, err
	}
	if _, err := meter.Check(texts[Prices], texts[Additions]); err != nil {
		return nil, err
	}
	models, err := readModels(texts[Models])
	if err != nil {
		return nil, err
	}
	retirements, err := readRetirements(texts[Retirements])
	if err != nil {
		return nil, err
	}
	c.models = func() map[string]Model { return models }
	c.retirements = func() map[string]Retirement { return retirements }
	return c, nil
}

// describeAll is a catalogue of which only the first lines have been read.
func describeAll(made time.Time, texts map[string][]byte) (*Catalog, error) {
	c := &Catalog{Made: made.UTC(), texts: texts}
	for _, name := range partNames {
		part, err := describe(name, texts[name])
		if err != nil {
			return nil, fmt.Errorf("catalogue, %s: %w", name, err)
		}
		c.Parts = append(c.Parts, part)
	}
	return c, nil
}

func readModels(text []byte) (map[string]Model, error) {
	out := map[string]Model{}
	err := eachLine(text, func(m Model) error {
		if m.Model == "" || m.Context < 0 || m.Input < 0 || m.Output < 0 {
			return errors.New("a model needs a name and limits that are not negative")
		}
		out[strings.ToLower(m.Model)] = m
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("catalogue, %s: %w", Models, err)
	}
	return out, nil
}

func readRetirements(text []byte) (map[string]Retirement, error) {
	out := map[string]Retirement{}
	err := eachLine(text, func(r Retirement) error {
		if r.Provider == "" || r.Model == "" || r.Source == "" || !isDay(r.Deprecated) || !isDay(r.Shutdown) {
			return errors.New("a retirement needs a provider, a model, a source, and days as 2006-01-02")
		}
		out[r.Provider+"/"+strings.ToLower(r.Model)] = r
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("catalogue, %s: %w", Retirements, err)
	}
	return out, nil
}

// describe reads the first line of a part.
func describe(name string, text []byte) (Part, error) {
	first, rest, _ := bytes.Cut(text, []byte("\n"))
	var about struct {
		Source  string `json:"source"`
		Licence string `json:"licence"`
		AsOf    string `json:"as_of"`
	}
	if err := json.Unmarshal(first, &about); err != nil {
		return Part{}, fmt.Errorf("line 1: %w", err)
	}
	if about.Source == "" || about.AsOf == "" || !isDay(about.AsOf) {
		return Part{}, errors.New("line 1: it has no source, or no as_of day")
	}
	entries := bytes.Count(rest, []byte("\n"))
	return Part{name, about.Source, about.Licence, about.AsOf, entries, len(text), sum(text)}, nil
}

// eachLine decodes every line but the first.
func eachLine[T any](text []byte, each func(T) error) error {
	n := 0
	for line := range bytes.Lines(text) {
		if n++; n == 1 || len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var v T
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.DisallowUnknownFields()
		err := dec.Decode(&v)
		if err == nil {
			err = each(v)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return nil
}

// isDay accepts nothing, too.
func isDay(text string) bool {
	_, err := time.Parse(time.DateOnly, text)
	return text == "" || err == nil
}

// Version names the catalogue in a word.
func (c *Catalog) Version() string { return c.Made.Format(time.RFC3339) }

// Text is the text of a part, for package meter and for another bundle.
func (c *Catalog) Text(part string) []byte { return c.texts[part] }

// Book is the price book of the catalogue.
func (c *Catalog) Book() (*meter.Book, error) { return meter.New(c.texts[Prices], c.texts[Additions]) }

// Age is how old the oldest part is.
func (c *Catalog) Age(now time.Time) time.Duration {
	oldest := now
	for _, p := range c.Parts {
		if day, err := time.Parse(time.DateOnly, p.AsOf); err == nil && day.Before(oldest) {
			oldest = day
		}
	}
	return now.Sub(oldest)
}
