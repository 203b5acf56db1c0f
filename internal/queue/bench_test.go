package queue_test

import (
	"fmt"
	"testing"
	"time"

	"tailplane/internal/queue"
)

// BenchmarkPushPop is one request in and one out while 10,000 of 1,000 tenants
// wait.
func BenchmarkPushPop(b *testing.B) {
	s := queue.New(queue.Config{Requests: 20_000, Bytes: 1 << 40, MaxWait: time.Hour})
	now := epoch
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprintf("tenant-%d", i)
	}
	id := uint64(0)
	push := func() {
		id++
		now = now.Add(time.Microsecond)
		// Costs differ, so that turns do.
		it := queue.Item{ID: id, Tenant: names[id*7919%1000], Cost: 0.01 + float64(id*31%97)/1000, Bytes: 1000}
		if _, no := s.Push(now, it, queue.Outlook{Replicas: 1 << 20}); no != nil {
			b.Fatal(no)
		}
	}
	for range 10_000 {
		push()
	}
	yes := func(queue.Item) bool { return true }
	b.ReportAllocs()
	for b.Loop() {
		push()
		if _, ok := s.Pop(now, yes); !ok {
			b.Fatal("nothing came out")
		}
	}
}

// BenchmarkEnterLeave is the way of a request when nothing waits.
func BenchmarkEnterLeave(b *testing.B) {
	q := queue.NewQueue(queue.Options{
		Room:    func(time.Time, queue.Item, int) (bool, time.Duration) { return true, 0 },
		Outlook: func(time.Time) queue.Outlook { return queue.Outlook{} },
	})
	ctx, now := b.Context(), epoch
	b.ReportAllocs()
	for b.Loop() {
		t, no := q.Enter(ctx, now, queue.Item{Tenant: "t", Cost: 0.1})
		if no != nil {
			b.Fatal(no)
		}
		t.Sent(now)
		t.Leave(now, 0.1)
	}
}
