package main

import (
	"time"

	"tailplane/internal/replay"
	"tailplane/internal/sim"
)

// section is one table: rows that meet the same trace with the same seeds. The
// first row is what the others are compared with.
type section struct {
	id, title, note string
	trace           string
	seeds           int
	all             func(*replay.Setup) // changes the setup of every row
	rows            []row
	bars            []bar
}

// row is a policy, and what is changed for it; the name is the policy's where
// none is given.
type row struct {
	name, policy string
	change       func(*replay.Setup)
}

const (
	conversation = "mooncake_conversation.jsonl"
	agentic      = "agentic_sessions.jsonl.gz"
	queued       = "lmetric:form=queued"
)

// peers are the policies that others publish, and the common ones.
func peers() []row {
	return []row{
		{policy: "auto"},
		{policy: "smetric"},
		{policy: "lmetric"},
		{policy: queued},
		{policy: "cache_aware"},
		{name: "cache_aware, tuned", policy: "cache_aware:cache_threshold=0.5:imbalance_abs=8:imbalance_rel=1.1"},
		{policy: "chwbl"},
		{policy: "llmd"},
		{policy: "session"},
		{policy: "least_request"},
		{policy: "p2c"},
		{policy: "round_robin"},
		{policy: "random"},
	}
}

func few() []row {
	return []row{{policy: "auto"}, {policy: "smetric"}, {policy: "lmetric"}, {policy: queued}, {policy: "cache_aware"}, {policy: "chwbl"}, {policy: "least_request"}}
}

func scale(x float64) func(*replay.Setup) { return func(s *replay.Setup) { s.Load.Scale = x } }

func sessions(n int) func(*replay.Setup) { return func(s *replay.Setup) { s.Load.Sessions = n } }

// sections are all tables of the page, in its order.
func sections() []section {
	all := []section{
		{
			id: "conversation", title: "Conversations, 1.5 times the recorded load", trace: conversation, seeds: 5, all: scale(1.5), rows: peers(),
			bars: []bar{
				atMost("mean TTFT beside chwbl", 0.60, ratio("auto", "chwbl", "ttft_mean")),
				atMost("mean TTFT beside cache_aware", 0.70, ratio("auto", "cache_aware", "ttft_mean")),
				atMost("mean TTFT beside the better lmetric", 0.99, best("auto", "ttft_mean", "lmetric", queued)),
				atMost("p99 TTFT beside chwbl", 0.65, ratio("auto", "chwbl", "ttft_p99")),
				atMost("mean TPOT beside the best peer", 1.05, best("auto", "tpot_mean", "smetric", "lmetric", queued, "cache_aware", "chwbl", "llmd")),
			},
		},
		{id: "conversation-1", title: "Conversations as recorded", trace: conversation, seeds: 5, rows: few()},
		{id: "conversation-2", title: "Conversations, twice the recorded load", trace: conversation, seeds: 5, all: scale(2), rows: few()},
		{
			id: "agents-64", title: "Coding agents, 64 sessions at a time", trace: agentic, seeds: 8, all: sessions(64), rows: peers(),
			note: "64 such sessions hold more tokens than the eight caches do: what is evicted is paid again.",
			bars: []bar{
				atMost("mean TTFT beside chwbl", 0.45, ratio("auto", "chwbl", "ttft_mean")),
				atMost("mean TTFT beside cache_aware", 0.90, ratio("auto", "cache_aware", "ttft_mean")),
				atMost("mean TTFT beside the better lmetric", 0.70, best("auto", "ttft_mean", "lmetric", queued)),
				atMost("mean TTFT beside smetric", 0.90, ratio("auto", "smetric", "ttft_mean")),
				atMost("makespan beside the best peer", 1.02, best("auto", "makespan", "smetric", "lmetric", queued, "cache_aware", "chwbl", "llmd")),
			},
		},
		{id: "agents-32", title: "Coding agents, 32 sessions at a time", trace: agentic, seeds: 8, all: sessions(32), rows: few(), bars: []bar{
			atMost("mean TPOT beside the best peer", 1.03, best("auto", "tpot_mean", "smetric", "lmetric", queued, "cache_aware", "chwbl")),
			atMost("whole answers beside the best peer", 1.03, best("auto", "e2e_mean", "smetric", "lmetric", queued, "cache_aware", "chwbl")),
		}},
	}
	spread := gateways("conversation-gateways-spread", conversation, 5, 1.15, func(s *replay.Setup) { s.Load.Scale, s.Load.Spread = 1.5, true })
	spread.title += ", arrivals spread"
	spread.note += " The trace's timestamps have steps of three seconds: here what shares one is spread up to the next, since no gateway can hear in time of what others decide at the same instant."
	all = append(all, gateways("conversation-gateways", conversation, 5, 1.15, scale(1.5)), spread, gateways("agents-gateways", agentic, 5, 1.30, sessions(64)))
	all = append(all, troubled()...)
	all = append(all, section{id: "conversation-70b", title: "Conversations as recorded, 70B on four H100", trace: conversation, seeds: 5, all: func(s *replay.Setup) { s.Engine = sim.Llama70B() }, rows: few()})
	all = append(all, sensitivity()...)
	return append(all,
		section{id: "azure-conversation", title: "Azure conversations: lengths and arrivals, nothing is shared", trace: "azure2023_conv.csv", seeds: 3, all: scale(8), rows: few(), note: "Eight times the recorded load, which is that of a small part of a service."},
		section{id: "azure-code", title: "Azure code completion", trace: "azure2023_code.csv", seeds: 3, all: scale(8), rows: few(), note: "Eight times the recorded load. There are no prefixes to be found: what is left is load."},
	)
}

// gateways is four routers instead of one.
func gateways(id, trace string, seeds int, most float64, all func(*replay.Setup)) section {
	four := func(s *replay.Setup) { s.Gateways = 4 }
	lossy := func(s *replay.Setup) { s.Gateways, s.Gossip.Loss = 4, 0.1 }
	alone := func(s *replay.Setup) { s.Gateways, s.Gossip.Off = 4, true }
	s := section{
		id: id, trace: trace, seeds: seeds, all: all,
		note: "A request meets one of the gateways by chance. Gossip takes 5 to 50 ms; a tenth of it is lost in one row; without it each gateway knows what it did itself.",
		rows: []row{
			{name: "auto, one gateway", policy: "auto"},
			{name: "auto, 4", policy: "auto", change: four},
			{name: "auto, 4, a tenth lost", policy: "auto", change: lossy},
			{name: "auto, 4 alone", policy: "auto", change: alone},
			{name: "cache_aware, 4 alone", policy: "cache_aware", change: alone},
			{name: "lmetric, 4 alone", policy: "lmetric", change: alone},
			{name: "chwbl, 4 alone", policy: "chwbl", change: alone},
		},
		bars: []bar{atMost("mean TTFT of 4 gateways beside one", most, ratio("auto, 4", "auto, one gateway", "ttft_mean"))},
	}
	s.title = "Four gateways, conversations at 1.5"
	if trace == agentic {
		s.title = "Four gateways, 64 coding agents"
		s.bars = append(s.bars, atMost("mean TTFT beside four cache_aware that know nothing of each other", 0.40, ratio("auto, 4", "cache_aware, 4 alone", "ttft_mean")))
	}
	return s
}

// troubled are replicas that are slow, or die.
func troubled() []section {
	slow := func(s *replay.Setup) { s.Slow = map[int]float64{0: 0.5} }
	const death = 600 * time.Second
	kill := func(s *replay.Setup) { s.Kill = map[int]time.Duration{3: death} }
	seven := func(s *replay.Setup) { s.Replicas, s.Watch = 7, death }
	return []section{
		{
			id: "slow", title: "One replica at half speed, and nobody is told", trace: conversation, seeds: 5,
			rows: []row{{name: "auto, all alike", policy: "auto"}, {policy: "auto", change: slow}, {policy: "smetric", change: slow}, {policy: "lmetric", change: slow}, {policy: queued, change: slow}, {policy: "cache_aware", change: slow}, {policy: "chwbl", change: slow}},
			bars: []bar{
				atMost("mean TTFT beside replicas that are all alike", 1.05, ratio("auto", "auto, all alike", "ttft_mean")),
				atMost("mean TPOT beside replicas that are all alike", 1.05, ratio("auto", "auto, all alike", "tpot_mean")),
			},
		},
		{
			id: "death", title: "One replica dies after ten minutes", trace: conversation, seeds: 5,
			note: "A gateway asks elsewhere what the dead replica had not begun to answer; what it was writing is cut off. Seven replicas from the beginning are what the p99 is compared with, in the same minute: that from 10 s after the death on.",
			rows: []row{{policy: "auto", change: kill}, {name: "auto, seven from the beginning", policy: "auto", change: seven}, {policy: "lmetric", change: kill}, {policy: "cache_aware", change: kill}, {policy: "chwbl", change: kill}},
			bars: []bar{
				atMost("failed requests of which nothing was sent", 0, exactly("auto", func(r *replay.Result) float64 { return r.Detail.Failed })),
				atMost("p99 TTFT in the minute from 10 s after, beside seven replicas", 1.10, func(rs []replay.Result) replay.Interval {
					v := named(rs, "auto").Detail.Windows[2] / named(rs, "auto, seven from the beginning").Detail.Windows[2]
					return replay.Interval{Mean: v, Low: v, High: v}
				}),
			},
		},
	}
}

// sensitivity is the engine's constants halved and doubled: they are estimates.
func sensitivity() []section {
	var all []section
	for _, c := range []struct {
		id, title string
		pf, ctx   float64
	}{
		{"prefill-half", "Prefill in half the time", .5, 1},
		{"prefill-double", "Prefill in twice the time", 2, 1},
		{"context-half", "Context read in half the time", 1, .5},
		{"context-double", "Context read in twice the time", 1, 2},
	} {
		change := func(s *replay.Setup) {
			s.Engine = replay.Stretch(s.Engine, c.pf, c.ctx)
			s.Load.Scale = 1.5
		}
		rows := []row{{policy: "auto"}, {policy: "smetric"}, {policy: "lmetric"}, {policy: queued}, {policy: "cache_aware"}, {policy: "chwbl"}}
		all = append(all, section{id: c.id, title: c.title + ", conversations at 1.5", trace: conversation, seeds: 3, all: change, rows: rows})
	}
	return all
}
