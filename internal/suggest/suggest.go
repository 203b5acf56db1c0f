// Package suggest finds the names that somebody probably meant.
//
// It owns the measure of likeness used in every "did you mean" of the program.
// It never decides whether a name is wrong. Start reading at [Nearest].
package suggest

import (
	"slices"
	"strings"
)

// Nearest returns up to three of names that are most like name, best first:
// those within a third of its length in edits (case ignored), and those that
// contain it or are contained in it.
func Nearest(name string, names []string) []string {
	type scored struct {
		name  string
		score int
	}
	low := strings.ToLower(name)
	most := max(1, len(low)/3)
	var near []scored
	for _, n := range names {
		other := strings.ToLower(n)
		score := most + 1
		if d := len(low) - len(other); -most <= d && d <= most {
			score = distance(low, other)
		}
		if len(low) >= 3 && (strings.Contains(other, low) || strings.Contains(low, other) && len(other) >= 3) {
			score = min(score, 1)
		}
		if score <= most {
			near = append(near, scored{n, score})
		}
	}
	slices.SortFunc(near, func(a, b scored) int {
		if a.score != b.score {
			return a.score - b.score
		}
		return strings.Compare(a.name, b.name)
	})
	var out []string
	for _, s := range near[:min(3, len(near))] {
		out = append(out, s.name)
	}
	return out
}

// longest bounds the work spent on a name that a caller made up.
const longest = 128

// distance is the Levenshtein distance in bytes with adjacent swaps counted as
// one edit (optimal string alignment).
func distance(a, b string) int {
	if len(a) > longest || len(b) > longest {
		return longest
	}
	var rows [3][longest + 1]int
	before, last, row := rows[0][:len(b)+1], rows[1][:len(b)+1], rows[2][:len(b)+1]
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// Phrase renders suggestions as the end of a sentence: `; did you mean "a" or
// "b"?`, or nothing when there are none.
func Phrase(near []string) string {
	if len(near) == 0 {
		return ""
	}
	quoted := make([]string, len(near))
	for i, n := range near {
		quoted[i] = `"` + n + `"`
	}
	last := quoted[len(quoted)-1]
	if len(quoted) > 1 {
		last = strings.Join(quoted[:len(quoted)-1], ", ") + " or " + last
	}
	return "; did you mean " + last + "?"
}
