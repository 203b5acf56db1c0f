package ledger_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/ledger/storetest"
	"tailplane/internal/pg"
)

// The failure tests run their own binary as a gateway that admits and settles
// under load: its journal on disk, PostgreSQL behind it. It tells on its standard
// output what it has been promised: "a ID" after Admit has returned without an
// error, "s ID COST" after Settle has, "l" for an exchange that the journal did
// not take.

// orders are what a child is told.
type orders struct {
	Number    int // of the child: its ids are its own
	Dir       string
	Address   string        // of the database
	MaxBytes  int64         // as in JournalOptions; so is what follows
	Retention time.Duration //
}

const ordersVariable = "TAILPLANE_LEDGER_CHILD"

// workers admit and settle side by side in a child, so that many are open at most
// when it dies.
const workers = 3

func runChild(t *testing.T, text string) {
	var o orders
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	pool, err := pg.Open(t.Context(), o.Address, pg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := ledger.OpenPostgres(t.Context(), pool, "gw-1")
	if err != nil {
		t.Fatal(err)
	}
	j, err := ledger.OpenJournal(ledger.JournalOptions{
		Dir: o.Dir, SegmentBytes: 256 << 10, MaxBytes: o.MaxBytes, Retention: o.Retention, Sync: 20 * time.Millisecond, Store: store,
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = j.Run(context.Background()) }()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for n := 0; ; n++ {
				load(j, o.Number<<24|w<<22|n)
			}
		})
	}
	wg.Wait()
}

// load is one exchange. The clock that it goes by jumps back and forth an hour;
// once in a while it does so between the moment of the id and the start.
func load(j *ledger.Journal, n int) {
	start := time.Now().Add(time.Duration(n/300%3-1) * time.Hour)
	ex := &ledger.Exchange{
		ID: storetest.GatewayID(start, n), Start: start, Key: fmt.Sprint("k_", n%17), Customer: "acme", Model: "chat",
		Tags: []string{fmt.Sprint("t", n%5)}, Outcome: ledger.OutcomeOK, PriceStatus: ledger.Priced, Held: 5000, Message: strings.Repeat("x", n%200),
	}
	if n%500 == 0 {
		ex.Start = start.Add(time.Hour)
	}
	if j.Admit(ex) != nil {
		say("l\n")
		<-time.After(time.Millisecond) // a process has no clock that a test could turn
		return
	}
	say("a " + ex.ID + "\n")
	if n%2 == 0 {
		<-time.After(time.Millisecond) // so that most are open when the child dies
	}
	ex.Cost, ex.Total = int64(1+n%1000), time.Since(start)
	ex.Attempts = []ledger.Attempt{{Target: "eu", Kind: "openai", Cost: ex.Cost, Priced: ledger.Priced}}
	for j.Settle(ex) != nil {
		say("l\n")
		<-time.After(time.Millisecond) // a process has no clock that a test could turn
	}
	say(fmt.Sprintf("s %s %d\n", ex.ID, ex.Cost))
}

func say(line string) {
	if _, err := os.Stdout.WriteString(line); err != nil {
		os.Exit(1)
	}
}

// promises is what children said before they died.
type promises struct {
	mu       sync.Mutex
	admitted map[string]bool
	settled  map[string]int64 // costs
	lost     int
}

func (p *promises) hear(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var id string
	var cost int64
	if line == "l" {
		p.lost++
	} else if n, _ := fmt.Sscanf(line, "s %s %d", &id, &cost); n == 2 {
		p.settled[id] = cost
	} else if n, _ := fmt.Sscanf(line, "a %s", &id); n == 1 {
		p.admitted[id] = true
	}
}

func (p *promises) counts() (admitted, lost int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.admitted), p.lost
}

// child is one that runs.
type child struct {
	cmd    *exec.Cmd
	stderr strings.Builder
	heard  chan struct{} // closed when everything that it said has been heard
}

func startChild(t *testing.T, o orders, p *promises) *child {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(exe, "-test.run=^TestPostgresFailures$"), heard: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), ordersVariable+"="+string(text))
	c.cmd.Stderr = &c.stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.heard)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.hear(lines.Text())
		}
	}()
	t.Cleanup(func() { // where a test failed
		_ = c.cmd.Process.Kill()
		<-c.heard
		_ = c.cmd.Wait()
	})
	return c
}

// kill is -9. What the child has said until then is heard when it returns.
func (c *child) kill(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		t.Errorf("%v\n%s", err, c.stderr.String())
	}
	<-c.heard
	err := c.cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.Exited() {
		t.Fatalf("the child ended by itself: %v\n%s", err, c.stderr.String())
	}
}

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(40 * time.Second); !holds(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after 40 s still not: %s", what)
		}
	}
}
