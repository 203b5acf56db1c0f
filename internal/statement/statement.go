// Package statement makes, checks and joins usage statements: what one customer,
// or all of them, used in one month at one site.
//
// It owns the statement's form ([Statement]), its canonical bytes (canonical.go)
// and its signature (sign.go), the site's key pair ([OpenKey]), the numbers of a
// site's statements ([Shelf]), the check of a file ([Verify]) and the sum of many
// ([Merge]). It never holds a prompt, an answer or a key's text, never computes a
// price, and never trusts a key because a file brings it along.
//
// A statement's file is JSON, in ASCII and indented, so that it can be read,
// mailed and opened in an editor: white space, the order of members and how
// characters are escaped do not matter. What is signed is the canonical form of
// its body as RFC 8785 has it, which every language has a library for.
//
// Start reading at [Statement]; [Maker] is who makes them.
package statement

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Format is the form that this program writes, and the only one that it reads.
const Format = "tailplane-statement/1"

// Statement is the body: what is signed.
type Statement struct {
	Format string `json:"format"`
	Site   string `json:"site"`
	// Customer is whose usage it is. Without one it is everybody's, and each
	// line names its customer.
	Customer string `json:"customer,omitempty"`
	Month    Month  `json:"month"` // in UTC, by the start of a request

	// Number counts the statements of a site for a customer: 1, 2, and so on.
	// A draft has none, and no other statement follows it.
	Number   int64  `json:"number,omitempty"`
	Previous string `json:"previous,omitempty"` // digest of the one before; empty for the first
	// Replaces is the number of an earlier statement of the same month that no
	// longer holds, as after a new rating.
	Replaces int64 `json:"replaces,omitempty"`

	Lines  []Line `json:"lines"`  // ordered by day, customer, model, provider; each once
	Totals Sums   `json:"totals"` // of the lines
	// Exchanges is how many requests clients made. A line counts the calls of a
	// provider, so that a request with a retry is in the lines twice.
	Exchanges int64 `json:"exchanges"`

	Prices []string `json:"prices"`          // versions of the prices that were used, sorted
	Ledger Chain    `json:"ledger"`          // when it was made
	Open   int64    `json:"open,omitempty"`  // requests that were running when it was made
	Clock  []string `json:"clock,omitempty"` // where the clock of the ledger went backwards

	Made    time.Time `json:"made"`    // to the second, in UTC
	Program string    `json:"program"` // its version
}

// Line is what went to one model of one provider on one day.
type Line struct {
	Day      string `json:"day"` // 2006-01-02, in UTC
	Customer string `json:"customer,omitempty"`
	Model    string `json:"model"`
	Provider string `json:"provider,omitempty"` // its kind; empty for requests that reached none
	Sums
}

// Sums is what was used. Classes of tokens nest as in package llm: Input holds
// CacheRead and CacheWrite, Output holds Reasoning.
type Sums struct {
	Requests   int64 `json:"requests"`
	Input      int64 `json:"input,omitempty"`
	CacheRead  int64 `json:"cache_read,omitempty"`
	CacheWrite int64 `json:"cache_write,omitempty"`
	Output     int64 `json:"output,omitempty"`
	Reasoning  int64 `json:"reasoning,omitempty"`

	Images      int64 `json:"images,omitempty"`
	AudioMillis int64 `json:"audio_millis,omitempty"`
	Characters  int64 `json:"characters,omitempty"`
	SearchUnits int64 `json:"search_units,omitempty"`

	Unpriced int64 `json:"unpriced,omitempty"` // of the requests: their cost is not known
	Unknown  int64 `json:"unknown,omitempty"`  // of the requests: nobody knows their end
	Cost     Nano  `json:"cost_nano"`          // of the priced ones, in nano-dollars
}

// Chain is where the ledger's chain of seals stood.
type Chain struct {
	Head   string `json:"head"`   // the last link, in hex; empty where the ledger keeps no seals
	Length int64  `json:"length"` // how many links there are
}

func (s *Sums) counts() [12]*int64 {
	return [...]*int64{
		&s.Requests, &s.Input, &s.CacheRead, &s.CacheWrite, &s.Output, &s.Reasoning,
		&s.Images, &s.AudioMillis, &s.Characters, &s.SearchUnits, &s.Unpriced, &s.Unknown,
	}
}

// errHuge is about a count that JSON cannot carry exactly.
var errHuge = errors.New("a count is below zero or beyond 2^53")

// Add adds exactly. The error is a count that leaves the range of a statement.
func (s *Sums) Add(o Sums) error {
	mine, theirs := s.counts(), o.counts()
	for i, n := range mine {
		if *n < 0 || *n > mostWhole || *theirs[i] < 0 || *theirs[i] > mostWhole-*n {
			return errHuge
		}
		*n += *theirs[i]
	}
	s.Cost = s.Cost.Plus(o.Cost)
	return nil
}

// Input is what a statement is made of. The lines come in any order, and with
// repetitions.
type Input struct {
	Site, Customer string
	Month          Month
	Number         int64 // 0 makes a draft
	Previous       string
	Replaces       int64
	Lines          []Line
	Exchanges      int64
	Prices         []string
	Ledger         Chain
	Open           int64
	Clock          []string
	Made           time.Time
	Program        string
}

// Make puts a statement together. The error names the member that is wrong.
func Make(in Input) (Statement, error) {
	s := Statement{
		Format: Format, Site: in.Site, Customer: in.Customer, Month: in.Month,
		Number: in.Number, Previous: in.Previous, Replaces: in.Replaces,
		Exchanges: in.Exchanges, Ledger: in.Ledger, Open: in.Open, Clock: slices.Clone(in.Clock),
		Prices: sortedSet(in.Prices), Made: in.Made.UTC().Truncate(time.Second), Program: in.Program,
	}
	var err error
	if s.Lines, err = joined(in.Lines); err != nil {
		return Statement{}, fmt.Errorf("statement: %w", err)
	}
	if s.Totals, err = total(s.Lines); err != nil {
		return Statement{}, fmt.Errorf("statement: the totals: %w", err)
	}
	if problems := s.problems(); len(problems) > 0 {
		return Statement{}, fmt.Errorf("statement: %s", problems[0])
	}
	return s, nil
}

// joined orders lines and adds up those of the same place.
func joined(lines []Line) ([]Line, error) {
	out := make([]Line, 0, len(lines))
	for _, l := range slices.SortedStableFunc(slices.Values(lines), Line.compare) {
		if n := len(out); n > 0 && out[n-1].compare(l) == 0 {
			if err := out[n-1].Add(l.Sums); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", l.Day, l.Model, err)
			}
			continue
		}
		out = append(out, l)
	}
	return out, nil
}

func (l Line) compare(o Line) int {
	return cmp.Or(cmp.Compare(l.Day, o.Day), cmp.Compare(l.Customer, o.Customer), cmp.Compare(l.Model, o.Model), cmp.Compare(l.Provider, o.Provider))
}

func total(lines []Line) (Sums, error) {
	var t Sums
	for _, l := range lines {
		if err := t.Add(l.Sums); err != nil {
			return t, err
		}
	}
	return t, nil
}

func sortedSet(list []string) []string {
	out := append([]string{}, list...)
	slices.Sort(out)
	return slices.Compact(out)
}

// Draft reports whether the statement is a look at a month that goes on, or one
// that no number was given to.
func (s *Statement) Draft() bool { return s.Number == 0 }

// Partial reports whether the statement was made before its month was over.
func (s *Statement) Partial() bool { return s.Made.Before(s.Month.End()) }

// whose names the statement's customer for a sentence.
func (s *Statement) whose() string {
	if s.Customer == "" {
		return "all customers"
	}
	return "customer " + s.Customer
}
