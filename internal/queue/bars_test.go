package queue_test

import (
	"fmt"
	"testing"

	"tailplane/internal/queue/queuesim"
)

// The bars of this file are measured on four simulated replicas of an 8B model,
// in virtual time, with prompts of 4500 tokens (chats) and of 1200 (shorts), and
// answers of 150 on average. What a step of a full batch takes longer than one of
// an empty engine counts against us, too. That is a larger part of short prompts:
// high priority among those is not within the bar. `make bench-routing` publishes the
// same figures with their intervals.

const seeds = 5

// full is the capacity in requests a second.
func full(t *testing.T, of queuesim.Lengths) float64 {
	t.Helper()
	if raceDetector {
		t.Skip("one goroutine computes for long: there is nothing to race with")
	}
	capacity, err := queuesim.Capacity(of)
	if err != nil {
		t.Fatal(err)
	}
	return capacity
}

// hardlyMoved: the p99 of the watched callers moves by a fifth at most.
func hardlyMoved(t *testing.T, m queuesim.Moved, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.0f%% of capacity before: p99 %.3f s -> %.3f s (x%.3f; of each seed x%.3f), p50 %.3f s -> %.3f s; answered of capacity, by seed: %.3f",
		100*m.Demand, m.P99Before, m.P99After, m.P99After/m.P99Before, m.Factors, m.P50Before, m.P50After, m.Answered)
	if m.P99After > 1.2*m.P99Before {
		t.Errorf("p99 moved from %.3f s to %.3f s, by more than a fifth", m.P99Before, m.P99After)
	}
}

// TestOneTenantsFloodHardlyMovesTheOthers: nor is one of their requests refused.
func TestOneTenantsFloodHardlyMovesTheOthers(t *testing.T) {
	chats, shorts := queuesim.Chats(), queuesim.Shorts()
	capacity := map[queuesim.Lengths]float64{chats: full(t, chats), shorts: full(t, shorts)}
	for _, c := range []struct {
		name    string
		of      queuesim.Lengths
		tenants int
	}{{"chats", chats, 10}, {"chats", chats, 20}, {"shorts", shorts, 10}, {"shorts", shorts, 20}} {
		t.Run(fmt.Sprintf("%s of %d tenants", c.name, c.tenants), func(t *testing.T) {
			m, err := queuesim.Flood(t.Context(), c.of, c.tenants, capacity[c.of], seeds)
			hardlyMoved(t, m, err)
			if m.Refused > 0 {
				t.Errorf("%d requests of the others were refused", m.Refused)
			}
		})
	}
}

// TestHighPriorityHardlyNoticesAnOverload: p99 of the high band stays within 1.2
// times of what it is with the replicas to itself.
func TestHighPriorityHardlyNoticesAnOverload(t *testing.T) {
	chats := queuesim.Chats()
	m, err := queuesim.Priority(t.Context(), chats, full(t, chats), seeds)
	hardlyMoved(t, m, err)
}

// TestAtTwiceTheCapacityNothingIsLost: what is answered stays at the capacity,
// tenants that all ask for more than their part get it by weight, and few
// wait to be refused.
func TestAtTwiceTheCapacityNothingIsLost(t *testing.T) {
	for _, c := range []struct {
		name string
		of   queuesim.Lengths
	}{{"chats", queuesim.Chats()}, {"shorts", queuesim.Shorts()}} {
		t.Run(c.name, func(t *testing.T) {
			k, err := queuesim.Twice(t.Context(), c.of, full(t, c.of), seeds)
			if err != nil {
				t.Fatal(err)
			}
			goodput := 0.0
			for _, a := range k.Answered {
				goodput += a / seeds
			}
			t.Logf("answered %.0f%% of capacity, Jain index %.4f, %d of %d expired", 100*goodput, k.Jain, k.Expired, k.Requests)
			if goodput < 0.9 {
				t.Errorf("%.0f%% of capacity was answered", 100*goodput)
			}
			if k.Jain < 0.95 {
				t.Errorf("the Jain index is %.3f", k.Jain)
			}
			// Half of them must be refused; nearly all of those at once.
			if k.Expired > k.Requests/20 {
				t.Errorf("%d of %d requests waited to be refused", k.Expired, k.Requests)
			}
		})
	}
}
