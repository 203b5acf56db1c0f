package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A budget of a dollar and answers of two thousand tokens at a dollar for a
// million: five hundred requests.
const (
	gatewaysBudget = 1_000_000_000
	gatewaysCost   = 2_000_000
)

// TestGatewaysShareABudget: three gateways on one PostgreSQL under a load that
// would spend three times a hard budget; one is killed in the middle, another is
// cut off from the database. What upstreams were paid never exceeds the budget;
// the cut-off one stops at its lease and says so; the dead one's lease comes back
// after its term; and when all are back, the rest can be spent.
func TestGatewaysShareABudget(t *testing.T) {
	dsn := os.Getenv("TAILPLANE_TEST_POSTGRES")
	if dsn == "" {
		t.Skip("it needs PostgreSQL: make test-postgres")
	}
	paid := &provider{}
	upstream := httptest.NewServer(paid)
	defer upstream.Close()
	cut := newCutter(t, dsn)
	gws := []*process{
		newProcess(t, "a", inSchema(t, dsn), upstream.URL),
		newProcess(t, "b", cut.through(inSchema(t, dsn)), upstream.URL),
		newProcess(t, "c", inSchema(t, dsn), upstream.URL),
	}
	a, c := gws[0], gws[2]
	for _, g := range gws {
		g.start()
	}

	var load sync.WaitGroup
	counts := make([]tally, len(gws))
	stop := make([]context.CancelFunc, len(gws))
	for i, g := range gws {
		var ctx context.Context
		ctx, stop[i] = context.WithCancel(t.Context())
		load.Go(func() { counts[i] = g.load(ctx, 500, 6) })
	}
	paid.until(t, 120)
	a.kill()
	stop[0]()
	cut.sever()
	load.Wait()
	t.Logf("one killed, one cut off: a %v, b %v, c %v; paid for %d of %d", counts[0], counts[1], counts[2], paid.count(), gatewaysBudget/gatewaysCost)
	if over := paid.count() * gatewaysCost; over > gatewaysBudget {
		t.Fatalf("%d nano-dollars were spent of %d", over, gatewaysBudget)
	}
	if !strings.Contains(counts[1].last, "database") {
		t.Errorf("the cut-off gateway ends with %q; it must say that it cannot reach the database", counts[1].last)
	}
	if counts[1].refused == 0 || counts[2].refused == 0 {
		t.Error("somebody was never refused under three times the load")
	}

	// The term of the dead one's lease passes; what it had not marked comes back.
	before := paid.count()
	wait(gatewaysTerm + 2*time.Second) // real time: other processes have no virtual clock
	again := c.load(t.Context(), 500, 6)
	t.Logf("after the dead one's term: c %v; paid for %d", again, paid.count())
	if left := gatewaysBudget/gatewaysCost - before; paid.count() == before && left > 12 { // else it was back under the load, on a slow machine
		t.Errorf("nothing of the dead gateway's lease came back, and %d requests are left of the budget", left)
	}

	// All are back: what was in doubt is known, and the rest is spent.
	cut.heal()
	a.start()
	wait(gatewaysTerm)
	for _, g := range gws {
		g.load(t.Context(), 300, 3)
	}
	t.Logf("all back: paid for %d of %d", paid.count(), gatewaysBudget/gatewaysCost)
	if over := paid.count() * gatewaysCost; over > gatewaysBudget {
		t.Errorf("%d nano-dollars were spent of %d", over, gatewaysBudget)
	}
	if left := gatewaysBudget/gatewaysCost - paid.count(); left > 12 {
		t.Errorf("%d requests of the budget cannot be spent although everybody is back", left)
	}
	rows := c.usage("acme")
	for range 80 { // a gateway that was cut off tries again within half a minute
		if rows.Cost >= (paid.count()-6)*gatewaysCost {
			break
		}
		wait(500 * time.Millisecond)
		rows = c.usage("acme")
	}
	t.Logf("the ledger has %d requests of acme, %d of unknown end", rows.Requests, rows.Unknown)
	if got := rows.Cost; got > paid.count()*gatewaysCost || got < (paid.count()-6)*gatewaysCost {
		t.Errorf("the ledger has %d nano-dollars, %d were paid", got, paid.count()*gatewaysCost)
	}
}

// gatewaysTerm is for how long a silent gateway keeps what it leased, with some room
// for the clock of the database.
const gatewaysTerm = 15 * time.Second

const gatewaysConfig = `
version: 1
listen: {data: {addr: "127.0.0.1:0"}, admin: {addr: "127.0.0.1:0"}}
store: {postgres: env:STORE, gateway: %s}
targets:
  paid: {kind: openai-compatible, url: %q, price: {input: 1, output: 1}}
models:
  m: {route: [paid/m], retry: {attempts: 1}}
customers:
  acme: {budgets: [{amount: 1, per: day, hard: true, strict: true}]}
keys:
  pepper: file:%s
  static: [{name: app, key: env:APP_KEY, customer: acme}]
`

// process is a gateway as a process of its own.
type process struct {
	t    *testing.T
	name string
	dir  string
	env  []string
	cmd  *exec.Cmd
	data string
}

func newProcess(t *testing.T, name, dsn, url string) *process {
	dir := t.TempDir()
	p := &process{t: t, name: name, dir: dir}
	p.env = append(os.Environ(), noRaceSleep, "STORE="+dsn, "APP_KEY=the-application", "TAILPLANE_STATE="+filepath.Join(dir, "state"))
	text := fmt.Sprintf(gatewaysConfig, name, url, pepperFile(t))
	if err := os.WriteFile(filepath.Join(dir, "tailplane.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

func (p *process) start() {
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(filepath.Join(programDir(p.t), "tailplane"), "serve", "-c", "tailplane.yaml")
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = p.dir, p.env, log, log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	for range 200 {
		var status struct{ Data string }
		if json.Unmarshal(p.command("status", "-o", "json"), &status) == nil && status.Data != "" {
			p.data = status.Data
			return
		}
		wait(50 * time.Millisecond)
	}
	said, _ := os.ReadFile(filepath.Join(p.dir, "log"))
	p.t.Fatalf("gateway %s is not ready after ten seconds:\n%s", p.name, said)
}

func (p *process) command(args ...string) []byte {
	cmd := exec.Command(filepath.Join(programDir(p.t), "tailplane"), args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	out, _ := cmd.Output() // the caller looks at what it says
	return out
}

func (p *process) kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}

// usage is what the ledger says of a customer.
func (p *process) usage(customer string) (row struct {
	Requests, Unknown int64
	Cost              int64 `json:"cost_nano"`
},
) {
	var rows []struct {
		Customer          string
		Requests, Unknown int64
		Cost              int64 `json:"cost_nano"`
	}
	if err := json.Unmarshal(p.command("usage", "--by", "customer", "-o", "json"), &rows); err != nil {
		p.t.Fatal(err)
	}
	for _, r := range rows {
		if r.Customer == customer {
			row.Requests, row.Unknown, row.Cost = r.Requests, r.Unknown, r.Cost
		}
	}
	return row
}

// tally is what became of a load.
type tally struct {
	ok, refused, failed int
	last                string // refusal
}

func (t tally) String() string {
	return fmt.Sprintf("%d ok, %d refused, %d failed", t.ok, t.refused, t.failed)
}

// load sends up to n requests, at most so many at once.
func (p *process) load(ctx context.Context, n, at int) (sum tally) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	left := atomic.Int64{}
	left.Store(int64(n))
	for range at {
		wg.Go(func() {
			for left.Add(-1) >= 0 && ctx.Err() == nil {
				status, said := p.ask(ctx)
				mu.Lock()
				switch {
				case status == http.StatusOK:
					sum.ok++
				case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
					sum.refused++
					sum.last = said
				default:
					sum.failed++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return sum
}

func (p *process) ask(ctx context.Context) (status int, said string) {
	const body = `{"model":"m","max_tokens":1000,"messages":[{"role":"user","content":"%s"}]}`
	text := fmt.Sprintf(body, strings.Repeat("word ", 180))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.data+"/v1/chat/completions", strings.NewReader(text))
	if err != nil {
		p.t.Error(err)
		return 0, ""
	}
	req.Header.Set("Authorization", "Bearer the-application")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(raw)
}

// provider answers every request with two thousand tokens, and counts.
type provider struct{ served atomic.Int64 }

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	p.served.Add(1)
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"choices":[{"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":1000}}`)
}

func (p *provider) count() int64 { return p.served.Load() }

func (p *provider) until(t *testing.T, n int64) {
	for range 400 {
		if p.count() >= n {
			return
		}
		wait(25 * time.Millisecond)
	}
	t.Fatalf("only %d requests came through in ten seconds", p.count())
}

// cutter is a way to the database that can be severed.
type cutter struct {
	t     *testing.T
	to    string
	ln    net.Listener
	mu    sync.Mutex
	open  map[net.Conn]bool
	dead  bool
	relay sync.WaitGroup
}

func newCutter(t *testing.T, dsn string) *cutter {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{t: t, to: hostOf(t, dsn), ln: ln, open: map[net.Conn]bool{}}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			c.relay.Go(func() { c.pass(conn) })
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); c.sever(); c.relay.Wait() })
	return c
}

// through is the address of the database by this way.
func (c *cutter) through(dsn string) string {
	return strings.Replace(dsn, c.to, c.ln.Addr().String(), 1)
}

func (c *cutter) pass(conn net.Conn) {
	defer conn.Close()
	if !c.note(conn) {
		return
	}
	far, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer far.Close()
	if !c.note(far) {
		return
	}
	done := make(chan struct{})
	go func() { _, _ = io.Copy(far, conn); _ = far.Close(); close(done) }()
	_, _ = io.Copy(conn, far)
	_ = conn.Close()
	<-done
}

func (c *cutter) note(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[conn] = true
	return !c.dead
}

func (c *cutter) sever() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
	for conn := range c.open {
		_ = conn.Close()
	}
	clear(c.open)
}

func (c *cutter) heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = false
}

// hostOf is the host and port of a database's address in the form of a URL.
func hostOf(t *testing.T, dsn string) string {
	_, rest, ok := strings.Cut(dsn, "@")
	host, _, ok2 := strings.Cut(rest, "/")
	if !ok || !ok2 || !strings.Contains(host, ":") {
		t.Skipf("TAILPLANE_TEST_POSTGRES must be postgres://USER@HOST:PORT/NAME for this test")
	}
	return host
}

// inSchema makes a schema for this test alone, once, and returns the address
// with it.
func inSchema(t *testing.T, dsn string) string {
	name := "t_" + strings.ToLower(strings.NewReplacer("/", "_", "#", "_").Replace(t.Name()))
	var out bytes.Buffer
	cmd := exec.Command("psql", dsn, "-q", "-c", "CREATE SCHEMA IF NOT EXISTS "+name)
	cmd.Stderr = &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("make a schema: %v: %s", err, out.String())
	}
	sep := "?"
	if strings.Contains(dsn, "?") {
		sep = "&"
	}
	return dsn + sep + "search_path=" + name
}

// pepperFile is the secret under which all gateways of the test hash their keys.
func pepperFile(t *testing.T) string {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("tailplane-pepper-%d", os.Getpid()))
	if err := os.WriteFile(path, []byte(strings.Repeat("5e", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(path) })
	return path
}
