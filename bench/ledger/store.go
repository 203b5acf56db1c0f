//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/pg"
)

// drain measures the way from the journal into a store on one core: into SQLite,
// and into PostgreSQL where the environment names one, whose own cores are not
// counted.
func drain(ctx context.Context, out io.Writer, dir string) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	st, err := ledger.OpenSQLite(ctx, filepath.Join(dir, "ledger.db"))
	if err != nil {
		return err
	}
	defer st.Close()
	rate, each, err := drainInto(ctx, filepath.Join(dir, "sqlite"), st)
	if err != nil {
		return err
	}
	figure(out, fmt.Sprintf("drain: %d exchanges from the journal into SQLite, one core", drained), rate, 20_000, "a second", true)
	note(out, "drain: of that, this process", each, "us CPU")
	address := os.Getenv("TAILPLANE_TEST_POSTGRES")
	if address == "" {
		fmt.Fprintln(out, "drain: into PostgreSQL: not measured, $TAILPLANE_TEST_POSTGRES names none")
		return nil
	}
	return inSchema(ctx, address, func(own string) error {
		pool, err := pg.Open(ctx, own, pg.Options{})
		if err != nil {
			return err
		}
		defer pool.Close()
		st, err := ledger.OpenPostgres(ctx, pool, "bench")
		if err != nil {
			return err
		}
		rate, each, err := drainInto(ctx, filepath.Join(dir, "postgres"), st)
		if err != nil {
			return err
		}
		figure(out, fmt.Sprintf("drain: %d exchanges from the journal into PostgreSQL", drained), rate, 20_000, "a second", true)
		note(out, "drain: of that, this process, without the server", each, "us CPU")
		return nil
	})
}

// drained is how many exchanges a drain is measured over.
const drained = 200_000

// drainInto settles exchanges and then drains them.
func drainInto(ctx context.Context, dir string, st ledger.Store) (rate, each float64, err error) {
	j, err := ledger.OpenJournal(ledger.JournalOptions{Dir: dir, Store: st})
	if err != nil {
		return 0, 0, err
	}
	defer j.Close()
	var ex ledger.Exchange
	for i := range drained {
		busy(&ex, i, drained)
		if err := j.Settle(&ex); err != nil {
			return 0, 0, err
		}
	}
	begin, before := time.Now(), cpu()
	if err := j.Flush(ctx); err != nil {
		return 0, 0, err
	}
	return drained / time.Since(begin).Seconds(), float64(cpu()-before) / drained / 1000, nil
}

// inSchema makes a schema, and drops it.
func inSchema(ctx context.Context, address string, do func(own string) error) error {
	pool, err := pg.Open(ctx, address, pg.Options{})
	if err != nil {
		return err
	}
	defer pool.Close()
	schema := fmt.Sprintf("bench_ledger_%d", os.Getpid())
	if _, err := pool.Exec(ctx, "CREATE SCHEMA "+schema); err != nil {
		return err
	}
	sep := "?"
	if strings.Contains(address, "?") {
		sep = "&"
	}
	err = do(address + sep + "search_path=" + schema)
	if _, drop := pool.Exec(ctx, "DROP SCHEMA "+schema+" CASCADE"); err == nil {
		err = drop
	}
	return err
}

// together measures the journal while it is drained into SQLite beside it, as a
// gateway does: everything that an exchange costs the process until it is stored.
func together(ctx context.Context, out io.Writer, dir string, making time.Duration) error {
	const n = 100_000
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	st, err := ledger.OpenSQLite(ctx, filepath.Join(dir, "ledger.db"))
	if err != nil {
		return err
	}
	defer st.Close()
	j, err := ledger.OpenJournal(ledger.JournalOptions{Dir: filepath.Join(dir, "journal"), Store: st})
	if err != nil {
		return err
	}
	defer j.Close()
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- j.Run(running) }()
	before := cpu()
	var ex ledger.Exchange
	for i := range n {
		busy(&ex, i, n)
		if err := admitSettle(j, &ex); err != nil {
			stop()
			return err
		}
		if i%100 == 0 {
			time.Sleep(5 * time.Millisecond) // some 20,000 a second at most
		}
	}
	stop()
	if err := <-ended; err != nil {
		return err
	}
	note(out, fmt.Sprintf("journal: the same until it is in SQLite, drained meanwhile, %d", n), float64(cpu()-before-making*n)/n/1000, "us CPU")
	return nil
}
