package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const canary = "canary-7f3a9c51d2e84b60"

func TestValueIsNeverPrinted(t *testing.T) {
	v := Plain(canary)
	holder := struct {
		Key Value
		Ptr *Value
	}{v, &v}
	asJSON, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "v", v, "holder", holder)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "v", v, "holder", holder)
	outputs := []string{
		fmt.Sprint(v), fmt.Sprintf("%s|%v|%+v|%#v|%q|%x|%d", v, v, v, v, v, v, v),
		fmt.Sprintf("%v|%+v|%#v", holder, holder, holder), fmt.Sprintf("%v", &v),
		fmt.Errorf("wrapped: %v", v).Error(), string(asJSON), logged.String(),
	}
	for _, out := range outputs {
		if strings.Contains(out, canary) || strings.Contains(out, fmt.Sprintf("%x", canary)) {
			t.Errorf("the secret was printed: %s", out)
		}
	}
	if v.Reveal() != canary {
		t.Error("Reveal does not give the secret")
	}
}

func TestParseRefusesLiteralsWithoutRepeatingThem(t *testing.T) {
	for _, text := range []string{canary, "", "exec:cat /etc/passwd", "env:", "file:", "sk-" + canary, "vault"} {
		_, err := Parse(text)
		if err == nil {
			t.Errorf("Parse(%q) was accepted", text)
			continue
		}
		if strings.Contains(err.Error(), canary) {
			t.Errorf("the error repeats the secret: %v", err)
		}
	}
	r, err := Parse("env:SOME_KEY")
	if err != nil || r.String() != "env:SOME_KEY" {
		t.Errorf("Parse = %v, %v", r, err)
	}
}

func TestResolveNamesThePlaceThatIsEmpty(t *testing.T) {
	t.Setenv("TAILPLANE_TEST_KEY", " "+canary+"\n")
	v, err := Env("TAILPLANE_TEST_KEY").Resolve()
	if err != nil || v.Reveal() != canary {
		t.Errorf("Resolve = %q, %v", v.Reveal(), err)
	}
	_, err = Env("TAILPLANE_TEST_ABSENT").Resolve()
	if err == nil || !strings.Contains(err.Error(), "TAILPLANE_TEST_ABSENT") {
		t.Errorf("the error does not name the variable: %v", err)
	}
	two := filepath.Join(t.TempDir(), "two")
	if err := os.WriteFile(two, []byte(canary+"\nsecond"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, _ := Parse("file:" + two)
	if _, err := r.Resolve(); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("a secret of two lines: %v", err)
	}
}

func TestSourceFollowsItsFileAndSurvivesItsLoss(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	write := func(text string, mod time.Time) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, mod, mod); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	write("first", now)
	r, _ := Parse("file:" + path)
	s, err := r.Open(now)
	if err != nil {
		t.Fatal(err)
	}
	write("second", now.Add(time.Second))
	steps := []struct {
		after time.Duration
		want  string
	}{{time.Second, "first"}, {recheck, "second"}}
	for _, step := range steps {
		if got := s.Value(now.Add(step.after)).Reveal(); got != step.want {
			t.Errorf("after %v: %q, want %q", step.after, got, step.want)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := s.Value(now.Add(time.Hour)).Reveal(); got != "second" {
		t.Errorf("a lost file gives %q, want the last good value", got)
	}
}
