package statement

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// books are sums that stand still but for their cost.
type books struct{ cost int64 }

func (b books) Month(_ context.Context, customer string, m Month) (Input, error) {
	l := Line{Day: m.String() + "-03", Model: "m", Provider: "openai", Sums: Sums{Requests: 1, Cost: NanoOf(b.cost)}}
	if customer == "" {
		l.Customer = "acme"
	}
	if customer == "broken" {
		return Input{}, errors.New("the store is away")
	}
	return Input{Lines: []Line{l}, Exchanges: 1, Ledger: Chain{Head: "00", Length: 1}}, nil
}

func maker(t *testing.T, now string) *Maker {
	t.Helper()
	dir := t.TempDir()
	key, err := OpenKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339, now)
	if err != nil {
		t.Fatal(err)
	}
	return &Maker{Site: "s", Program: "test", Books: books{cost: 5}, Key: key, Shelf: NewShelf(filepath.Join(dir, "statements")), Now: func() time.Time { return at }}
}

func TestAMonthIsStatedOnceAndInOrder(t *testing.T) {
	k, ctx := maker(t, "2027-03-01T00:30:00Z"), t.Context()
	keys := one(k.Key.Public().(ed25519.PublicKey))
	issue := func(customer, m string, again bool) ([]byte, error) { return k.Issue(ctx, customer, month(m), again) }
	must := func(customer, m string, again bool) []byte {
		t.Helper()
		file, err := issue(customer, m, again)
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	nov := must("acme", "2026-11", false)
	if !bytes.Equal(nov, must("acme", "2026-11", false)) {
		t.Error("the second question is answered otherwise")
	}
	if _, err := issue("acme", "2027-01", false); !errors.Is(err, ErrOrder) || !strings.Contains(err.Error(), "2026-12, not of 2027-01") {
		t.Errorf("a month is left out: %v", err)
	}
	if _, err := issue("acme", "2026-10", false); !errors.Is(err, ErrOrder) {
		t.Errorf("a month before the first: %v", err)
	}
	if _, err := issue("acme", "2027-02", false); !errors.Is(err, ErrEarly) {
		t.Errorf("half an hour after its end: %v", err)
	}
	if _, err := issue("broken", "2026-11", false); err == nil || !strings.Contains(err.Error(), "the store is away") {
		t.Errorf("no books: %v", err)
	}
	dec := must("acme", "2026-12", false)
	k.Books = books{cost: 9}
	anew := must("acme", "2026-11", true)
	jan := must("acme", "2027-01", false)
	all := must("", "2026-11", false)

	var before *Signed
	for i, file := range [][]byte{nov, dec, anew, jan} {
		r := Verify(file, keys, before)
		if !r.OK() || r.Number != int64(i+1) {
			t.Errorf("%d: %+v", i, r)
		}
		before = r.Signed
	}
	if r := Verify(all, keys, nil); !r.OK() || r.Number != 1 || r.Signed.Lines[0].Customer != "acme" {
		t.Errorf("%+v", r)
	}
	if file, err := k.Find("acme", month("2026-11")); err != nil || !bytes.Equal(file, anew) {
		t.Errorf("found %s, %v", file, err)
	}
	if file, err := k.Find("nobody", month("2026-11")); err != nil || file != nil {
		t.Errorf("found %s, %v", file, err)
	}
}

func TestADraftTakesNoNumber(t *testing.T) {
	k := maker(t, "2026-11-10T00:00:00Z")
	file, err := k.Draft(t.Context(), "acme", month("2026-11"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(file)
	if err != nil || !s.Draft() || !s.Partial() {
		t.Errorf("%+v, %v", s, err)
	}
	if list, err := k.Shelf.list("acme"); err != nil || len(list) != 0 {
		t.Errorf("kept %v, %v", list, err)
	}
}

// TestManyAskAtOnce: one number, one file.
func TestManyAskAtOnce(t *testing.T) {
	k := maker(t, "2026-12-02T00:00:00Z")
	files := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range files {
		wg.Go(func() { files[i], _ = k.Issue(t.Context(), "acme", month("2026-11"), false) })
	}
	wg.Wait()
	for _, f := range files {
		if len(f) == 0 || !bytes.Equal(f, files[0]) {
			t.Errorf("%d bytes, %d bytes", len(f), len(files[0]))
		}
	}
}

func TestAChangedShelfIsNotGoneOnWith(t *testing.T) {
	k := maker(t, "2027-02-02T00:00:00Z")
	for _, m := range []string{"2026-11", "2026-12"} {
		if _, err := k.Issue(t.Context(), "acme", month(m), false); err != nil {
			t.Fatal(err)
		}
	}
	paths, _ := filepath.Glob(filepath.Join(k.Shelf.folder("acme"), "*.json"))
	if len(paths) != 2 {
		t.Fatal(paths)
	}
	text, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	refused := func(why string) {
		t.Helper()
		if _, err := k.Issue(t.Context(), "acme", month("2027-01"), false); err == nil || !strings.Contains(err.Error(), "put back the copy") {
			t.Errorf("%s: %v", why, err)
		}
	}
	if err := os.WriteFile(paths[0], bytes.Replace(text, []byte(`"cost_nano": "5"`), []byte(`"cost_nano": "6"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	refused("a changed one")
	if err := os.Remove(paths[0]); err != nil {
		t.Fatal(err)
	}
	refused("a removed one")
}

func TestCustomersHaveFoldersOfTheirOwn(t *testing.T) {
	s := NewShelf("d")
	seen := map[string]string{}
	for _, name := range []string{"", "all", "acme", "ACME", "a/b", "a-b", "..", "../..", strings.Repeat("x", 300), "日本"} {
		dir := s.folder(name)
		if was, ok := seen[strings.ToLower(dir)]; ok {
			t.Errorf("%q and %q are both in %s", name, was, dir)
		}
		seen[strings.ToLower(dir)] = name
		if filepath.Dir(dir) != "d" || len(filepath.Base(dir)) > 64 {
			t.Errorf("%q is in %s", name, dir)
		}
	}
}

func TestTheKeyIsMadeOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	a, err := OpenKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := OpenKey(dir)
	if err != nil || !a.Equal(b) {
		t.Errorf("another key: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, KeyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(dir, KeyFile), []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKey(dir); err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "put back") {
		t.Errorf("a damaged key: %v", err)
	}
}
