// Command routing is the benchmark of the router: `make bench-routing`. It plays
// recorded traces through every policy with package replay, judges auto by the
// bars of the issue that asked for it, and so what is beside: tenants in the queue, the
// choice of a weak model, the cost of a decision. It writes a page with a chart for each
// table. It starts no program and contacts nothing. What is compared stands in
// sections.go and aside.go; start reading there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tailplane/internal/replay"
)

// Exit codes.
const (
	exitMissed      = 1 // a bar was missed, with -gate
	exitBroken      = 2 // the benchmark could not run
	exitInterrupted = 130
)

func main() { os.Exit(command(os.Args[1:], os.Stderr)) }

// options are the flags.
type options struct {
	traces, out, only string
	seeds             int // times a section's own, in percent
	gate              bool
}

func command(args []string, progress io.Writer) int {
	var o options
	f := flag.NewFlagSet("routing", flag.ContinueOnError)
	f.SetOutput(progress)
	f.StringVar(&o.traces, "traces", "../shared/traces", "folder with the traces")
	f.StringVar(&o.out, "out", "docs/benchmarks", "folder that the page and its charts are written to")
	f.StringVar(&o.only, "only", "", "play and measure only the sections whose id contains this")
	f.IntVar(&o.seeds, "seeds", 0, "seeds of every section; 0 is what each says")
	f.BoolVar(&o.gate, "gate", false, "exit with 1 when a bar is missed")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return exitBroken
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	missed, err := benchmark(ctx, &o, progress)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(progress, "routing: interrupted")
		return exitInterrupted
	case err != nil:
		fmt.Fprintln(progress, "routing:", err)
		return exitBroken
	case missed > 0 && o.gate:
		return exitMissed
	}
	return 0
}

// benchmark plays all sections and writes the page. It returns how many bars
// were missed.
func benchmark(ctx context.Context, o *options, progress io.Writer) (missed int, err error) {
	traces := map[string]*replay.Trace{}
	var done []played
	for _, s := range sections() {
		if !strings.Contains(s.id, o.only) {
			continue
		}
		if traces[s.trace] == nil {
			t, err := replay.ReadFile(filepath.Join(o.traces, s.trace), replay.ReadOptions{})
			if err != nil {
				return 0, err
			}
			traces[s.trace] = t
		}
		began := time.Now()
		p, err := s.play(ctx, traces[s.trace], o.seeds)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", s.id, err)
		}
		fmt.Fprintf(progress, "%s: %d runs in %.0f s\n", s.id, len(s.rows)*p.seeds, time.Since(began).Seconds())
		missed += tell(progress, p.verdicts)
		done = append(done, p)
	}
	beside, more, err := measureAsides(ctx, o, progress)
	if err != nil {
		return 0, err
	}
	return missed + more, write(o.out, done, beside)
}

// played is a section with its results.
type played struct {
	section
	seeds    int
	results  []replay.Result
	verdicts []verdict
}

func (s section) play(ctx context.Context, t *replay.Trace, seeds int) (played, error) {
	p := played{section: s, seeds: s.seeds}
	if seeds > 0 {
		p.seeds = seeds
	}
	var setups []replay.Setup
	for _, r := range s.rows {
		setup, err := replay.Default().With(r.policy)
		if err != nil {
			return p, err
		}
		for _, change := range []func(*replay.Setup){s.all, r.change} {
			if change != nil {
				change(&setup)
			}
		}
		if r.name != "" {
			setup.Label = r.name
		}
		setups = append(setups, setup)
	}
	var err error
	if p.results, err = replay.Bench(ctx, t, setups, p.seeds, nil); err != nil {
		return p, err
	}
	for _, b := range s.bars {
		p.verdicts = append(p.verdicts, verdict{bar: b, got: b.of(p.results)})
	}
	return p, nil
}
