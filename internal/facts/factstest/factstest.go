// Package factstest is the conformance suite of [facts.Store]: what every store
// must do, whatever it is made of.
//
// It owns no store and never touches a file. Start reading at [Run].
package factstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tailplane/internal/facts"
)

var t0 = time.Date(2026, 11, 24, 10, 0, 0, 123456789, time.UTC)

// Run tests stores that open makes; each call must return an empty one that the
// suite closes.
func Run(t *testing.T, open func(t *testing.T) facts.Store) {
	tests := []struct {
		name string
		test func(t *testing.T, s facts.Store)
	}{
		{"an empty store has nothing and revision 0", testEmpty},
		{"a change is there with its record", testChange},
		{"a change upon an old revision is a conflict and changes nothing", testConflict},
		{"what no store takes is refused", testInvalid},
		{"since tells changes and removals in their order", testSince},
		{"a removed name can be taken again", testAgain},
		{"hashes stay out of the trail", testMask},
		{"the trail is filtered and paged", testTrail},
		{"the trail is whole", testVerify},
		{"writers at once lose nothing", testParallel},
		{"bodies stay as they were written", testBytes},
		{"a cancelled change changes nothing", testCancelled},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			tc.test(t, s)
		})
	}
}

func put(name, body string, seen int64) facts.Change {
	c := facts.Change{Kind: facts.KindTeam, Name: name, Seen: seen}
	if body != "" {
		c.Body = json.RawMessage(body)
	}
	return c
}

func apply(t *testing.T, s facts.Store, changes ...facts.Change) int64 {
	t.Helper()
	revision, err := s.Apply(t.Context(), "eve", t0, changes)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

func all(t *testing.T, s facts.Store) string {
	t.Helper()
	list, revision, err := s.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return told(list, revision)
}

func told(list []facts.Fact, revision int64) string {
	var b strings.Builder
	for _, f := range list {
		body := string(f.Body)
		if f.Removed {
			body = "removed"
		}
		fmt.Fprintf(&b, "%s/%s=%s@%d ", f.Kind, f.Name, body, f.Revision)
	}
	return fmt.Sprintf("%s(%d)", b.String(), revision)
}

func same(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func testEmpty(t *testing.T, s facts.Store) {
	same(t, all(t, s), "(0)")
	if list, err := s.Audit(t.Context(), facts.AuditQuery{}); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	if n := apply(t, s); n != 0 {
		t.Errorf("no change gives revision %d", n)
	}
}

func testChange(t *testing.T, s facts.Store) {
	if n := apply(t, s, put("a", `{"x":1}`, 0), put("b", `{}`, 0)); n != 2 {
		t.Errorf("revision %d, want 2", n)
	}
	apply(t, s, put("a", `{"x":2}`, 1))
	same(t, all(t, s), `team/b={}@2 team/a={"x":2}@3 (3)`)
	list, err := s.Audit(t.Context(), facts.AuditQuery{Limit: 1})
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	list[0].Link = ""
	want := facts.Audit{
		Seq: 3, At: t0.Truncate(time.Microsecond), Actor: "eve", Kind: "team", Name: "a",
		Before: json.RawMessage(`{"x":1}`), After: json.RawMessage(`{"x":2}`),
	}
	if diff := cmp.Diff(want, list[0]); diff != "" {
		t.Error(diff)
	}
}

func testConflict(t *testing.T, s facts.Store) {
	apply(t, s, put("a", `{}`, 0))
	before := all(t, s)
	for _, changes := range [][]facts.Change{
		{put("a", `{"x":1}`, 0)},
		{put("a", `{"x":1}`, 7)},
		{put("a", "", 7)},
		{put("nobody", `{}`, 1)},
		{put("nobody", "", 0)},
		{put("b", `{}`, 0), put("a", `{"x":1}`, 0)}, // all or nothing
	} {
		if _, err := s.Apply(t.Context(), "eve", t0, changes); !errors.Is(err, facts.ErrConflict) {
			t.Errorf("%v: %v", changes, err)
		}
	}
	same(t, all(t, s), before)
	if list, _ := s.Audit(t.Context(), facts.AuditQuery{}); len(list) != 1 {
		t.Errorf("%d records of refused changes", len(list)-1)
	}
}

func testInvalid(t *testing.T, s facts.Store) {
	long := strings.Repeat("x", 300)
	for name, changes := range map[string][]facts.Change{
		"twice":       {put("a", `{}`, 0), put("a", `{}`, 0)},
		"no JSON":     {put("a", `{`, 0)},
		"no object":   {put("a", `[]`, 0)},
		"no name":     {put("", `{}`, 0)},
		"long name":   {put(long, `{}`, 0)},
		"a NUL":       {put("a\x00", `{}`, 0)},
		"not UTF-8":   {put("a\xff", `{}`, 0)},
		"large":       {put("a", `{"x":"`+strings.Repeat("x", facts.MostBody)+`"}`, 0)},
		"many":        make([]facts.Change, facts.MostChanges+1),
		"no kind":     {{Name: "a", Body: json.RawMessage(`{}`)}},
		"empty bytes": {{Kind: "team", Name: "a", Body: json.RawMessage{}}},
	} {
		if _, err := s.Apply(t.Context(), "eve", t0, changes); !errors.Is(err, facts.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Apply(t.Context(), "", t0, []facts.Change{put("a", `{}`, 0)}); !errors.Is(err, facts.ErrInvalid) {
		t.Errorf("no actor: %v", err)
	}
	same(t, all(t, s), "(0)")
}

func testSince(t *testing.T, s facts.Store) {
	apply(t, s, put("a", `{}`, 0), put("b", `{}`, 0), put("c", `{}`, 0))
	apply(t, s, put("b", "", 2))
	apply(t, s, put("a", `{"x":1}`, 1))
	for since, want := range map[int64]string{
		0: `team/c={}@3 team/b=removed@4 team/a={"x":1}@5 (5)`,
		3: `team/b=removed@4 team/a={"x":1}@5 (5)`,
		5: `(5)`,
		9: `(5)`, // a store that was restored from a backup
	} {
		list, revision, err := s.Since(t.Context(), since)
		if err != nil {
			t.Fatal(err)
		}
		same(t, told(list, revision), want)
	}
	same(t, all(t, s), `team/c={}@3 team/a={"x":1}@5 (5)`)
}

func testAgain(t *testing.T, s facts.Store) {
	apply(t, s, put("a", `{}`, 0))
	apply(t, s, put("a", "", 1))
	if _, err := s.Apply(t.Context(), "eve", t0, []facts.Change{put("a", "", 2)}); !errors.Is(err, facts.ErrConflict) {
		t.Errorf("removed twice: %v", err)
	}
	apply(t, s, put("a", `{"x":1}`, 0))
	same(t, all(t, s), `team/a={"x":1}@3 (3)`)
}

func testMask(t *testing.T, s facts.Store) {
	apply(t, s, put("a", `{"secrets":[{"hash":"canary-1","form":"hmac"}],"hash":{"deep":"canary-2"}}`, 0))
	apply(t, s, put("a", `{"h\u0061sh":"canary-3"}`, 1))
	list, err := s.Audit(t.Context(), facts.AuditQuery{})
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	for _, a := range list {
		if text := string(a.Before) + string(a.After); strings.Contains(text, "canary") || !strings.Contains(text, "***") {
			t.Errorf("record %d: %s", a.Seq, text)
		}
	}
	if got := all(t, s); !strings.Contains(got, "canary-3") {
		t.Errorf("the document lost its hash: %s", got)
	}
}

func testTrail(t *testing.T, s facts.Store) {
	for i := range 6 {
		actor := []string{"eve", "bob"}[i%2]
		change := facts.Change{Kind: []string{"team", "customer"}[i/3], Name: fmt.Sprint("n", i), Body: json.RawMessage(`{}`)}
		if _, err := s.Apply(t.Context(), actor, t0.Add(time.Duration(i)*time.Hour), []facts.Change{change}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		q    facts.AuditQuery
		want string
	}{
		{facts.AuditQuery{}, "6 5 4 3 2 1"},
		{facts.AuditQuery{Limit: 2}, "6 5"},
		{facts.AuditQuery{Limit: 2, Below: 5}, "4 3"},
		{facts.AuditQuery{Actor: "bob"}, "6 4 2"},
		{facts.AuditQuery{Kind: "team"}, "3 2 1"},
		{facts.AuditQuery{Kind: "team", Name: "n1"}, "2"},
		{facts.AuditQuery{Kind: "customer", Actor: "eve"}, "5"},
		{facts.AuditQuery{From: t0.Add(time.Hour).Truncate(time.Microsecond), To: t0.Add(3 * time.Hour).Truncate(time.Microsecond)}, "3 2"},
		{facts.AuditQuery{Name: "nobody"}, ""},
	} {
		list, err := s.Audit(t.Context(), c.q)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range list {
			got = append(got, fmt.Sprint(a.Seq))
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%+v: %s, want %s", c.q, text, c.want)
		}
	}
}

func testVerify(t *testing.T, s facts.Store) {
	verify := func(records int64) {
		t.Helper()
		r, err := facts.VerifyAudit(t.Context(), s)
		if err != nil || !r.OK() || r.Records != records {
			t.Errorf("%+v, %v", r, err)
		}
	}
	verify(0)
	var batch []facts.Change
	for i := range 2500 { // more than a page
		batch = append(batch, put(fmt.Sprint("n", i), `{"hash":"x"}`, 0))
	}
	apply(t, s, batch...)
	apply(t, s, put("n7", "", 8), put("n8", `{"x":1}`, 9))
	verify(2502)
}

func testParallel(t *testing.T, s facts.Store) {
	apply(t, s, put("counter", `{"n":0}`, 0))
	var done atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := 0; n < 10; {
				list, _, err := s.All(t.Context())
				if err != nil || len(list) != 1 {
					t.Errorf("%v, %v", list, err)
					return
				}
				var doc struct{ N int64 }
				if err := json.Unmarshal(list[0].Body, &doc); err != nil {
					t.Error(err)
					return
				}
				body := fmt.Sprintf(`{"n":%d}`, doc.N+1)
				switch _, err := s.Apply(t.Context(), "eve", t0, []facts.Change{put("counter", body, list[0].Revision)}); {
				case err == nil:
					n++
					done.Add(1)
				case !errors.Is(err, facts.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	same(t, all(t, s), fmt.Sprintf(`team/counter={"n":%d}@%d (%d)`, 40, 41, 41))
	if r, err := facts.VerifyAudit(t.Context(), s); err != nil || !r.OK() {
		t.Errorf("%+v, %v", r, err)
	}
}

func testBytes(t *testing.T, s facts.Store) {
	body := "{ \"b\": 1.50,\n\"a\": \"\\u0000 \u00e9 \\ud800\" }"
	c := put("a", body, 0)
	apply(t, s, c)
	clear(c.Body) // the store has its own
	list, _, err := s.All(t.Context())
	if err != nil || len(list) != 1 || string(list[0].Body) != body {
		t.Fatalf("%v, %v", list, err)
	}
	clear(list[0].Body)
	if again, _, _ := s.All(t.Context()); string(again[0].Body) != body {
		t.Error("a reader changes what is kept")
	}
}

func testCancelled(t *testing.T, s facts.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Apply(ctx, "eve", t0, []facts.Change{put("a", `{}`, 0)}); err == nil {
		t.Error("a cancelled change is made")
	}
	same(t, all(t, s), "(0)")
}
