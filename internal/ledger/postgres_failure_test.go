package ledger

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tailplane/internal/pg"
)

// schemaOf makes a schema for the test in the database that the environment names,
// and returns its address.
func schemaOf(t *testing.T) string {
	t.Helper()
	address := os.Getenv("TAILPLANE_TEST_POSTGRES")
	if address == "" {
		t.Skip("it needs PostgreSQL: make test-postgres")
	}
	name := fmt.Sprintf("fail_%s_%d", strings.ToLower(t.Name()), os.Getpid())
	pool, err := pg.Open(t.Context(), address, pg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(t.Context(), "CREATE SCHEMA "+name); err != nil {
		t.Fatal(err)
	}
	sep := "?"
	if strings.Contains(address, "?") {
		sep = "&"
	}
	return address + sep + "search_path=" + name
}

// TestPostgresKilledProcessLosesNothing: killed at random points under load, every
// admitted exchange is there once.
func TestPostgresKilledProcessLosesNothing(t *testing.T) {
	t.Setenv(killPostgres, schemaOf(t))
	const kills = 12
	dir := t.TempDir()
	p := promises{admitted: map[string]bool{}, settled: map[string]bool{}}
	for range kills {
		killOnce(t, dir, p)
	}
	checkPromises(t, dir, p, kills)
}

// TestPostgresDownForAWhile: while the server is stopped, and killed, requests go on
// and the journal grows; afterwards each exchange is in the store once, whatever
// its clock said, and the sums are those of the records.
func TestPostgresDownForAWhile(t *testing.T) {
	address, ctl := schemaOf(t), os.Getenv("TAILPLANE_TEST_POSTGRES_CTL")
	if ctl == "" {
		t.Skip("it needs a server that it may stop: make test-postgres")
	}
	control := func(what string) {
		t.Helper()
		if out, err := exec.Command(ctl, what).CombinedOutput(); err != nil {
			t.Fatalf("%s the server: %v: %s", what, err, out)
		}
	}
	pool, err := pg.Open(t.Context(), address, pg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	st, err := OpenPostgres(t.Context(), pool, "gw")
	if err != nil {
		t.Fatal(err)
	}
	j, err := OpenJournal(JournalOptions{Dir: filepath.Join(t.TempDir(), "journal"), Sync: 20 * time.Millisecond, Store: st})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running, load sync.WaitGroup
	running.Go(func() { _ = j.Run(ctx) }) // its last drain is the test's own
	var settled atomic.Int64
	var over atomic.Bool
	for w := range 3 {
		load.Go(func() {
			for n := 0; !over.Load(); n++ {
				ex := typical(fmt.Sprintf("req_%d_%d", w, n))
				ex.Start = ex.Start.Add(time.Duration(n%3-1) * time.Hour) // a clock that jumps
				if err := j.Admit(ex); err != nil {
					t.Error(err)
					return
				}
				if err := j.Settle(ex); err != nil {
					t.Error(err)
					return
				}
				settled.Add(1)
				<-time.After(200 * time.Microsecond)
			}
		})
	}
	for _, how := range []string{"stop", "kill"} {
		<-time.After(time.Second)
		control(how)
		before := settled.Load()
		<-time.After(2 * time.Second)
		if settled.Load() == before {
			t.Error("nothing is settled while the server is away")
		}
		control("start")
	}
	over.Store(true)
	load.Wait()
	stop()
	running.Wait()
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := st.Usage(t.Context(), UsageQuery{})
	if err != nil {
		t.Fatal(err)
	}
	stored, sum := int64(0), int64(0)
	if err := st.Each(t.Context(), Filter{}, func(ex *Exchange) error {
		stored++
		sum += ex.Cost
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	t.Logf("settled %d, stored %d, doubled or missing %d", settled.Load(), stored, settled.Load()-stored)
	if stored != settled.Load() || rows[0].Requests != stored || rows[0].Cost != sum {
		t.Errorf("settled %d, stored %d; sums: %d requests, cost %d of %d", settled.Load(), stored, rows[0].Requests, rows[0].Cost, sum)
	}
	if r, err := st.VerifyStore(t.Context()); err != nil || !r.OK() {
		t.Errorf("%+v, %v", r, err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}
