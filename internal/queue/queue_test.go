package queue_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tailplane/internal/queue"
)

// places is a group of replicas that takes so many requests at once.
type places struct {
	mu    sync.Mutex
	limit int
	used  int
	again time.Duration
}

func (p *places) room(_ time.Time, _ queue.Item, promised int) (bool, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used+promised < p.limit, p.again
}

func (p *places) add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used += n
}

func (p *places) queue(c queue.Config) *queue.Queue {
	return queue.NewQueue(queue.Options{Config: c, Room: p.room, Outlook: func(time.Time) queue.Outlook { return queue.Outlook{Replicas: 1} }})
}

// take enters and sends.
func (p *places) take(t *testing.T, q *queue.Queue, it queue.Item) queue.Ticket {
	t.Helper()
	ticket, no := q.Enter(t.Context(), time.Now(), it)
	if no != nil {
		t.Fatalf("refused: %v", no)
	}
	p.add(1)
	ticket.Sent(time.Now())
	return ticket
}

func (p *places) leave(ticket queue.Ticket) {
	p.add(-1)
	ticket.Leave(time.Now(), 0.1)
}

// empty fails unless nothing waits and nothing is promised.
func empty(t *testing.T, q *queue.Queue) {
	t.Helper()
	s := q.Stats(time.Now())
	for _, b := range s.Bands {
		if b.Waiting != 0 {
			t.Errorf("%d of the %v band wait", b.Waiting, b.Band)
		}
	}
	if s.Promised != 0 || s.Bytes != 0 || s.Saturation != 0 {
		t.Errorf("what is left: %+v", s)
	}
}

func TestWhoWaitsGoesWhenSomebodyLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &places{limit: 1}
		q := p.queue(queue.Config{})
		first := p.take(t, q, queue.Item{})
		var second queue.Ticket
		var wg sync.WaitGroup
		wg.Go(func() { second = p.take(t, q, queue.Item{}) })
		synctest.Wait()
		time.Sleep(3 * time.Second)
		p.leave(first)
		wg.Wait()
		if second.Waited != 3*time.Second || first.Waited != 0 {
			t.Errorf("the first waited for %v, the second for %v", first.Waited, second.Waited)
		}
		p.leave(second)
		empty(t, q)
	})
}

// TestRoomIsNotPromisedTwice: however many wait, and however long those who were
// let through take to send, no more are on their way than there is room for.
func TestRoomIsNotPromisedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &places{limit: 3}
		q := p.queue(queue.Config{})
		var inside, most atomic.Int64
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				ticket, no := q.Enter(t.Context(), time.Now(), queue.Item{Tenant: fmt.Sprint(i % 5)})
				if no != nil {
					t.Errorf("refused: %v", no)
					return
				}
				n := inside.Add(1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				time.Sleep(time.Millisecond) // decides
				p.add(1)
				ticket.Sent(time.Now())
				time.Sleep(20 * time.Millisecond)
				inside.Add(-1)
				p.leave(ticket)
			})
		}
		wg.Wait()
		if most.Load() != 3 {
			t.Errorf("%d were on their way at once, want 3", most.Load())
		}
		empty(t, q)
	})
}

func TestAClientThatGoesLeavesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &places{limit: 1}
		q := p.queue(queue.Config{})
		first := p.take(t, q, queue.Item{})
		ctx, cancel := context.WithCancel(t.Context())
		var no *queue.Refusal
		var wg sync.WaitGroup
		wg.Go(func() { _, no = q.Enter(ctx, time.Now(), queue.Item{Bytes: 100}) })
		synctest.Wait()
		if got := q.Stats(time.Now()).Bytes; got != 100 {
			t.Errorf("%d bytes wait", got)
		}
		cancel()
		wg.Wait()
		if no == nil || no.Reason != queue.ReasonCancelled {
			t.Errorf("the refusal is %+v", no)
		}
		p.leave(first)
		empty(t, q)
		if got := q.Stats(time.Now()).Bands[1].Refused(queue.ReasonCancelled); got != 1 {
			t.Errorf("%d were counted as cancelled", got)
		}
	})
}

// TestAPlaceIsNotLostToAClientThatIsGone: clients go in the very moment in which
// they are let through.
func TestAPlaceIsNotLostToAClientThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &places{limit: 1}
		q := p.queue(queue.Config{})
		for range 200 {
			first := p.take(t, q, queue.Item{})
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() {
				if ticket, no := q.Enter(ctx, time.Now(), queue.Item{}); no == nil {
					ticket.Leave(time.Now(), 0)
				}
			})
			synctest.Wait()
			wg.Go(cancel)
			wg.Go(func() { p.leave(first) })
			wg.Wait()
		}
		empty(t, q)
		p.leave(p.take(t, q, queue.Item{}))
	})
}

func TestWhoWaitsTooLongIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &places{limit: 0}
		q := p.queue(queue.Config{MaxWait: 5 * time.Second})
		start := time.Now()
		_, no := q.Enter(t.Context(), start, queue.Item{})
		if no == nil || no.Reason != queue.ReasonExpired || no.Waited != 5*time.Second || time.Since(start) != 5*time.Second {
			t.Errorf("after %v: %+v", time.Since(start), no)
		}
		_, no = q.Enter(t.Context(), time.Now(), queue.Item{Deadline: time.Now().Add(time.Second)})
		if no == nil || no.Waited != time.Second {
			t.Errorf("with a deadline of its own: %+v", no)
		}
		empty(t, q)
	})
}

// TestRoomThatComesWithTimeIsFound: nobody says that there is room.
func TestRoomThatComesWithTimeIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		q := queue.NewQueue(queue.Options{
			Room: func(now time.Time, _ queue.Item, _ int) (bool, time.Duration) {
				left := start.Add(700 * time.Millisecond).Sub(now)
				return left <= 0, left
			},
			Outlook: func(time.Time) queue.Outlook { return queue.Outlook{} },
		})
		ticket, no := q.Enter(t.Context(), start, queue.Item{})
		if no != nil || ticket.Waited != 700*time.Millisecond {
			t.Errorf("%v, after %v", no, ticket.Waited)
		}
		ticket.Leave(time.Now(), 0.1)
		empty(t, q)
	})
}

func TestWhoIsShedIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &places{limit: 1}
		q := p.queue(queue.Config{Requests: 1})
		first := p.take(t, q, queue.Item{})
		var low *queue.Refusal
		var high queue.Ticket
		var wg sync.WaitGroup
		wg.Go(func() { _, low = q.Enter(t.Context(), time.Now(), queue.Item{Band: queue.Low}) })
		synctest.Wait()
		wg.Go(func() { high = p.take(t, q, queue.Item{Band: queue.High}) })
		synctest.Wait()
		if low == nil || low.Reason != queue.ReasonShed || low.After < time.Second {
			t.Fatalf("the refusal is %+v", low)
		}
		if _, no := q.Enter(t.Context(), time.Now(), queue.Item{}); no == nil || no.Reason != queue.ReasonFull {
			t.Errorf("a full queue says %+v", no)
		}
		p.leave(first)
		wg.Wait()
		p.leave(high)
		empty(t, q)
	})
}

func TestATicketIsLeftOnce(t *testing.T) {
	p := &places{limit: 1}
	q := p.queue(queue.Config{})
	ticket, _ := q.Enter(t.Context(), epoch, queue.Item{})
	ticket.Leave(epoch, 1)
	ticket.Leave(epoch, 1)
	ticket.Sent(epoch)
	(&queue.Ticket{}).Leave(epoch, 1)
	if got := q.Stats(epoch).Promised; got != 0 {
		t.Errorf("%d are promised", got)
	}
}

func TestTheFastPathDoesNotAllocate(t *testing.T) {
	p := &places{limit: 1}
	q := p.queue(queue.Config{})
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		ticket, _ := q.Enter(ctx, epoch, queue.Item{Tenant: "a", Cost: 1})
		ticket.Sent(epoch)
		ticket.Leave(epoch, 1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
