// Package reconcile puts what a provider invoices beside what the ledger counted.
//
// It owns the readers of providers' exports ([Read]), the names by which their
// models are found again ([Normalise]) and the comparison, which gives each
// difference a class ([Compare]). It never asks a provider and never changes the
// ledger: what was counted comes in [Row]s. Money and quantities are exact decimals; nothing is ever a float.
//
// Start reading at [Read] and [Compare]; each provider's reader is a file.
package reconcile

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Unit is what a line counts.
type Unit string

// The units. Those of input exclude each other: a provider that states input
// with the cached part in it is read as the difference, or as InputAll where it
// does not tell the cached part.
const (
	Input       Unit = "input"       // tokens that were neither read from nor written to a cache
	InputAll    Unit = "input_all"   // tokens, the cached ones among them
	CacheRead   Unit = "cache_read"  // tokens
	CacheWrite  Unit = "cache_write" // tokens
	Output      Unit = "output"      // tokens
	Request     Unit = "request"
	Image       Unit = "image"
	AudioSecond Unit = "audio_second"
	Character   Unit = "character"
	Search      Unit = "search"
	CostOnly    Unit = "cost" // money for something that is not told apart
)

// Line is what an export states for a day, a model and a unit; lines of the same
// place are added up.
type Line struct {
	Day   string `json:"day"`             // 2006-01-02, as the provider cuts days
	Model string `json:"model,omitempty"` // see Normalise; empty where the export does not tell it
	Unit  Unit   `json:"unit"`
	// Quantity is in the unit, Cost in dollars. One that the export does not
	// state is not zero: see Decimal.Stated.
	Quantity Decimal `json:"quantity,omitzero"`
	Cost     Decimal `json:"cost,omitzero"`
	Raw      string  `json:"raw"`   // how the export calls it; the first one
	Rows     int64   `json:"lines"` // of the export that are in it
}

// The providers whose exports are read.
const (
	OpenAI    = "openai"
	Anthropic = "anthropic"
	AWS       = "aws"
	Azure     = "azure"
)

// Providers are all of them.
func Providers() []string { return []string{OpenAI, Anthropic, AWS, Azure} }

const (
	mostBytes = 8 << 30   // of an export, unpacked
	mostLines = 1_000_000 // after adding up
)

// Read reads an export: CSV, the pages of an API in JSON, or either packed with
// gzip. An empty provider is found by the content. The lines come ordered. The
// error names the place; an export that breaks off is an error, too.
func Read(provider string, r io.Reader) ([]Line, error) {
	lines, _, err := ReadAs(provider, r)
	return lines, err
}

// ReadAs is Read, and says whose the export is; empty for pages without a result.
func ReadAs(provider string, r io.Reader) (lines []Line, whose string, err error) {
	if provider != "" && !slices.Contains(Providers(), provider) {
		return nil, "", fmt.Errorf("the exports of %q are not known; use %s", provider, strings.Join(Providers(), ", "))
	}
	in, err := unpack(r)
	if err != nil {
		return nil, "", err
	}
	c := &collector{lines: map[place]*Line{}, whose: provider}
	if isJSON(in) {
		err = readPages(provider, in, c)
	} else {
		err = readTable(provider, in, c)
	}
	if err != nil {
		return nil, "", err
	}
	return c.sorted(), c.whose, nil
}

// unpack undoes gzip and takes a byte order mark off.
func unpack(r io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReaderSize(&bounded{r, mostBytes}, 64<<10)
	if head, _ := in.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		packed, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("the export cannot be unpacked: %w", err)
		}
		in = bufio.NewReaderSize(&bounded{packed, mostBytes}, 64<<10)
	}
	if head, _ := in.Peek(3); string(head) == "\xef\xbb\xbf" {
		_, _ = in.Discard(3) // they are buffered
	}
	return in, nil
}

// bounded fails, other than io.LimitReader, where there is more.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("the export is larger than 8 GiB: export a shorter time")
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func isJSON(in *bufio.Reader) bool {
	head, _ := in.Peek(512)
	head = bytes.TrimLeft(head, " \t\r\n")
	return len(head) > 0 && (head[0] == '{' || head[0] == '[')
}

type place struct {
	day, model string
	unit       Unit
}

// collector adds up lines.
type collector struct {
	lines map[place]*Line
	whose string // the provider, once it is known
}

func (c *collector) add(l Line) error {
	if l.Quantity.Stated() && l.Quantity.IsZero() && (!l.Cost.Stated() || l.Cost.IsZero()) {
		return nil // nothing, counted
	}
	at := place{l.Day, l.Model, l.Unit}
	have := c.lines[at]
	if have == nil {
		if len(c.lines) >= mostLines {
			return errors.New("the export has more days, models and units than can be compared: export a shorter time")
		}
		l.Rows = 1
		c.lines[at] = &l
		return nil
	}
	have.Quantity, have.Cost = have.Quantity.Plus(l.Quantity), have.Cost.Plus(l.Cost)
	have.Rows++
	return nil
}

func (c *collector) sorted() []Line {
	out := make([]Line, 0, len(c.lines))
	for _, l := range c.lines {
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b Line) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Model, b.Model), cmp.Compare(a.Unit, b.Unit))
	})
	return out
}
