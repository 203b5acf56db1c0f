package route

import (
	"maps"
	"slices"
	"testing"
	"time"

	"tailplane/internal/models"
)

// TestADryPickChangesNothing: of two groups that decide alike, one is asked dry
// before each decision, about another session and with other loads.
func TestADryPickChangesNothing(t *testing.T) {
	facts := []Facts{{Name: "a/m"}, {Name: "b/m"}, {Name: "c/m"}}
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		now := time.Unix(1_800_000_000, 0)
		asked, plain := NewGroup(name, NewPolicy(models.Policy{Name: name}), nil), NewGroup(name, NewPolicy(models.Policy{Name: name}), nil)
		for i := range uint64(60) {
			dry := Query{Roll: mix(i), Session: 1 + i%4, Dry: true}
			var told Decision
			asked.Pick(now, &dry, facts[i%3:], &told, true)
			var got, want Decision
			for d, g := range map[*Decision]*Group{&got: asked, &want: plain} {
				q := Query{Roll: mix(i + 1000), Session: 1 + i%4}
				g.Pick(now, &q, facts, d, false)
				var ticket Ticket
				g.Sent(now, &q, facts[d.Order[0]].Name, &ticket)
			}
			if !slices.Equal(got.Order, want.Order) || got.Why != want.Why {
				t.Fatalf("%s: decision %d is %v (%s), and %v (%s) for who was asked nothing", name, i, got.Order, got.Why, want.Order, want.Why)
			}
			now = now.Add(time.Second)
		}
	}
}
