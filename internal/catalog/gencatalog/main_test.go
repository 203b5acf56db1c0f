package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The data files in the tree are what the program makes of its sources.
func TestDataFilesAreUpToDate(t *testing.T) {
	root := filepath.Join("..", "..", "..", "..", "shared", "catalog")
	calendar, err := os.ReadFile(filepath.Join(root, "calendar", "deprecations-info", "data.json"))
	if err != nil {
		t.Skipf("the sources are not there to compare with: %v", err)
	}
	models, err := generateModels(os.DirFS(filepath.Join(root, "models.dev", "models")), "2026-07-02")
	if err != nil {
		t.Fatal(err)
	}
	dates, err := generateRetirements(calendar)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"models.jsonl": models, "retirements.jsonl": dates} {
		have, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, want) {
			t.Errorf("%s is not what go generate ./internal/catalog makes", name)
		}
	}
}

func TestUnknownProviderIsAnError(t *testing.T) {
	if _, err := generateRetirements([]byte(`[{"provider":"Acme","model_id":"m","shutdown_date":"2026-01-01"}]`)); err == nil {
		t.Error("accepted")
	}
}
