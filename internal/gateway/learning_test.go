package gateway

import (
	"testing"

	"tailplane/internal/complexity"
	"tailplane/internal/policy"
)

// TestWhoMayJudge an answer: the key that asked, and every key of the same
// customer. For all others there is no such request.
func TestWhoMayJudge(t *testing.T) {
	l := NewLearning(nil)
	l.pending.Put("req_1", complexity.Asked{Key: "k1", Customer: "acme", Model: "small"})
	l.pending.Put("req_2", complexity.Asked{Key: "k1", Model: "small"})
	for _, c := range []struct {
		key, customer, request string
		may                    bool
	}{
		{"k1", "acme", "req_1", true},
		{"k2", "acme", "req_1", true},
		{"k2", "other", "req_1", false},
		{"k2", "", "req_1", false},
		{"k1", "", "req_2", true},
		{"k2", "", "req_2", false}, // two keys without a customer have nothing in common
		{"k1", "acme", "req_3", false},
	} {
		asks := &call{plane: &Plane{learning: l}, key: &policy.Key{ID: c.key}}
		asks.ex.Customer = c.customer
		if _, may := asks.judgeable(c.request); may != c.may {
			t.Errorf("key %s of %q and %s: %v", c.key, c.customer, c.request, may)
		}
	}
}

// TestHeldConversationsAreBounded: the oldest makes room for the newest.
func TestHeldConversationsAreBounded(t *testing.T) {
	l := NewLearning(nil)
	for lane := uint64(1); lane <= mostHeldBy+1; lane++ {
		l.hold(lane)
		l.hold(lane) // a second turn takes no place
	}
	if len(l.held) != mostHeldBy || l.heldBy(1, 2, "") != "" || l.heldBy(2, 2, "") != complexity.Strong {
		t.Errorf("%d held, the first by %q, the second by %q", len(l.held), l.heldBy(1, 2, ""), l.heldBy(2, 2, ""))
	}
	if l.heldBy(2, 1, "") != "" || l.heldBy(2, 1, "session") != complexity.Strong {
		t.Error("a conversation that begins is held by its session alone")
	}
}
