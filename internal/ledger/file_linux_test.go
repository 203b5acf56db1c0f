package ledger

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// resident is how many bytes of a mapped file are in the page table.
func resident(t *testing.T, path string) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skip(err)
	}
	_, rest, ok := strings.Cut(string(maps), path+"\n")
	if !ok {
		t.Fatalf("%s is not mapped", path)
	}
	_, rest, _ = strings.Cut(rest, "\nRss:")
	kilobytes := 0
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

func TestASyncUnmapsWhatIsOnlyReadFromThenOn(t *testing.T) {
	dir := t.TempDir()
	m := NewMemory(0)
	j := openTest(t, JournalOptions{Dir: dir, Store: m})
	n := 0
	for range 3 {
		for range 500 {
			if err := j.Settle(typical(id(n))); err != nil {
				t.Fatal(err)
			}
			n++
		}
		was := resident(t, j.cur.path)
		if err := j.sync(); err != nil {
			t.Fatal(err)
		}
		if is := resident(t, j.cur.path); was < 500*300 || is > os.Getpagesize() {
			t.Errorf("after %d records %d bytes were mapped, and %d when they were synced", n, was, is)
		}
	}
	if err := j.Flush(t.Context()); err != nil || m.stored() != n {
		t.Errorf("the store has %d of %d, %v", m.stored(), n, err)
	}
	if err := errors.Join(j.Settle(typical(id(n))), j.sync()); err != nil {
		t.Fatal(err)
	}
	if r, err := Verify(dir); err != nil || !r.OK() || r.Records != n+1 {
		t.Errorf("%+v, %v", r, err)
	}
}
