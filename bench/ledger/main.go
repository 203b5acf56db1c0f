//go:build linux

// Command ledger measures what keeping the books costs: the journal on a request's
// way, the drain into SQLite and PostgreSQL, questions over a month of exchanges, and
// who calls and how much together. Each figure is printed with how it was measured
// and its bar; one without a bar is for information.
//
//	go run ./bench/ledger [-rows 10000000] [-only journal,drain,admit,query]
//
// With -rows 1000000 it is quick. PostgreSQL is that of $TAILPLANE_TEST_POSTGRES.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
)

func main() {
	rows := flag.Int("rows", 10_000_000, "exchanges in the month that is asked about")
	only := flag.String("only", "journal,drain,admit,query", "parts to run")
	trace := flag.String("traced", "", "be what strace looks at, with a journal in this directory")
	flag.Parse()
	if *trace != "" {
		if err := runTraced(*trace); err != nil {
			fmt.Fprintln(os.Stderr, "bench ledger:", err)
			os.Exit(1)
		}
		return
	}
	dir, err := os.MkdirTemp("", "bench-ledger-*")
	if err == nil {
		err = run(context.Background(), os.Stdout, dir, strings.Split(*only, ","), *rows)
		_ = os.RemoveAll(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench ledger:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, dir string, parts []string, rows int) error {
	fmt.Fprintf(out, "%d cores, %s; CPU is user and system of this process (getrusage)\n", runtime.NumCPU(), runtime.Version())
	for _, part := range []struct {
		name string
		run  func() error
	}{
		{"journal", func() error { return journal(ctx, out, filepath.Join(dir, "journal")) }},
		{"drain", func() error { return drain(ctx, out, filepath.Join(dir, "drain")) }},
		{"admit", func() error { return admit(ctx, out) }},
		{"query", func() error { return month(ctx, out, filepath.Join(dir, "month.db"), rows) }},
	} {
		if !slices.Contains(parts, part.name) {
			continue
		}
		if err := part.run(); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// figure prints one line; over says that more is better.
func figure(out io.Writer, what string, got, bar float64, unit string, over bool) {
	verdict := "met"
	if over && got < bar || !over && got > bar {
		verdict = "MISSED"
	}
	fmt.Fprintf(out, "%-64s %12.2f %-10s bar %10.2f  %s\n", what, got, unit, bar, verdict)
}

// note prints a figure that has no bar.
func note(out io.Writer, what string, got float64, unit string) {
	fmt.Fprintf(out, "%-64s %12.2f %s\n", what, got, unit)
}

// cpu is what this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// exchange is the n-th of a series that a thousand customers make of five models,
// a second apart or less, spread over 30 days.
func exchange(ex *ledger.Exchange, n, of int) {
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(float64(n) / float64(of) * 30 * 24 * float64(time.Hour)))
	customer, model := n*7919%1000, n/1000%5 // each customer uses each model
	u := llm.Usage{Input: int64(400 + n%997), Output: int64(50 + n%313), Source: llm.UsageReported}
	*ex = ledger.Exchange{
		ID: id(start, n), Start: start, Config: "3fa91d9c", Key: fmt.Sprintf("k%04d", customer), Name: fmt.Sprintf("key-%04d", customer),
		Customer: fmt.Sprintf("customer-%04d", customer), Team: fmt.Sprintf("team-%02d", customer%20), Organisation: "northwind", Attributed: "key",
		Op: llm.OpGenerate, Dialect: llm.Chat, Model: fmt.Sprintf("model-%d", model), Bytes: 1200, MaxTokens: 512, Reason: "first of its route",
		Attempts: append(ex.Attempts[:0], ledger.Attempt{
			Target: "openai-eu", Kind: "openai", Model: "gpt-5-mini", Dialect: llm.Chat, Lane: "splice", Why: "first",
			Head: 200 * time.Millisecond, Took: 900 * time.Millisecond, Status: 200, Stop: llm.StopEnd, Usage: u, Cost: 112_000, Priced: ledger.Priced,
		}),
		Outcome: ledger.OutcomeOK, Status: 200, Total: 900 * time.Millisecond, Usage: u, Cost: 112_000, PriceStatus: ledger.Priced, PriceVersion: "genai-prices/2026-08-21",
	}
	if n/5000%10 == 0 {
		ex.Tags = []string{"beta"}
	}
}

// busy is exchange with a millisecond between two, as a gateway has it under load.
func busy(ex *ledger.Exchange, n, of int) {
	exchange(ex, n, of)
	ex.Start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Millisecond)
	ex.ID = id(ex.Start, n)
}

// id is one as the gateway makes them.
func id(at time.Time, n int) string {
	const digits = "0123456789abcdefghjkmnpqrstvwxyz"
	b := []byte("req_00000000000000000000000000")
	bits := uint64(at.UnixMilli()) << 2
	for i := 9; i >= 0; i-- {
		b[4+i] = digits[bits&31]
		bits >>= 5
	}
	for i, k := len(b)-1, uint64(n); k > 0; i, k = i-1, k>>5 {
		b[i] = digits[k&31]
	}
	return string(b)
}

// journal measures Admit and Settle: without anybody who drains, then with, and
// the syncs.
func journal(ctx context.Context, out io.Writer, dir string) error {
	const n = 200_000
	j, err := ledger.OpenJournal(ledger.JournalOptions{Dir: filepath.Join(dir, "alone"), Store: ledger.NewMemory(0)})
	if err != nil {
		return err
	}
	defer j.Close()
	var ex ledger.Exchange
	making := cpu()
	for i := range n {
		exchange(&ex, i, n)
	}
	making = cpu() - making
	begin := cpu()
	for i := range n {
		exchange(&ex, i, n)
		if err := admitSettle(j, &ex); err != nil {
			return err
		}
	}
	each := float64(cpu()-begin-making) / n / 1000
	figure(out, fmt.Sprintf("journal: admit and settle, %d exchanges, making them taken off", n), each, 3, "us CPU", false)
	if err := together(ctx, out, filepath.Join(dir, "together"), making/n); err != nil {
		return err
	}
	return syncs(out, filepath.Join(dir, "syncs"))
}

func admitSettle(j *ledger.Journal, ex *ledger.Exchange) error {
	if err := j.Admit(ex); err != nil {
		return err
	}
	return j.Settle(ex)
}

// month measures questions over a month of exchanges.
func month(ctx context.Context, out io.Writer, path string, rows int) error {
	st, err := ledger.OpenSQLite(ctx, path)
	if err != nil {
		return err
	}
	defer st.Close()
	begin := time.Now()
	const batch = 2048
	list := make([]ledger.Exchange, batch)
	refs := make([]*ledger.Exchange, 0, batch)
	for n := 0; n < rows; {
		refs = refs[:0]
		for i := 0; i < batch && n < rows; i++ {
			exchange(&list[i], n, rows)
			refs = append(refs, &list[i])
			n++
		}
		if err := st.Append(ctx, ledger.Position{Segment: 1, Offset: int64(n)}, refs); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "query: %d exchanges of 30 days, 1,000 customers x 5 models, stored in %v\n", rows, time.Since(begin).Round(time.Second))
	begin = time.Now()
	if err := sumDays(ctx, st); err != nil {
		return err
	}
	fmt.Fprintf(out, "       days summed in %v\n", time.Since(begin).Round(time.Millisecond))
	all := ledger.Filter{From: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}
	one := all
	one.Customer = "customer-0007"
	for _, q := range []struct {
		what string
		ask  func() error
	}{
		{"month in one sum", usage(ctx, st, ledger.UsageQuery{Filter: all})},
		{"month by day", usage(ctx, st, ledger.UsageQuery{By: []string{ledger.ByDay}, Filter: all})},
		{"month by model", usage(ctx, st, ledger.UsageQuery{By: []string{ledger.ByModel}, Filter: all})},
		{"month by customer", usage(ctx, st, ledger.UsageQuery{By: []string{ledger.ByCustomer}, Filter: all})},
		{"month by customer and model", usage(ctx, st, ledger.UsageQuery{By: []string{ledger.ByCustomer, ledger.ByModel}, Filter: all})},
		{"month by provider", usage(ctx, st, ledger.UsageQuery{By: []string{ledger.ByProvider}, Filter: all})},
		{"month by day and provider", usage(ctx, st, ledger.UsageQuery{By: []string{ledger.ByDay, ledger.ByProvider}, Filter: all})},
		{"month by tag", usage(ctx, st, ledger.UsageQuery{By: []string{ledger.ByTag}, Filter: all})},
		{"month of one customer by day", usage(ctx, st, ledger.UsageQuery{By: []string{ledger.ByDay}, Filter: one})},
		{"the newest 50", func() error { _, err := st.Recent(ctx, 50, ledger.Filter{}); return err }},
		{"one by its id", func() error { _, err := st.Get(ctx, list[0].ID); return err }},
	} {
		took := make([]time.Duration, 5)
		for i := range took {
			begin := time.Now()
			if err := q.ask(); err != nil {
				return err
			}
			took[i] = time.Since(begin)
		}
		slices.Sort(took)
		figure(out, "query: "+q.what+", median of five", took[2].Seconds()*1000, 1000, "ms", false)
	}
	return nil
}

func usage(ctx context.Context, st *ledger.SQLite, q ledger.UsageQuery) func() error {
	return func() error { _, err := st.Usage(ctx, q); return err }
}

// sumDays does what a running gateway does in the background.
func sumDays(ctx context.Context, st *ledger.SQLite) error {
	for {
		more, err := st.SumDays(ctx, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
		if err != nil || !more {
			return err
		}
	}
}
