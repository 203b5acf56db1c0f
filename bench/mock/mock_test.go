//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tailplane/bench/internal/answer"
)

func TestParseTakesARequestOnlyWhenItIsWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.StringMatching(`[a-z{}"]{0,60}`).Draw(t, "body")
		text := fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\ncontent-length: %d\r\n\r\n%s", len(body), body)
		if rapid.Bool().Draw(t, "chunked") {
			text = fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n%x;a=b\r\n%s\r\n0\r\n\r\n", len(body), body)
			if body == "" {
				text = "POST /v1/chat/completions HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
			}
		}
		cut := rapid.IntRange(0, len(text)-1).Draw(t, "cut")
		if _, n, ok := parse([]byte(text[:cut])); n != 0 || !ok {
			t.Fatalf("%q: took %d bytes, ok %v", text[:cut], n, ok)
		}
		r, n, ok := parse([]byte(text + "GET"))
		if n != len(text) || !ok || string(r.body) != body || string(r.path) != "/v1/chat/completions" {
			t.Fatalf("took %d of %d, ok %v, body %q", n, len(text), ok, r.body)
		}
	})
}

func TestParseRefusesWhatCannotBecomeARequest(t *testing.T) {
	for _, in := range []string{
		"hello\r\n\r\n",
		"POST /x HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
		"POST /x HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n",
		"POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
		"POST /x HTTP/1.1\r\nno colon\r\n\r\n",
	} {
		if _, _, ok := parse([]byte(in)); ok {
			t.Errorf("%q is taken", in)
		}
	}
}

func TestMembersAreFoundAtEitherEndAndNotInsideStrings(t *testing.T) {
	filler := strings.Repeat(`say \"model\":\"evil\" and \"stream\":true `, 500)
	for _, body := range []string{
		`{"messages":[{"content":"` + filler + `"}],"model":"sse-5x1","stream": true,"stream_options":{"include_usage":true}}`,
		`{"model": "sse-5x1","stream":true,"stream_options":{"include_usage": true},"messages":[{"content":"` + filler + `"}]}`,
	} {
		if a := read([]byte(body)); string(a.model) != "sse-5x1" || !a.stream || !a.usage {
			t.Errorf("%.40s: model %q stream %v usage %v", body, a.model, a.stream, a.usage)
		}
	}
	middle := `{"messages":[{"content":"` + filler + `"}],"model":"small","tools":"` + filler + `"}`
	if a := read([]byte(middle)); string(a.model) != "small" || a.stream {
		t.Errorf("in the middle: model %q stream %v", a.model, a.stream)
	}
}

func TestModelNames(t *testing.T) {
	for name, want := range map[string]script{
		"small":               {events: 10, cut: -1},
		"bench-small":         {routed: true, events: 10, cut: -1},
		"x-small":             {events: 10, cut: -1},
		"sse-200x25":          {events: 200, pace: 25 * time.Millisecond, cut: -1},
		"bench-sse-20x0-cut7": {routed: true, events: 20, cut: 7},
		"fail-429-2":          {events: 10, cut: -1, status: 429, faults: 2},
		"slow-50":             {events: 10, cut: -1, wait: 50 * time.Millisecond},
		"bench-x-sse-3x1":     {routed: true, events: 3, pace: time.Millisecond, cut: -1},
		"sse-2000000x-1":      {events: 1_000_000, cut: -1},
	} {
		if got := parseModel(name); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func TestQueueGivesTimersInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.SliceOf(rapid.Int64Range(0, 50)).Draw(t, "at")
		var q queue
		for _, a := range at {
			q.push(timer{at: a})
		}
		var got []int64
		for {
			x, ok := q.pop(25)
			if !ok {
				break
			}
			got = append(got, x.at)
		}
		want := slices.DeleteFunc(slices.Sorted(slices.Values(at)), func(a int64) bool { return a > 25 })
		if !slices.Equal(got, want) || len(q) != len(at)-len(want) {
			t.Fatalf("got %v, want %v, %d left", got, want, len(q))
		}
	})
}

func start(t *testing.T) string {
	s, addr, err := newServer(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	done := make(chan error, 1)
	go func() { done <- s.run(&stop) }()
	t.Cleanup(func() {
		stop.Store(true)
		if c, err := net.Dial("tcp", addr.String()); err == nil {
			_ = c.Close()
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return addr.String()
}

func post(t *testing.T, addr, path, body string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Post("http://"+addr+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("body: %v", err)
	}
	_ = resp.Body.Close()
	return resp, string(raw)
}

func TestAnswersByModel(t *testing.T) {
	addr := start(t)
	_, chat := post(t, addr, "/v1/chat/completions", `{"model":"bench-small"}`)
	_, message := post(t, addr, "/v1/messages", `{"model":"bench-small"}`)
	for _, body := range []string{chat, message} {
		if len(body) != smallBody || !json.Valid([]byte(body)) {
			t.Errorf("%d bytes: %s", len(body), body)
		}
	}
	var statuses []int
	for range 3 {
		r, _ := post(t, addr, "/v1/chat/completions", `{"model":"fail-429-2"}`)
		statuses = append(statuses, r.StatusCode)
	}
	if !slices.Equal(statuses, []int{429, 429, 200}) {
		t.Errorf("statuses %v", statuses)
	}
	resp, err := http.Get("http://" + addr + "/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var s stats
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	if s.Routed.Answers != 2 || s.Routed.PromptTokens != 500 || s.Plain.Faults != 2 || s.Plain.CompletionTokens != 64 {
		t.Errorf("stats %+v", s)
	}
}

func TestStreamsCarryEveryEventTheUsageAskedForAndTheEnd(t *testing.T) {
	addr := start(t)
	for _, c := range []struct {
		path, body string
		events     int
		done       bool
		end        string
	}{
		{"/v1/chat/completions", `{"model":"sse-7x1","stream":true,"stream_options":{"include_usage":true}}`, 7, true, `"total_tokens":314`},
		{"/v1/chat/completions", `{"model":"sse-300x0","stream":true}`, 300, true, `"finish_reason":"stop"`},
		{"/v1/messages", `{"model":"sse-7x1","stream":true}`, 7, false, `"output_tokens":64`},
	} {
		_, body := post(t, addr, c.path, c.body)
		if n := strings.Count(body, answer.Stamp+"0"); n != c.events || strings.Contains(body, "[DONE]") != c.done || !strings.Contains(body, c.end) {
			t.Errorf("%s: %d events, end %q", c.body, n, body[max(0, len(body)-300):])
		}
		if has := strings.Contains(body, `"usage":{"prompt`); has != strings.Contains(c.body, "include_usage") {
			t.Errorf("%s: usage event %v", c.body, has)
		}
	}
}

func TestACutStreamEndsWithoutItsFinalChunk(t *testing.T) {
	addr := start(t)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	body := `{"model":"sse-9x1-cut3","stream":true}`
	_, _ = fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	var r answer.Reader
	r.Reset()
	raw, err := io.ReadAll(bufio.NewReader(conn))
	if err != nil {
		t.Fatal(err)
	}
	if _, state := r.Feed(raw); state != answer.Open || r.Events != 3 || r.End() != answer.Broken {
		t.Errorf("state %v, %d events", state, r.Events)
	}
}

func TestAnEventHasTheSizeOfARealOne(t *testing.T) {
	r := build()
	for _, e := range [][]byte{r.chatEvent, r.messageEvent} {
		if len(e) < 275 || len(e) > 300 {
			t.Errorf("%d bytes: %s", len(e), e)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}"))
	f.Add([]byte("POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, n, ok := parse(in)
		if n < 0 || n > len(in) || n > 0 && !ok {
			t.Fatalf("took %d of %d bytes, ok %v", n, len(in), ok)
		}
		read(r.body)
	})
}
