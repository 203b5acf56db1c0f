// Package importer turns the configs of other gateways into ours.
//
// It owns what their fields mean here, and the report that says of each field
// whether it was mapped, approximated or refused. It reads no file and writes
// none: texts come in by a function, text and report go out. It never repeats a
// secret, and never guesses: what has no counterpart is refused by its name.
//
// Start reading at [LiteLLM], then deployment.go and models.go.
package importer

import (
	"cmp"
	"fmt"
	"slices"
)

// Verdict says what became of a field.
type Verdict string

// The verdicts.
const (
	Mapped       Verdict = "mapped"       // it means the same here
	Approximated Verdict = "approximated" // it means something near; Says tells the difference
	Refused      Verdict = "refused"      // it has no counterpart, or cannot be taken over; Says tells what to do
)

// Item is one line of a report.
type Item struct {
	File    string  `json:"file"`
	Line    int     `json:"line"`
	Field   string  `json:"field"`
	Verdict Verdict `json:"verdict"`
	Says    string  `json:"says"`
}

// String is the item as file:line: verdict field: what it says.
func (i Item) String() string {
	return fmt.Sprintf("%s:%d: %-12s %s: %s", i.File, i.Line, i.Verdict, i.Field, i.Says)
}

// Report is what became of every field, in the order of the files.
type Report struct {
	Items []Item

	files []string // in the order in which they were read
	told  map[string]bool
}

// Count is the number of fields with a verdict.
func (r *Report) Count(v Verdict) int {
	n := 0
	for _, i := range r.Items {
		if i.Verdict == v {
			n++
		}
	}
	return n
}

// Summary is the report in a sentence.
func (r *Report) Summary() string {
	return fmt.Sprintf("%d mapped, %d approximated, %d refused", r.Count(Mapped), r.Count(Approximated), r.Count(Refused))
}

// say notes what became of a field; its first verdict stands.
func (r *Report) say(n node, v Verdict, format string, args ...any) {
	if n.y == nil || r.told[n.id()] {
		return
	}
	r.told[n.id()] = true
	r.Items = append(r.Items, Item{n.file, n.y.Line, n.path, v, fmt.Sprintf(format, args...)})
}

func (r *Report) mapped(n node, format string, args ...any) { r.say(n, Mapped, format, args...) }
func (r *Report) approximated(n node, format string, args ...any) {
	r.say(n, Approximated, format, args...)
}
func (r *Report) refused(n node, format string, args ...any) { r.say(n, Refused, format, args...) }

func (r *Report) sort() {
	slices.SortStableFunc(r.Items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(slices.Index(r.files, a.File), slices.Index(r.files, b.File)), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Field, b.Field))
	})
}
