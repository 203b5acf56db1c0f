package owner_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"tailplane/internal/owner"
)

func open(t interface {
	Helper()
	Fatal(args ...any)
}, dir string, limit int,
) *owner.Index {
	t.Helper()
	x, err := owner.Open(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestWhatIsPutSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	x := open(t, dir, 0)
	want := owner.Object{Target: "a", Model: "m", Key: "k", Name: "app", Customer: "acme"}
	for _, id := range []string{"resp_1", "file-2", "batch_3"} {
		if err := x.Put(id, want); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Delete("file-2"); err != nil {
		t.Fatal(err)
	}
	// No Close: the process was killed, in the middle of a line.
	f, err := os.OpenFile(filepath.Join(dir, "owners.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"id":"resp_torn","targ`); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	for range 2 { // the second time behind what the first has appended
		y := open(t, dir, 0)
		if got, ok := y.Get("resp_1"); !ok || got != want {
			t.Errorf("%+v %v", got, ok)
		}
		if _, ok := y.Get("file-2"); ok {
			t.Error("a deleted object came back")
		}
		if _, ok := y.Get("resp_torn"); ok {
			t.Error("a torn line was believed")
		}
		if err := y.Put("resp_next", want); err != nil {
			t.Fatal(err)
		}
		if err := y.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if y := open(t, dir, 0); y.Len() != 3 {
		t.Errorf("%d objects, want 3", y.Len())
	}
}

func TestOnlyTheMakerAndItsCustomerReachAnObject(t *testing.T) {
	cases := []struct {
		object        owner.Object
		key, customer string
		want          bool
	}{
		{owner.Object{Key: "k1"}, "k1", "", true},
		{owner.Object{Key: "k1"}, "k2", "", false},
		{owner.Object{Key: "k1", Customer: "acme"}, "k2", "acme", true},
		{owner.Object{Key: "k1", Customer: "acme"}, "k2", "other", false},
		{owner.Object{Key: "k1", Customer: "acme"}, "k2", "", false},
	}
	for _, c := range cases {
		if got := c.object.BelongsTo(c.key, c.customer); got != c.want {
			t.Errorf("%+v for %s of %q: %v", c.object, c.key, c.customer, got)
		}
	}
}

func TestOneOfManySettles(t *testing.T) {
	dir := t.TempDir()
	x := open(t, dir, 0)
	if err := x.Put("batch_1", owner.Object{Target: "a"}); err != nil {
		t.Fatal(err)
	}
	down := errors.New("the ledger is down")
	if err := x.Settle("batch_1", func(owner.Object) error { return down }); !errors.Is(err, down) {
		t.Errorf("error %v", err)
	}
	records := 0 // the index lets one in at a time
	record := func(o owner.Object) error {
		records++
		if o.Target != "a" {
			t.Errorf("%+v", o)
		}
		return nil
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := x.Settle("batch_1", record); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if err := errors.Join(x.Settle("batch_unknown", record), x.Close()); err != nil {
		t.Error(err)
	}
	if x = open(t, dir, 0); x.Settle("batch_1", record) != nil || records != 1 {
		t.Errorf("it was recorded %d times", records)
	}
}

// TestTheIndexIsAMapWithABound: whatever is done, in memory and after a restart
// the newest objects are known as a map would know them, and there are never more
// than two generations.
func TestTheIndexIsAMapWithABound(t *testing.T) {
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		dir := filepath.Join(dir, fmt.Sprint(runs))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		const limit = 5
		x := open(t, dir, limit)
		model := map[string]owner.Object{}
		var used []string // newest last, each once
		use := func(id string) {
			for i, have := range used {
				if have == id {
					used = append(used[:i:i], used[i+1:]...)
					break
				}
			}
			used = append(used, id)
		}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			id := fmt.Sprint("id", rapid.IntRange(0, 14).Draw(t, "id"))
			switch rapid.IntRange(0, 4).Draw(t, "do") {
			case 0, 1:
				o := owner.Object{Target: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "target"), Key: "k"}
				if err := x.Put(id, o); err != nil {
					t.Fatal(err)
				}
				model[id] = o
				use(id)
			case 2:
				if _, ok := x.Get(id); ok {
					use(id)
				}
			case 3:
				if err := x.Delete(id); err != nil {
					t.Fatal(err)
				}
				delete(model, id)
			case 4:
				_ = x.Close()
				x = open(t, dir, limit)
			}
			if x.Len() > 2*limit {
				t.Fatalf("%d objects with generations of %d", x.Len(), limit)
			}
		}
		for n := range min(limit, len(used)) { // newest first: this brings none that matter out
			id := used[len(used)-1-n]
			got, ok := x.Get(id)
			if want, lives := model[id]; ok != lives || got != want {
				t.Fatalf("%s is %+v (%v), want %+v (%v)", id, got, ok, want, lives)
			}
		}
		_ = x.Close()
	})
}
