package route

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tailplane/internal/engine"
	"tailplane/internal/models"
)

// adapting is a group under auto whose replicas a and b are asked for adapters.
type adapting struct {
	*Group
	now  time.Time
	says map[string]engine.Sample
}

func newAdapting() *adapting {
	return &adapting{NewGroup("m", NewPolicy(models.Policy{Name: "auto"}), nil), time.Unix(1_700_000_000, 0), map[string]engine.Sample{}}
}

// pick is who is asked for an adapter, and what loading it there is taken for.
func (a *adapting) pick(adapter string) (string, float64) {
	var d Decision
	facts := []Facts{{Name: "a", Engine: a.says["a"]}, {Name: "b", Engine: a.says["b"]}}
	a.Pick(a.now, &Query{Adapter: adapter, Roll: 1}, facts, &d, true)
	return facts[d.Order[0]].Name, d.Replicas[d.Order[0]].Adapter
}

// ask sends a request for one, which has its first token after that long.
func (a *adapting) ask(name, adapter string, first time.Duration) {
	var t Ticket
	a.Sent(a.now, &Query{Adapter: adapter}, name, &t)
	a.now = a.now.Add(first)
	t.First(a.now)
	t.Done(a.now, Result{OK: true, Cached: -1})
	a.now = a.now.Add(time.Minute) // nothing is usual any more
}

func TestAnAdapterStaysWhereItIs(t *testing.T) {
	a := newAdapting()
	a.ask("b", "sql", 2*time.Second)
	for range 5 {
		if name, load := a.pick("sql"); name != "b" || load != 0 {
			t.Fatalf("asked %s with %v s to load it, though b has it", name, load)
		}
	}
	if name, load := a.pick(""); load != 0 {
		t.Errorf("the base model waits %v s for an adapter at %s", load, name)
	}
	var busy [8]Ticket
	for i := range busy {
		a.Sent(a.now, &Query{Adapter: "sql", Chain: prompt(uint64(i+1), 64)}, "b", &busy[i])
	}
	if name, _ := a.pick("sql"); name != "a" {
		t.Error("a replica with a long queue is waited for")
	}
}

func TestWhatLoadingAnAdapterTakesIsLearned(t *testing.T) {
	a := newAdapting()
	_, prior := a.pick("x")
	if prior != priorAdapter {
		t.Fatalf("%v s, want %v", prior, priorAdapter)
	}
	for i := range 30 {
		a.ask("a", fmt.Sprint("slow", i), 5*time.Second)
	}
	if _, load := a.pick("x"); load < 4.5 || load > 5.5 {
		t.Errorf("%v s, want about 5", load)
	}
	speed := a.members["a"].speed
	for i := range 30 {
		a.ask("a", fmt.Sprint("quick", i), 10*time.Millisecond)
	}
	if _, load := a.pick("x"); load > 0.1 {
		t.Errorf("%v s, want nearly none", load)
	}
	if a.members["a"].speed != speed || a.members["a"].reading.answers != 0 {
		t.Error("the time to load adapters has taught something of the replica's speed")
	}
}

func TestAReplicaHoldsSoManyAdapters(t *testing.T) {
	a := newAdapting()
	a.says["a"] = engine.Sample{Known: engine.SignalAdapters, MostAdapters: 2, Adapters: []string{"running"}}
	a.says["b"] = engine.Sample{Known: engine.SignalAdapters, MostAdapters: 9}
	if name, load := a.pick("running"); name != "a" || load != 0 {
		t.Errorf("asked %s with %v s to load what runs at a", name, load)
	}
	for _, adapter := range []string{"one", "two", "three"} {
		a.pick("") // what the engines say is seen
		a.ask("a", adapter, time.Second)
	}
	if got := a.members["a"].adapters.held; !slices.Equal(got, []string{"three", "two"}) {
		t.Errorf("it holds %q", got)
	}
	if name, _ := a.pick("one"); name != "b" {
		t.Error("one that is full is asked for another, though there is room elsewhere")
	}
}

// TestAdaptersAreBounded, and the one asked for last is always held.
func TestAdaptersAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a adapters
		for _, name := range rapid.SliceOf(rapid.StringN(0, 2, -1)).Draw(t, "names") {
			most := rapid.IntRange(1, 5).Draw(t, "most")
			a.use(name, most)
			if a.loads(name, &engine.Sample{}) != 0 {
				t.Fatalf("%q is not among %q, which were used last", name, a.held)
			}
			sorted := slices.Sorted(slices.Values(a.held))
			if name != "" && len(a.held) > most || len(slices.Compact(sorted)) != len(a.held) {
				t.Fatalf("%q are held of at most %d", a.held, most)
			}
		}
	})
}
