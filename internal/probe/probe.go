// Package probe looks at targets before there is traffic: can each be reached, is
// it paid for, does it serve the models that the config names, is the clock
// right.
//
// It owns the judgement of what was seen ([Judge], pure) and the thin part that
// looks ([Look]): GET requests that cost nothing, by the way and with the
// credential of every request. It never asks anything that is billed, and it
// uses the words in which the same fault is told when a request meets it later:
// they come from package upstream.
//
// Start reading at [Look]; judge.go decides.
package probe

import (
	"context"
	"sync"
	"time"

	"tailplane/internal/dialect"
	"tailplane/internal/llm"
	"tailplane/internal/upstream"
)

// Subject is one target to look at.
type Subject struct {
	Name, Kind string
	// Key is which of several keys of the target this is about; empty where it has
	// one credential.
	Key string
	// Target is nil when it could not be made; Err says why.
	Target *upstream.Target
	Err    error
	// Models are those that the config sends there, as the provider calls them.
	Models []string
}

// The bounds of a look.
const (
	targetTime = 10 * time.Second // for one target
	atOnce     = 8                // targets
)

// Look asks every subject and returns the results in their order. It takes no
// longer than ten seconds for each eight of them.
func Look(ctx context.Context, subjects []Subject) []Result {
	out := make([]Result, len(subjects))
	room := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, s := range subjects {
		wg.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			ctx, cancel := context.WithTimeout(ctx, targetTime)
			defer cancel()
			out[i] = Judge(look(ctx, s))
		})
	}
	wg.Wait()
	return out
}

// look gathers the facts of one target.
func look(ctx context.Context, s Subject) Facts {
	f := Facts{Subject: s}
	if s.Target == nil {
		return f
	}
	for _, q := range s.Target.Questions() {
		a := ask(ctx, s.Target, q)
		f.Answers = append(f.Answers, a)
		if a.Status == 0 && q.Host == "" {
			break // what does not get there once does not get there twice
		}
	}
	return f
}

// ask asks one question and reads the answer.
func ask(ctx context.Context, t *upstream.Target, q upstream.Question) Answer {
	a := Answer{Question: q}
	reply, fault := t.Ask(ctx, q)
	now := time.Now()
	if fault != nil {
		a.Fault = fault
		return a
	}
	a.Status = reply.Status
	_, a.Skew = upstream.Skew(reply.Header.Get("date"), now)
	if reply.Status/100 == 2 {
		a.Models, a.Whole, a.Listed = upstream.Served(reply.Body)
		return a
	}
	get := reply.Header.Get
	a.Fault = t.Classify(upstream.Answer{Status: reply.Status, Body: dialect.ReadError(spoken(t), get, reply.Body), Header: get, At: now}, now)
	return a
}

// spoken reads the errors of a target: those of the dialect that it speaks best.
func spoken(t *upstream.Target) dialect.Surface {
	for _, d := range t.Dialects {
		if s := dialect.For(d); s != nil {
			return s
		}
	}
	return dialect.For(llm.Chat)
}
