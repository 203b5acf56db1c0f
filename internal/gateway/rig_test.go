package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/complexity"
	"tailplane/internal/config"
	"tailplane/internal/fleet"
	"tailplane/internal/gateway"
	"tailplane/internal/h1"
	"tailplane/internal/ledger"
	"tailplane/internal/llmtest"
	"tailplane/internal/meter"
	"tailplane/internal/models"
	"tailplane/internal/policy"
	"tailplane/internal/route"
	"tailplane/internal/telemetry"
	"tailplane/internal/upstream"
)

// The secrets of every test: none may ever be seen outside of the wire to an
// upstream.
const (
	clientKey   = "sk-tp-canary-00000000000000000000000000000000000000000001h3nYg"
	providerKey = "sk-canary-provider-9f8e7d6c5b4a"
)

// setSecrets puts them where configs refer to.
func setSecrets(t testing.TB) {
	t.Setenv("CLIENT_KEY", clientKey)
	t.Setenv("PROVIDER_KEY", providerKey)
}

// prices is the price book, read once for all tests.
var prices = sync.OnceValues(meter.Load)

// tester is what testing.T and rapid.T have in common, as far as it is used.
type tester interface {
	Helper()
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// rig is a gateway with everything that it works with, in memory.
type rig struct {
	t          tester
	net        *llmtest.Network
	client     *h1.Client
	journal    *ledger.Journal
	store      *ledger.Memory
	metrics    *telemetry.Metrics
	fleet      *fleet.Fleet
	account    *account.Accounts
	learned    *account.Estimator
	groups     route.Groups
	discovered []models.Target   // beside those of the config
	told       func(route.Delta) // is given what other gateways would be; nil is nobody
	keys       *policy.Store
	log        *bytes.Buffer
	lines      *telemetry.LogWriter
	learning   *gateway.Learning // and the outcomes that it kept, once it has ended
	outcomes   func() []complexity.Outcome
	gateway    *gateway.Gateway
	server     *http.Server
	hosts      []*llmtest.Upstream
	closers    []func() // of other servers
	cancel     context.CancelFunc
	running    sync.WaitGroup
}

// newRig builds a gateway from the text of a config. dial reaches upstreams;
// nil is the rig's own network.
func newRig(t tester, text string, dial upstream.Dialer) *rig {
	return newRigWith(t, text, dial, ledger.JournalOptions{})
}

func newRigWith(t tester, text string, dial upstream.Dialer, o ledger.JournalOptions) *rig {
	t.Helper()
	r := &rig{t: t, net: &llmtest.Network{}, store: ledger.NewMemory(0), metrics: telemetry.New("test"), fleet: &fleet.Fleet{}, account: account.New(account.Options{}), learned: account.NewEstimator(0), log: &bytes.Buffer{}}
	if dial == nil {
		dial = r.net.Dial
	}
	r.groups.Tell = func(d route.Delta) {
		if r.told != nil {
			r.told(d)
		}
	}
	r.client = h1.New(h1.Options{Dial: dial})
	var err error
	o.Store = r.store
	if r.journal, err = ledger.OpenJournal(o); err != nil {
		t.Fatal(err)
	}
	r.keys = policy.NewStore(policy.NewPepper([32]byte{}), r.account) // a fixed one: cases hold signatures
	r.lines = telemetry.NewLogWriter(r.log, r.metrics.LogDropped.Inc)
	log := telemetry.NewLog(r.lines, "json", slog.LevelDebug)
	r.gateway = gateway.New(r.plane(text), r.journal, r.metrics, log)
	r.gateway.WatchQueues()
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.Background())
	r.running.Go(func() { _ = r.journal.Run(ctx) })
	r.running.Go(func() { r.lines.Run(ctx) })
	return r
}

// plane builds what a config says.
func (r *rig) plane(text string) *gateway.Plane {
	r.t.Helper()
	if t, ok := r.t.(*testing.T); ok && strings.Contains(text, "complexity:") && r.learning == nil {
		r.outcomes = r.keepsOutcomes(t)
	}
	file, problems := config.Parse("test.yaml", []byte(text))
	for _, p := range problems {
		r.t.Fatal(p)
	}
	book, err := prices()
	if err != nil {
		r.t.Fatal(err)
	}
	if book, err = book.With(file.Prices()); err != nil {
		r.t.Fatal(err)
	}
	keys, err := policy.NewKeys(file.Policy(), r.keys)
	if err != nil {
		r.t.Fatal(err)
	}
	keys.Use(time.Now())
	parts := gateway.Parts{
		Hash: file.Hash, Listen: file.Listen, Models: file.ModelConfig(), Keys: keys, Fleet: r.fleet, Groups: &r.groups, Book: book, Metrics: r.metrics,
		Accounts: r.account, Estimates: r.learned, Discovered: r.discovered,
	}
	r.judges(file, &parts)
	for _, name := range slices.Sorted(maps.Keys(file.Targets)) {
		target, err := upstream.New(name, file.Targets[name], r.client, time.Now())
		if err != nil {
			r.t.Fatal(err)
		}
		parts.Targets = append(parts.Targets, target)
	}
	return gateway.NewPlane(parts)
}

// serve puts the gateway behind the server of package net/http on l, with
// HTTP/1.1 and HTTP/2 without TLS.
func (r *rig) serve(l net.Listener) {
	r.server = &http.Server{Handler: http.HandlerFunc(r.leaveHeader), Protocols: protocols(true, true), ErrorLog: slog.NewLogLogger(slog.NewJSONHandler(r.lines, nil), slog.LevelWarn)}
	r.running.Go(func() { _ = r.server.Serve(l) })
}

// leaveHeader is the gateway, which must not change the header of a request: see
// httpd.Server.
func (r *rig) leaveHeader(w http.ResponseWriter, q *http.Request) {
	header, before := q.Header, q.Header.Clone()
	defer func() {
		if !maps.EqualFunc(header, before, slices.Equal) {
			r.t.Errorf("the gateway has changed the header %q to %q", before, header)
		}
	}()
	r.gateway.ServeHTTP(w, q)
}

func protocols(one, two bool) *http.Protocols {
	p := &http.Protocols{}
	p.SetHTTP1(one)
	p.SetUnencryptedHTTP2(two)
	return p
}

// host starts an upstream, which stop ends.
func (r *rig) host(name string, replies ...*llmtest.Reply) *llmtest.Upstream {
	u := r.net.Serve(name, replies...)
	r.hosts = append(r.hosts, u)
	return u
}

// stop ends everything and checks that nothing is left open.
func (r *rig) stop() {
	r.t.Helper()
	if r.server != nil {
		if err := r.server.Shutdown(context.Background()); err != nil {
			r.t.Error(err)
		}
	}
	for _, stop := range r.closers {
		stop()
	}
	r.client.CloseIdle()
	for _, u := range r.hosts {
		u.Close()
	}
	r.cancel()
	r.running.Wait()
	if n := r.journal.Stats(); n.Open != 0 || n.Lost != 0 || n.Lag != 0 || n.Admitted != n.Settled {
		r.t.Errorf("the ledger is not closed: %+v", n)
	}
	for _, s := range r.account.List() {
		for _, b := range s.Budgets {
			if s.InFlight != 0 || b.Held != 0 {
				r.t.Errorf("%s %s holds %v for %d requests when nothing is in flight", s.Level, s.Name, b.Held, s.InFlight)
			}
		}
	}
	for name, n := range r.gauges() {
		if n != 0 {
			r.t.Errorf("%s is %v when nothing is in flight", name, n)
		}
	}
	if waiting, promised := r.gateway.Plane().Held(); waiting != 0 || promised != 0 {
		r.t.Errorf("%d requests wait and %d places are promised when nothing is in flight", waiting, promised)
	}
	if err := r.journal.Close(); err != nil {
		r.t.Error(err)
	}
}

// gauges reads every in-flight figure there is.
func (r *rig) gauges() map[string]float64 {
	out := map[string]float64{}
	for name, value := range scrape(r.metrics) {
		if strings.Contains(name, "inflight") {
			out[name] = value
		}
	}
	for _, t := range r.gateway.Plane().Targets {
		out["fleet "+t.Name] = float64(t.State.View(time.Now(), "").InFlight)
	}
	return out
}

// scrape reads every sample of the metrics by name and labels.
func scrape(m *telemetry.Metrics) map[string]float64 {
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	out := map[string]float64{}
	for line := range strings.Lines(w.Body.String()) {
		cut := strings.LastIndexByte(strings.TrimSpace(line), ' ')
		if line[0] == '#' || cut < 0 {
			continue
		}
		if v, err := strconv.ParseFloat(strings.TrimSpace(line[cut:]), 64); err == nil {
			out[line[:cut]] = v
		}
	}
	return out
}

// records are the exchanges so far, oldest first.
func (r *rig) records() []*ledger.Exchange {
	r.t.Helper()
	if err := r.journal.Flush(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	return r.recordsAfterStop()
}

// recordsAfterStop are the same once the journal is closed.
func (r *rig) recordsAfterStop() []*ledger.Exchange {
	r.t.Helper()
	list, err := r.store.Recent(context.Background(), 10_000, ledger.Filter{})
	if err != nil {
		r.t.Fatal(err)
	}
	slices.Reverse(list)
	return list
}

// asJSON is a record as the ledger shows it.
func asJSON(t tester, v any) []byte {
	t.Helper()
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// chatConfig is one target without a key, called by nobody in particular.
const chatConfig = `
targets:
  a: {kind: vllm, url: "http://a", models: [m]}
keys: {required: false}
`
