package cli

import (
	"encoding/json"
	"testing"

	"tailplane/internal/account"
	"tailplane/internal/facts"
)

func TestBudgetsAreRead(t *testing.T) {
	cases := map[string]string{
		"500/month":        `{"amount":"500","per":"month"}`,
		"12.50/day:hard":   `{"amount":"12.50","hard":true,"per":"day"}`,
		"5/week:strict":    `{"amount":"5","hard":true,"per":"week","strict":true}`,
		"500":              "",
		"/month":           "",
		"5/":               "",
		"5/month:softly":   "",
		"5/month:hard:too": "",
	}
	for text, want := range cases {
		got, err := readBudget(text)
		raw, _ := json.Marshal(got) // a map of plain values
		if (err == nil) != (want != "") || want != "" && string(raw) != want {
			t.Errorf("%s: %s, %v; want %s", text, raw, err, want)
		}
	}
}

// TestBudgetsAreShownAsTheyAreGiven: what is shown can be given again.
func TestBudgetsAreShownAsTheyAreGiven(t *testing.T) {
	for _, c := range []struct {
		budgets []account.Budget
		want    string
	}{
		{nil, "-"},
		{[]account.Budget{{Amount: 500e9, Per: account.Month}}, "$500/month"},
		{[]account.Budget{{Amount: 5e9, Per: account.Day, Hard: true}, {Amount: 1e9, Per: account.Week, Hard: true, Strict: true}}, "$5/day:hard, $1/week:strict"},
	} {
		if got := rulesOf(account.Limits{}, c.budgets); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

func TestAChangeIsToldByItsMembers(t *testing.T) {
	cases := []struct{ before, after, want string }{
		{`{"a":1,"b":2}`, `{"a":1,"b":3,"c":4}`, "changed: b 2 -> 3, c 4"},
		{`{"a":1,"b":2}`, `{"a":1}`, "changed: b 2 -> -"},
		{"", `{"a":1}`, "made: a 1"},
		{`{"a":1}`, "", "removed"},
		{`{"secrets":[1]}`, `{"secrets":[2]}`, "changed: another text"},
	}
	for _, c := range cases {
		raw := func(text string) json.RawMessage {
			if text == "" {
				return nil
			}
			return json.RawMessage(text)
		}
		if got := changeOf(facts.Audit{Before: raw(c.before), After: raw(c.after)}); got != c.want {
			t.Errorf("%s -> %s: %s, want %s", c.before, c.after, got, c.want)
		}
	}
}
