package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"tailplane/internal/queue/queuesim"
	"tailplane/internal/replay"
)

// tenantSeeds is how often each scenario is drawn, where the flags say nothing.
const tenantSeeds = 5

// tenants is what one tenant's flood, or an overload, does to the others who wait in
// the queue.
func tenants(ctx context.Context, o *options) (aside, error) {
	seeds := cmp.Or(o.seeds, tenantSeeds)
	a := aside{title: "Tenants who wait", unit: "p99 of the others' first tokens beside a world without it, times"}
	var b strings.Builder
	fmt.Fprintf(&b, `Four replicas, the queue with its defaults, %d seeds of ten minutes. A flood is one tenant that asks for ten times its part, so that all together
ask for 1.2 times the capacity; beside it stands a world in which it asks for its part, and there is room for everybody. Chats have prompts of 4,500
tokens on average, shorts of 1,200; answers have 150.

| scenario | p50 of the others, s | p99, s | p99 of a seed, times | answered, of the capacity | refused of the others |
|---|---|---|---|---|---|
`, seeds)
	var twice strings.Builder
	for _, of := range []struct {
		name string
		queuesim.Lengths
	}{{"chats", queuesim.Chats()}, {"shorts", queuesim.Shorts()}} {
		capacity, err := queuesim.Capacity(of.Lengths)
		if err != nil {
			return a, err
		}
		moved := func(name string, m queuesim.Moved) {
			factor := replay.FactorOf(m.Factors)
			a.marks = append(a.marks, mark{name: name, value: factor.Mean, ci: factor, ours: true})
			a.verdicts = append(a.verdicts, verdict{atMost("p99 TTFT of the others, "+name, 1.20, nil), factor})
			fmt.Fprintf(&b, "| %s | %.3f, before %.3f | %.3f, before %.3f | %s | %s %% | %d |\n", name, m.P50After, m.P50Before, m.P99After, m.P99Before,
				number(factor), number(percent(m.Answered)), m.Refused)
		}
		for _, n := range []int{10, 20} {
			m, err := queuesim.Flood(ctx, of.Lengths, n, capacity, seeds)
			if err != nil {
				return a, err
			}
			moved(fmt.Sprintf("a flood of %s, %d tenants", of.name, n), m)
		}
		m, err := queuesim.Priority(ctx, of.Lengths, capacity, seeds)
		if err != nil {
			return a, err
		}
		moved("high priority in an overload of "+of.name, m)
		k, err := queuesim.Twice(ctx, of.Lengths, capacity, seeds)
		if err != nil {
			return a, err
		}
		answered := percent(k.Answered)
		a.verdicts = append(a.verdicts, verdict{atLeast("answered of the capacity at twice that, "+of.name+", %", 90), answered})
		fmt.Fprintf(&twice, "| %s | %s %% | %.4f | %d of %d |\n", of.name, number(answered), k.Jain, k.Expired, k.Requests)
	}
	b.WriteString("\nEight tenants of different weights ask for twice the capacity together, each for more than its part:\n\n| | answered, of the capacity | Jain's index of what they got by weight | waited to be refused |\n|---|---|---|---|\n")
	a.text = b.String() + twice.String()
	return a, nil
}

// percent is the interval of shares, given that of each seed.
func percent(shares []float64) replay.Interval {
	i := replay.IntervalOf(shares)
	return replay.Interval{Mean: 100 * i.Mean, Low: 100 * i.Low, High: 100 * i.High}
}
