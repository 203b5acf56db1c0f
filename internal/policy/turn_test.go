package policy_test

import (
	"testing"

	"tailplane/internal/policy"
	"tailplane/internal/queue"
)

func TestAKeySaysItsTurnElseItsPartyDoes(t *testing.T) {
	team := &policy.Party{Config: policy.PartyConfig{Priority: "low", Weight: 4}}
	customer := &policy.Party{Parent: team, Config: policy.PartyConfig{Priority: "high"}}
	for _, c := range []struct {
		name   string
		key    policy.KeySpec
		party  *policy.Party
		band   queue.Band
		weight float64
	}{
		{"nobody says anything", policy.KeySpec{}, nil, queue.Normal, 1},
		{"the key alone", policy.KeySpec{Priority: "low", Weight: 2}, nil, queue.Low, 2},
		{"the key before its customer", policy.KeySpec{Priority: "normal", Weight: 2}, customer, queue.Normal, 2},
		{"the nearest party that says something", policy.KeySpec{}, customer, queue.High, 4},
		{"a part each", policy.KeySpec{Weight: 3}, team, queue.Low, 3},
	} {
		key := &policy.Key{KeySpec: c.key}
		if band, weight := key.Turn(c.party); band != c.band || weight != c.weight {
			t.Errorf("%s: %v and %v, want %v and %v", c.name, band, weight, c.band, c.weight)
		}
	}
}

func TestAWrongTurnIsTold(t *testing.T) {
	s := policy.Setting{
		Keys:      policy.Config{Static: []policy.Static{{Name: "k", Weight: -1}}},
		Customers: map[string]policy.PartyConfig{"c": {Priority: "urgent", Weight: 1e9}},
	}
	told := map[string]bool{}
	s.Validate(func(at, _, _ string) { told[at] = true })
	for _, at := range []string{"keys.static[0].weight", "customers.c.priority", "customers.c.weight"} {
		if !told[at] {
			t.Errorf("%s is not told; only %v", at, told)
		}
	}
}
