package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The data file in the tree is what the program makes of the catalogue.
func TestDataFileIsUpToDate(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	data, err := os.ReadFile(filepath.Join(root, "..", "shared", "catalog", "genai-prices", "prices", "data.json"))
	if err != nil {
		t.Skipf("the catalogue is not there to compare with: %v", err)
	}
	have, err := os.ReadFile(filepath.Join("..", "prices.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := generate(data, "2026-08-21")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Error("prices.jsonl is not what go generate ./internal/meter makes")
	}
	if len(have) > 400_000 {
		t.Errorf("the data file has %d bytes", len(have))
	}
}

func TestUnknownKindOfPriceIsAnError(t *testing.T) {
	_, err := generate([]byte(`[{"id":"p","models":[{"id":"m","match":{"equals":"m"},"prices":{"video_mtok":1}}]}]`), "2026-01-01")
	if err == nil || !strings.Contains(err.Error(), "video_mtok") {
		t.Errorf("got %v", err)
	}
}

func TestFloatingPointNoiseIsRounded(t *testing.T) {
	for in, want := range map[string]string{
		"0.18000000000000002": "0.18", "0.08333333333333334": "0.083333333333", "0.0000000000005": "0.000000000001", "3": "3", "2.50": "2.5",
	} {
		if got, err := decimal(in); err != nil || got != want {
			t.Errorf("decimal(%s) = %s, %v; want %s", in, got, err, want)
		}
	}
}
