//go:build linux

// Package proc reads what Linux accounts to processes: CPU time, memory and
// the cores' busy time. It never writes and never signals. A process tree is
// given by its roots; a process that ends while it is read counts as 0. Start
// reading at CPU.
package proc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tick is USER_HZ, which Linux fixes at 100 for all that /proc shows.
const tick = 10 * time.Millisecond

// Tree is roots and all their descendants.
func Tree(roots []int) []int {
	all := slices.Clone(roots)
	for i := 0; i < len(all) && len(all) < 1000; i++ {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", all[i]))
		for _, t := range tasks {
			raw, _ := os.ReadFile(t)
			for f := range strings.FieldsSeq(string(raw)) {
				if pid, err := strconv.Atoi(f); err == nil && !slices.Contains(all, pid) {
					all = append(all, pid)
				}
			}
		}
	}
	return all
}

// CPU is user and system time of the given processes together: from the
// scheduler's nanoseconds of each thread where the kernel shows them, else
// from utime and stime, which count in ticks of 10 ms.
func CPU(pids []int) time.Duration {
	var sum time.Duration
	for _, pid := range pids {
		if fine, ok := threads(pid); ok {
			sum += fine
		} else {
			sum += ticks(pid)
		}
	}
	return sum
}

func threads(pid int) (time.Duration, bool) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0, false
	}
	var sum time.Duration
	for _, e := range entries {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, e.Name()))
		if err != nil {
			return 0, false
		}
		first, _, _ := bytes.Cut(raw, []byte(" "))
		ns, err := strconv.ParseInt(string(first), 10, 64)
		if err != nil {
			return 0, false
		}
		sum += time.Duration(ns)
	}
	return sum, true
}

func ticks(pid int) time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	return parseTicks(string(raw))
}

// parseTicks takes fields 14 and 15 of proc_pid_stat(5), counted after the
// last ')' because a command's name may contain spaces and brackets.
func parseTicks(stat string) time.Duration {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick
}

// Memory is in KiB, summed over processes. PSS counts a shared page once.
type Memory struct {
	PSS int64 `json:"pss_kb"`
	RSS int64 `json:"rss_kb"`
}

// MemoryOf reads smaps_rollup of each process.
func MemoryOf(pids []int) Memory {
	var m Memory
	for _, pid := range pids {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue
		}
		m.PSS += field(string(raw), "Pss:")
		m.RSS += field(string(raw), "Rss:")
	}
	return m
}

func field(text, name string) int64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			f := strings.Fields(rest)
			if len(f) > 0 {
				n, _ := strconv.ParseInt(f[0], 10, 64)
				return n
			}
		}
	}
	return 0
}

// Core is one core's time since boot, in ticks.
type Core struct{ Busy, Total int64 }

// Cores reads /proc/stat.
func Cores() []Core {
	raw, _ := os.ReadFile("/proc/stat")
	return parseCores(string(raw))
}

func parseCores(stat string) []Core {
	var out []Core
	for line := range strings.Lines(stat) {
		f := strings.Fields(line)
		if len(f) < 9 || !strings.HasPrefix(f[0], "cpu") || f[0] == "cpu" {
			continue
		}
		var c Core
		for i, text := range f[1:9] { // guest time is part of user time
			n, _ := strconv.ParseInt(text, 10, 64)
			c.Total += n
			if i != 3 && i != 4 { // idle and iowait
				c.Busy += n
			}
		}
		out = append(out, c)
	}
	return out
}

// Busy is the share of time that each core was busy between two readings.
func Busy(before, after []Core) []float64 {
	out := make([]float64, min(len(before), len(after)))
	for i := range out {
		if d := after[i].Total - before[i].Total; d > 0 {
			out[i] = float64(after[i].Busy-before[i].Busy) / float64(d)
		}
	}
	return out
}
