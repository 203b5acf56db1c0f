package app

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tailplane/internal/config"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
)

func TestAFileCountsAsChangedOnceItsContentHasSettled(t *testing.T) {
	cases := []struct{ name, looks, want string }{
		{"nothing happens", "aaaa", "...."},
		{"a touch leaves the content", "aa", ".."},
		{"a change", "abbb", "..!."},
		{"away for a moment, as when an editor renames", "a--aa", "....."},
		{"away, then changed", "a--bb", "....!"},
		{"still being written", "abcdd", "....!"},
		{"changed and changed back", "abaa", "...."},
		{"changed, loaded, changed back", "abbaa", "..!.!"},
		{"gone for good", "a----", "....."},
	}
	for _, c := range cases {
		s := sighting{"a", "a"}
		var got strings.Builder
		for _, content := range c.looks {
			what := string(content)
			if what == "-" {
				what = ""
			}
			if s.changed(what) {
				got.WriteByte('!')
			} else {
				got.WriteByte('.')
			}
		}
		if got.String() != c.want {
			t.Errorf("%s: %s, want %s", c.name, got.String(), c.want)
		}
	}
}

// halting is an upstream whose streams stand still after their first token until
// they are told to go on.
type halting struct {
	begun chan struct{}
	goOn  chan struct{}
}

func (h *halting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.NotFound(w, r) // it is looked at, too
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "text/event-stream")
	event := func(text string) {
		fmt.Fprintf(w, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[%s]}\n\n", text)
		_ = http.NewResponseController(w).Flush()
	}
	event(`{"index":0,"delta":{"role":"assistant","content":"first"},"finish_reason":null}`)
	h.begun <- struct{}{}
	select {
	case <-h.goOn:
	case <-r.Context().Done():
		return
	}
	event(`{"index":0,"delta":{"content":" last"},"finish_reason":null}`)
	event(`{"index":0,"delta":{},"finish_reason":"stop"}`)
	fmt.Fprint(w, "data: [DONE]\n\n")
}

// stream begins a streamed chat and returns its body after the first event.
func (r *rig) stream(t *testing.T, model string) (*http.Response, *bufio.Reader) {
	t.Helper()
	body := `{"model":"` + model + `","stream":true,"messages":[{"role":"user","content":"hello"}]}`
	req, err := http.NewRequest(http.MethodPost, "http://"+r.data.Addr().String()+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.key)
	resp, err := (&http.Client{Transport: &http.Transport{}}).Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("stream: %v, %v", resp, err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	in := bufio.NewReader(resp.Body)
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "first") {
		t.Fatalf("first event %q: %v", line, err)
	}
	return resp, in
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAReloadTakesEffectAndDisturbsNoStream(t *testing.T) {
	up := &halting{make(chan struct{}, 1), make(chan struct{})}
	port := listening(t, up.ServeHTTP)
	path := filepath.Join(t.TempDir(), "tailplane.yaml")
	t.Setenv("FIRST_KEY", "first-key-0123456789")
	t.Setenv("SECOND_KEY", "second-key-0123456789")
	first := fmt.Sprintf("targets: {up: {kind: vllm, url: \"http://127.0.0.1:%d\"}, s: {kind: sim}}\n"+
		"models: {slow: {route: [up/m]}}\nkeys: {static: [{name: one, key: env:FIRST_KEY}]}\n", port)
	second := "listen: {data: {addr: 0.0.0.0:4600}}\ntargets: {s: {kind: sim}}\nmodels: {chat: {route: [s/fast]}}\nkeys: {static: [{name: two, key: env:SECOND_KEY}]}\n"
	write(t, path, first)
	r := serving(t, Options{Config: path, NoWatch: true})
	r.key = "first-key-0123456789"
	if r.out.String() == "" || strings.Contains(r.out.String(), "shown once") {
		t.Errorf("a config with keys makes another one:\n%s", r.out)
	}
	_, stream := r.stream(t, "slow")
	<-up.begun

	write(t, path, second)
	if status, body := r.manage(t, http.MethodPost, "/admin/v1/reload"); status != http.StatusOK || !strings.Contains(body, config.Hash([]byte(second))) {
		t.Fatalf("reload: %d %s", status, body)
	}
	if status, _ := r.ask(t, "chat"); status != http.StatusUnauthorized {
		t.Errorf("status %d with a key that is gone", status)
	}
	r.key = "second-key-0123456789"
	if status, body := r.ask(t, "chat"); status != http.StatusOK {
		t.Errorf("status %d: %s", status, body)
	}
	if status := r.askAs(t, "evil.example"); status != http.StatusForbidden {
		t.Errorf("status %d for a foreign host: a reload has moved the listener, as far as the gateway knows", status)
	}
	for _, model := range []string{"slow", "up/m"} {
		if status, _ := r.ask(t, model); status != http.StatusNotFound {
			t.Errorf("status %d for %s, which is gone", status, model)
		}
	}
	close(up.goOn)
	rest, err := io.ReadAll(stream)
	if err != nil || !strings.Contains(string(rest), " last") || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
		t.Errorf("the stream that ran during the reload ended with %q, %v", rest, err)
	}

	refuse(t, r, path)
	r.stop(t)
}

// refuse reloads files that cannot be taken.
func refuse(t *testing.T, r *rig, path string) {
	t.Helper()
	bad := map[string]string{
		"targets: {s: {kind: simm}}\n": "no kind",
		"targets: {s: {kind: sim}":     "not YAML",
		"":                             "the file is empty",
		"targets: {o: {kind: openai, key: env:NOT_SET_ANYWHERE}}\n": "NOT_SET_ANYWHERE is not set",
	}
	for text, why := range bad {
		write(t, path, text)
		if status, body := r.manage(t, http.MethodPost, "/admin/v1/reload"); status != http.StatusUnprocessableEntity || !strings.Contains(body, why) {
			t.Errorf("reload of %q: %d %s", text, status, body)
		}
		if status, _ := r.ask(t, "chat"); status != http.StatusOK {
			t.Errorf("status %d after the refusal of %q", status, text)
		}
		if _, body := r.manage(t, http.MethodGet, "/admin/v1/status"); !strings.Contains(body, why) {
			t.Errorf("the status does not tell the refusal of %q: %s", text, body)
		}
	}
	if _, body := r.manage(t, http.MethodGet, "/metrics"); !strings.Contains(body, `tailplane_config_reloads_total{result="refused"} 4`) ||
		!strings.Contains(body, `tailplane_config_reloads_total{result="ok"} 1`) {
		t.Error("the metrics do not count the reloads")
	}
}

func TestZeroConfigHasNothingToReload(t *testing.T) {
	noKeys(t)
	r := serving(t, Options{NoDetect: true})
	if status, body := r.manage(t, http.MethodPost, "/admin/v1/reload"); status != http.StatusUnprocessableEntity || !strings.Contains(body, "--config") {
		t.Errorf("reload: %d %s", status, body)
	}
	r.stop(t)
}

// TestAStopLetsStreamsEnd, and what does not end in time is ended: the client is
// told, and the request settled.
func TestAStopLetsStreamsEnd(t *testing.T) {
	for _, finishes := range []bool{true, false} {
		up := &halting{make(chan struct{}, 1), make(chan struct{})}
		path := filepath.Join(t.TempDir(), "tailplane.yaml")
		finish := "1ms"
		if finishes {
			finish = "1h"
		}
		write(t, path, fmt.Sprintf("listen: {stop: {finish: %s}}\ntargets: {up: {kind: vllm, url: \"http://127.0.0.1:%d\"}}\nmodels: {slow: {route: [up/m]}}\n", finish, listening(t, up.ServeHTTP)))
		r := serving(t, Options{Config: path, NoWatch: true})
		_, stream := r.stream(t, "slow")
		<-up.begun
		r.cancel()
		if finishes {
			close(up.goOn)
		}
		rest, err := io.ReadAll(stream)
		clean := strings.HasSuffix(string(rest), "data: [DONE]\n\n")
		if told := strings.Contains(string(rest), `"code":"gateway_stopped"`); err != nil || clean != finishes || told == finishes {
			t.Errorf("finishes %v: the stream ended with %q, %v", finishes, rest, err)
		}
		state := r.opt.State
		r.stop(t)
		if stats := r.journal.Stats(); stats.Open != 0 || stats.Lost != 0 || stats.Settled != 1 {
			t.Errorf("finishes %v: the ledger was closed with %+v\n%s", finishes, stats, r.err)
		}
		again := serving(t, Options{Config: path, State: state, NoWatch: true})
		past, err := again.kept.records.Recent(t.Context(), 1, ledger.Filter{})
		if err != nil || len(past) != 1 || finishes != (past[0].Fault == "") || !finishes && (past[0].Fault != llm.FaultStopped || past[0].Attempts[0].Fault != llm.FaultStopped || past[0].Attempts[0].Message != "the gateway stopped") {
			t.Errorf("finishes %v: the record %+v, %v", finishes, past, err)
		}
		if strings.Contains(again.out.String(), "note") {
			t.Errorf("finishes %v: the next start finds something to tell:\n%s", finishes, again.out)
		}
		again.stop(t)
	}
}

// waiting is a reader that has nothing until it is over.
type waiting chan struct{}

func (w waiting) Read([]byte) (int, error) {
	<-w
	return 0, io.EOF
}

// TestAStopTellsEveryKindOfRequest that it is not waited for any longer.
func TestAStopTellsEveryKindOfRequest(t *testing.T) {
	up := &halting{make(chan struct{}), make(chan struct{})}
	path := filepath.Join(t.TempDir(), "tailplane.yaml")
	write(t, path, fmt.Sprintf("listen: {stop: {finish: 1ms}}\ntargets: {up: {kind: vllm, url: \"http://127.0.0.1:%d\"}}\nmodels: {slow: {route: [up/m]}}\n", listening(t, up.ServeHTTP)))
	r := serving(t, Options{Config: path, NoWatch: true})
	var one, two http.Protocols
	one.SetHTTP1(true)
	two.SetUnencryptedHTTP2(true)
	var answers sync.WaitGroup
	reads := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: func() { up.begun <- struct{}{} }})
	over := make(chan struct{})
	begun := make(chan struct{}, 2) // streams of which the client has the head: from then on their status stands
	for _, kind := range []struct {
		protocols    *http.Protocols
		stream, part bool // the body is sent in part
		status       int
	}{{&one, true, false, 200}, {&one, false, false, 503}, {&one, true, true, 503}, {&two, true, false, 200}, {&two, false, false, 503}, {&two, true, true, 503}} {
		answers.Go(func() {
			body := fmt.Sprintf(`{"model":"slow","stream":%v,"messages":[{"role":"user","content":"hello"}]}`, kind.stream)
			req := must(http.NewRequest(http.MethodPost, "http://"+r.data.Addr().String()+"/v1/chat/completions", strings.NewReader(body)))
			req.Header.Set("Authorization", "Bearer "+r.key)
			if kind.part {
				req = req.WithContext(reads)
				req.Header.Set("Expect", "100-continue")
				req.Body, req.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(body[:9]), waiting(over))), -1
			}
			transport := &http.Transport{Protocols: kind.protocols, ExpectContinueTimeout: time.Hour}
			defer transport.CloseIdleConnections()
			resp, err := (&http.Client{Transport: transport}).Do(req)
			if kind.stream && !kind.part {
				begun <- struct{}{}
			}
			if err != nil {
				t.Errorf("%s, %+v: %v", kind.protocols, kind, err)
				return
			}
			text, err := io.ReadAll(resp.Body) // to its end; HTTP/2's Close would wait for the rest of the request
			if err != nil || resp.StatusCode != kind.status || !strings.Contains(string(text), `"code":"gateway_stopped"`) {
				t.Errorf("%s, %+v: %d %q, %v", kind.protocols, kind, resp.StatusCode, text, err)
			}
		})
	}
	for range 6 {
		<-up.begun
	}
	for range cap(begun) {
		<-begun
	}
	r.cancel()
	answers.Wait()
	close(over)
	r.stop(t)
	if stats := r.journal.Stats(); stats.Open != 0 || stats.Settled != 6 {
		t.Errorf("the ledger was closed with %+v\n%s", stats, r.err)
	}
}

// TestAStopWithoutRequestsEndsNone, however little time they would have.
func TestAStopWithoutRequestsEndsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tailplane.yaml")
	write(t, path, "listen: {stop: {finish: 0s}}\ntargets: {s: {kind: sim}}\n")
	r := serving(t, Options{Config: path, NoWatch: true})
	var one, two http.Protocols
	one.SetHTTP1(true)
	two.SetUnencryptedHTTP2(true)
	for _, protocols := range []*http.Protocols{&one, &two} {
		transport := &http.Transport{Protocols: protocols}
		defer transport.CloseIdleConnections()
		resp, err := (&http.Client{Transport: transport}).Get("http://" + r.data.Addr().String() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
	r.stop(t)
	if strings.Contains(r.err.String(), "did not end in time") {
		t.Errorf("requests are said to be ended, and none ran:\n%s", r.err)
	}
}

// TestAFailureDoesNotWaitForNewRequests, which it could not serve.
func TestAFailureDoesNotWaitForNewRequests(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tailplane.yaml")
	write(t, path, "listen: {stop: {accept: 1h}}\ntargets: {s: {kind: sim}}\n")
	r := serving(t, Options{Config: path, NoWatch: true})
	if err := r.data.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-r.done:
		if r.done = nil; !errors.Is(err, net.ErrClosed) {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it goes on without a listener")
	}
}
