package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"time"

	"tailplane/internal/models"
	"tailplane/internal/prefix"
	"tailplane/internal/route"
)

// cost is what a decision takes: the body is scanned and hashed, the eight
// replicas are ranked, and the group is told that the request was sent. A gateway
// has just read the body from its connection, so that the processor's caches hold it.
type cost struct {
	small, large latency // 4 KB and 400 KB
	cold         latency // 400 KB that come from memory
	million      float64 // bytes of a million checkpoints
}

type latency struct {
	p50, p99 time.Duration
	rate     float64 // decisions a second of one core
}

// aside is the section of the page.
func (c *cost) aside() aside {
	us := func(d time.Duration) float64 { return float64(d) / 1e3 }
	a := aside{title: "What a decision costs", verdicts: []verdict{
		{atMost("p99 of a decision about 400 KB, us", 200, nil), flat(us(c.large.p99))},
		{atMost("p99 of a decision about 4 KB, us", 15, nil), flat(us(c.small.p99))},
		{atMost("time of a decision about 400 KB, us (2,000 a second)", 500, nil), flat(1e6 / c.large.rate)},
		{atMost("MB of a million checkpoints", 64, nil), flat(c.million / 1e6)},
	}}
	var b strings.Builder
	b.WriteString("On the machine that wrote this page, one core: the JSON body is scanned and hashed, eight replicas are ranked, and the group is told that\nthe request was sent. The body has just been read, as in a gateway, so that the processor's caches hold it; the last line is for one that comes from\nmemory.\n\n| body | p50 | p99 | decisions a second |\n|---|---|---|---|\n")
	for _, l := range []struct {
		size string
		latency
	}{{"4 KB", c.small}, {"400 KB (about 100k tokens)", c.large}, {"400 KB, from memory", c.cold}} {
		fmt.Fprintf(&b, "| %s | %.1f us | %.1f us | %.0f |\n", l.size, us(l.p50), us(l.p99), l.rate)
	}
	fmt.Fprintf(&b, "\nA million checkpoints in the index take %.0f MB.\n", c.million/1e6)
	a.text = b.String()
	return a
}

// measureCost takes a few seconds.
func measureCost() *cost {
	return &cost{small: decide(4<<10, 20_000, true), large: decide(400<<10, 4000, true), cold: decide(400<<10, 4000, false), million: indexSize()}
}

// decide makes n decisions about bodies of that size: conversations that come
// back with one turn more, half of them new. Those that arrive are copied first, as
// they are read from a connection; the others were last looked at 64 bodies before.
func decide(size, n int, arrive bool) latency {
	const talks = 64
	g := route.NewGroup("model", route.NewPolicy(models.Policy{Name: models.PolicyAuto}), nil)
	var facts []route.Facts
	for i := range 8 {
		facts = append(facts, route.Facts{Name: fmt.Sprint("replica-", i), Weight: 1})
	}
	var bodies [talks][]byte
	for i := range bodies {
		bodies[i] = body(uint64(i), size)
	}
	var (
		q    route.Query
		d    route.Decision
		took = make([]time.Duration, 0, n)
		now  = time.Unix(0, 0)
		all  time.Duration
		read []byte
	)
	for i := range n {
		text := bodies[i%talks]
		if arrive {
			read = append(read[:0], text...)
			text = read
		}
		start := time.Now()
		q.Chain.Reset()
		prefix.FromBody(&q.Chain, prefix.Seed("", "model", fmt.Sprint(i/talks%2)), text)
		q.Roll = uint64(i)
		d.Order = d.Order[:0]
		now = now.Add(10 * time.Millisecond)
		g.Pick(now, &q, facts, &d, false)
		var t route.Ticket
		g.Sent(now, &q, facts[d.Order[0]].Name, &t)
		took = append(took, time.Since(start))
		t.First(now)
		t.Done(now, route.Result{OK: true, Cached: -1})
		all += time.Since(start)
	}
	rate := float64(n) / all.Seconds()
	slices.Sort(took)
	return latency{took[n/2], took[n*99/100], rate}
}

// body is a chat of that size, in turns of 2 KB.
func body(seed uint64, size int) []byte {
	rng := rand.New(rand.NewPCG(seed, 0))
	var b strings.Builder
	b.WriteString(`{"model":"m","stream":true,"messages":[{"role":"system","content":"You help."}`)
	for turn := 0; b.Len() < size; turn++ {
		fmt.Fprintf(&b, `,{"role":%q,"content":"`, [2]string{"user", "assistant"}[turn%2])
		for range min(2048, max(1, size-b.Len())) / 8 {
			fmt.Fprintf(&b, "%07x ", rng.Uint32()>>4)
		}
		b.WriteString(`"}`)
	}
	b.WriteString("]}")
	return []byte(b.String())
}

// indexSize is the heap that a million checkpoints take.
func indexSize() float64 {
	const chains, marks = 2500, 400
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	x := prefix.NewIndex()
	x.Resize(0, 1<<50)
	rng := rand.New(rand.NewPCG(1, 1))
	c := prefix.Chain{Marks: make([]prefix.Mark, marks)}
	for range chains {
		for i := range c.Marks {
			c.Marks[i] = prefix.Mark{Hash: rng.Uint64(), End: (i + 1) * 1024}
		}
		c.Bytes = marks * 1024
		x.Insert(0, &c)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	n := x.Len()
	runtime.KeepAlive(x)
	return float64(after.HeapAlloc-before.HeapAlloc) / float64(n) * 1e6
}
