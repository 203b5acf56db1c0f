package upstream

import (
	"testing"
	"time"

	"tailplane/internal/fleet"
)

func TestTheRootOfAServerIsAboveItsAPI(t *testing.T) {
	cases := []struct{ kind, url, root, api string }{
		{"vllm", "http://h:8000", "", "/v1"},
		{"vllm", "http://h:8000/v1", "", "/v1"},
		{"vllm", "http://lb/team-a/v1/", "/team-a", "/team-a/v1"},
		{"vllm", "http://lb/team-a", "/team-a", "/team-a"},
		{"kserve", "http://lb/openai/v1", "", "/openai/v1"},
		{"sim", "http://h", "", "/v1"},
	}
	for _, c := range cases {
		target, err := New("x", Config{Kind: c.kind, URL: c.url}, nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if target.Root() != c.root || target.API() != c.api || target.InProcess() {
			t.Errorf("%s %s: root %q, API %q", c.kind, c.url, target.Root(), target.API())
		}
	}
}

func TestMetricsElsewhereAreADestination(t *testing.T) {
	c := Config{Kind: "triton", URL: "http://h:9000", Watch: fleet.Look{Metrics: "http://h:8002/metrics"}}
	got := c.Destinations("x")
	if len(got) != 2 || got[1].Address != "h:8002" || got[1].Why != "metrics of target x" {
		t.Errorf("%+v", got)
	}
	c.Watch.Metrics = "/metrics"
	if got := c.Destinations("x"); len(got) != 1 {
		t.Errorf("%+v", got)
	}
}
