//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"text/tabwriter"

	"tailplane/bench/internal/stats"
)

// features are what the figures of Tailplane include.
const features = "key auth, routing, model rewrite, usage tap, metering, metrics, access record, ledger (bench/config/tailplane.yaml.tmpl)"

// row is one line of the outcome: a figure of one target in one scenario.
type row struct {
	Scenario string        `json:"scenario"`
	Title    string        `json:"title"`
	Target   string        `json:"target"`
	Figure   string        `json:"figure"`
	Summary  stats.Summary `json:"summary"`
	Bar      float64       `json:"bar,omitempty"` // 0: none
	// Gate says that the bar decides the exit code; others are printed.
	Gate    bool          `json:"gate,omitempty"`
	Verdict stats.Verdict `json:"verdict,omitempty"`
	Why     string        `json:"why,omitempty"`
	Load    *load         `json:"load,omitempty"`
}

// load is what a row's figure was measured under; medians over the rounds.
type load struct {
	CPU    float64 `json:"cpu_us_per_unit"`
	Units  float64 `json:"units_per_s"`
	Share  float64 `json:"target_busy"` // of its core, by its own CPU time
	Core0  float64 `json:"core_sut_busy"`
	Core1  float64 `json:"core_load_busy"`
	AA     float64 `json:"aa"`
	AgeP50 float64 `json:"age_p50_us,omitempty"`
	AgeP99 float64 `json:"age_p99_us,omitempty"`
}

// report gathers the rows.
type report struct {
	rows   []row
	notes  []string
	seed   uint64
	scale  float64 // NE of the reference
	random *rand.Rand
}

func (r *report) note(format string, args ...any) {
	if len(r.notes) < 100 {
		r.notes = append(r.notes, fmt.Sprintf(format, args...))
	}
}

// broken records a target that could not be started; Tailplane's is a failure.
func (r *report) broken(name string, err error) {
	r.note("%s is left out: %v", name, err)
	if name == ours {
		r.rows = append(r.rows, row{Scenario: "-", Title: "start", Target: name, Figure: "-", Gate: true, Verdict: stats.Fail, Why: "does not start"})
	}
}

// summary is Summarize with the report's own randomness.
func (r *report) summary(x []float64) stats.Summary { return stats.Summarize(x, r.random) }

// addCPU turns a scenario's CPU per unit into NE and judges Tailplane's.
func (r *report) addCPU(m *measured) {
	r.notes = append(r.notes, m.notes...)
	base := m.series(reference, cpuPerUnit)
	trust := stats.Trust{AA: stats.Median(stats.Ratios(m.series(again, cpuPerUnit), base))}
	if _, there := m.runs[control]; there {
		seen := r.summary(stats.Differences(m.series(control, cpuPerUnit), base))
		trust.Control, trust.Cost = &seen, float64(m.scenario.cost)
		r.rows = append(r.rows, row{Scenario: m.scenario.id, Title: m.scenario.title, Target: control, Figure: "us seen", Summary: seen, Why: fmt.Sprintf("%d us were added; seen: interval above 0, median within half", m.scenario.cost)})
	}
	for _, name := range m.names {
		if name == control {
			continue
		}
		ratios := stats.Ratios(m.series(name, cpuPerUnit), base)
		if name != again {
			for i := range ratios {
				ratios[i] *= r.scale
			}
		}
		line := row{Scenario: m.scenario.id, Title: m.scenario.title, Target: name, Figure: "NE/" + m.scenario.unit, Summary: r.summary(ratios), Load: m.load(name, trust.AA)}
		if name == ours {
			line.Bar, line.Gate = m.scenario.bar, true
			line.Verdict, line.Why = stats.Judge(line.Summary, line.Bar, trust)
		}
		r.rows = append(r.rows, r.checked(line, m))
	}
	r.checkBody(m)
}

// checkBody compares the bytes of the small answer with the reference's: what
// is spliced must come through as it is.
func (r *report) checkBody(m *measured) {
	want, got := m.body(reference), m.body(ours)
	if m.scenario.needs == ours || want == "" || got == "" {
		return
	}
	line := row{Scenario: m.scenario.id, Title: m.scenario.title, Target: ours, Figure: "answers altered", Gate: true, Verdict: stats.Pass}
	if want != got {
		line.Summary, line.Verdict = stats.Summary{N: 1, Min: 1, Med: 1, Max: 1, Lo: 1, Hi: 1}, stats.Fail
	}
	r.rows = append(r.rows, line)
}

// addLatency compares an answer's time with the reference's, as a difference.
func (r *report) addLatency(m *measured) {
	r.notes = append(r.notes, m.notes...)
	base, slow := m.series(reference, halfTime), m.series(reference, slowTime)
	trust := stats.Trust{AA: stats.Median(stats.Ratios(m.series(again, halfTime), base))}
	r.rows = append(r.rows, row{Scenario: m.scenario.id, Title: m.scenario.title, Target: reference, Figure: "p50 us", Summary: r.summary(finite(base)), Load: m.load(reference, trust.AA)})
	for _, name := range m.names {
		if name == reference {
			continue
		}
		line := row{Scenario: m.scenario.id, Title: m.scenario.title, Target: name, Figure: "p50 - ref us", Summary: r.summary(stats.Differences(m.series(name, halfTime), base)), Load: m.load(name, trust.AA)}
		if name == ours && m.scenario.bar > 0 {
			line.Bar = m.scenario.bar
			line.Verdict, line.Why = stats.Judge(line.Summary, line.Bar, trust)
		}
		r.rows = append(r.rows, r.checked(line, m))
		if m.scenario.id == "e2" {
			r.rows = append(r.rows, row{Scenario: m.scenario.id, Title: m.scenario.title, Target: name, Figure: "p99 - ref us", Summary: r.summary(stats.Differences(m.series(name, slowTime), slow)), Why: "not judged on a shared machine"})
		}
	}
}

// checked makes a fast but lossy run a failure.
func (r *report) checked(line row, m *measured) row {
	lossy := m.lossy(line.Target)
	if lossy == "" {
		return line
	}
	line.Why = lossy
	if first := m.firstError(line.Target); first != "" {
		r.note("%s, %s: %s", m.scenario.id, line.Target, first)
	}
	if line.Target == ours {
		line.Verdict, line.Gate = stats.Fail, true
	}
	return line
}

func (m *measured) load(name string, aa float64) *load {
	median := func(of []float64) float64 {
		if of = finite(of); len(of) > 0 {
			return stats.Median(of)
		}
		return 0
	}
	if math.IsNaN(aa) {
		aa = 0
	}
	l := &load{AA: aa, CPU: median(m.series(name, cpuPerUnit)), Share: median(m.series(name, busy)), Core0: median(m.series(name, core(m.cores[0]))), Core1: median(m.series(name, core(m.cores[1])))}
	l.Units = median(m.series(name, perSecond))
	l.AgeP50, l.AgeP99 = median(m.series(name, halfAge)), median(m.series(name, slowAge))
	return l
}

func finite(x []float64) []float64 {
	var out []float64
	for _, v := range x {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			out = append(out, v)
		}
	}
	return out
}

// exit is the process's exit code by the rows that gate.
func (r *report) exit() int {
	code := 0
	for _, line := range r.rows {
		switch {
		case !line.Gate:
		case line.Verdict == stats.Fail:
			return exitMissed
		case line.Verdict == stats.Inconclusive:
			code = exitUndecided
		}
	}
	return code
}

// table prints the rows, a scenario's title once.
func (r *report) table(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	title := ""
	for i, line := range r.rows {
		if line.Title != title {
			title = line.Title
			_, _ = fmt.Fprintf(w, "\n%s  %s\n", line.Scenario, title)
			_, _ = fmt.Fprintln(w, "  target\tfigure\tmin\tmedian\tmax\t90 % interval\tbar\tverdict\t"+loadHeader(r.rows[i:], title))
		}
		_, _ = fmt.Fprintln(w, line.text())
	}
	_ = w.Flush()
	_, _ = fmt.Fprintf(out, "\non in tailplane: %s\nseed %d; one NE is the reference's CPU for the same unit in the same round\n", features, r.seed)
	for _, n := range r.notes {
		_, _ = fmt.Fprintln(out, "note:", n)
	}
}

// loadHeader names the columns of load, where a scenario has any.
func loadHeader(rows []row, title string) string {
	for _, line := range rows {
		if line.Title == title && line.Load != nil {
			return "us/unit\tunits/s\tbusy: own\tcore sut\tcore load\tA/A\tage p50/p99 ms\t"
		}
	}
	return ""
}

func (l row) text() string {
	s := l.Summary
	bar := "-"
	if l.Bar > 0 || l.Gate {
		bar = "<= " + short(l.Bar)
		if !l.Gate {
			bar += " (no gate)"
		}
	}
	verdict := string(l.Verdict)
	if verdict == "" {
		verdict = "-"
	}
	if l.Why != "" {
		verdict += " (" + l.Why + ")"
	}
	text := fmt.Sprintf("  %s\t%s\t%s\t%s\t%s\t%s..%s\t%s\t%s\t", l.Target, l.Figure, short(s.Min), short(s.Med), short(s.Max), short(s.Lo), short(s.Hi), bar, verdict)
	if l.Load == nil {
		return text
	}
	text += fmt.Sprintf("%.1f\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t", l.Load.CPU, l.Load.Units, l.Load.Share, l.Load.Core0, l.Load.Core1, l.Load.AA)
	if l.Load.AgeP50 > 0 {
		text += fmt.Sprintf("%.2f / %.1f\t", l.Load.AgeP50/1e3, l.Load.AgeP99/1e3)
	}
	return text
}

// short is three figures that matter.
func short(x float64) string {
	switch a := math.Abs(x); {
	case a >= 100:
		return fmt.Sprintf("%.0f", x)
	case a >= 10:
		return fmt.Sprintf("%.1f", x)
	default:
		return fmt.Sprintf("%.2f", x)
	}
}

// write stores everything as JSON.
func (r *report) write(path string) error {
	raw, err := json.MarshalIndent(map[string]any{"features": features, "seed": r.seed, "rows": r.rows, "notes": r.notes, "reference_ne": r.scale}, "", "  ")
	if err != nil {
		return fmt.Errorf("write the outcome: %w", err)
	}
	if err := os.WriteFile(path, append(raw, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the outcome: %w", err)
	}
	return nil
}
