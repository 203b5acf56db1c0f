package route_test

import (
	"math"
	"testing"
	"time"

	"tailplane/internal/models"
	"tailplane/internal/prefix"
	"tailplane/internal/route"
)

// TestVectorsTeachTheSpeedOfTheirText: an answer of which nothing is written shows at
// its end how long a text takes, in proportion to its tokens.
func TestVectorsTeachTheSpeedOfTheirText(t *testing.T) {
	g := route.NewGroup("m", route.NewPolicy(models.Policy{Name: models.PolicyAuto}), nil)
	ask := func(bytes int) route.Query {
		q := prompt(bytes)
		q.Work = route.WorkText
		return q
	}
	q, now := ask(400_000), noon
	prior, decode := g.Seconds(&q)
	if prior < 3 || prior > 4 || decode != 0 {
		t.Errorf("100,000 tokens of text are %v s and %v s of writing by the prior", prior, decode)
	}
	for i := range 300 {
		q := ask(4000 * (1 + i%100))
		var sent route.Ticket
		g.Sent(now, &q, "a", &sent)
		now = now.Add(5*time.Millisecond + time.Duration(q.Chain.Bytes/4)*8*time.Microsecond)
		sent.Done(now, route.Result{OK: true, Input: q.Chain.Bytes / 4, Cached: -1})
		now = now.Add(time.Second)
	}
	if s, _ := g.Seconds(&q); math.Abs(s-0.8) > 0.1 {
		t.Errorf("100,000 tokens, of which each was seen to take 8 us, are %v s", s)
	}
}

// TestWhatIsNoTextCountsByWhatThoseBeforeTook for their size, and by nothing else.
func TestWhatIsNoTextCountsByWhatThoseBeforeTook(t *testing.T) {
	g := route.NewGroup("m", route.NewPolicy(models.Policy{Name: models.PolicyAuto}), nil)
	q := route.Query{Work: route.WorkOther, Size: 1_000_000}
	if s, _ := g.Seconds(&q); s != 1 {
		t.Errorf("the first is expected to take %v s", s)
	}
	now := noon
	for range 300 {
		var sent route.Ticket
		g.Sent(now, &q, "a", &sent)
		now = now.Add(3 * time.Second)
		sent.Done(now, route.Result{OK: true, Cached: -1})
	}
	q.Size *= 2
	if s, _ := g.Seconds(&q); math.Abs(s-6) > 0.1 {
		t.Errorf("twice the size of what took 3 s is expected to take %v s", s)
	}
	text := prompt(4000)
	before, _ := g.Seconds(&text)
	if want, _ := route.NewGroup("n", route.NewPolicy(models.Policy{Name: models.PolicyAuto}), nil).Seconds(&text); before != want {
		t.Errorf("a text takes %v s since sound was heard, and took %v", before, want)
	}
}

// TestAPromptThatIsComputedHereAfterAllIsWork: all of it, though its replica was noted
// to have it once it is sent.
func TestAPromptThatIsComputedHereAfterAllIsWork(t *testing.T) {
	s := newStandings(route.Standing{Name: "a", Ready: true, Engine: true})
	q := prompt(40_000)
	q.Chain.Marks = []prefix.Mark{{Hash: 1, End: 20_000}, {Hash: 2, End: 40_000}}
	q.Prefilled = true
	var sent route.Ticket
	s.group.Sent(noon, &q, "a", &sent)
	other := prompt(400)
	if d, _ := s.group.Expect(noon, &other, "a"); d > 50*time.Millisecond {
		t.Errorf("another would have its first token after %v, though nothing is computed", d)
	}
	sent.Alone(noon)
	if d, _ := s.group.Expect(noon, &other, "a"); d < 300*time.Millisecond {
		t.Errorf("another would have its first token after %v, behind 10,000 tokens", d)
	}
	sent.First(noon.Add(400 * time.Millisecond))
	if d, _ := s.group.Expect(noon.Add(400*time.Millisecond), &other, "a"); d > 50*time.Millisecond {
		t.Errorf("another would have its first token after %v, though the one before has begun", d)
	}
}
