package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tailplane/internal/dialect"
	"tailplane/internal/h1"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/upstream"
)

// Questions of which an answer is made here: how many tokens a conversation has,
// and the vectors of a request that a provider takes in pieces. Their answers are
// whole and small, and nothing of them goes to the client as it is.

// mostAtOnce bounds how many questions of one request are under way at once.
const mostAtOnce = 8

// asked is the answer to a question.
type asked struct {
	status int
	id     string // the provider's own of the request
	header h1.Header
	body   []byte
	head   time.Time // when it began
	fault  *llm.Fault
}

// askAll asks a target each of the bodies, which belong to one attempt. It
// returns the answers in their order, and the fault of the first that failed;
// the others are given up then, and what was answered so far has been paid for.
func (c *call) askAll(target *candidate, a *ledger.Attempt, out upstream.Call, bodies [][]byte) ([]asked, *llm.Fault) {
	spoken := c.wordsOf(target, out.Dialect)
	out.Forward, out.ConnectTimeout, out.HeadDeadline = c.forwarded(target, out.Dialect), c.to.Connect, c.deadline
	answers := make([]asked, len(bodies))
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	var next atomic.Int64
	var first atomic.Int64 // the number of the first that failed, counted from 1
	var all sync.WaitGroup
	for range min(len(bodies), mostAtOnce) {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(bodies)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				one := out
				one.Body = bodies[i]
				if answers[i] = c.askOne(ctx, target, one, spoken); answers[i].fault != nil {
					first.CompareAndSwap(0, i+1)
					cancel()
				}
			}
		})
	}
	all.Wait()
	at := max(first.Load()-1, 0)
	a.Status, a.Upstream = answers[at].status, answers[at].id
	if !answers[at].head.IsZero() {
		a.Head = answers[at].head.Sub(c.ex.Start) - a.Begin
	}
	if f := answers[at].fault; f != nil {
		c.refusal = answers[at].header
		return answers, f
	}
	if ctx.Err() != nil { // the caller left before all were asked
		return answers, upstream.Broken(ctx.Err(), llm.FaultTotal)
	}
	return answers, nil
}

// wordsOf is the surface that reads a target's refusals.
func (c *call) wordsOf(target *candidate, d llm.Dialect) dialect.Surface {
	if target.Embedding(target.model) == upstream.EmbedsInvoke || d == llm.Converse {
		return dialect.ConverseCodec{}
	}
	return c.words(target, dialect.For(d))
}

// askOne asks one question. It may run beside others of the same call, so it
// touches nothing of it.
func (c *call) askOne(ctx context.Context, target *candidate, out upstream.Call, spoken dialect.Surface) (answer asked) {
	defer func() {
		if bug := recover(); bug != nil {
			answer.fault = c.bug(bug)
		}
	}()
	var req h1.Request
	begin := now()
	target.Fill(&req, out, begin)
	use, f := target.Authorize(ctx, &req, c.ex.Customer, target.model, begin)
	if f != nil {
		answer.fault = f
		return answer
	}
	defer func() { target.Report(use, answer.fault, now()) }()
	resp, err := target.Do(ctx, &req)
	if err != nil {
		answer.fault = upstream.Broken(err, llm.FaultTotal)
		return answer
	}
	defer resp.Close()
	answer = asked{status: resp.Status, header: resp.Header, head: now(), id: target.RequestID(resp.Header.Get, begin)}
	answer.body, err = readWhole(resp, nil, c.plane.Listen.MaxBody, c.deadline)
	at := now()
	switch {
	case resp.Status/100 != 2:
		answer.fault = target.Classify(upstream.Answer{
			Status: resp.Status, Body: dialect.ReadError(spoken, resp.Header.Get, answer.body), After: upstream.RetryAfter(resp.Header.Get, at), At: at,
			Header: resp.Header.Get,
		}, at)
	case errors.Is(err, errTooLong):
		answer.fault = garbage(fmt.Sprintf("target %s answered with more than %d bytes; listen.max_body sets the limit", target.Name, c.plane.Listen.MaxBody), err)
	case err != nil:
		answer.fault = upstream.Broken(err, llm.FaultTotal)
	}
	return answer
}
