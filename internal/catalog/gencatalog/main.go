// Command gencatalog makes the data files of package catalog: limits and
// abilities of models from models.dev, and the calendar of retirements from
// deprecations-info, both under the MIT licence. It takes facts only.
//
//	go run ./internal/catalog/gencatalog -models DIR -models-as-of 2026-07-02 -calendar data.json -out internal/catalog
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func main() {
	models := flag.String("models", "", "the folder models of models.dev")
	asOf := flag.String("models-as-of", "", "the day of models.dev, as 2006-01-02")
	calendar := flag.String("calendar", "", "data.json of deprecations-info")
	out := flag.String("out", "", "the folder to write to")
	flag.Parse()
	if err := run(*models, *asOf, *calendar, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gencatalog:", err)
		os.Exit(1)
	}
}

func run(models, asOf, calendar, out string) error {
	if models == "" || asOf == "" || calendar == "" || out == "" {
		return errors.New("-models, -models-as-of, -calendar and -out are needed")
	}
	text, err := generateModels(os.DirFS(models), asOf)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(calendar)
	if err != nil {
		return err
	}
	dates, err := generateRetirements(data)
	if err != nil {
		return fmt.Errorf("%s: %w", calendar, err)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(out, "models.jsonl"), text, 0o644),
		os.WriteFile(filepath.Join(out, "retirements.jsonl"), dates, 0o644),
	)
}

// The lines of the data files, in package catalog's form.
type (
	aboutLine struct {
		Source  string `json:"source"`
		Licence string `json:"licence"`
		AsOf    string `json:"as_of"`
	}
	modelLine struct {
		Model   string   `json:"model"`
		Context int64    `json:"context,omitempty"`
		Input   int64    `json:"input,omitempty"`
		Output  int64    `json:"output,omitempty"`
		Takes   []string `json:"takes,omitempty"`
		Makes   []string `json:"makes,omitempty"`
		Can     []string `json:"can,omitempty"`
		Open    bool     `json:"open,omitempty"`
	}
	retirementLine struct {
		Provider   string   `json:"provider"`
		Model      string   `json:"model"`
		Deprecated string   `json:"deprecated,omitempty"`
		Shutdown   string   `json:"shutdown,omitempty"`
		Instead    []string `json:"instead,omitempty"`
		Source     string   `json:"source"`
	}
)

func lines(list ...any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, l := range list {
		if err := enc.Encode(l); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// abilities are the flags of models.dev, and what they are called here.
var abilities = [][2]string{{"tool_call", "tools"}, {"structured_output", "schema"}, {"reasoning", "reasoning"}, {"temperature", "temperature"}}

// generateModels reads a folder of TOML files, PROVIDER/MODEL.toml.
func generateModels(dir fs.FS, asOf string) ([]byte, error) {
	var list []any
	err := fs.WalkDir(dir, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".toml") {
			return err
		}
		text, err := fs.ReadFile(dir, path)
		if err != nil {
			return err
		}
		values := parse(string(text))
		l := modelLine{
			Model:   strings.TrimSuffix(path, ".toml"),
			Context: number(values["limit.context"]), Input: number(values["limit.input"]), Output: number(values["limit.output"]),
			Takes: words(values["modalities.input"]), Makes: words(values["modalities.output"]), Open: values["open_weights"] == "true",
		}
		for _, a := range abilities {
			if values[a[0]] == "true" {
				l.Can = append(l.Can, a[1])
			}
		}
		list = append(list, l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	about := aboutLine{"models.dev, https://models.dev", "MIT License, Copyright (c) 2025 models.dev", asOf}
	return lines(append([]any{about}, list...)...)
}

// parse reads the lines "name = value" of a TOML file, by "table.name"; arrays
// of tables are passed over.
func parse(text string) map[string]string {
	values := map[string]string{}
	table := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, " = ")
		switch {
		case strings.HasPrefix(line, "[["):
			table = "-"
		case strings.HasPrefix(line, "["):
			table = strings.Trim(line, "[]") + "."
		case !ok:
		case table != "-":
			values[table+name] = value
		}
	}
	return values
}

func number(text string) int64 {
	n, _ := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64)
	return n
}

func words(text string) []string {
	var out []string
	for part := range strings.SplitSeq(strings.Trim(text, "[]"), ",") {
		if w := strings.Trim(strings.TrimSpace(part), `"`); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// providers are the calendar's names of providers, and ours.
var providers = map[string]string{
	"OpenAI": "openai", "Azure": "azure", "Google": "google", "Google Vertex": "vertex", "Groq": "groq", "Anthropic": "anthropic",
	"AWS Bedrock": "aws", "Cohere": "cohere", "xAI": "x-ai",
}

func generateRetirements(data []byte) ([]byte, error) {
	var in []struct {
		Provider   string   `json:"provider"`
		Model      string   `json:"model_id"`
		Deprecated string   `json:"deprecation_date"`
		Shutdown   string   `json:"shutdown_date"`
		Instead    []string `json:"replacement_models"`
		URL        string   `json:"url"`
		Seen       string   `json:"last_observed"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, err
	}
	var list []retirementLine
	newest := ""
	for _, r := range in {
		provider, ok := providers[r.Provider]
		if !ok {
			return nil, fmt.Errorf("%s is a provider that this program does not know: teach it", r.Provider)
		}
		newest = max(newest, r.Seen)
		if strings.Contains(r.Model, " ") || r.Deprecated == "" && r.Shutdown == "" {
			continue // a product, not a model; or nothing is known
		}
		instead := slices.DeleteFunc(r.Instead, func(s string) bool { return strings.ContainsAny(s, " :") })
		list = append(list, retirementLine{provider, r.Model, r.Deprecated, r.Shutdown, instead, r.URL})
	}
	slices.SortStableFunc(list, func(a, b retirementLine) int {
		return strings.Compare(a.Provider+"\x00"+a.Model, b.Provider+"\x00"+b.Model)
	})
	all := []any{aboutLine{"deprecations-info, https://deprecations.info", "MIT License, Copyright (c) 2025 François Leblanc", newest}}
	for _, l := range list {
		all = append(all, l)
	}
	return lines(all...)
}
