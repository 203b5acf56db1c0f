package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tailplane/internal/replay"
)

func benchRoute() *cobra.Command {
	cmd := &cobra.Command{
		Use: "route --trace FILE", Short: "Compare routing policies in virtual time", Args: args(cobra.NoArgs),
		Example: "  tailplane bench route --trace traffic.jsonl --policy auto,least_request,round_robin\n  tailplane bench route --trace sessions.jsonl.gz --sessions 32 --seeds 8 -o json",
	}
	f := cmd.Flags()
	format := outputFlag(cmd)
	s := replay.Default()
	path := f.String("trace", "", "file with the traffic; - is standard input")
	policies := f.StringSlice("policy", []string{"auto", "least_request", "round_robin"}, "policies to compare")
	engine := f.String("engine", "llama3-8b-h100", "simulated engine: "+strings.Join(slices.Sorted(maps.Keys(replay.Engines())), ", "))
	seeds := f.Int("seeds", 1, "how often each policy is played, each time with another seed")
	f.IntVar(&s.Replicas, "replicas", s.Replicas, "engines")
	f.IntVar(&s.Gateways, "gateways", s.Gateways, "gateways that share them")
	f.Float64Var(&s.Scale, "scale", s.Scale, "how much faster the requests of an open trace come")
	f.IntVar(&s.Sessions, "sessions", s.Sessions, "sessions at a time, of a trace of sessions")
	f.IntVar(&s.Sample, "sample", s.Sample, "sessions in all; 0 is as many as --sessions")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		profile, ok := replay.Engines()[*engine]
		if !ok {
			return &Error{ExitUsage, fmt.Sprintf("there is no engine %q", *engine), seeHelp(cmd)}
		}
		s.Engine = profile
		var setups []replay.Setup
		for _, p := range *policies {
			one := s
			one.Policy, one.Scrape = p, replay.Scrapes(p)
			if err := one.Validate(); err != nil {
				return &Error{ExitUsage, err.Error(), seeHelp(cmd)}
			}
			setups = append(setups, one)
		}
		t, err := replay.ReadFile(*path, replay.ReadOptions{})
		if err != nil {
			return &Error{ExitFailed, "the trace cannot be read: " + err.Error(), ""}
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		results, err := replay.Bench(ctx, t, setups, *seeds, progress(cmd.ErrOrStderr()))
		if err != nil {
			return benchFailed(ctx, err)
		}
		return emit(cmd, format, results, func(w io.Writer) error { return benchTable(w, results) })
	}
	return cmd
}

func benchFailed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Canceled
	}
	return &Error{ExitFailed, err.Error(), ""}
}

// progress tells of each run.
func progress(w io.Writer) replay.Progress {
	return func(s replay.Setup, f replay.Figures, took time.Duration) {
		fmt.Fprintf(w, "%s, seed %d: %d requests, mean TTFT %.3f s (%.1f s)\n", s.Policy, s.Seed, f.Requests, f.TTFT.Mean, took.Seconds())
	}
}

func benchTable(w io.Writer, results []replay.Result) error {
	head := []string{"POLICY", "MEAN", "P50", "P90", "P99", "TPOT", "TPOT P99", "E2E", "HIT", "TOKENS/S", "MAKESPAN"}
	var rows [][]string
	sec := func(v float64) string { return fmt.Sprintf("%.3f", v) }
	ms := func(v float64) string { return fmt.Sprintf("%.1f ms", 1e3*v) }
	for _, r := range results {
		rows = append(rows, []string{
			r.Policy, sec(r.TTFT.Mean), sec(r.TTFT.P50), sec(r.TTFT.P90), sec(r.TTFT.P99), ms(r.TPOT.Mean), ms(r.TPOT.P99),
			fmt.Sprintf("%.2f", r.E2E.Mean), fmt.Sprintf("%.1f%%", 100*r.HitRate), fmt.Sprintf("%.0f", r.Throughput), fmt.Sprintf("%.0f", r.Makespan),
		})
	}
	return columns(w, head, rows)
}
