//go:build linux

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tailplane/bench/internal/result"
)

func TestPrebuiltRequestsAreWhatTheyClaim(t *testing.T) {
	for _, o := range []order{
		{path: "/v1/chat/completions", host: "127.0.0.1:1", key: "k", model: "small", size: 1024},
		{path: "/v1/chat/completions", host: "127.0.0.1:1", key: "k", model: "sse-1x1", size: 102400, stream: true, usage: true},
	} {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(prebuilt(o))))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Model         string
			Stream        bool
			StreamOptions struct {
				IncludeUsage bool `json:"include_usage"`
			} `json:"stream_options"`
		}
		if err := json.Unmarshal(body, &doc); err != nil {
			t.Fatalf("%v in %.200s", err, body)
		}
		if len(body) != o.size || doc.Model != o.model || doc.Stream != o.stream || doc.StreamOptions.IncludeUsage != o.usage {
			t.Errorf("%d bytes, %+v", len(body), doc)
		}
		if r.Header.Get("Authorization") != "Bearer k" {
			t.Errorf("head %v", r.Header)
		}
	}
}

// leastTime is how long load is made where a test does not say so.
const leastTime = 30 * time.Millisecond

func generateAt(t *testing.T, h http.HandlerFunc, o options) *loader {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	addr := netip.MustParseAddrPort(server.Listener.Addr().(*net.TCPAddr).AddrPort().String())
	o.path, o.model, o.size, o.limit, o.batch = "/v1/chat/completions", "m", 400, 20*time.Second, 1
	o.duration, o.warmup = cmp.Or(o.duration, leastTime), 5*time.Millisecond
	l, err := newLoader(o, addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.run(); err != nil {
		t.Fatal(err)
	}
	return l
}

const stamped = "data: {\"choices\":[{\"delta\":{\"content\":\"@00000000000000000001 x\"}}]}\n\n"

func TestStreamsAreCountedByHowTheyEnd(t *testing.T) {
	type count struct{ whole, clean, told, aborted int64 }
	for name, c := range map[string]struct {
		write func(http.ResponseWriter)
		want  count
	}{
		"whole":               {func(w http.ResponseWriter) { _, _ = io.WriteString(w, stamped+stamped+"data: [DONE]\n\n") }, count{whole: 3}},
		"an event is missing": {func(w http.ResponseWriter) { _, _ = io.WriteString(w, stamped+"data: [DONE]\n\n") }, count{clean: 3}},
		"no end mark":         {func(w http.ResponseWriter) { _, _ = io.WriteString(w, stamped+stamped) }, count{clean: 3}},
		"told": {func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, stamped+"data: {\"error\":{\"message\":\"gone\"}}\n\n")
		}, count{told: 3}},
		"aborted": {func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, stamped)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, count{aborted: 3}},
	} {
		l := generateAt(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			c.write(w)
		}, options{mode: "cut", conns: 3, events: 2, rate: 1})
		r := l.result
		if got := (count{r.Streams, r.Clean, r.Told, r.Aborted}); got != c.want {
			t.Errorf("%s: %+v, want %+v; errors %v", name, got, c.want, r.Errors)
		}
	}
}

func TestOnlyGoodAnswersCount(t *testing.T) {
	var calls atomic.Int64
	r := result.Run{}
	for d := leastTime; d <= 1000*leastTime && (r.Answers == 0 || r.Errors["status 502"] == 0); d *= 10 { // on a busy machine it takes a while
		calls.Store(0)
		r = generateAt(t, func(w http.ResponseWriter, _ *http.Request) {
			if calls.Add(1)%2 == 0 {
				http.Error(w, "broken", http.StatusBadGateway)
				return
			}
			_, _ = io.WriteString(w, "{}")
		}, options{mode: "closed", conns: 1, rate: 1, duration: d}).result
	}
	if r.Answers == 0 || r.Errors["status 502"] == 0 || r.Answers+r.Errors["status 502"] != calls.Load() {
		t.Errorf("%d answers, errors %v, %d calls", r.Answers, r.Errors, calls.Load())
	}
}

func TestAnOpenLoopChargesAStallToAllWhoWereDue(t *testing.T) {
	var calls atomic.Int64
	l := generateAt(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			<-time.After(25 * time.Millisecond)
		}
		_, _ = io.WriteString(w, strings.Repeat("x", 10))
	}, options{mode: "open", conns: 1, rate: 1000})
	if r := l.result; r.P50 < 1000 && r.P99 < 5000 {
		t.Errorf("p50 %v us, p99 %v us: the stall of 25 ms is not seen", r.P50, r.P99)
	}
}
