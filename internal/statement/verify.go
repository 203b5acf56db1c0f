package statement

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	"tailplane/internal/catalog"
)

// Report is what Verify found about a file.
type Report struct {
	Site     string `json:"site,omitempty"`
	Customer string `json:"customer,omitempty"`
	Month    string `json:"month,omitempty"`
	Number   int64  `json:"number,omitempty"`
	Digest   string `json:"digest,omitempty"`
	Key      string `json:"key,omitempty"` // id of the key that signed
	// Partial is whether the month was still going on when it was made.
	Partial bool   `json:"partial,omitempty"`
	Cost    string `json:"cost,omitempty"` // in dollars
	// Problems are why the file does not hold, each a sentence. Notes are what a
	// reader should know of a file that does.
	Problems []string `json:"problems"`
	Notes    []string `json:"notes,omitempty"`

	// Signed is the statement; nil when the file is none.
	Signed *Signed `json:"-"`
}

// OK reports whether the file holds.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

func (r *Report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// Verify checks a statement's file: that a trusted key signed it, that its sums
// add up, that its month is over, and, where the statement before it is given,
// that number, digest, month and the ledger's chain go on from there. Whether the
// chain is the ledger's own is what `tailplane ledger verify` says at the site.
func Verify(file []byte, trusted []ed25519.PublicKey, previous *Signed) Report {
	r := Report{Problems: []string{}}
	s, err := Open(file)
	if err != nil {
		r.problem("%v", err)
		return r
	}
	r.Signed = s
	r.Site, r.Customer, r.Month, r.Number = s.Site, s.Customer, s.Month.String(), s.Number
	r.Digest, r.Key, r.Partial, r.Cost = s.Digest, catalog.KeyID(s.Key), s.Partial(), s.Totals.Cost.Dollars()
	r.signature(s, trusted)
	r.Problems = append(r.Problems, s.problems()...)
	r.notes(s)
	if previous != nil {
		r.follows(s, previous)
	}
	if more := len(r.Problems) - mostProblems; more > 0 {
		r.Problems = append(r.Problems[:mostProblems], fmt.Sprintf("and %d more", more))
	}
	return r
}

// mostProblems are told of a file.
const mostProblems = 20

func (r *Report) signature(s *Signed, trusted []ed25519.PublicKey) {
	if s.stated != s.Digest {
		r.problem("the file says that its digest is %.80q, and it is %s: the statement was changed", s.stated, s.Digest)
	}
	switch {
	case !s.signedBy(one(s.Key)):
		r.problem("the signature does not fit the statement: it was changed after it was signed")
	case len(trusted) == 0:
		r.problem("it is signed by the key %s, and no key is trusted; name the site's with --key", r.Key)
	case !s.signedBy(trusted):
		r.problem("it is signed by the key %s, which is not among those that are trusted", r.Key)
	}
}

func (r *Report) notes(s *Signed) {
	switch {
	case s.Partial():
		r.note("it is partial: it was made on %s, before its month was over", s.Made.Format("2006-01-02 15:04:05Z"))
	case s.Draft():
		r.note("it is a draft: it has no number, and may still change")
	}
	if s.Replaces > 0 {
		r.note("it replaces number %d", s.Replaces)
	}
	if n := s.Totals.Unpriced; n > 0 {
		r.note("the cost of %d calls is not known and not in it", n)
	}
	if n := s.Totals.Unknown; n > 0 {
		r.note("nobody knows how %d calls ended; they cost nothing here", n)
	}
	if s.Open > 0 {
		r.note("%d requests were running when it was made; those of its month are not in it", s.Open)
	}
	for _, c := range s.Clock {
		r.note("the clock of the site: %s", c)
	}
	if s.Ledger.Head == "" {
		r.note("the ledger behind it keeps no seals")
	}
}

// problems are what is wrong with a statement by itself.
func (s *Statement) problems() (out []string) {
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	switch {
	case s.Site == "":
		say("it names no site")
	case s.Month == Month{}:
		say("it names no month")
	}
	if s.Number < 0 || s.Replaces < 0 || s.Exchanges < 0 || s.Open < 0 || s.Ledger.Length < 0 {
		say("a count is below zero")
	}
	switch {
	case s.Number > 0 && s.Partial():
		say("it has the number %d, and was made before its month was over", s.Number)
	case s.Number > 1 && s.Previous == "":
		say("it has the number %d, and no digest of the one before", s.Number)
	case s.Number <= 1 && s.Previous != "":
		say("it has a digest of the one before, and no number that follows one")
	case s.Replaces >= max(s.Number, 1):
		say("it replaces number %d, which is not before its own", s.Replaces)
	}
	for i, l := range s.Lines {
		if !s.Month.Has(l.Day) {
			say("a line is of %.20q, which is not in %s", l.Day, s.Month)
		}
		if s.Customer != "" && l.Customer != "" {
			say("a line names the customer %.60q in the statement of %.60q", l.Customer, s.Customer)
		}
		if i > 0 && s.Lines[i-1].compare(l) >= 0 {
			say("the line of %s, %.60q stands twice or in the wrong place", l.Day, l.Model)
		}
	}
	if !slices.IsSorted(s.Prices) {
		say("the versions of prices are not in order")
	}
	return append(out, s.sums()...)
}

// sums checks the totals.
func (s *Statement) sums() (out []string) {
	t, err := total(s.Lines)
	if err != nil {
		return []string{"the lines do not add up: " + err.Error()}
	}
	names := [...]string{
		"requests", "input", "cache_read", "cache_write", "output", "reasoning",
		"images", "audio_millis", "characters", "search_units", "unpriced", "unknown",
	}
	said := s.Totals.counts()
	for i, n := range t.counts() {
		if *said[i] != *n {
			out = append(out, fmt.Sprintf("the total of %s is stated as %d, and the lines add up to %d", names[i], *said[i], *n))
		}
	}
	if s.Totals.Cost.Cmp(t.Cost) != 0 {
		out = append(out, fmt.Sprintf("the total cost is stated as $%s, and the lines add up to $%s", s.Totals.Cost.Dollars(), t.Cost.Dollars()))
	}
	return out
}

// errOther is about statements of different series.
var errOther = errors.New("of another site or customer")

func (s *Statement) sameSeries(o *Statement) bool {
	return s.Site == o.Site && s.Customer == o.Customer
}

// follows checks that s comes right after p.
func (r *Report) follows(s, p *Signed) {
	switch {
	case !s.sameSeries(&p.Statement):
		r.problem("the statement before it is %v: %s, %s", errOther, p.Site, p.whose())
		return
	case p.Draft():
		r.problem("the statement before it is a draft, which nothing follows")
		return
	case s.Draft():
		r.note("it is a draft, so it is not compared with number %d but for the ledger's chain", p.Number)
	case s.Number != p.Number+1:
		r.problem("it has the number %d, and the one before it %d: %s", s.Number, p.Number, missing(p.Number, s.Number))
	case s.Previous != p.Digest:
		r.problem("it follows %.80s, and the statement before it is %s: one of them was made anew", s.Previous, p.Digest)
	}
	if s.Replaces == 0 && p.Replaces == 0 && !s.Draft() && s.Month != p.Month.Next() {
		r.problem("it is of %s, and the one before it of %s: they are not two months in a row", s.Month, p.Month)
	}
	switch {
	case s.Made.Before(p.Made):
		r.problem("it was made before the statement before it")
	case s.Ledger.Length < p.Ledger.Length:
		r.problem("the ledger's chain had %d links, and %d when the statement before it was made: the ledger was cut or replaced", s.Ledger.Length, p.Ledger.Length)
	case s.Ledger.Length == p.Ledger.Length && s.Ledger.Head != p.Ledger.Head:
		r.problem("the ledger's chain is as long as when the statement before it was made, and ends otherwise: the ledger was replaced")
	}
}

func missing(from, to int64) string {
	switch {
	case to <= from:
		return "it is not the next one"
	case to == from+2:
		return fmt.Sprintf("number %d is missing", from+1)
	}
	return fmt.Sprintf("numbers %d to %d are missing", from+1, to-1)
}
