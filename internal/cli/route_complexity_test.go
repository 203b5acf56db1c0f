package cli

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tailplane/internal/complexity"
)

// results is a CSV of prompts of which the long words are too hard for the small
// model.
func results(t *testing.T, path string, n int, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	b.WriteString("prompt,small,large\n")
	for range n {
		words, hard := []string{"tell", "me", "about"}, random.IntN(3) == 0
		for range 6 {
			words = append(words, map[bool]string{true: "theorem", false: "dinner"}[hard]+fmt.Sprint(random.IntN(9)))
		}
		fmt.Fprintf(&b, "%s,%v,%v\n", strings.Join(words, " "), random.IntN(10) > 0 && !hard, random.IntN(20) > 0)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRouteTrainAndEval(t *testing.T) {
	dir := t.TempDir()
	results(t, filepath.Join(dir, "monday.csv"), 600, 1)
	model := filepath.Join(t.TempDir(), "model.tpc")
	args := []string{"route", "train", "--data", dir, "--weak", "small", "--strong", "large", "-O", model}
	got := run(t, nil, args...)
	if got.code != ExitOK || !strings.Contains(got.out, "600 prompts of monday (600)") || !strings.Contains(got.out, "THE WEAK MODEL GETS") {
		t.Fatalf("%+v", got)
	}
	text, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := complexity.Decode(text); err != nil || m.Weak != "small" || m.Strong != "large" {
		t.Fatalf("%v", err)
	}
	if again := run(t, nil, args...); again.code != ExitConflict {
		t.Errorf("a model was written over: %+v", again)
	}

	got = run(t, nil, "route", "eval", "--data", dir, "--weak", "small", "--strong", "large", "--seeds", "1")
	if got.code != ExitOK || !strings.Contains(got.out, "\ntrained and tested on the same distribution: monday") {
		t.Errorf("%+v", got)
	}
	got = run(t, nil, "route", "eval", "--data", dir, "--model", model, "-o", "json")
	var report struct {
		complexity.Report
		Warning string
	}
	if err := json.Unmarshal([]byte(got.out), &report); err != nil || got.code != ExitOK {
		t.Fatalf("%v: %+v", err, got)
	}
	if len(report.Tests) != 1 || report.Tests[0].Curve.APGR < 0.7 || !strings.Contains(report.Tests[0].Note, "and knows their outcomes") || report.Warning == "" {
		t.Errorf("%+v", report)
	}
}

// TestRouteEvalTellsItsDomain: prompts that a model does not know are in its
// domain when its guard takes them for what it was trained on.
func TestRouteEvalTellsItsDomain(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	results(t, filepath.Join(dir, "monday.csv"), 600, 1)
	results(t, filepath.Join(other, "tuesday.csv"), 300, 2)
	text, err := os.ReadFile(filepath.Join(other, "tuesday.csv"))
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.NewReplacer("tell me about", "SELECT qty[12] FROM x WHERE id > 4; #", "dinner", "row_", "theorem", "col_").Replace(string(text)))
	if err := os.WriteFile(filepath.Join(other, "sql.csv"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	model := filepath.Join(t.TempDir(), "model.tpc")
	if got := run(t, nil, "route", "train", "--data", dir, "--weak", "small", "--strong", "large", "-O", model); got.code != ExitOK {
		t.Fatalf("%+v", got)
	}
	got := run(t, nil, "route", "eval", "--data", other, "--model", model)
	for _, want := range []string{`(?m)^tuesday  the model as it is  yes `, `(?m)^sql      the model as it is  no `, `(?m)^trained and tested on the same distribution: tuesday; `} {
		if !regexp.MustCompile(want).MatchString(got.out) {
			t.Errorf("no %s in %+v", want, got)
		}
	}
}

func TestRouteSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	results(t, filepath.Join(dir, "few.csv"), 50, 1)
	if err := os.WriteFile(filepath.Join(dir, "no.tpc"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"train --weak small --strong large -O m", ExitUsage, "--data is missing"},
		{"train --data D --strong large -O m", ExitUsage, "--weak is missing"},
		{"train --data D --weak small --strong large", ExitUsage, "--output-file is missing"},
		{"train --data D/none --weak small --strong large -O m", ExitNotFound, "is not there"},
		{"train --data D --weak tiny --strong large -O m", ExitUsage, "no columns prompt, tiny and large"},
		{"train --data D --weak small --strong large -O m", ExitProblem, "too few outcomes: 50 of small"},
		{"eval --data D --weak small --strong large", ExitProblem, "few has 50 prompts that both models answered"},
		{"eval --data D --weak large --strong small --folds 1", ExitUsage, "--folds"},
		{"eval --data D --model D/none.tpc", ExitNotFound, "is not there"},
		{"eval --data D --model D/no.tpc", ExitUsage, "no model of complexity"},
	} {
		got := run(t, nil, append([]string{"route"}, strings.Fields(strings.ReplaceAll(c.args, "D", dir))...)...)
		if got.code != c.code || !strings.Contains(got.err, c.says) {
			t.Errorf("%s: %d %s", c.args, got.code, got.err)
		}
	}
}
