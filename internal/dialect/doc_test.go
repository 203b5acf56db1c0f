package dialect

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocNamesEveryFile keeps the map of files in doc.go true.
func TestDocNamesEveryFile(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	codecs := map[string]bool{}
	for _, s := range Surfaces() {
		codecs[string(s.Name())] = true
	}
	for _, f := range files {
		name := strings.TrimSuffix(f, ".go")
		dialect, suffix, _ := strings.Cut(name, "_")
		same := codecs[dialect] && (suffix == "" || strings.Contains(string(text), "\n//\t_"+suffix+".go "))
		if !same && !strings.HasSuffix(name, "_test") && name != "doc" && !strings.Contains(string(text), f) {
			t.Errorf("doc.go does not say what is in %s", f)
		}
	}
	for word := range strings.FieldsFuncSeq(string(text), func(r rune) bool { return strings.ContainsRune(" \t\n(),:;", r) }) {
		if !strings.HasSuffix(word, ".go") || strings.HasPrefix(word, "_") {
			continue
		}
		if _, err := os.Stat(word); err != nil {
			t.Errorf("doc.go speaks of a file that is not there: %v", err)
		}
	}
}
