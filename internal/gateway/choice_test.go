package gateway

import (
	"fmt"
	"testing"

	"tailplane/internal/ledger"
	"tailplane/internal/route"
	"tailplane/internal/upstream"
)

// TestARecordListsSoManyCandidates, those first that are asked first, and says how
// many there were; what the fallback has is not among them.
func TestARecordListsSoManyCandidates(t *testing.T) {
	const many = ledger.MostChoices + 4
	c := &call{dest: &destination{}}
	for i := range many + 1 {
		c.dest.candidates = append(c.dest.candidates, candidate{Target: &Target{Target: &upstream.Target{Name: fmt.Sprint(i)}}, model: "m"})
		c.views = append(c.views, route.View{Group: i / many})
		c.saw = append(c.saw, seen{ranked: true, prompt: 7, terms: route.Terms{Cost: 1e300}})
		c.order = append([]int{i}, c.order...)
	}
	c.order = c.order[1:] // the last of the first group comes first
	c.noteChoice()
	if len(c.ex.Choice) != ledger.MostChoices || c.ex.Among != many || c.ex.ExpectedInput != 7 {
		t.Fatalf("%d of %d, for %d tokens", len(c.ex.Choice), c.ex.Among, c.ex.ExpectedInput)
	}
	for i, one := range c.ex.Choice {
		if one.Target != fmt.Sprint(many-1-i) || one.Model != "" || one.Cost != 1<<53 {
			t.Errorf("%d: %+v", i, one)
		}
	}
}
