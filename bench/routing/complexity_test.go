package main

import (
	"slices"
	"strings"
	"testing"
)

// TestABarThatWasNotMeasuredIsAnError: it does not vanish from the page.
func TestABarThatWasNotMeasuredIsAnError(t *testing.T) {
	all := []tested{
		{set: "mmlu", split: "5 folds"},
		{set: "mmlu", split: "each of 57 groups left out"},
		{set: "gsm8k", split: "5 folds"},
		{set: "mmlu", split: "trained on gsm8k"},
		{set: "gsm8k", split: "trained on mmlu"},
	}
	if err := complete(all); err != nil {
		t.Error(err)
	}
	for i, gone := range all {
		if err := complete(slices.Delete(slices.Clone(all), i, i+1)); err == nil || !strings.Contains(err.Error(), gone.set) {
			t.Errorf("without %s, %s: %v", gone.set, gone.split, err)
		}
	}
}
