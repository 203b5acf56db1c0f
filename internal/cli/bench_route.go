package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tailplane/internal/replay"
)

const benchRouteLong = `Play a trace on simulated engines with the router's own code, in virtual time: minutes of traffic take seconds.
Nothing is contacted. Each policy meets the same requests, so that results are compared seed by seed.

Traces, told apart by their content, packed with gzip or not: Mooncake (JSON lines with timestamp, input_length,
output_length, hash_ids), agent sessions (JSON lines with id, block_size, requests), Azure (CSV with TIMESTAMP,
ContextTokens, GeneratedTokens). The first and the last come by the clock (--scale divides time); sessions come
--sessions at a time, each request after the one before is answered and thought about.

A seed varies the order of what arrives at one instant, which gateway a request meets, the draws of policies by
chance, the delays of gossip, and of sessions which are played, in which order, and when they begin.

The engines are estimates (roofline), not measured: trust the order of policies before their seconds.`

func benchRoute(d Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use: "route --trace FILE", Short: "Compare routing policies in virtual time", Args: args(cobra.NoArgs), Long: benchRouteLong,
		Example: "  tailplane bench route --trace traffic.jsonl --policy auto,least_request,round_robin --scale 1.5\n" +
			"  tailplane bench route --trace sessions.jsonl.gz --sessions 32 --seeds 8 -o json\n" +
			"  tailplane bench route --trace traffic.jsonl --gateways 4 --gossip off\n" +
			"  tailplane bench route --trace traffic.jsonl --slow 0:0.5 --kill 3@600s",
	}
	o := newRouteFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		setups, err := o.setups()
		if err != nil {
			return &Error{ExitUsage, err.Error(), seeHelp(cmd)}
		}
		ctx := cmd.Context()
		t, err := o.read(cmd.InOrStdin())
		switch {
		case ctx.Err() != nil:
			return context.Canceled
		case err != nil:
			return err
		}
		results, err := o.play(ctx, d, t, setups, cmd.ErrOrStderr())
		switch {
		case ctx.Err() != nil:
			return context.Canceled
		case err != nil:
			return &Error{ExitFailed, err.Error(), ""}
		}
		if o.format.value == "json" && !o.ci {
			for i := range results {
				results[i].Detail = nil
			}
		}
		return emit(cmd, o.format, results, func(w io.Writer) error { return replay.Table(w, results) })
	}
	return cmd
}

// routeFlags are the flags of `bench route`.
type routeFlags struct {
	format                    *choice
	setup                     replay.Setup
	rules                     replay.ReadOptions
	trace, engine             string
	policies                  []string
	prefill, context, speedup float64
	live                      bool
	seeds, seed               int
	gossip, delay             string
	slow, kill                []string

	think     time.Duration
	quiet, ci bool
}

func newRouteFlags(cmd *cobra.Command) *routeFlags {
	o := &routeFlags{format: outputFlag(cmd), setup: replay.Default()}
	f, s := cmd.Flags(), &o.setup
	f.StringVar(&o.trace, "trace", "", "file with the traffic; - is standard input")
	f.StringSliceVar(&o.policies, "policy", []string{"auto", "least_request", "round_robin"}, "policies to compare, with settings as in cache_aware:imbalance_abs=32; ratios are to the first")
	f.StringVar(&o.engine, "engine", "llama3-8b-h100", "simulated engine: "+strings.Join(slices.Sorted(maps.Keys(replay.Engines())), ", "))
	f.Float64Var(&o.prefill, "engine-prefill", 1, "how many times as long the engine takes for a prompt")
	f.Float64Var(&o.context, "engine-context", 1, "how many times as long it takes for the context of answers that it writes")
	f.IntVar(&s.Replicas, "replicas", s.Replicas, "engines")
	f.IntVar(&s.Gateways, "gateways", s.Gateways, "gateways that share them, each with what it knows; a request meets one by chance")
	f.Float64Var(&s.Load.Scale, "scale", s.Load.Scale, "how many times as fast the requests of a trace by the clock come")
	f.BoolVar(&s.Load.Spread, "spread", false, "spread what has one timestamp up to the next one")
	f.IntVar(&s.Load.Sessions, "sessions", s.Load.Sessions, "sessions at a time, of a trace of sessions")
	f.IntVar(&s.Load.Sample, "sample", s.Load.Sample, "sessions in all, one beginning when another ends; 0 is as many as --sessions")
	f.IntVar(&o.seeds, "seeds", 1, "how often each policy is played, each time with another seed")
	f.IntVar(&o.seed, "seed", 1, "the first seed")
	f.StringVar(&o.gossip, "gossip", "on", "whether gateways tell each other what they decide: on, off")
	f.StringVar(&o.delay, "gossip-delay", "5ms-50ms", "how long that takes, uniform between")
	f.Float64Var(&s.Gossip.Loss, "gossip-loss", 0, "share of it that is lost")
	f.StringSliceVar(&o.slow, "slow", nil, "speed of a replica, as 0:0.5 for half")
	f.StringSliceVar(&o.kill, "kill", nil, "death of a replica, as 3@600s")
	f.DurationVar(&s.Watch, "watch", 0, "moment around which the p99 is shown apart (default: the first death)")
	f.DurationVar(&s.Scrape, "scrape", 0, "how often gateways read the engines' metrics; 0 is as the policy's authors do (llmd 50ms, others never)")
	f.BoolVar(&s.SessionIDs, "session-ids", false, "clients say which session a request belongs to (the policy session always knows)")
	f.BoolVar(&s.Untold, "no-cached-tokens", false, "engines do not say what they found in their caches")
	f.BoolVar(&s.Events, "cache-events", false, "gateways hear what engines say of their caches, as by kv_events")
	f.IntVar(&s.Says, "told-kv-tokens", 0, "tokens that gateways are told that a cache holds; 0 is the truth")
	f.Float64Var(&s.Strangers, "strangers", 0, "share of the conversations that another client has, which asks an engine of its own choice; they are not in the figures")
	f.IntVar(&o.rules.Block, "block-size", 512, "tokens of a block of hash_ids")
	f.IntVar(&o.rules.Turns, "turns", 60, "turns of a session that are played; -1 is all")
	f.IntVar(&o.rules.MaxInput, "max-prompt", 120_000, "tokens; a session ends before a longer prompt; -1 is no limit")
	f.DurationVar(&o.think, "max-think", 30*time.Second, "longer think times are cut to it")
	f.IntVar(&o.rules.Requests, "requests", 0, "requests of a trace by the clock that are played; 0 is all")
	f.BoolVar(&o.live, "live", false, "through real HTTP on loopback as well: one gateway and the engines in this process, a trace by the clock, the first seed")
	f.Float64Var(&o.speedup, "speedup", 10, "with --live, how many times as fast time goes")
	f.BoolVar(&o.ci, "ci", false, "in JSON, add detail: 95 % intervals over the seeds, ratios to the first policy, counts")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "tell nothing of the progress")
	return o
}

// play plays in virtual time, or live.
func (o *routeFlags) play(ctx context.Context, d Deps, t *replay.Trace, setups []replay.Setup, errs io.Writer) ([]replay.Result, error) {
	if !o.live {
		return replay.Bench(ctx, t, setups, o.seeds, progress(errs, o.quiet))
	}
	return playLive(ctx, d, t, setups, o.speedup)
}

// setups are what the flags ask for, one for each policy.
func (o *routeFlags) setups() ([]replay.Setup, error) {
	s := o.setup
	profile, ok := replay.Engines()[o.engine]
	if !ok {
		return nil, fmt.Errorf("there is no engine %q", o.engine)
	}
	if !(o.prefill > 0) || !(o.context > 0) {
		return nil, errors.New("--engine-prefill and --engine-context want more than 0")
	}
	if o.seeds < 1 || o.seeds > 1000 || o.seed < 1 {
		return nil, errors.New("--seeds wants 1 to 1000, --seed 1 or more")
	}
	s.Engine, s.Seed = replay.Stretch(profile, o.prefill, o.context), uint64(o.seed)
	if o.gossip != "on" && o.gossip != "off" {
		return nil, fmt.Errorf("--gossip is on or off, not %q", o.gossip)
	}
	s.Gossip.Off = o.gossip == "off"
	if err := errors.Join(o.delays(&s.Gossip), o.slowOnes(&s), o.deaths(&s)); err != nil {
		return nil, err
	}
	var setups []replay.Setup
	for _, p := range o.policies {
		one, err := s.With(p)
		if err == nil {
			err = one.Validate()
		}
		if err != nil {
			return nil, err
		}
		setups = append(setups, one)
	}
	if len(setups) == 0 {
		return nil, errors.New("--policy names none")
	}
	return setups, o.canBeLive(&s)
}

// canBeLive says what only virtual time has.
func (o *routeFlags) canBeLive(s *replay.Setup) error {
	switch {
	case !o.live:
		return nil
	case s.Gateways > 1 || len(s.Slow)+len(s.Kill) > 0 || o.seeds > 1 || s.SessionIDs || s.Events || s.Says > 0 || s.Strangers > 0:
		return errors.New("--live plays one gateway before engines that are alike, stay alive and have no other client, once")
	case !(o.speedup >= 1 && o.speedup <= 1000):
		return errors.New("--speedup wants 1 to 1000")
	}
	return nil
}

func (o *routeFlags) delays(g *replay.Gossip) (err error) {
	low, high, two := strings.Cut(o.delay, "-")
	if g.Min, err = time.ParseDuration(low); err != nil {
		return fmt.Errorf("--gossip-delay: %w", err)
	}
	if g.Max = g.Min; two {
		if g.Max, err = time.ParseDuration(high); err != nil {
			return fmt.Errorf("--gossip-delay: %w", err)
		}
	}
	return nil
}

func (o *routeFlags) slowOnes(s *replay.Setup) error {
	s.Slow = map[int]float64{}
	for _, text := range o.slow {
		which, speed, _ := strings.Cut(text, ":")
		i, err1 := strconv.Atoi(which)
		v, err2 := strconv.ParseFloat(speed, 64)
		if err1 != nil || err2 != nil {
			return fmt.Errorf("--slow %q: write REPLICA:SPEED, as 0:0.5", text)
		}
		s.Slow[i] = v
	}
	return nil
}

func (o *routeFlags) deaths(s *replay.Setup) error {
	s.Kill = map[int]time.Duration{}
	for _, text := range o.kill {
		which, at, _ := strings.Cut(text, "@")
		i, err1 := strconv.Atoi(which)
		d, err2 := time.ParseDuration(at)
		if err1 != nil || err2 != nil {
			return fmt.Errorf("--kill %q: write REPLICA@TIME, as 3@600s", text)
		}
		s.Kill[i] = d
	}
	return nil
}

// read reads the trace.
func (o *routeFlags) read(in io.Reader) (*replay.Trace, error) {
	if o.trace == "" {
		return nil, &Error{ExitUsage, "no trace is named", "write --trace FILE; a file of your own traffic will do, see docs/guides/routing-benchmark.md"}
	}
	rules := o.rules
	rules.MaxThink = o.think
	var t *replay.Trace
	var err error
	if o.trace == "-" {
		t, err = replay.Read(in, rules)
	} else {
		t, err = replay.ReadFile(o.trace, rules)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &Error{ExitNotFound, "there is no trace at " + o.trace, "docs/guides/routing-benchmark.md tells which there are"}
	case err != nil:
		return nil, &Error{ExitFailed, "the trace cannot be read: " + err.Error(), ""}
	}
	return t, nil
}

// progress tells of each run.
func progress(w io.Writer, quiet bool) replay.Progress {
	if quiet {
		return nil
	}
	return func(s replay.Setup, f replay.Figures, took time.Duration) {
		fmt.Fprintf(w, "%s, seed %d: %d requests, mean TTFT %.3f s (took %.1f s)\n", s.Label, s.Seed, f.Requests, f.TTFT.Mean, took.Seconds())
	}
}
