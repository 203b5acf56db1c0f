package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tailplane/internal/config"
)

// engineReplica is one replica of an engine on a socket of its own.
type engineReplica struct {
	*httptest.Server
	address string
	asked   atomic.Int64 // by requests
	looked  atomic.Int64
	running atomic.Int64
}

func newReplica(t *testing.T) *engineReplica {
	t.Helper()
	e := &engineReplica{}
	e.Server = httptest.NewServer(e)
	e.address = e.Listener.Addr().String()
	t.Cleanup(e.Close)
	return e
}

// ServeHTTP answers at once, or streams for a while.
func (e *engineReplica) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		e.looked.Add(1) // it is looked at, too, be it asked or not
		return
	}
	e.asked.Add(1)
	e.running.Add(1)
	defer e.running.Add(-1)
	body, _ := io.ReadAll(r.Body)
	if !strings.Contains(string(body), `"stream":true`) {
		_, _ = io.WriteString(w, completion)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for i := range 6 {
		fmt.Fprintf(w, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%d\"},\"finish_reason\":null}]}\n\n", i)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-time.After(20 * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
	fmt.Fprint(w, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
}

// leave shuts the replica down as an engine does when it is told to: it takes no
// connection any more, and ends what it has.
func (e *engineReplica) leave(t *testing.T) {
	t.Helper()
	if err := e.Config.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// callers ask without a pause, every second request as a stream, until end.
type callers struct {
	stop   chan struct{}
	wg     sync.WaitGroup
	served atomic.Int64
	each   []atomic.Int64 // what each of them has had
	mu     sync.Mutex
	lost   []string
}

func (r *rig) callers(t *testing.T, n int) *callers {
	t.Helper()
	c := &callers{stop: make(chan struct{}), each: make([]atomic.Int64, n)}
	for caller := range n {
		c.wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-c.stop:
					return
				default:
				}
				if why := askOnce("http://"+r.data.Addr().String(), i%2 == 0); why != "" {
					c.mu.Lock()
					c.lost = append(c.lost, why)
					c.mu.Unlock()
				}
				c.served.Add(1)
				c.each[caller].Add(1)
			}
		})
	}
	return c
}

// round waits until every request that runs now has ended.
func (c *callers) round(t *testing.T) {
	t.Helper()
	for i := range c.each {
		had := c.each[i].Load()
		until(t, "each caller goes on", func() bool { return c.each[i].Load() > had })
	}
}

// askOnce asks for a whole answer, or a stream; it says what is wrong with it.
func askOnce(base string, stream bool) string {
	body := fmt.Sprintf(`{"model":"llama","stream":%v,"messages":[{"role":"user","content":"hello"}]}`, stream)
	req, err := http.NewRequest(http.MethodPost, base+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	whole := strings.Contains(string(raw), `"hello"`) || strings.Contains(string(raw), `"5"`) && strings.HasSuffix(string(raw), "data: [DONE]\n\n")
	if err != nil || resp.StatusCode != http.StatusOK || !whole {
		return fmt.Sprintf("status %d, %v: %s", resp.StatusCode, err, raw)
	}
	return ""
}

// until waits for something to be so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for !so() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("it does not happen that %s", what)
		}
	}
}

// listed replaces the file of replicas as a careful writer does.
func listed(t *testing.T, path string, entries ...string) {
	t.Helper()
	write(t, path+".new", "["+strings.Join(entries, ", ")+"]")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// candidates are the states of the candidates of a model, by address.
func (r *rig) candidates(t *testing.T, model string) map[string]string {
	t.Helper()
	_, body := r.manage(t, http.MethodGet, "/admin/v1/models")
	var answer []struct {
		Name       string
		Candidates []struct{ Target, Address, State string }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	out := map[string]string{}
	for _, m := range answer {
		for _, c := range m.Candidates {
			if m.Name == model {
				out[c.Address] = c.State
			}
		}
	}
	return out
}

// discovered runs a gateway whose replicas stand in a file.
func discovered(t *testing.T, entries ...string) (*rig, string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "replicas.yaml")
	listed(t, path, entries...)
	file := filepath.Join(dir, "tailplane.yaml")
	write(t, file, fmt.Sprintf(`
targets: {llama: {kind: vllm, discover: {file: {path: %q, interval: 10ms}, empty_grace: 1ms}}}
models: {llama: {pool: [llama], served_as: m}}
keys: {required: false}
`, path))
	return serving(t, Options{Config: file, NoWatch: true}), path
}

// TestReplicasComeAndGoWithoutLosingARequest: on real sockets, under load.
func TestReplicasComeAndGoWithoutLosingARequest(t *testing.T) {
	a, b := newReplica(t), newReplica(t)
	r, path := discovered(t, a.address, b.address)
	load := r.callers(t, 6)

	// One appears.
	c := newReplica(t)
	listed(t, path, a.address, b.address, "{address: "+c.address+", weight: 2}")
	until(t, "a new replica is asked", func() bool { return c.asked.Load() > 0 })

	// One drains, ends what it has, gets nothing new, and vanishes.
	listed(t, path, "{address: "+a.address+", draining: true}", b.address, c.address)
	until(t, "one drains", func() bool { return strings.HasPrefix(r.candidates(t, "llama")[a.address], "draining") })
	load.round(t)
	before, served := a.asked.Load(), load.served.Load()
	until(t, "the others go on", func() bool { return load.served.Load() > served+30 })
	if n := a.asked.Load() - before; n != 0 {
		t.Errorf("a draining replica got %d requests", n)
	}
	a.leave(t)
	listed(t, path, b.address, c.address)
	until(t, "it has vanished", func() bool { _, there := r.candidates(t, "llama")[a.address]; return !there })

	// One leaves before anybody has been told.
	b.leave(t)
	served = load.served.Load()
	until(t, "requests go on without it", func() bool { return load.served.Load() > served+30 })
	listed(t, path, c.address)

	// All that are left are replaced at once.
	d := newReplica(t)
	listed(t, path, d.address)
	until(t, "the last one is asked", func() bool { return d.asked.Load() > 0 })
	load.round(t) // those that began before have nobody but c
	c.leave(t)
	served = load.served.Load()
	until(t, "requests go on with it alone", func() bool { return load.served.Load() > served+30 })

	close(load.stop)
	load.wg.Wait()
	if len(load.lost) > 0 {
		t.Errorf("%d of %d requests are lost; the first: %s", len(load.lost), load.served.Load(), load.lost[0])
	}
	t.Logf("%d requests", load.served.Load())
	r.stop(t)
}

// TestARequestFinishesAtAReplicaThatIsNoLongerListed: it began when the replica was
// the only one, and dials it again after a retry.
func TestARequestFinishesAtAReplicaThatIsNoLongerListed(t *testing.T) {
	asked, refuse := make(chan struct{}), make(chan struct{})
	var times atomic.Int64
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // each is dialed
		if r.Method != http.MethodPost {
			return // its state is looked at, too
		}
		if times.Add(1) == 1 {
			close(asked)
			<-refuse
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, completion)
	}))
	defer old.Close()
	r, path := discovered(t, old.Listener.Addr().String())
	answer := make(chan string, 1)
	go func() { answer <- askOnce("http://"+r.data.Addr().String(), false) }()
	<-asked
	next := newReplica(t)
	listed(t, path, next.address)
	until(t, "the other one is listed alone", func() bool { c := r.candidates(t, "llama"); return len(c) == 1 && c[next.address] != "" })
	close(refuse)
	if why := <-answer; why != "" || times.Load() != 2 {
		t.Errorf("asked %d times: %s", times.Load(), why)
	}
	r.stop(t)
}

// TestAModelWithoutReplicas is refused in a way that says that waiting helps, and
// shown with the reason.
func TestAModelWithoutReplicas(t *testing.T) {
	r, path := discovered(t)
	status, body := r.ask(t, "llama")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "no replica of model") {
		t.Errorf("status %d: %s", status, body)
	}
	if got := r.candidates(t, "llama"); !strings.HasPrefix(got["file "+path], "no replica, as of") {
		t.Errorf("the candidates are %v", got)
	}
	a := newReplica(t)
	listed(t, path, a.address)
	until(t, "a replica is found", func() bool { status, _ := r.ask(t, "llama"); return status == http.StatusOK })
	for _, model := range []string{"llama/m", "llama/" + strings.NewReplacer(".", "-", ":", "-").Replace(a.address) + "/m"} {
		if status, body := r.ask(t, model); status != http.StatusOK {
			t.Errorf("%s: status %d: %s", model, status, body)
		}
	}
	_, metrics := r.manage(t, http.MethodGet, "/metrics")
	for _, want := range []string{`tailplane_discovery_replicas{target="llama"} 1`, `tailplane_discovery_failures{target="llama"} 0`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics do not show %s", want)
		}
	}
	r.stop(t)
}

// TestReplicasThatAreGoneAreForgotten: their state, their series, their pools.
func TestReplicasThatAreGoneAreForgotten(t *testing.T) {
	a, b := newReplica(t), newReplica(t)
	r, path := discovered(t, a.address, b.address)
	for range 8 {
		r.ask(t, "llama")
	}
	name := "llama/" + strings.NewReplacer(".", "-", ":", "-").Replace(a.address)
	shown := func() bool {
		_, metrics := r.manage(t, http.MethodGet, "/metrics")
		return strings.Contains(metrics, `upstream="`+name+`"`)
	}
	earlier := time.Now() // it is gone later than this, however long the rest takes
	listed(t, path, b.address)
	until(t, "one has vanished", func() bool { return len(r.candidates(t, "llama")) == 1 })
	r.forgetGone(earlier.Add(rememberTime - 1))
	if !shown() {
		t.Error("it is forgotten before its time")
	}
	r.fleet.Target(name).Begin(time.Now(), 0)
	r.forgetGone(time.Now().Add(rememberTime))
	if !shown() {
		t.Error("it is forgotten while it has a request")
	}
	r.fleet.Target(name).End()
	r.forgetGone(time.Now().Add(rememberTime))
	if shown() || len(r.seen) != 1 {
		t.Errorf("it is not forgotten: %v", r.seen)
	}
	r.stop(t)
}

// fixedNames is a resolver with one answer.
type fixedNames []string

func (n fixedNames) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, text := range n {
		out = append(out, netip.MustParseAddr(text))
	}
	return out, nil
}

func (n fixedNames) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	return "", nil, nil
}

// TestDNSDecidesNotThatThisMachineIsATarget: guarded addresses are left out, under
// deny the others are let out as the name would be.
func TestDNSDecidesNotThatThisMachineIsATarget(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tailplane.yaml")
	write(t, file, `
egress: {default: deny}
targets: {llama: {kind: vllm, discover: {dns: {name: vllm.models.svc, port: 8000}}}}
models: {llama: {pool: [llama], served_as: m}}
`)
	var dialed sync.Map
	r := serving(t, Options{
		Config: file, NoWatch: true, Resolver: fixedNames{"127.0.0.1", "169.254.169.254", "10.1.2.3"},
		Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			dialed.Store(address, true)
			return nil, fmt.Errorf("nobody is there")
		},
	})
	if got := r.candidates(t, "llama"); len(got) != 1 || got["10.1.2.3:8000"] == "" {
		t.Errorf("the candidates are %v", got)
	}
	r.ask(t, "llama")
	if _, ok := dialed.Load("10.1.2.3:8000"); !ok {
		t.Error("the replica was not dialed")
	}
	r.stop(t)
	if !strings.Contains(r.err.String(), "left out") {
		t.Error("the log does not tell that some are left out")
	}
}

// TestAReloadWaitsForNewReplicas: a model that becomes discovered loses nothing,
// and a file that is refused leaves the sources as they were.
func TestAReloadWaitsForNewReplicas(t *testing.T) {
	a := newReplica(t)
	dir := t.TempDir()
	list, file := filepath.Join(dir, "replicas.json"), filepath.Join(dir, "tailplane.yaml")
	listed(t, list, `"`+a.address+`"`)
	const rest = "\nmodels: {llama: {pool: [llama], served_as: m}}\nkeys: {required: false}\n"
	write(t, file, "targets: {llama: {kind: vllm, url: \"http://"+a.address+"\"}}"+rest)
	r := serving(t, Options{Config: file, NoWatch: true})
	load := r.callers(t, 2)
	until(t, "requests are served", func() bool { return load.served.Load() > 4 })
	write(t, file, "targets: {llama: {kind: vllm, discover: {file: {path: "+list+"}}}}"+rest)
	if err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	served := load.served.Load()
	until(t, "requests are served", func() bool { return load.served.Load() > served+4 })
	close(load.stop)
	load.wg.Wait()
	if len(load.lost) > 0 {
		t.Errorf("requests are lost: %s", load.lost[0])
	}
	write(t, file, "targets: {other: {kind: vllm, discover: {file: {path: "+list+"}}}, llama: {kind: vllm, key: env:NOT_THERE_AT_ALL, url: \"http://x\"}}"+rest)
	if err := r.Reload(); err == nil {
		t.Fatal("a file with a missing secret is taken")
	}
	if st := r.discovery.States(); len(st) != 1 || st[0].Target != "llama" {
		t.Errorf("the sources are %+v", st)
	}
	r.stop(t)
}

// TestALiveCheckLooksAtReplicas, and says why there is none.
func TestALiveCheckLooksAtReplicas(t *testing.T) {
	a := newReplica(t)
	list := filepath.Join(t.TempDir(), "replicas.yaml")
	listed(t, list, a.address, "{address: 'other:1', draining: true}")
	text := fmt.Sprintf("targets:\n  llama: {kind: vllm, discover: {file: {path: %q}}}\n  none: {kind: vllm, discover: {file: {path: %q}}}\n", list, list+".gone")
	f, problems := config.Parse("f.yaml", []byte(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	results, err := Live(t.Context(), f)
	if err != nil || len(results) != 2 {
		t.Fatalf("%+v, %v", results, err)
	}
	if want := "llama/" + strings.NewReplacer(".", "-", ":", "-").Replace(a.address); results[0].Target != want || a.looked.Load() == 0 {
		t.Errorf("the replica is %+v, want %s", results[0], want)
	}
	if none := fmt.Sprint(results[1]); results[1].Target != "none" || !strings.Contains(none, "no replica") || !strings.Contains(none, "no such file") {
		t.Errorf("without a replica it says %s", none)
	}
}
