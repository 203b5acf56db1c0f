//go:build linux

package main

import (
	"slices"
	"time"

	"tailplane/bench/internal/proc"
	"tailplane/bench/internal/stats"
)

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
