package route_test

import (
	"testing"
	"time"

	"tailplane/internal/engine"
	"tailplane/internal/models"
	"tailplane/internal/prefix"
	"tailplane/internal/queue"
	"tailplane/internal/route"
)

// standings is a group of replicas whose standings a test sets.
type standings struct {
	group *route.Group
	queue *queue.Queue
	list  []route.Standing
}

func newStandings(list ...route.Standing) *standings {
	s := &standings{group: route.NewGroup("m", route.NewPolicy(models.Policy{Name: models.PolicyAuto}), nil), list: list}
	s.queue = s.group.Queue(queue.Config{}, func(_ time.Time, to []route.Standing) []route.Standing { return append(to, s.list...) })
	return s
}

// enters reports whether a request is let through at once. It gives its place back.
func (s *standings) enters(t *testing.T, now time.Time, b queue.Band) bool {
	t.Helper()
	ticket, no := s.queue.Enter(t.Context(), now, queue.Item{Band: b, Tenant: "t", Cost: 0.1, Deadline: now.Add(-time.Second)})
	ticket.Leave(now, 0)
	return no == nil
}

func prompt(bytes int) route.Query {
	return route.Query{Chain: prefix.Chain{Bytes: bytes}}
}

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func TestAnEngineHasRoomUntilItsPrefillIsBeforeTheNext(t *testing.T) {
	s := newStandings(route.Standing{Name: "a", Ready: true, Engine: true})
	if !s.enters(t, noon, queue.Normal) {
		t.Fatal("an idle replica has no room")
	}
	q := prompt(12_000) // 3000 tokens: some 0.1 s by the prior
	var sent route.Ticket
	s.group.Sent(noon, &q, "a", &sent)
	if s.enters(t, noon, queue.Normal) {
		t.Error("a replica that computes has room")
	}
	if s.enters(t, noon.Add(20*time.Millisecond), queue.Normal) {
		t.Error("what is kept for high priority is given to another")
	}
	if !s.enters(t, noon.Add(20*time.Millisecond), queue.High) {
		t.Error("what is kept for high priority is not given to it")
	}
	sent.First(noon.Add(60 * time.Millisecond))
	if !s.enters(t, noon.Add(60*time.Millisecond), queue.Normal) {
		t.Error("a replica that has answered has no room")
	}
}

func TestAProviderHasRoomUntilItRefuses(t *testing.T) {
	s := newStandings(route.Standing{Name: "a", Ready: true})
	q := prompt(400_000)
	sent := make([]route.Ticket, 8)
	for i := range sent {
		s.group.Sent(noon, &q, "a", &sent[i])
	}
	if !s.enters(t, noon, queue.Low) {
		t.Fatal("a provider that has refused nothing has no room")
	}
	sent[0].Refused(noon)
	sent[0].Done(noon, route.Result{})
	if s.enters(t, noon, queue.Normal) {
		t.Error("a provider that refuses at eight is given an eighth")
	}
	for i := range sent {
		sent[i].Done(noon, route.Result{})
	}
	if !s.enters(t, noon, queue.Normal) {
		t.Error("a provider with nothing in flight has no room")
	}
}

func TestNothingIsHeldBackWhereNobodyMayBeAsked(t *testing.T) {
	s := newStandings(route.Standing{Name: "a", InFlight: 9, Most: 1}, route.Standing{Name: "b", InFlight: 9, Most: 1})
	if !s.enters(t, noon, queue.Normal) {
		t.Error("a request waits for replicas that may not be asked")
	}
	s.list[1].Ready = true
	if s.enters(t, noon, queue.Normal) {
		t.Error("a full replica has room")
	}
}

func TestPlacesThatArePromisedAreTaken(t *testing.T) {
	s := newStandings(route.Standing{Name: "a", Ready: true, Engine: true}, route.Standing{Name: "b", Ready: true, Engine: true})
	for i, want := range []bool{true, true, false} {
		_, no := s.queue.Enter(t.Context(), noon, queue.Item{Tenant: "t", Cost: 0.1, Deadline: noon.Add(-time.Second)})
		if got := no == nil; got != want {
			t.Errorf("request %d is let through: %v, want %v", i, got, want)
		}
	}
}

func TestAReloadKeepsTheQueue(t *testing.T) {
	s := newStandings(route.Standing{Name: "a", Ready: true})
	again := s.group.Queue(queue.Config{Requests: 1}, func(_ time.Time, to []route.Standing) []route.Standing { return append(to, s.list...) })
	if again != s.queue {
		t.Error("a reload makes another queue")
	}
}

// TestSecondsLeaveOutWhatACacheHolds: the second turn of a conversation costs what
// is new in it.
func TestSecondsLeaveOutWhatACacheHolds(t *testing.T) {
	g := route.NewGroup("m", route.NewPolicy(models.Policy{Name: models.PolicyAuto}), nil)
	q := prompt(40_000)
	cold, decode := g.Seconds(&q)
	q.Output = 1000
	if _, more := g.Seconds(&q); decode != 0 || more < 0.1 || more > 2 {
		t.Errorf("an answer of 1000 tokens takes %v s, and one of none %v", more, decode)
	}
	if spent := g.Spent(10_000, 9_900, 0); !(spent < cold/10) {
		t.Errorf("a cached prompt costs %v s, one that is not %v", spent, cold)
	}
}

// TestAFullCacheHasNoRoom, whatever is before the next request: more answers would
// push out those that are being written.
func TestAFullCacheHasNoRoom(t *testing.T) {
	s := newStandings(route.Standing{Name: "a", Ready: true, Engine: true})
	s.list[0].Says = engine.Sample{Known: engine.SignalKVUsage, KVUsage: 0.65}
	if !s.enters(t, noon, queue.Normal) {
		t.Error("a first request is held back for the load of others")
	}
	q := prompt(100)
	var sent route.Ticket
	s.group.Sent(noon, &q, "a", &sent)
	sent.First(noon.Add(time.Millisecond))
	later := noon.Add(time.Minute)
	if s.enters(t, later, queue.Normal) || !s.enters(t, later, queue.High) {
		t.Error("a cache that is full but for what is kept for high priority is not kept for it")
	}
	s.list[0].Says.KVUsage = 0.9
	if s.enters(t, later, queue.High) {
		t.Error("a full cache has room")
	}
}
