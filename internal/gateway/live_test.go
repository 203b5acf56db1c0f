package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tailplane/internal/ledger"
)

// These tests run over real loopback connections, where time is real.

// liveRig is a gateway on a loopback port whose target a is at upstream.
func liveRig(t *testing.T, upstream func(net.Conn)) (r *rig, url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				upstream(c)
			})
		}
	})
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("targets:\n  a: {kind: vllm, url: %q, models: [m]}\nkeys: {required: false}\n", "http://"+l.Addr().String())
	r = newRig(t, config, (&net.Dialer{}).DialContext)
	r.serve(front)
	t.Cleanup(func() {
		r.stop()
		_ = l.Close()
		serving.Wait()
		goleak.VerifyNone(t)
	})
	return r, "http://" + front.Addr().String() + "/v1/chat/completions"
}

// readHead reads the head of a request and returns the length of its body.
func readHead(in *bufio.Reader) (length int, err error) {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return 0, err
		}
		if line == "\r\n" {
			return length, nil
		}
		if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, "content-length") {
			_, _ = fmt.Sscan(value, &length)
		}
	}
}

// TestAnAnswerThatComesEarlyIsNeverTruncatedCleanly is the trap that proxies
// fall into which stream the request's body through: an upstream that answers
// before it has read the request, and even closes then.
func TestAnAnswerThatComesEarlyIsNeverTruncatedCleanly(t *testing.T) {
	answer := streamedAnswer(20)
	var conns atomic.Int64
	_, url := liveRig(t, func(c net.Conn) {
		in := bufio.NewReaderSize(c, 64<<10)
		hasty := conns.Add(1)%4 == 0
		for {
			length, err := readHead(in)
			if err != nil {
				return
			}
			if _, err := io.WriteString(c, answer); err != nil || hasty {
				return // the rest of the request is never read
			}
			if _, err := io.CopyN(io.Discard, in, int64(length)); err != nil {
				return
			}
		}
	})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	defer client.CloseIdleConnections()
	var whole, failed, truncated atomic.Int64
	workers, each := 8, 400
	if raceEnabled {
		each = 50 // it is slow, and looks for something else
	}
	var all sync.WaitGroup
	bodies := []string{strings.Repeat("x", 500), strings.Repeat("x", 40<<10), strings.Repeat("x", 300<<10)}
	for worker := range workers {
		all.Go(func() {
			for i := range each {
				request := `{"model":"m","stream":true,"messages":[{"role":"user","content":"` + bodies[(worker+i)%len(bodies)] + `"}]}`
				resp, err := client.Post(url, "application/json", strings.NewReader(request))
				if err != nil {
					failed.Add(1)
					continue
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				switch text := string(body); {
				case err == nil && strings.HasSuffix(text, "data: [DONE]\n\n") && strings.Count(text, " token") == 20:
					whole.Add(1)
				case err != nil || strings.Contains(text, `"error"`):
					failed.Add(1)
				default:
					truncated.Add(1)
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d streams: %d whole, %d failed openly, %d truncated", workers*each, whole.Load(), failed.Load(), truncated.Load())
	if truncated.Load() > 0 {
		t.Errorf("%d answers were truncated and ended cleanly", truncated.Load())
	}
	if whole.Load() < int64(workers*each/2) {
		t.Errorf("only %d answers were whole", whole.Load())
	}
}

// TestAClientThatLeavesCancelsTheUpstreamAtOnce measures from the client's close
// to the upstream's seeing it.
func TestAClientThatLeavesCancelsTheUpstreamAtOnce(t *testing.T) {
	t.Run("HTTP 1.1", func(t *testing.T) { leaveStreams(t, protocols(true, false)) })
	t.Run("HTTP 2", func(t *testing.T) { leaveStreams(t, protocols(false, true)) })
}

func leaveStreams(t *testing.T, p *http.Protocols) {
	gone := make(chan time.Time, 1)
	r, url := liveRig(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		length, err := readHead(in)
		if err != nil {
			return
		}
		_, _ = io.CopyN(io.Discard, in, int64(length))
		event := `data: {"choices":[{"index":0,"delta":{"content":"x"}}]}` + "\n\n"
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(event), event)
		_, _ = in.ReadByte() // until the connection ends
		gone <- time.Now()
	})
	// Ten clients in a row are to be noticed within the limit. A machine that stands
	// still now and then is asked again: a gateway that is slow is so each time.
	const limit, leavers, rounds = 100 * time.Millisecond, 10, 10
	worst := time.Hour
	for round := 0; round < rounds && worst > limit; round++ {
		var took []time.Duration
		for range leavers {
			took = append(took, leaveOnce(t, url, p, gone))
		}
		worst = slices.Max(took)
		t.Logf("from the client's close to the upstream's: %v", took)
	}
	if worst > limit {
		t.Errorf("the upstream learns of a client's leaving after %v, want at most %v", worst, limit)
	}
	if err := r.server.Shutdown(context.Background()); err != nil { // until every call is closed
		t.Fatal(err)
	}
	for _, ex := range r.records() {
		if ex.Outcome != ledger.OutcomeGone || ex.Usage.Output != 1 {
			t.Errorf("settled as %s with %d tokens, want gone with 1", ex.Outcome, ex.Usage.Output)
		}
	}
}

// leaveOnce begins a stream and leaves it; it returns how long after the upstream knew.
func leaveOnce(t *testing.T, url string, p *http.Protocols, gone <-chan time.Time) time.Duration {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(`{"model":"m","stream":true,"messages":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{Protocols: p}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := resp.Body.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	left := time.Now()
	leave()
	select {
	case at := <-gone:
		return at.Sub(left)
	case <-time.After(20 * time.Second):
		t.Fatal("the upstream's connection is still open after 20s")
		return 0
	}
}

// TestAHalfClosedConnectionIsSettled: a client that closes its sending side
// cannot be told from one that has left.
func TestAHalfClosedConnectionIsSettled(t *testing.T) {
	r, url := liveRig(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }) // never answers
	conn, err := net.Dial("tcp", strings.Split(url, "/")[2])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"model":"m","messages":[]}`
	fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(conn); len(got) > 0 {
		t.Errorf("it was answered %q", got)
	}
	if err := r.server.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if list := r.records(); len(list) != 1 || list[0].Outcome != ledger.OutcomeGone {
		t.Errorf("records %s", asJSON(t, list))
	}
}
