package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tailplane/internal/config"
)

// TestATrainedModelMustBeThere: one that is missing, no model or too large is
// refused with the place where it is named.
func TestATrainedModelMustBeThere(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"missing": "", "text": "not one", "large": strings.Repeat("x", 2<<20)} {
		path := filepath.Join(dir, name)
		if content != "" {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		text := "targets: {a: {kind: sim}}\nmodels:\n  m:\n    complexity: {weak: a/s, strong: a/l, floor: 0.9,\n      file: " + path + "}\n"
		f, problems := config.Parse("f.yaml", []byte(text))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		problems = f.Secrets([]byte(text))
		if len(problems) != 1 || problems[0].Line != 5 {
			t.Errorf("%s: %v, want one problem in line 5", name, problems)
		}
	}
}

// TestEmbeddingsAreRead in both forms, and what is wrong with them is told where it
// stands.
func TestEmbeddingsAreRead(t *testing.T) {
	for _, c := range []struct{ model, wrong string }{
		{"{route: [a/s], outcomes: true, embeddings: a/bge}", ""},
		{"{route: [a/s], outcomes: true, embeddings: {from: a/bge, timeout: 1s, max_bytes: 2000}}", ""},
		{"{complexity: {file: f, weak: a/s, strong: a/l, floor: 0.9}, embeddings: vectors}", ""},
		{"{route: [a/s], embeddings: a/bge}", "nothing looks at"},
		{"{route: [a/s], outcomes: true, embeddings: {timeout: 1s}}", "nobody is named"},
		{"{route: [a/s], outcomes: true, embeddings: m}", "its own requests"},
		{"{route: [a/s], outcomes: true, embeddings: hard}", "answers conversations"},
		{"{route: [a/s], outcomes: true, embeddings: z/bge}", "neither a model nor"},
		{"{route: [a/s], outcomes: true, embeddings: c/claude}", "makes no embeddings"},
		{"{route: [a/s], outcomes: true, require: [eu], embeddings: a/bge}", "not labelled eu"},
		{"{route: [a/s], outcomes: true, embeddings: {from: a/bge, timeout: 1h}}", "out of range"},
		{"{route: [a/s], outcomes: true, embeddings: {from: a/bge, max_bytes: 9000}}", "out of range"},
	} {
		text := "targets: {a: {kind: sim}, c: {kind: anthropic, key: env:KEY}}\nmodels:\n  vectors: {route: [a/bge]}\n" +
			"  hard: {complexity: {file: f, weak: a/s, strong: a/l, floor: 0.9}}\n  m: " + c.model + "\n"
		f, problems := config.Parse("f.yaml", []byte(text))
		if c.wrong == "" {
			if len(problems) > 0 || f.Models["m"].Embeddings.From == "" {
				t.Errorf("%s: %v", c.model, problems)
			}
			continue
		}
		if len(problems) != 1 || !strings.Contains(problems[0].Wrong, c.wrong) || problems[0].Line != 5 || problems[0].Col <= 6 {
			t.Errorf("%s: %v, want one that says %q in line 5", c.model, problems, c.wrong)
		}
	}
}

// TestNumbersAreRead as such, and nothing else is taken for one.
func TestNumbersAreRead(t *testing.T) {
	text := func(floor string) []byte {
		return []byte("targets: {a: {kind: sim}}\nmodels:\n  m: {complexity: {file: f, weak: a/s, strong: a/l, floor: " + floor + ", customers: {acme: 0.95}}}\n")
	}
	f, problems := config.Parse("f.yaml", text("0.9"))
	if len(problems) > 0 || f.Models["m"].Complexity.Floor != 0.9 || f.Models["m"].Complexity.Customers["acme"] != 0.95 {
		t.Errorf("%+v, %v", f.Models["m"].Complexity, problems)
	}
	for _, wrong := range []string{"high", ".nan", "NaN", "Inf", "1", "-0.1"} {
		if _, problems := config.Parse("f.yaml", text(wrong)); len(problems) != 1 {
			t.Errorf("%s: %v", wrong, problems)
		}
	}
}
