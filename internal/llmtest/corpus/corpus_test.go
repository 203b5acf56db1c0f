package corpus_test

import (
	"testing"

	"tailplane/internal/llmtest/corpus"
)

func TestCorpusEveryRecordingIsReadable(t *testing.T) {
	dir, ok := corpus.Dir()
	if !ok {
		t.Skip("no recordings: set TAILPLANE_CORPUS or put them at ../shared/corpus")
	}
	recordings, report, err := corpus.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range report.Unreadable {
		t.Error(err)
	}
	m := map[string]int{}
	for _, r := range recordings {
		m[r.Folder()+" "+string(r.Surface)+"/"+r.Other]++
	}
	for k, v := range m {
		t.Log(k, v)
	}
	t.Log(len(recordings), report.Files, report.Empty, len(report.Ignored))
}
