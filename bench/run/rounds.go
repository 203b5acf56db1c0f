//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"tailplane/bench/internal/result"
)

// scenario is one kind of load, given to every target alike.
type scenario struct {
	id, title string
	unit      string
	args      []string
	limit     time.Duration
	bar       float64
	needs     string // "" or ours: only when Tailplane is there
	cost      int    // the known cost, in microseconds a unit; 0: takes no part
}

// measured is a scenario's runs, by target and round; a run that failed is
// nil.
type measured struct {
	scenario scenario
	names    []string
	runs     map[string][]*result.Run
	notes    []string
	cores    [2]int // of the targets, of the generator
}

// maxFailures is after how many failed runs a target is left out.
const maxFailures = 3

// measure runs rounds of all targets, each round in a new random order.
func (b *bench) measure(ctx context.Context, s scenario, targets []*target) (*measured, error) {
	m := &measured{scenario: s, runs: map[string][]*result.Run{}, cores: [2]int{b.opt.coreSUT, b.opt.coreLoad}}
	failures := map[string]int{}
	for _, t := range targets {
		m.names = append(m.names, t.name)
		m.runs[t.name] = make([]*result.Run, b.opt.rounds)
	}
	for round := range b.opt.rounds {
		for _, i := range b.random.Perm(len(targets)) {
			t := targets[i]
			if failures[t.name] >= maxFailures {
				continue
			}
			run, err := b.loadWith(ctx, t, s)
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if err != nil {
				failures[t.name]++
				m.note(fmt.Sprintf("%s, round %d: %v", t.name, round+1, err))
				continue
			}
			m.runs[t.name][round] = run
		}
		b.progress("%s: round %d of %d", s.id, round+1, b.opt.rounds)
	}
	return m, nil
}

func (m *measured) note(text string) {
	if len(m.notes) < 20 {
		m.notes = append(m.notes, m.scenario.id+": "+text)
	}
}

// loadWith runs the generator once for a scenario, with its known cost where
// the target carries one.
func (b *bench) loadWith(ctx context.Context, t *target, s scenario) (*result.Run, error) {
	if t.pipe == "" {
		return b.load(ctx, t, s.args, s.limit)
	}
	batch := int(costPaid.Microseconds()) / s.cost
	return b.load(ctx, t, slices.Concat(s.args, []string{"-control", t.pipe, "-batch", strconv.Itoa(batch)}), s.limit)
}

// body is the hash of a target's small answers, "mixed" when they differ and
// "" when there were none.
func (m *measured) body(name string) string {
	hash := ""
	for _, r := range m.runs[name] {
		switch {
		case r == nil || r.BodyHash == "":
		case hash == "" || hash == r.BodyHash:
			hash = r.BodyHash
		default:
			return "mixed"
		}
	}
	return hash
}

// load runs the generator once against a target.
func (b *bench) load(ctx context.Context, t *target, args []string, limit time.Duration) (*result.Run, error) {
	argv := append([]string{filepath.Join(b.bin, "load"), "-addr", t.addr, "-pids", t.pids(), "-limit", limit.String()}, args...)
	raw, err := b.spawn.output(ctx, spec{name: "load", argv: argv, env: []string{"BENCH_CLIENT_KEY=" + clientKey}, core: b.opt.coreLoad}, limit+10*time.Second)
	if err != nil {
		return nil, err
	}
	var r result.Run
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, fmt.Errorf("read the generator's result: %w", err)
	}
	return &r, nil
}

// series takes one figure of every round; a missing run is not a number.
func (m *measured) series(name string, figure func(*result.Run) float64) []float64 {
	runs := m.runs[name]
	out := make([]float64, len(runs))
	for i, r := range runs {
		out[i] = math.NaN()
		if r != nil {
			out[i] = figure(r)
		}
	}
	return out
}

// lossy says what went wrong in a target's runs, "" for nothing.
func (m *measured) lossy(name string) string {
	var errors, clean, lost int64
	for _, r := range m.runs[name] {
		if r == nil {
			lost++
			continue
		}
		for _, n := range r.Errors {
			errors += n
		}
		clean += r.Clean
	}
	if errors+clean+lost == 0 {
		return ""
	}
	return fmt.Sprintf("%d errors, %d clean but truncated, %d runs failed", errors, clean, lost)
}

// firstError names one kind of error for the notes.
func (m *measured) firstError(name string) string {
	for _, r := range m.runs[name] {
		if r == nil {
			continue
		}
		for kind, n := range r.Errors {
			return fmt.Sprintf("%s, %d times in one run", kind, n)
		}
	}
	return ""
}

func cpuPerUnit(r *result.Run) float64 { return r.CPUUnit }
func halfTime(r *result.Run) float64   { return r.P50 }
func slowTime(r *result.Run) float64   { return r.P99 }
func halfAge(r *result.Run) float64    { return r.AgeP50 }
func slowAge(r *result.Run) float64    { return r.AgeP99 }

// busy is the share of the window that the target itself ran.
func busy(r *result.Run) float64 {
	if r.WindowMS == 0 {
		return 0
	}
	return r.CPU / 1e3 / r.WindowMS
}

func core(n int) func(*result.Run) float64 {
	return func(r *result.Run) float64 {
		if n >= len(r.Cores) {
			return math.NaN()
		}
		return r.Cores[n]
	}
}

func perSecond(r *result.Run) float64 {
	if r.WindowMS == 0 {
		return 0
	}
	return float64(r.Units) / r.WindowMS * 1e3
}
