package queue_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tailplane/internal/queue"
)

var epoch = time.Unix(1_800_000_000, 0)

func always(queue.Item) bool { return true }

// failer is a test, of rapid or not.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func push(t failer, s *queue.Scheduler, now time.Time, it queue.Item) {
	t.Helper()
	if shed, no := s.Push(now, it, queue.Outlook{Replicas: 1000}); no != nil || len(shed) > 0 {
		t.Fatalf("item %d: refused %v, shed %v", it.ID, no, shed)
	}
}

// order pops everything and returns the IDs.
func order(s *queue.Scheduler, now time.Time) []uint64 {
	var ids []uint64
	for {
		it, ok := s.Pop(now, always)
		if !ok {
			return ids
		}
		ids = append(ids, it.ID)
	}
}

// TestAnExpiryDoesNotHangOnTheWallClock: what is waited for is told by the clock that
// nobody sets, so a step of the other one lets nobody wait longer.
func TestAnExpiryDoesNotHangOnTheWallClock(t *testing.T) {
	now := time.Now()
	s := queue.New(queue.Config{})
	push(t, s, now, queue.Item{ID: 1, Tenant: "t", Deadline: now.Add(time.Second)})
	next, ok := s.Next()
	if !ok || !next.Equal(now.Add(time.Second)) || !strings.Contains(next.String(), " m=") {
		t.Errorf("next is %v, want %v by the monotonic clock", next, now.Add(time.Second))
	}
}

func TestTheOrderIsBandThenTenantThenDeadline(t *testing.T) {
	at := func(d time.Duration) time.Time { return epoch.Add(d) }
	cases := []struct {
		name  string
		items []queue.Item
		want  []uint64
	}{
		{"first come, first served", []queue.Item{{ID: 1}, {ID: 2}, {ID: 3}}, []uint64{1, 2, 3}},
		{"bands", []queue.Item{{ID: 1, Band: queue.Low}, {ID: 2}, {ID: 3, Band: queue.High}}, []uint64{3, 2, 1}},
		{"tenants take turns", []queue.Item{{ID: 1, Tenant: "a", Cost: 1}, {ID: 2, Tenant: "a", Cost: 1}, {ID: 3, Tenant: "a", Cost: 1}, {ID: 4, Tenant: "b", Cost: 1}, {ID: 5, Tenant: "b", Cost: 1}}, []uint64{1, 4, 2, 5, 3}},
		{"turns are measured in seconds", []queue.Item{{ID: 1, Tenant: "a", Cost: 2}, {ID: 2, Tenant: "a", Cost: 2}, {ID: 3, Tenant: "b", Cost: 1}, {ID: 4, Tenant: "b", Cost: 1}, {ID: 5, Tenant: "b", Cost: 1}}, []uint64{1, 3, 4, 2, 5}},
		{"weights", []queue.Item{{ID: 1, Tenant: "a", Cost: 1, Weight: 2}, {ID: 2, Tenant: "a", Cost: 1, Weight: 2}, {ID: 3, Tenant: "a", Cost: 1, Weight: 2}, {ID: 4, Tenant: "b", Cost: 1}, {ID: 5, Tenant: "b", Cost: 1}}, []uint64{1, 4, 2, 3, 5}},
		{"deadlines within a tenant", []queue.Item{{ID: 1}, {ID: 2, Deadline: at(9 * time.Second)}, {ID: 3, Deadline: at(5 * time.Second)}}, []uint64{3, 2, 1}},
		{"a lane goes on, three at a time", []queue.Item{{ID: 1, Lane: 7}, {ID: 2}, {ID: 3, Lane: 7}, {ID: 4, Lane: 7}, {ID: 5, Lane: 7}, {ID: 6, Lane: 7}}, []uint64{1, 3, 4, 5, 2, 6}},
		{"no lane goes ahead of a deadline", []queue.Item{{ID: 1, Lane: 7, Deadline: at(time.Second)}, {ID: 2, Deadline: at(2 * time.Second)}, {ID: 3, Lane: 7}}, []uint64{1, 2, 3}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := queue.New(queue.Config{})
			for _, it := range c.items {
				push(t, s, epoch, it)
			}
			if got := order(s, epoch); !slices.Equal(got, c.want) {
				t.Errorf("they came out as %v, want %v", got, c.want)
			}
		})
	}
}

func TestWhatIsFullIsFullForTheLowestBandAndTheLargestTenant(t *testing.T) {
	fill := func(s *queue.Scheduler, n int, of queue.Item) {
		for range n {
			of.ID++
			push(t, s, epoch, of)
		}
	}
	cases := []struct {
		name   string
		config queue.Config
		fill   []queue.Item // four of each
		it     queue.Item
		shed   []uint64
		reason queue.Reason
	}{
		{"the youngest of the lowest band goes", queue.Config{Requests: 8}, []queue.Item{{ID: 10, Band: queue.Low}, {ID: 20}}, queue.Item{ID: 1, Band: queue.High}, []uint64{14}, 0},
		{"a lower band makes nothing go", queue.Config{Requests: 8}, []queue.Item{{ID: 10}, {ID: 20}}, queue.Item{ID: 1, Band: queue.Low}, nil, queue.ReasonFull},
		{"the largest tenant loses to another", queue.Config{Requests: 4}, []queue.Item{{ID: 10, Tenant: "b"}}, queue.Item{ID: 1, Tenant: "a"}, []uint64{14}, 0},
		{"and not to itself", queue.Config{Requests: 4}, []queue.Item{{ID: 10, Tenant: "b"}}, queue.Item{ID: 1, Tenant: "b"}, nil, queue.ReasonFull},
		{"nor to one that would be larger", queue.Config{Requests: 4}, []queue.Item{{ID: 10, Tenant: "b", Cost: 0.1}}, queue.Item{ID: 1, Tenant: "a", Cost: 5}, nil, queue.ReasonFull},
		{"bytes take several", queue.Config{Bytes: 400}, []queue.Item{{ID: 10, Band: queue.Low, Bytes: 100}}, queue.Item{ID: 1, Bytes: 250}, []uint64{14, 13, 12}, 0},
		{"what never fits makes nothing go", queue.Config{Bytes: 400}, []queue.Item{{ID: 10, Band: queue.Low, Bytes: 100}}, queue.Item{ID: 1, Bytes: 401}, nil, queue.ReasonFull},
		{"what does not fit in the end makes nothing go", queue.Config{Bytes: 800}, []queue.Item{{ID: 10, Band: queue.Low, Bytes: 100}, {ID: 20, Bytes: 100}}, queue.Item{ID: 1, Bytes: 500, Cost: 9}, nil, queue.ReasonFull},
		{"a band has its own bound", queue.Config{Low: queue.BandConfig{Requests: 4}}, []queue.Item{{ID: 10, Band: queue.Low}}, queue.Item{ID: 1, Band: queue.Low}, nil, queue.ReasonFull},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := queue.New(c.config)
			for _, of := range c.fill {
				fill(s, 4, of)
			}
			before := s.Len()
			shed, no := s.Push(epoch, c.it, queue.Outlook{Replicas: 1000})
			var got []uint64
			for _, it := range shed {
				got = append(got, it.ID)
			}
			switch {
			case c.reason == 0 && no != nil, c.reason != 0 && (no == nil || no.Reason != c.reason), !slices.Equal(got, c.shed):
				t.Errorf("refused %v, shed %v; want %v, %v", no, got, c.reason, c.shed)
			case no != nil && s.Len() != before:
				t.Errorf("%d wait, %d did before the refusal", s.Len(), before)
			}
			left := order(s, epoch)
			for _, of := range c.fill { // what went back stands in its old order
				own := slices.DeleteFunc(slices.Clone(left), func(id uint64) bool { return id <= of.ID || id > of.ID+4 })
				if !slices.IsSorted(own) {
					t.Errorf("afterwards they came out as %v", own)
				}
			}
		})
	}
}

// TestARefusalTellsTheTruth: a tenant that comes again when it was told to is
// taken, and served in time.
func TestARefusalTellsTheTruth(t *testing.T) {
	s := queue.New(queue.Config{MaxWait: 10 * time.Second})
	now, id := epoch, uint64(0)
	one := func() *queue.Refusal {
		id++
		_, no := s.Push(now, queue.Item{ID: id, Cost: 1}, queue.Outlook{Replicas: 2})
		return no
	}
	// A replica's second takes half a second here, so that there are four a second,
	// and twice as many come.
	var no *queue.Refusal
	for range 480 {
		now = now.Add(125 * time.Millisecond)
		if refused := one(); refused != nil {
			no = refused
		}
		if id%2 == 0 {
			s.Expire(now)
			s.Pop(now, always)
		}
	}
	if no == nil || no.Reason != queue.ReasonDeadline || no.After < 8*time.Second || no.After > 13*time.Second {
		t.Fatalf("at twice what can be done and 10s of wait the refusal is %+v", no)
	}
	waits := s.Len()
	for end := now.Add(no.After); now.Before(end); now = now.Add(250 * time.Millisecond) {
		if len(s.Expire(now)) > 0 {
			t.Error("something was taken that could not be served in time")
		}
		s.Pop(now, always)
	}
	if s.Len() > waits/4 {
		t.Errorf("%d of %d still wait when a client is to come again", s.Len(), waits)
	}
	if refused := one(); refused != nil {
		t.Errorf("refused again: %v", refused)
	}
}

func TestOneTenantsBacklogDoesNotRefuseAnother(t *testing.T) {
	s := queue.New(queue.Config{MaxWait: 10 * time.Second})
	id := uint64(0)
	for full := false; !full; {
		id++
		_, no := s.Push(epoch, queue.Item{ID: id, Tenant: "b", Cost: 0.5}, queue.Outlook{Replicas: 1})
		full = no != nil
	}
	if _, no := s.Push(epoch, queue.Item{ID: id + 1, Tenant: "a", Cost: 0.5, Deadline: epoch.Add(time.Second)}, queue.Outlook{Replicas: 1}); no != nil {
		t.Errorf("a was refused for what b has waiting: %v", no)
	}
}

// TestWhatIsUsedCounts: who costs twice what was predicted gets half as many.
func TestWhatIsUsedCounts(t *testing.T) {
	s := queue.New(queue.Config{Requests: 10_000, MaxWait: time.Hour})
	for i := range uint64(400) {
		push(t, s, epoch, queue.Item{ID: 2*i + 1, Tenant: "a", Cost: 0.2})
		push(t, s, epoch, queue.Item{ID: 2*i + 2, Tenant: "b", Cost: 0.2})
	}
	got := map[string]int{}
	for range 300 {
		it, _ := s.Pop(epoch, always)
		got[it.Tenant]++
		real := 0.2
		if it.Tenant == "b" {
			real = 0.4
		}
		s.Settle(it, real)
	}
	if got["a"] < 195 || got["a"] > 205 {
		t.Errorf("a had %d turns and b %d, want 200 and 100", got["a"], got["b"])
	}
}

// TestNobodyWaitsForGood: a stream of tenants that were never seen, as much as
// can be done, does not keep one waiting that was there before.
func TestNobodyWaitsForGood(t *testing.T) {
	s := queue.New(queue.Config{MaxWait: time.Hour})
	id := uint64(0)
	add := func(tenant string) {
		id++
		if _, no := s.Push(epoch, queue.Item{ID: id, Tenant: tenant, Cost: 1}, queue.Outlook{Replicas: 1}); no != nil {
			t.Fatal(no)
		}
	}
	for range 100 {
		add("b")
	}
	served := 0
	for i := range 200 {
		add(fmt.Sprint(i))
		if it, _ := s.Pop(epoch, always); it.Tenant == "b" {
			served++
		}
	}
	// One second of b after each three: the grace, rounded up to whole requests.
	if served < 45 || served > 60 {
		t.Errorf("b had %d turns of 200", served)
	}
}

// TestMemoryOfTenantsIsBounded: each of a million tenants comes once.
func TestMemoryOfTenantsIsBounded(t *testing.T) {
	q := queue.New(queue.Config{MaxWait: time.Hour})
	push(t, q, epoch, queue.Item{ID: 1, Tenant: "b", Cost: 3600}) // so that something waits
	most := 0
	for id := uint64(2); id < 50_000; id++ {
		push(t, q, epoch, queue.Item{ID: id, Tenant: fmt.Sprint(id), Cost: 0.1})
		q.Pop(epoch, func(it queue.Item) bool { return it.Tenant != "b" })
		most = max(most, q.Tenants(queue.Normal))
	}
	if most > 5000 {
		t.Errorf("%d tenants were remembered", most)
	}
}

// TestTheLawsOfTheQueue: each item leaves once, nothing exceeds its bounds, and
// nothing waits while there is room.
func TestTheLawsOfTheQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := queue.Config{
			MaxWait:  time.Duration(rapid.IntRange(1, 20).Draw(t, "wait")) * time.Second,
			Requests: rapid.IntRange(1, 30).Draw(t, "requests"), Bytes: int64(rapid.IntRange(1, 3000).Draw(t, "bytes")),
			Low: queue.BandConfig{Requests: rapid.IntRange(0, 10).Draw(t, "low")},
		}
		s := queue.New(c)
		now, id := epoch, uint64(0)
		waits := map[uint64]bool{}
		leave := func(what string, id uint64) {
			if !waits[id] {
				t.Fatalf("%d was %s and did not wait", id, what)
			}
			delete(waits, id)
		}
		var popped []queue.Item
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				id++
				it := queue.Item{
					ID: id, Band: queue.Band(rapid.IntRange(-1, 1).Draw(t, "band")), Tenant: rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "tenant"),
					Weight: rapid.SampledFrom([]float64{0, 1, 3, math.NaN(), -1, math.Inf(1)}).Draw(t, "weight"),
					Cost:   rapid.SampledFrom([]float64{0, 0.1, 2, math.NaN(), -1, math.Inf(1)}).Draw(t, "cost"),
					Bytes:  rapid.IntRange(-1, 500).Draw(t, "bytes"), Lane: uint64(rapid.IntRange(0, 2).Draw(t, "lane")),
				}
				if d := rapid.IntRange(0, 5).Draw(t, "deadline"); d > 0 {
					it.Deadline = now.Add(time.Duration(d) * time.Second)
				}
				shed, no := s.Push(now, it, queue.Outlook{Replicas: rapid.IntRange(0, 4).Draw(t, "replicas")})
				for _, out := range shed {
					leave("shed", out.ID)
				}
				if no == nil {
					waits[id] = true
				} else if no.After < time.Second || len(shed) > 0 {
					t.Fatalf("refused with %+v, shed %v", no, shed)
				}
			},
			"pop": func(t *rapid.T) {
				it, ok := s.Pop(now, always)
				if ok != (len(waits) > 0) {
					t.Fatalf("there is room, %d wait, and something came out: %v", len(waits), ok)
				}
				if ok {
					leave("popped", it.ID)
					popped = append(popped, it)
				}
			},
			"refuse": func(t *rapid.T) {
				if it, ok := s.Pop(now, func(queue.Item) bool { return false }); ok {
					t.Fatalf("%d came out without room", it.ID)
				}
			},
			"cancel": func(t *rapid.T) {
				at := rapid.Uint64Range(0, id).Draw(t, "id")
				if got := s.Cancel(at); got != waits[at] {
					t.Fatalf("cancelling %d: %v", at, got)
				}
				delete(waits, at)
			},
			"settle": func(t *rapid.T) {
				if len(popped) > 0 {
					s.Settle(popped[0], rapid.SampledFrom([]float64{0, 0.1, 50, math.NaN(), math.Inf(1)}).Draw(t, "real"))
					popped = popped[1:]
				}
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
				for _, it := range s.Expire(now) {
					leave("expired", it.ID)
				}
				if next, ok := s.Next(); ok != (len(waits) > 0) || ok && !next.After(now) {
					t.Fatalf("next is %v, %v at %v", next, ok, now)
				}
			},
			"": func(t *rapid.T) {
				if s.Len() != len(waits) || s.Len() > c.Requests || s.Bytes() > c.Bytes || s.Bytes() < 0 {
					t.Fatalf("%d items of %d bytes wait, of which %d are known", s.Len(), s.Bytes(), len(waits))
				}
				if low := c.Low.Requests; low > 0 && s.Waiting(queue.Low) > low {
					t.Fatalf("%d of the low band wait", s.Waiting(queue.Low))
				}
				if sat := s.Saturation(now, queue.Outlook{}); sat < 0 || (sat == 0) != (len(waits) == 0) {
					t.Fatalf("saturation is %v while %d wait", sat, len(waits))
				}
			},
		})
	})
}

// TestTenantsAreServedAlike: in any stretch in which two tenants have something
// waiting, what they are served by their weights differs by a request of each at
// most.
func TestTenantsAreServedAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := queue.New(queue.Config{Requests: 1 << 20, Bytes: 1 << 40, MaxWait: time.Hour})
		names := []string{"a", "b", "c", "d"}[:rapid.IntRange(2, 4).Draw(t, "tenants")]
		weights, costs, served, backlog := map[string]float64{}, map[string]float64{}, map[string]float64{}, map[string]int{}
		id := uint64(0)
		more := func(name string) {
			id++
			c := rapid.Float64Range(0.01, costs[name]).Draw(t, "cost")
			push(t, s, epoch, queue.Item{ID: id, Tenant: name, Weight: weights[name], Cost: c})
			backlog[name]++
		}
		for _, n := range names {
			weights[n] = rapid.SampledFrom([]float64{0.5, 1, 1, 4}).Draw(t, "weight")
			costs[n] = rapid.Float64Range(0.02, 3).Draw(t, "most")
			more(n)
			more(n)
		}
		for range 200 {
			it, _ := s.Pop(epoch, always)
			served[it.Tenant] += it.Cost / it.Weight
			if backlog[it.Tenant]--; backlog[it.Tenant] < 2 {
				more(it.Tenant)
			}
			for _, a := range names {
				for _, b := range names {
					if most := costs[a]/weights[a] + costs[b]/weights[b]; served[a]-served[b] > most+1e-9 {
						t.Fatalf("%s was served %.2f and %s %.2f, more apart than %.2f", a, served[a], b, served[b], most)
					}
				}
			}
		}
	})
}

// TestIdleTenantsSaveUpAGraceAtMost: who comes back after an hour goes ahead of
// who was served all the time by the grace and a request, and then in turns.
func TestIdleTenantsSaveUpAGraceAtMost(t *testing.T) {
	s := queue.New(queue.Config{Requests: 1 << 20, MaxWait: time.Hour})
	one := queue.Outlook{Replicas: 1}
	id := uint64(0)
	add := func(name string, n int) {
		for range n {
			id++
			if _, no := s.Push(epoch, queue.Item{ID: id, Tenant: name, Cost: 0.5}, one); no != nil {
				t.Fatal(no)
			}
		}
	}
	add("b", 1000)
	for range 500 {
		s.Pop(epoch, always)
	}
	add("a", 100)
	turns := map[string]int{}
	for range 60 {
		it, _ := s.Pop(epoch, always)
		turns[it.Tenant]++
	}
	// 2.5 s of grace are five requests: 33 to 27, one more or less.
	if d := turns["a"] - turns["b"]; d < 4 || d > 7 {
		t.Errorf("a had %d turns and b %d", turns["a"], turns["b"])
	}
}

// TestHalfOfTheReserveIsGivenWhereNobodyClaimsIt: what tenants that have had less than
// their part, and high priority, have asked for lately is told to whoever knows of room.
func TestHalfOfTheReserveIsGivenWhereNobodyClaimsIt(t *testing.T) {
	id, now := uint64(0), epoch
	serve := func(s *queue.Scheduler, it queue.Item) (claim float64) {
		for range 400 {
			id++
			now = now.Add(100 * time.Millisecond)
			it.ID, it.Cost = id, 0.1
			if _, no := s.Push(now, it, queue.Outlook{}); no != nil {
				t.Fatal(no)
			}
			s.Pop(now, func(it queue.Item) bool { claim = it.Claim; return true })
		}
		return claim
	}
	s := queue.New(queue.Config{MaxWait: time.Hour})
	backlog := queue.Item{ID: 1 << 40, Tenant: "heavy", Cost: 0.1} // something always waits
	if _, no := s.Push(now, backlog, queue.Outlook{}); no != nil {
		t.Fatal(no)
	}
	if claim := serve(s, queue.Item{Tenant: "heavy"}); claim > 0.05 {
		t.Errorf("one tenant alone claims %v of the reserve against itself", claim)
	}
	if claim := serve(s, queue.Item{Tenant: "urgent", Band: queue.High}); claim != 1 {
		t.Errorf("high priority alone claims %v of the reserve", claim)
	}
	if claim := serve(s, queue.Item{Tenant: "heavy"}); claim > 0.1 {
		t.Errorf("the reserve is still claimed by %v of high priority that has gone", claim)
	}
}

// TestATenantAloneWaitsForWhatGoesBeforeIt, whatever it is owed: there is nobody else to
// go ahead of. What is due later does not go before it.
func TestATenantAloneWaitsForWhatGoesBeforeIt(t *testing.T) {
	s := queue.New(queue.Config{})
	within := func(id uint64, tenant string, d time.Duration) *queue.Refusal {
		_, no := s.Push(epoch, queue.Item{ID: id, Tenant: tenant, Cost: 0.2, Deadline: epoch.Add(d)}, queue.Outlook{})
		return no
	}
	for id := range uint64(10) {
		if no := within(id, "t", 10*time.Second); no != nil {
			t.Fatal(no)
		}
	}
	if no := within(10, "t", time.Second); no != nil {
		t.Errorf("a request that is due before all others of its tenant is refused: %v", no)
	}
	for id := range uint64(3) {
		if no := within(11+id, "t", time.Second); no != nil {
			t.Fatal(no)
		}
	}
	if no := within(14, "t", 800*time.Millisecond); no != nil {
		t.Errorf("it is due before those of the second: %v", no)
	}
	if no := within(15, "t", time.Second); no == nil || no.Reason != queue.ReasonDeadline {
		t.Errorf("a request behind a second of its own is let in for one, or told %v", no)
	}
	if no := within(16, "u", time.Second); no != nil {
		t.Errorf("another tenant is refused: %v", no)
	}
}
