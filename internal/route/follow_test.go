package route

import (
	"testing"
	"time"

	"tailplane/internal/llm"
)

func TestFollow(t *testing.T) {
	s := time.Second
	long := Step{On: []llm.FaultKind{llm.FaultTooLong}, Chain: 1}
	filter := Step{On: []llm.FaultKind{llm.FaultContentFilter}, Chain: 2}
	cases := []struct {
		name  string
		kind  llm.FaultKind
		from  Step
		rest  []Step
		place int
		named bool
		ok    bool
	}{
		{"the next one", llm.FaultServer, Step{}, []Step{{}, {}}, 0, false, true},
		{"the one that can be asked soonest", llm.FaultServer, Step{}, []Step{{Wait: 2 * s}, {Wait: s}, {Wait: s}}, 1, false, true},
		{"the one that names the fault", llm.FaultTooLong, Step{}, []Step{{}, filter, long}, 2, true, true},
		{"the one that names the fault, though it demands a wait", llm.FaultTooLong, Step{}, []Step{{}, {On: long.On, Chain: 1, Wait: s}}, 1, true, true},
		{"of those that name it the soonest", llm.FaultTooLong, Step{}, []Step{{On: long.On, Chain: 3, Wait: s}, long, {}}, 1, true, true},
		{"not one that names others", llm.FaultServer, Step{}, []Step{long, filter, {}}, 2, false, true},
		{"nobody", llm.FaultServer, Step{}, []Step{long, filter}, 0, false, false},
		{"behind a condition it is met", llm.FaultServer, long, []Step{filter, long}, 1, false, true},
		{"and does not count as named again", llm.FaultTooLong, long, []Step{long}, 0, false, true},
		{"none left", llm.FaultServer, Step{}, nil, 0, false, false},
	}
	for _, c := range cases {
		place, named, ok := Follow(c.kind, c.from, c.rest)
		if place != c.place || named != c.named || ok != c.ok {
			t.Errorf("%s: %d %v %v, want %d %v %v", c.name, place, named, ok, c.place, c.named, c.ok)
		}
	}
}

func TestReserveKeepsForFaultsThatNobodySeesComing(t *testing.T) {
	cases := []struct {
		on   []llm.FaultKind
		want bool
	}{
		{nil, false},
		{[]llm.FaultKind{llm.FaultTooLong, llm.FaultContentFilter}, true},
		{[]llm.FaultKind{llm.FaultTooLong, llm.FaultRateLimit}, false},
	}
	for _, c := range cases {
		if got := Reserve(c.on); got != c.want {
			t.Errorf("%v: %v", c.on, got)
		}
	}
}
