package ledger

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tailplane/internal/pg"
)

// The test binary runs itself as a gateway that admits and settles under load,
// kills it, and opens what it left. The child tells on its standard output what
// it has been promised: "a ID" after Admit has returned, "s ID" after Settle.

const (
	killVariable = "LEDGER_KILL_CHILD"
	killPostgres = "LEDGER_KILL_POSTGRES" // address of a schema
)

func killChildDir() string { return os.Getenv(killVariable) }

func killChild(dir string) {
	if err := loadUntilKilled(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func loadUntilKilled(dir string) error {
	st, err := openKilled(context.Background(), dir)
	if err != nil {
		return err
	}
	j, err := OpenJournal(JournalOptions{Dir: filepath.Join(dir, "journal"), SegmentBytes: 64 << 10, Sync: 20 * time.Millisecond, Store: st})
	if err != nil {
		return err
	}
	go func() { _ = j.Run(context.Background()) }()
	errs := make(chan error)
	for w := range 3 {
		go func() {
			for n := 0; ; n++ {
				if err := oneExchange(j, killID(w, n)); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	return <-errs
}

// killID is of the gateway's form, so that exchanges share blocks, but for some.
func killID(w, n int) string {
	if n%20 == 0 {
		return fmt.Sprintf("req_%d_%d_%d", os.Getpid(), w, n)
	}
	return idFrom(typical("").Start.UnixMilli()) + fmt.Sprintf("%07d%d%08d", os.Getpid(), w, n)
}

// killedStore is what the child's journal is drained into.
type killedStore interface {
	Store
	Reader
}

// openKilled opens the store of a child: in PostgreSQL where the environment names
// a schema, else a file in its directory.
func openKilled(ctx context.Context, dir string) (killedStore, error) {
	address := os.Getenv(killPostgres)
	if address == "" {
		return OpenSQLite(ctx, filepath.Join(dir, "ledger.db"))
	}
	pool, err := pg.Open(ctx, address, pg.Options{})
	if err != nil {
		return nil, err
	}
	s, err := OpenPostgres(ctx, pool, "killed")
	if err != nil {
		return nil, err
	}
	return pooled{s, pool.Close}, nil
}

// pooled closes its pool with the store.
type pooled struct {
	*Postgres
	done func()
}

func (p pooled) Close() error {
	p.done()
	return nil
}

func oneExchange(j *Journal, id string) error {
	ex := typical(id)
	ex.Message = strings.Repeat("x", len(id)*rand.IntN(40))
	if err := j.Admit(ex); err != nil {
		return err
	}
	if _, err := os.Stdout.WriteString("a " + id + "\n"); err != nil {
		return err
	}
	if err := j.Settle(ex); err != nil {
		return err
	}
	_, err := os.Stdout.WriteString("s " + id + "\n")
	return err
}

// promises is what a child said before it died.
type promises struct {
	admitted, settled map[string]bool
}

// killOnce starts a child and kills it after it has said a random number of lines.
func killOnce(t *testing.T, dir string, p promises) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), killVariable+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	after := 1 + rand.IntN(1500)
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		if what, id, ok := strings.Cut(lines.Text(), " "); ok && what == "a" {
			p.admitted[id] = true
		} else if ok && what == "s" {
			p.settled[id] = true
		}
		if n == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.Exited() {
		t.Fatalf("the child ended by itself: %v\n%s", err, stderr.String())
	}
}

func TestKilledProcessLosesNothing(t *testing.T) {
	kills := 24
	if s := os.Getenv("LEDGER_KILLS"); s != "" {
		kills, _ = strconv.Atoi(s)
	}
	dir := t.TempDir()
	p := promises{admitted: map[string]bool{}, settled: map[string]bool{}}
	for range kills {
		killOnce(t, dir, p)
	}
	checkPromises(t, dir, p, kills)
}

func checkPromises(t *testing.T, dir string, p promises, kills int) {
	t.Helper()
	st, err := openKilled(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	j := openTest(t, JournalOptions{Dir: filepath.Join(dir, "journal"), Store: st})
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := st.Recent(t.Context(), 10_000_000, Filter{})
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]Outcome{}
	for _, ex := range all {
		if _, twice := have[ex.ID]; twice {
			t.Errorf("%s is in the store twice", ex.ID)
		}
		have[ex.ID] = ex.Outcome
	}
	unknown := 0
	for id := range p.admitted {
		if have[id] == "" {
			t.Errorf("%s was admitted and is missing", id)
		}
	}
	for id, outcome := range have {
		if outcome == OutcomeUnknown {
			unknown++
			if p.settled[id] {
				t.Errorf("%s was settled and is unknown", id)
			}
		}
	}
	if lite, ok := st.(*SQLite); ok && lite.number(t, `SELECT COUNT(*) FROM blocks`) == 0 {
		t.Error("nothing is in blocks")
	}
	r, err := Verify(filepath.Join(dir, "journal"))
	if err != nil || !r.OK() || r.Open != 0 {
		t.Errorf("Verify: %+v, %v", r, err)
	}
	t.Logf("%d kills: %d admitted, %d settled before a kill, %d recovered as unknown, %d in the store, %d records in %d segments",
		kills, len(p.admitted), len(p.settled), unknown, len(have), r.Records, r.Segments)
	if unknown == 0 || unknown > 3*kills+3 {
		t.Errorf("%d unknown exchanges; three are open at each kill", unknown)
	}
}

// A settlement that the store took before the process died, and whose position
// it therefore knows, is not stored again; one that it did not take is.
func TestDrainGoesOnWhereTheStoreIs(t *testing.T) {
	dir, m := t.TempDir(), NewMemory(0)
	for round := range 4 {
		j, err := OpenJournal(JournalOptions{Dir: dir, SegmentBytes: 8 << 10, Store: m})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				if err := j.Settle(typical(fmt.Sprintf("req_%d_%d", round, i))); err != nil {
					t.Error(err)
				}
			})
			if i == 10 {
				wg.Wait()
				if err := j.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		wg.Wait()
		if want := uint64(min(round, 1) * 9); j.Recovered().Undrained != want {
			t.Errorf("round %d: %d undrained, want %d", round, j.Recovered().Undrained, want)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	j := openTest(t, JournalOptions{Dir: dir, Store: m})
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(m.list) != 80 {
		t.Errorf("the store has %d exchanges, want 80", len(m.list))
	}
}
