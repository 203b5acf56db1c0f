//go:build linux

package main

import (
	"strconv"
	"strings"
	"time"
)

// script is what a model's name asks the mock to do.
type script struct {
	routed bool // the name has the prefix that only a rewriting gateway gives it
	events int  // of a stream
	pace   time.Duration
	cut    int           // end the connection after this many events; -1 never
	status int           // answer the first faults of every faults+1 requests with it
	faults int           // 0: none
	wait   time.Duration // before the answer
}

// prefix marks the names that a gateway was told to rewrite to; cross marks
// the client's names for the translated route. Neither changes the script.
const (
	prefix = "bench-"
	cross  = "x-"
)

// parseModel reads a name of the form
//
//	small | slow-MS | sse-EVENTSxMS[-cutN] | fail-STATUS-TIMES
//
// after its prefixes. An unknown name is small.
func parseModel(name string) script {
	s := script{cut: -1, events: 10}
	name, s.routed = strings.CutPrefix(name, prefix)
	name = strings.TrimPrefix(name, cross)
	kind, rest, _ := strings.Cut(name, "-")
	switch kind {
	case "slow":
		s.wait = millis(rest)
	case "sse":
		shape, cut, found := strings.Cut(rest, "-cut")
		if found {
			s.cut = number(cut)
		}
		events, pace, _ := strings.Cut(shape, "x")
		s.events, s.pace = number(events), millis(pace)
	case "fail":
		status, times, _ := strings.Cut(rest, "-")
		s.status, s.faults = number(status), max(1, number(times))
	}
	return s
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return min(max(n, 0), 1_000_000)
}

func millis(text string) time.Duration { return time.Duration(number(text)) * time.Millisecond }
