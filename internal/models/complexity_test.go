package models

import (
	"slices"
	"strings"
	"testing"

	"tailplane/internal/complexity"
)

func pairOf(weak, strong string) Model {
	share := 0.3
	return Model{Complexity: &complexity.Config{File: "m.tpc", Weak: weak, Strong: strong, StrongShare: &share}}
}

// TestThePairOfAModel: the weak candidates come first and are marked, whatever
// stands behind the names, and the fallbacks come last.
func TestThePairOfAModel(t *testing.T) {
	m := pairOf("small", "b/large")
	m.Fallback = []Fallback{{To: "c/last"}}
	c := Config{Models: map[string]Model{"m": m, "small": {Pool: []string{"a", "b"}, ServedAs: "s", Fallback: []Fallback{{To: "c/s"}}}}}
	targets := []Target{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	plan, err := New(c, targets).Resolve("m")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range plan.Candidates {
		mark := ""
		if x.Weak {
			mark = "*"
		}
		got = append(got, x.Target+"/"+x.Model+mark+string(rune('0'+x.Group)))
	}
	if want := []string{"a/s*0", "b/s*0", "c/s*1", "b/large2", "c/last3"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if !plan.Learns {
		t.Error("what it decides could not be judged")
	}
}

// TestPairsAreValidated with the path of what is wrong.
func TestPairsAreValidated(t *testing.T) {
	routed := pairOf("a/s", "a/l")
	routed.Route = []Step{{To: "a/x"}}
	for name, c := range map[string]struct {
		models map[string]Model
		wrong  string
	}{
		"good":      {map[string]Model{"m": pairOf("a/s", "n"), "n": {Route: []Step{{To: "a/l"}}}}, ""},
		"a route":   {map[string]Model{"m": routed}, "models.m.complexity"},
		"nothing":   {map[string]Model{"m": pairOf("a/s", "z/l")}, "models.m.complexity.strong"},
		"one model": {map[string]Model{"m": pairOf("a/s", "a/s")}, "models.m.complexity.strong"},
		"itself":    {map[string]Model{"m": pairOf("a/s", "m")}, "models.m"},
		"nested":    {map[string]Model{"m": pairOf("a/s", "n"), "n": pairOf("a/s", "a/l")}, "models.m"},
		"routed to": {map[string]Model{"m": {Route: []Step{{To: "n"}}}, "n": pairOf("a/s", "a/l")}, "models.m"},
	} {
		var paths []string
		Config{Models: c.models}.Validate([]string{"a"}, func(path, wrong, right string) { paths = append(paths, path) })
		if got := strings.Join(paths, " "); got != c.wrong {
			t.Errorf("%s: problems at %q, want %q", name, got, c.wrong)
		}
	}
}
