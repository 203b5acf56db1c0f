package queuesim

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestATenantAsksTheSameWhateverTheOthersDo: what is compared are two worlds that
// differ in the flood alone.
func TestATenantAsksTheSameWhateverTheOthersDo(t *testing.T) {
	type asked struct {
		at             time.Duration
		prompt, output int
	}
	of := func(rate float64) (out []asked) {
		for _, c := range calls(7, time.Minute, load{tenant: "flood", rate: rate, of: Shorts()}, load{tenant: "other", rate: 3, of: Chats()}) {
			if c.tenant == "other" {
				out = append(out, asked{c.at, c.prompt, c.output})
			}
		}
		return out
	}
	few, many := of(1), of(50)
	if len(few) < 100 || len(few) != len(many) {
		t.Fatalf("%d and %d requests of the other", len(few), len(many))
	}
	for i := range few {
		if few[i] != many[i] {
			t.Fatalf("request %d: %v, with a flood %v", i, few[i], many[i])
		}
	}
}

func TestACancelledScenarioEndsWithItsError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Flood(ctx, Chats(), 10, 20, 5); !errors.Is(err, context.Canceled) {
		t.Errorf("Flood: %v", err)
	}
	if _, err := Twice(ctx, Chats(), 20, 5); !errors.Is(err, context.Canceled) {
		t.Errorf("Twice: %v", err)
	}
	if _, err := Priority(ctx, Chats(), 20, 5); !errors.Is(err, context.Canceled) {
		t.Errorf("Priority: %v", err)
	}
}
