package ledger_test

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"tailplane/internal/ledger"
)

// TestPostgresFailures: whatever dies, stops or is full, every exchange that was
// admitted is in the store exactly once afterwards, and the sums are those of the
// records. The clock of the load jumps back and forth meanwhile.
func TestPostgresFailures(t *testing.T) {
	if text := os.Getenv(ordersVariable); text != "" {
		runChild(t, text)
		return
	}
	for _, tc := range []struct {
		name string
		test func(t *testing.T, s *scene)
	}{
		{"the gateway is killed again and again", killGateway},
		{"the server is stopped for a while", stopServer},
		{"the server is killed again and again", killServer},
		{"the server and the gateway are killed", killBoth},
		{"the journal's disk is full", fillJournal},
		{"the database's disk is full", fillDatabase},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &scene{pool: openPool(t), promises: promises{admitted: map[string]bool{}, settled: map[string]int64{}}}
			s.dir, s.Address = filepath.Join(t.TempDir(), "journal"), s.pool.Config().ConnString()
			tc.test(t, s)
			s.check(t)
		})
	}
}

// scene is a gateway's journal, its database, and what it promised.
type scene struct {
	orders
	promises

	dir     string
	pool    *pgxpool.Pool
	unknown int // at most; of those that were open at a kill
}

func (s *scene) start(t *testing.T) *child {
	t.Helper()
	s.Number++
	s.unknown += workers
	s.Dir = s.dir
	return startChild(t, s.orders, &s.promises)
}

// more waits until n more exchanges are admitted.
func (s *scene) more(t *testing.T, n int) {
	t.Helper()
	before, _ := s.counts()
	until(t, "more exchanges are admitted", func() bool {
		now, _ := s.counts()
		return now >= before+n
	})
}

// stored waits until the store has taken something from here on.
func (s *scene) stored(t *testing.T) {
	t.Helper()
	position := func() (p ledger.Position) {
		_ = s.pool.QueryRow(t.Context(), `SELECT segment, position FROM ledger_positions`).Scan(&p.Segment, &p.Offset)
		return p
	}
	before := position()
	until(t, "the store takes what the journal has", func() bool { return before.Before(position()) })
}

// control is the command that takes the server away, and brings it back; see
// postgres/run.sh.
func control(t *testing.T) []string {
	t.Helper()
	words := strings.Fields(os.Getenv("TAILPLANE_TEST_POSTGRES_CTL"))
	if len(words) == 0 {
		t.Skip("it must take the server away: make test-postgres")
	}
	return words
}

// server tells the server to stop, start or kill.
func server(t *testing.T, order string) {
	t.Helper()
	words := append(control(t), order)
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s the server: %v\n%s", order, err, out)
	}
	if order != "start" {
		t.Cleanup(func() { ensureServer(t) })
	}
}

func killGateway(t *testing.T, s *scene) {
	for range 10 {
		c := s.start(t)
		s.more(t, 1+rand.IntN(2500))
		c.kill(t)
	}
}

func stopServer(t *testing.T, s *scene) {
	control(t)
	c := s.start(t)
	s.stored(t)
	server(t, "stop")
	s.more(t, 6000) // the requests go on
	server(t, "start")
	s.stored(t)
	s.more(t, 500)
	c.kill(t)
}

func killServer(t *testing.T, s *scene) {
	control(t)
	c := s.start(t)
	for range 3 {
		s.stored(t)
		s.more(t, rand.IntN(2000))
		server(t, "kill")
		s.more(t, 1000)
		server(t, "start")
	}
	s.stored(t)
	c.kill(t)
}

func killBoth(t *testing.T, s *scene) {
	control(t)
	for range 2 {
		c := s.start(t)
		s.stored(t)
		s.more(t, rand.IntN(2000))
		server(t, "kill")
		s.more(t, 1000)
		c.kill(t)
		server(t, "start")
	}
}

// ensureServer starts it where a test that failed left it away.
func ensureServer(t *testing.T) {
	if s, err := pgxpool.New(context.Background(), os.Getenv("TAILPLANE_TEST_POSTGRES")); err == nil {
		defer s.Close()
		if s.Ping(context.Background()) != nil {
			server(t, "start")
		}
	}
}

// small is a directory on a disk of its own that is soon full.
func small(t *testing.T, size, owner string) (dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "tailplane-small")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size+",mode=700,uid="+owner, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("it must mount a small file system: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

func fillJournal(t *testing.T, s *scene) {
	control(t)
	s.dir, s.Retention = filepath.Join(small(t, "4m", "0"), "journal"), -1
	c := s.start(t)
	s.stored(t)
	server(t, "stop")
	until(t, "the journal's disk is full", func() bool {
		_, lost := s.counts()
		return lost > 100
	})
	server(t, "start")
	s.more(t, 2000) // there is room again
	c.kill(t)
	c = s.start(t)
	s.more(t, 500)
	c.kill(t)
	_, lost := s.counts()
	t.Logf("%s refusals while the disk was full", thousands(lost))
}

func fillDatabase(t *testing.T, s *scene) {
	control(t)
	owner, err := exec.Command("id", "-u", "postgres").Output()
	if err != nil {
		t.Skip("there is no user postgres")
	}
	disk := small(t, "3m", strings.TrimSpace(string(owner)))
	if _, err := ledger.OpenPostgres(t.Context(), s.pool, "gw-1"); err != nil { // which makes the tables
		t.Fatal(err)
	}
	const space = "tailplane_small"
	if _, err := s.pool.Exec(t.Context(), `CREATE TABLESPACE `+space+` LOCATION '`+disk+`'`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, order := range []string{`ALTER TABLE ledger_exchanges SET TABLESPACE pg_default`, `DROP TABLESPACE ` + space} {
			if _, err := s.pool.Exec(context.Background(), order); err != nil {
				t.Error(err)
			}
		}
	})
	if _, err := s.pool.Exec(t.Context(), `ALTER TABLE ledger_exchanges SET TABLESPACE `+space); err != nil {
		t.Fatal(err)
	}
	c := s.start(t)
	until(t, "the database's disk is full", func() bool {
		out, err := exec.Command("df", "--output=avail", "-k", disk).Output()
		avail, err2 := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(string(out), "Avail")))
		return err == nil && err2 == nil && avail < 64
	})
	s.more(t, 3000) // the requests go on
	if out, err := exec.Command("mount", "-o", "remount,size=1g", disk).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.stored(t)
	c.kill(t)
}

// check opens what the children left, drains it, and counts.
func (s *scene) check(t *testing.T) {
	t.Helper()
	store, err := ledger.OpenPostgres(t.Context(), s.pool, "gw-1")
	if err != nil {
		t.Fatal(err)
	}
	j, err := ledger.OpenJournal(ledger.JournalOptions{Dir: s.dir, SegmentBytes: 256 << 10, Store: store})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	var unknown, wrong int
	var cost int64
	err = store.Each(t.Context(), ledger.Filter{}, func(ex *ledger.Exchange) error {
		found[ex.ID]++
		cost += ex.Cost
		if ex.Outcome == ledger.OutcomeUnknown {
			unknown++
		}
		if want, told := s.settled[ex.ID]; told && (want != ex.Cost || ex.Outcome != ledger.OutcomeOK) {
			wrong++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	missing := 0
	for id := range s.admitted {
		if found[id] == 0 {
			missing++
		}
	}
	rows, err := store.Usage(t.Context(), ledger.UsageQuery{})
	if err != nil {
		t.Fatal(err)
	}
	sum := rows[0]
	doubled := int(sum.Requests) - len(found)
	t.Logf("admitted %s, settled %s, unknown %d, stored %s, doubled %d, missing %d; the sums cost %s, the records %s",
		thousands(len(s.admitted)), thousands(len(s.settled)), unknown, thousands(len(found)), doubled, missing, thousands(int(sum.Cost)), thousands(int(cost)))
	if missing != 0 || doubled != 0 || wrong != 0 || sum.Cost != cost || int(sum.Unknown) != unknown || unknown > s.unknown {
		t.Errorf("%d missing, %d doubled, %d not as they were settled, %d unknown of at most %d; sums %+v", missing, doubled, wrong, unknown, s.unknown, sum)
	}
	if r, err := store.VerifyStore(t.Context()); err != nil || len(r.Problems) > 0 {
		t.Errorf("the store does not verify: %+v, %v", r, err)
	}
}

// thousands writes a number as people read it.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
