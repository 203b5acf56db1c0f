package importer

import (
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"

	"tailplane/internal/config"
	"tailplane/internal/upstream"
)

// run imports the files of an archive, of which config.yaml is the first.
func run(a *txtar.Archive) ([]byte, *Report, error) {
	return LiteLLM("config.yaml", func(name string) ([]byte, error) {
		i := slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == name })
		if i < 0 {
			return nil, fs.ErrNotExist
		}
		return a.Files[i].Data, nil
	})
}

func reportText(r *Report) string {
	var b strings.Builder
	for _, i := range r.Items {
		fmt.Fprintln(&b, i)
	}
	fmt.Fprintln(&b, r.Summary())
	return b.String()
}

// The files in testdata/litellm hold a LiteLLM config (config.yaml, and what it
// includes), want.yaml and want.report. TAILPLANE_UPDATE=1 writes the latter
// two. A secret in them contains the word "literal", and is in no output.
func TestLiteLLMConfigsAreTakenOver(t *testing.T) {
	paths, err := filepath.Glob("testdata/litellm/*.txtar")
	if err != nil || len(paths) < 12 {
		t.Fatalf("%d cases: %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text, report, err := run(a)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{"want.yaml": string(text), "want.report": reportText(report)}
			if os.Getenv("TAILPLANE_UPDATE") != "" {
				update(t, path, a, got)
				return
			}
			for name, have := range got {
				i := slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == name })
				if i < 0 || string(a.Files[i].Data) != have {
					t.Errorf("%s is not\n%s", name, have)
				}
				if strings.Contains(have, "literal") {
					t.Errorf("%s holds a secret", name)
				}
			}
			checks(t, text)
		})
	}
}

func update(t *testing.T, path string, a *txtar.Archive, got map[string]string) {
	a.Files = slices.DeleteFunc(a.Files, func(f txtar.File) bool { return got[f.Name] != "" })
	for _, name := range []string{"want.yaml", "want.report"} {
		a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(got[name])})
	}
	if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
		t.Fatal(err)
	}
}

// checks is `tailplane check --no-secrets`.
func checks(t interface{ Errorf(string, ...any) }, text []byte) {
	for _, word := range []string{"azure", "bedrock", "vertex", "gemini", "cohere"} {
		if strings.Contains(string(text), "kind: "+word) && !slices.Contains(upstream.Names(), word) {
			return // a kind that is still to come
		}
	}
	_, problems := config.Parse("want.yaml", text)
	for _, p := range problems {
		if strings.Contains(string(text), "on: [") && !fallbacksNameFaults() {
			return
		}
		t.Errorf("%s", p)
	}
}

// fallbacksNameFaults reports whether the config knows {to: ..., on: ...}.
func fallbacksNameFaults() bool {
	_, problems := config.Parse("x", []byte("targets: {s: {kind: sim}}\nmodels: {a: {route: [s/a], fallback: [{to: s/b, on: [content_filter]}]}}\n"))
	return len(problems) == 0
}

func TestWhatIsNoConfigIsAnError(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "config.yaml:1: this is no LiteLLM config",
		"[1]":                     "config.yaml:1: this is no LiteLLM config",
		"a: [":                    "this is not YAML",
		"include: [other.yaml]\n": "config.yaml:1: include: ",
		"a: &a [*a, *a]":          "config.yaml",
	} {
		_, _, err := run(&txtar.Archive{Files: []txtar.File{{Name: "config.yaml", Data: []byte(text)}}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestPricesAreExact(t *testing.T) {
	for text, want := range map[string]string{
		"0.0000015": "1.5", "1.5e-06": "1.5", "3e-8": "0.03", "0": "0", "2_0e-7": "2", "0.000_001": "1", "1e-18": "0.000000000001",
	} {
		if got, ok := scaled(text, 1e6); !ok || got != want {
			t.Errorf("%s is %q, %v; want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "cheap", "-1", "1e-19", "1/3", "0x1", "1e99", "1e999999999", ".inf", "nan", "2"} {
		if got, ok := scaled(text, 1e6); ok {
			t.Errorf("%s is the price %s", text, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 1e15).Draw(t, "pico-dollars for a million")
		r := new(big.Rat).SetFrac(big.NewInt(n), new(big.Int).Exp(big.NewInt(10), big.NewInt(18), nil))
		got, ok := scaled(r.FloatString(18), 1e6)
		back, ok2 := new(big.Rat).SetString(got)
		if !ok || !ok2 || back.Mul(back, big.NewRat(1, 1e6)).Cmp(r) != 0 {
			t.Fatalf("%s became %s", r.FloatString(18), got)
		}
	})
}

func TestWeightsKeepTheirProportion(t *testing.T) {
	for in, want := range map[string]string{
		"0.9 0.1": "[9 1]", "2 4": "[1 2]", "1": "[1]", "0.25 0.5 0.25": "[1 2 1]", "1 0": "[]", "a": "[]", "-1 1": "[]", "1e3": "[]",
	} {
		if got := fmt.Sprint(shares(strings.Fields(in))); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func FuzzLiteLLM(f *testing.F) {
	paths, _ := filepath.Glob("testdata/litellm/*.txtar")
	for _, path := range paths {
		if a, err := txtar.ParseFile(path); err == nil {
			f.Add(a.Files[0].Data)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		out, report, err := run(&txtar.Archive{Files: []txtar.File{{Name: "config.yaml", Data: text}}})
		if err != nil {
			return
		}
		for _, i := range report.Items {
			if i.Line < 1 || i.Says == "" {
				t.Fatalf("%+v", i)
			}
		}
		checks(t, out)
	})
}
