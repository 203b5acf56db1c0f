package models

import "strings"

import "testing"

// TestADiscoveredTargetStandsForItsReplicas, whatever name leads to it.
func TestADiscoveredTargetStandsForItsReplicas(t *testing.T) {
	targets := []Target{
		{Name: "openai"},
		{Name: "llama", Lists: []string{"listed"}, Discovered: true, Replicas: []Replica{{Target: "llama/a"}, {Target: "llama/b", Weight: 3}, {Target: "llama/c", Rank: 1}}},
		{Name: "llama/a"},
		{Name: "llama/b"},
		{Name: "llama/c"},
		{Name: "none", Discovered: true},
	}
	c := Config{Models: map[string]Model{
		"pool":   {Pool: []string{"llama", "openai"}, ServedAs: "m", Fallback: []Fallback{{To: "openai/gpt"}}},
		"route":  {Route: []Step{{To: "llama/m"}, {To: "openai/gpt"}}},
		"split":  {Route: []Step{{To: "llama/m", Weight: 2}, {To: "openai/gpt", Weight: 1}}},
		"none":   {Pool: []string{"none"}, ServedAs: "m"},
		"spills": {Pool: []string{"none"}, ServedAs: "m", Fallback: []Fallback{{To: "openai/gpt"}}},
	}}
	cat := New(c, targets)
	cases := []struct{ name, want string }{
		{"pool", "0:llama/a=m~auto 0:llama/b=m*3~auto 0:openai=m~auto 1:llama/c=m~auto 2:openai=gpt"},
		{"route", "0:llama/a=m~auto 0:llama/b=m*3~auto 1:llama/c=m~auto 2:openai=gpt"},
		{"split", "0:llama/a=m*2 0:llama/b=m*6 0:openai=gpt*4 1:llama/c=m*2"},
		{"none", ""},
		{"spills", "0:openai=gpt"},
		{"listed", "0:llama/a=listed~auto 0:llama/b=listed*3~auto 1:llama/c=listed~auto"},
		{"llama/org/model", "0:llama/a=org/model~auto 0:llama/b=org/model*3~auto 1:llama/c=org/model~auto"},
		{"llama/b/org/model", "0:llama/b=org/model"},
	}
	for _, c := range cases {
		plan, err := cat.Resolve(c.name)
		if err != nil {
			t.Fatal(err)
		}
		if got := candidates(plan); got != c.want {
			t.Errorf("%s leads to [%s], want [%s]", c.name, got, c.want)
		}
	}
	for name, want := range map[string]string{"pool": "llama", "none": "none", "llama/x": "llama", "openai/gpt": ""} {
		var got strings.Builder
		for _, d := range cat.Discovered(name) {
			got.WriteString(d.Target)
		}
		if got.String() != want {
			t.Errorf("behind %s the discovered targets are %q, want %q", name, got.String(), want)
		}
	}
}
