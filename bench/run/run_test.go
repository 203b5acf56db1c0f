//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tailplane/bench/config"
	"tailplane/bench/internal/result"
	"tailplane/bench/internal/stats"
)

func newReport() *report {
	return &report{scale: 1, random: rand.New(rand.NewPCG(1, 2))}
}

// rounds makes runs whose CPU per unit is cost in every round.
func rounds(cost float64) []*result.Run {
	var out []*result.Run
	for i := range stats.MinRounds {
		out = append(out, &result.Run{WindowMS: 600, Units: 1000, CPU: cost * 1000, CPUUnit: cost + 0.01*float64(i), P50: 300, Cores: []float64{1, 0.5}})
	}
	return out
}

func closedRun(own, aa float64) *measured {
	return &measured{
		scenario: scenario{id: "a", title: "1 KB", unit: "request", bar: 2, cost: smallCost},
		names:    []string{reference, again, ours, control},
		runs:     map[string][]*result.Run{reference: rounds(50), again: rounds(aa), ours: rounds(own), control: rounds(70)},
		cores:    [2]int{0, 1},
	}
}

func verdictOf(r *report, name string) row {
	i := slices.IndexFunc(r.rows, func(l row) bool { return l.Target == name })
	return r.rows[i]
}

func TestCPUIsJudgedAgainstItsBar(t *testing.T) {
	for _, c := range []struct {
		name string
		m    func() *measured
		want stats.Verdict
		exit int
	}{
		{"below", func() *measured { return closedRun(90, 50) }, stats.Pass, 0},
		{"above", func() *measured { return closedRun(120, 50) }, stats.Fail, exitMissed},
		{"reference unsteady", func() *measured { return closedRun(120, 60) }, stats.Inconclusive, exitUndecided},
		{"known cost unseen", func() *measured { m := closedRun(90, 50); m.runs[control] = rounds(50); return m }, stats.Inconclusive, exitUndecided},
		{"fast but lossy", func() *measured {
			m := closedRun(40, 50)
			m.runs[ours][3].Errors = map[string]int64{"status 502": 2}
			return m
		}, stats.Fail, exitMissed},
		{"truncated but clean", func() *measured { m := closedRun(40, 50); m.runs[ours][0].Clean = 1; return m }, stats.Fail, exitMissed},
		{"a run failed", func() *measured { m := closedRun(40, 50); m.runs[ours][0] = nil; return m }, stats.Fail, exitMissed},
	} {
		r := newReport()
		r.addCPU(c.m())
		if got := verdictOf(r, ours); got.Verdict != c.want || r.exit() != c.exit {
			t.Errorf("%s: %s (%s), exit %d", c.name, got.Verdict, got.Why, r.exit())
		}
	}
}

func TestRatiosToTheFallbackAreScaled(t *testing.T) {
	r := newReport()
	r.scale = 3.5
	r.addCPU(closedRun(25, 50))
	if got := verdictOf(r, ours).Summary.Med; got < 1.74 || got > 1.76 {
		t.Errorf("half of a ReverseProxy is %v NE, want 1.75", got)
	}
	if got := verdictOf(r, again).Summary.Med; got != 1 {
		t.Errorf("A/A is %v", got)
	}
}

func TestAlteredAnswersFail(t *testing.T) {
	m := closedRun(60, 50)
	for _, r := range m.runs[reference] {
		r.BodyHash = "a"
	}
	for _, r := range m.runs[ours] {
		r.BodyHash = "b"
	}
	r := newReport()
	r.addCPU(m)
	if r.exit() != exitMissed {
		t.Errorf("rows %+v", r.rows)
	}
}

func TestTheTableHasEveryRow(t *testing.T) {
	r := newReport()
	r.addCPU(closedRun(90, 50))
	r.note("a note")
	var out bytes.Buffer
	r.table(&out)
	for _, want := range []string{"1 KB", reference, ours, "<= 2.00", "pass", "note: a note", features} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &out)
		}
	}
	if err := r.write(filepath.Join(t.TempDir(), "out.json")); err != nil {
		t.Error(err)
	}
}

func TestUsageReports(t *testing.T) {
	for text, want := range map[string]tokens{
		`[{"model":"a","input":5,"output":2},{"model":"b","input":7,"output":1}]`: {12, 3},
		`{"rows":[{"input":5,"output":2}],"total":{"input":5,"output":2}}`:        {5, 2},
		`{"data":[{"prompt_tokens":3,"completion_tokens":4}]}`:                    {3, 4},
	} {
		if got, err := totals([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %+v %v", text, got, err)
		}
	}
	for _, text := range []string{`nonsense`, `{}`, `[]`} {
		if got, err := totals([]byte(text)); err == nil {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestOptionsAreBounded(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"-rounds", "100000"}, {"-slice", "1h"}, {"-scenarios", "a,z"}, {"-scenarios", "ab"}, {"-rate", "0"}, {"-memory", "100000"}} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
	o, err := parseOptions([]string{"-scenarios", "a,f"})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, s := range o.cpuScenarios() {
		ids = append(ids, s.id)
	}
	if !slices.Equal(ids, []string{"a", "f1", "f2"}) {
		t.Errorf("scenarios %v", ids)
	}
}

func TestTheConfigListsEveryModelThatIsAskedFor(t *testing.T) {
	o, err := parseOptions(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := config.Values{Port: 1, Admin: 2, Mock: 3, Dir: "/d"}
	v.Models, v.Translated = o.models()
	path := filepath.Join(t.TempDir(), "tailplane.yaml")
	if err := config.Write("tailplane.yaml.tmpl", path, v); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	asked := []string{small, liveSSE}
	for _, s := range append(o.cpuScenarios(), o.latencyScenarios()...) {
		asked = append(asked, s.args[slices.Index(s.args, "-model")+1])
	}
	for _, c := range o.faultCases() {
		asked = append(asked, c.model, "x-"+c.model)
	}
	for _, model := range asked {
		if !strings.Contains(string(raw), "\n  "+model+": {route: [") {
			t.Errorf("%s is not in the config:\n%s", model, raw)
		}
	}
}

func TestEveryProgramEndsWithItsChildrenWhenTheRunIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	s := newSpawner(ctx, dir)
	p, err := s.start(spec{name: "sh", argv: []string{"sh", "-c", "sleep 60 & echo $!; wait"}, core: 0}, nil)
	if err != nil {
		t.Fatal(err)
	}
	child := 0
	for deadline := time.Now().Add(time.Minute); child == 0 && time.Now().Before(deadline); {
		raw, _ := os.ReadFile(filepath.Join(dir, "sh.log"))
		child, _ = strconv.Atoi(strings.TrimSpace(string(raw)))
	}
	if child == 0 {
		t.Fatal("the child did not start")
	}
	cancel()
	<-p.done
	s.stopAll()
	for deadline := time.Now().Add(time.Minute); running(child); {
		if time.Now().After(deadline) {
			t.Fatalf("child %d still runs", child)
		}
	}
}

// running tells a process from one that has ended and waits to be reaped.
func running(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil || syscall.Kill(pid, 0) != nil {
		return false
	}
	rest := string(raw[bytes.LastIndexByte(raw, ')')+1:])
	return !strings.HasPrefix(strings.TrimSpace(rest), "Z")
}

func TestAProgramThatFailsTellsItsLastWords(t *testing.T) {
	s := newSpawner(t.Context(), t.TempDir())
	_, err := s.output(t.Context(), spec{name: "sh", argv: []string{"sh", "-c", "echo one >&2; echo no such wing >&2; exit 3"}}, 10*time.Second)
	if err == nil || !strings.Contains(err.Error(), "no such wing") {
		t.Errorf("error %v", err)
	}
	if _, err := s.output(t.Context(), spec{name: "slow", argv: []string{"sleep", "60"}}, 50*time.Millisecond); err == nil || !strings.Contains(err.Error(), "not ended") {
		t.Errorf("error %v", err)
	}
}
