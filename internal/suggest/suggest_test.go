package suggest

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNearestFindsWhatWasMeant(t *testing.T) {
	names := []string{"fallback", "route", "timeouts", "retry", "gpt-5-mini", "gpt-5", "claude-sonnet-4-6", "sim/fast", "sim/slow"}
	cases := []struct {
		name string
		want []string
	}{
		{"fallbak", []string{"fallback"}},
		{"fallabck", []string{"fallback"}},
		{"timeout", []string{"timeouts"}},
		{"GPT-5-mini", []string{"gpt-5-mini", "gpt-5"}},
		{"sonnet", []string{"claude-sonnet-4-6"}},
		{"zzzzzz", nil},
		{"", nil},
	}
	for _, c := range cases {
		if got := Nearest(c.name, names); !slices.Equal(got, c.want) {
			t.Errorf("Nearest(%q) = %q, want %q", c.name, got, c.want)
		}
	}
}

func TestDistanceIsSymmetricAndBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.RuneFrom([]rune("abc-")), 0, 12, -1)
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		d := distance(a, b)
		if d != distance(b, a) {
			t.Fatalf("distance(%q, %q) is not symmetric", a, b)
		}
		if (d == 0) != (a == b) || d > max(len(a), len(b)) {
			t.Fatalf("distance(%q, %q) = %d", a, b, d)
		}
	})
	if got := Nearest(strings.Repeat("x", 10_000), []string{"xx"}); len(got) > 1 {
		t.Errorf("a huge name: %q", got)
	}
}

func TestPhraseReadsAsASentence(t *testing.T) {
	cases := map[string][]string{
		"":                                nil,
		`; did you mean "a"?`:             {"a"},
		`; did you mean "a", "b" or "c"?`: {"a", "b", "c"},
	}
	for want, near := range cases {
		if got := Phrase(near); got != want {
			t.Errorf("Phrase(%q) = %q, want %q", near, got, want)
		}
	}
}
