//go:build linux

package main

import (
	"slices"
	"time"

	"tailplane/bench/internal/proc"
	"tailplane/bench/internal/stats"
)

// Result is what one run prints, as JSON. Times are in microseconds unless the
// name says otherwise; the window is the part of the run that is measured.
type Result struct {
	Mode     string  `json:"mode"`
	WindowMS float64 `json:"window_ms"`
	// Units are requests answered well, or stamped events, in the window.
	Units int64 `json:"units"`
	// CPU is of the processes named by -pids, in the window.
	CPU     float64 `json:"cpu_us"`
	CPUUnit float64 `json:"cpu_us_per_unit"`
	// Cores is each core's busy share in the window; Own this program's CPU.
	Cores []float64 `json:"cores_busy"`

	P50 float64 `json:"p50_us"` // from the time a request was due to its last byte
	P99 float64 `json:"p99_us"`
	// Age is from the mock's send of an event to its receipt here.
	AgeP50 float64 `json:"age_p50_us,omitempty"`
	AgeP99 float64 `json:"age_p99_us,omitempty"`

	// Over the whole run, the window and what lies around it.
	Answers  int64            `json:"answers"`
	Streams  int64            `json:"streams,omitempty"`
	Usages   int64            `json:"usages,omitempty"`    // streams that told their usage
	Errors   map[string]int64 `json:"errors,omitempty"`    // by kind, bounded
	Clean    int64            `json:"truncated_clean"`     // ended cleanly without [DONE] or with events missing
	Told     int64            `json:"fault_in_stream"`     // ended cleanly after an error event
	Aborted  int64            `json:"aborted"`             // connection ended inside a response
	Late     int64            `json:"unsent,omitempty"`    // due in an open loop and never sent
	BodyHash string           `json:"body_hash,omitempty"` // of the small answer; "mixed" when answers differ

	Before proc.Memory `json:"before"`
	Idle   proc.Memory `json:"idle"`
	Live   proc.Memory `json:"live"`
}

// window is one reading of everything that counts up.
type window struct {
	at    int64
	cpu   time.Duration
	cores []proc.Core
	units int64
}

func (l *loader) reading() window {
	w := window{cores: proc.Cores(), units: l.units}
	w.cpu = proc.CPU(l.tree)
	w.at = l.clock()
	return w
}

func (l *loader) fill(begin, end window) {
	r := &l.result
	r.WindowMS = float64(end.at-begin.at) / 1e6
	r.Units = end.units - begin.units
	r.CPU = float64(end.cpu-begin.cpu) / 1e3
	if r.Units > 0 {
		r.CPUUnit = r.CPU / float64(r.Units)
	}
	r.Cores = proc.Busy(begin.cores, end.cores)
	r.P50, r.P99 = quantiles(l.latency)
	r.AgeP50, r.AgeP99 = quantiles(l.age)
}

func quantiles(ns []int64) (p50, p99 float64) {
	slices.Sort(ns)
	return float64(stats.Quantile(ns, 0.5)) / 1e3, float64(stats.Quantile(ns, 0.99)) / 1e3
}

// fail counts an error by kind; the kinds are few, and bounded all the same.
func (l *loader) fail(kind string) {
	if l.result.Errors == nil {
		l.result.Errors = map[string]int64{}
	}
	if _, known := l.result.Errors[kind]; !known && len(l.result.Errors) >= 20 {
		kind = "other"
	}
	l.result.Errors[kind]++
}
