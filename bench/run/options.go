//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	scenarios, tailplane, json string
	rounds                     int
	slice                      time.Duration
	coreSUT, coreLoad          int
	seed                       uint64
	sseStreams, sseEvents      int
	ssePace                    time.Duration
	memory                     int
	rate                       float64
	fault                      int
	usage, gate, keep, quick   bool
	fallback                   bool
}

func parseOptions(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.scenarios, "scenarios", "a,b,c,d,e,f,i,k", "which to run: a 1 KB; b 100 KB; c SSE; d memory; e latency; f translated; i start-up; k broken streams")
	f.StringVar(&o.tailplane, "tailplane", "bin/tailplane", "the binary under test; without it only the references run")
	f.StringVar(&o.json, "json", "", "file to write the whole outcome to")
	f.IntVar(&o.rounds, "rounds", 12, "rounds of all targets; fewer than 12 give no verdict")
	f.DurationVar(&o.slice, "slice", 600*time.Millisecond, "length of one target's window in a round")
	f.IntVar(&o.coreSUT, "core-sut", 0, "core of the systems under test")
	f.IntVar(&o.coreLoad, "core-load", 1, "core of mock, generator and runner")
	f.Uint64Var(&o.seed, "seed", 0, "of the random order and the bootstrap; 0 takes one from the clock and prints it")
	f.IntVar(&o.sseStreams, "sse-streams", 200, "live streams of scenario c")
	f.IntVar(&o.sseEvents, "sse-events", 200, "events of each")
	f.DurationVar(&o.ssePace, "sse-pace", 25*time.Millisecond, "time between a stream's events, whole milliseconds")
	f.IntVar(&o.memory, "memory", 1000, "connections and live streams of scenario d")
	f.Float64Var(&o.rate, "rate", 1000, "requests a second of scenario e's open loop")
	f.IntVar(&o.fault, "fault", 300, "streams of each case of scenario k")
	f.BoolVar(&o.usage, "usage", true, "streams ask for their usage; without it Tailplane asks and withholds the answer")
	f.BoolVar(&o.gate, "gate", true, "exit 1 when a bar is missed and 3 when one is undecided")
	f.BoolVar(&o.keep, "keep", false, "keep the directory with configs and logs")
	f.BoolVar(&o.fallback, "fallback", false, "measure as on a machine without nginx")
	f.BoolVar(&o.quick, "quick", false, "3 short rounds and small counts: shows that it works, decides nothing")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.quick {
		o.rounds, o.slice = min(o.rounds, 3), 300*time.Millisecond
		o.sseEvents, o.sseStreams = min(o.sseEvents, 40), min(o.sseStreams, 100)
		o.memory, o.fault = min(o.memory, 200), min(o.fault, 50)
	}
	return o, o.check()
}

// check bounds every count, so that no run is without an end.
func (o options) check() error {
	var problems []error
	within := func(name string, value, low, high float64) {
		if value < low || value > high {
			problems = append(problems, fmt.Errorf("-%s %g: want %g to %g", name, value, low, high))
		}
	}
	within("rounds", float64(o.rounds), 1, 200)
	within("slice", o.slice.Seconds(), 0.05, 30)
	within("core-sut", float64(o.coreSUT), 0, 1023)
	within("core-load", float64(o.coreLoad), 0, 1023)
	within("sse-streams", float64(o.sseStreams), 1, 4000)
	within("sse-events", float64(o.sseEvents), 2, 5000)
	within("sse-pace", o.ssePace.Seconds(), 0.001, 10)
	within("memory", float64(o.memory), 1, 4000)
	within("rate", o.rate, 1, 50_000)
	within("fault", float64(o.fault), 1, 4000)
	for id := range strings.SplitSeq(o.scenarios, ",") {
		if !strings.Contains("abcdefik", id) || len(id) != 1 {
			problems = append(problems, fmt.Errorf("-scenarios %q: want letters of a,b,c,d,e,f,i,k", id))
		}
	}
	return errors.Join(problems...)
}

func (o options) wants(id string) bool { return strings.Contains(o.scenarios, id) }

// The models that the scenarios ask for. Tailplane's config must list them.
const (
	small    = "small"
	quickSSE = "sse-50x0"
	cutSSE   = "sse-40x5-cut10"
	leaveSSE = "sse-400x20"
	liveSSE  = "sse-300x200"
)

func (o options) denseSSE() string {
	return fmt.Sprintf("sse-%dx%d", o.sseEvents, o.ssePace.Milliseconds())
}

func (o options) models() (spliced, translated []string) {
	spliced = []string{small, quickSSE, cutSSE, leaveSSE, liveSSE, o.denseSSE()}
	return spliced, []string{small, quickSSE, cutSSE, leaveSSE}
}

// cpuScenarios are those that compare CPU per unit.
func (o options) cpuScenarios() []scenario {
	window := []string{"-duration", o.slice.String()}
	closed := func(id, title, model, conns, size string, bar float64) scenario {
		args := append([]string{"-mode", "closed", "-model", model, "-conns", conns, "-size", size}, window...)
		return scenario{id: id, title: title, unit: "request", args: args, limit: o.slice + 20*time.Second, bar: bar, cost: knownCost(size)}
	}
	life := time.Duration(o.sseEvents) * o.ssePace
	sse := scenario{
		id: "c", unit: "event", bar: 1.7, limit: life + 30*time.Second, cost: smallCost,
		title: fmt.Sprintf("SSE, %d streams x %d events x %v", o.sseStreams, o.sseEvents, o.ssePace),
		args: []string{
			"-mode", "sse", "-model", o.denseSSE(), "-conns", strconv.Itoa(o.sseStreams), "-events", strconv.Itoa(o.sseEvents),
			"-duration", life.String(), "-warmup", o.ssePace.String(), fmt.Sprintf("-usage=%v", o.usage),
		},
	}
	all := []scenario{
		closed("a", "1 KB, 32 connections", small, "32", "1024", 2.0),
		closed("b", "100 KB, 16 connections", small, "16", "102400", 2.0),
		sse,
		closed("f1", "translated chat to Anthropic, 1 KB, 32 connections", "x-"+small, "32", "1024", 3.0),
		closed("f2", "translated chat to Anthropic, 100 KB, 16 connections", "x-"+small, "16", "102400", 3.0),
	}
	all[3].needs, all[4].needs = ours, ours
	var out []scenario
	for _, s := range all {
		if o.wants(s.id[:1]) {
			out = append(out, s)
		}
	}
	return out
}

// The known cost, in microseconds a unit: about 0.4 NE of a small request, and
// as much of a large one, so that it can be seen in either.
const (
	smallCost = 20
	largeCost = 50
)

func knownCost(size string) int {
	if len(size) > 4 {
		return largeCost
	}
	return smallCost
}

// latencyScenarios compare the time of an answer.
func (o options) latencyScenarios() []scenario {
	if !o.wants("e") {
		return nil
	}
	window := []string{"-duration", o.slice.String(), "-size", "1024", "-model", small}
	return []scenario{
		{id: "e1", title: "one connection, 1 KB", unit: "us", limit: o.slice + 20*time.Second, bar: 100, args: append([]string{"-mode", "closed", "-conns", "1"}, window...)},
		{id: "e2", title: fmt.Sprintf("open loop, %g requests/s, 1 KB", o.rate), unit: "us", limit: o.slice + 20*time.Second, args: append([]string{"-mode", "open", "-conns", "64", "-rate", strconv.FormatFloat(o.rate, 'g', -1, 64)}, window...)},
	}
}
