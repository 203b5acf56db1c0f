package h1

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tailplane/internal/http1"
)

// The tests of this file run in bubbles over net.Pipe: their time is virtual.

// pipes is a dialer whose connections are served by serve, numbered from 0.
type pipes struct {
	serve func(n int, c net.Conn, br *bufio.Reader)
	mu    sync.Mutex
	n     int
}

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.n
	p.n++
	go func() {
		defer far.Close()
		p.serve(n, far, bufio.NewReader(far))
	}()
	return near, nil
}

func (p *pipes) dials() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

// hang reads nothing and answers nothing until the client closes.
func hang(_ int, c net.Conn, br *bufio.Reader) { _, _ = io.Copy(io.Discard, br) }

// phaseCase is an upstream that lets an exchange come as far as phase.
type phaseCase struct {
	name  string
	phase Phase
	serve func(int, net.Conn, *bufio.Reader) // nil: the dial does not return
	tls   bool
	size  int
}

// stopAfter replies with reply and then hangs.
func stopAfter(reply string) func(int, net.Conn, *bufio.Reader) {
	return func(n int, c net.Conn, br *bufio.Reader) {
		_, _, _ = readRequest(br)
		_, _ = io.WriteString(c, reply)
		hang(n, c, br)
	}
}

func TestCancelAndDeadlineEndEveryPhase(t *testing.T) {
	var over <-chan struct{} // closed when the case is over
	noRead := func(int, net.Conn, *bufio.Reader) { <-over }
	for _, tc := range []phaseCase{
		{"dial", PhaseDial, nil, false, 1},
		{"handshake", PhaseTLS, hang, true, 1},
		{"write", PhaseWrite, noRead, false, 1},
		{"write of a huge body", PhaseHead, noRead, false, 1 << 20},
		{"head", PhaseHead, hang, false, 1},
		{"head after a huge body", PhaseHead, hang, false, 1 << 20},
		{"body", PhaseBody, stopAfter("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), false, 1},
		{"body until close", PhaseBody, stopAfter("HTTP/1.1 200 OK\r\n\r\nhalf"), false, 1},
	} {
		for _, by := range []string{"cancel", "context deadline", "own deadline"} {
			t.Run(tc.name+" by "+by, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ended := make(chan struct{})
					defer close(ended)
					over = ended
					tc.run(t, by)
				})
			})
		}
	}
}

// run ends the exchange three seconds into the phase, as by says.
func (tc phaseCase) run(t *testing.T, by string) {
	const after = 3 * time.Second
	c := New(Options{Dial: (&pipes{serve: tc.serve}).dial})
	if tc.serve == nil {
		c = New(Options{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req := post("up:1", strings.Repeat("x", tc.size))
	req.TLS = tc.tls
	want, start := os.ErrDeadlineExceeded, time.Now()
	switch {
	case by == "cancel":
		time.AfterFunc(after, cancel)
		want = context.Canceled
	case by == "context deadline":
		ctx, cancel = context.WithTimeout(ctx, after)
		defer cancel()
		want = context.DeadlineExceeded
	case tc.phase <= PhaseTLS:
		req.ConnectTimeout = after
	case tc.phase < PhaseBody:
		req.HeadDeadline = start.Add(after)
	}
	r, err := c.Do(ctx, req)
	if err == nil {
		defer r.Close()
		if by == "own deadline" {
			_ = r.SetReadDeadline(start.Add(after))
		}
		var b []byte
		if b, err = io.ReadAll(r); string(b) != "half" {
			t.Errorf("body %q", b)
		}
	}
	e, ok := errors.AsType[*Error](err)
	if !ok || !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
	// A huge body is written while the head is awaited: either may say it.
	if e.Phase != tc.phase && (tc.size == 1 || e.Phase != PhaseWrite) {
		t.Errorf("phase %v, want %v", e.Phase, tc.phase)
	}
	if took := time.Since(start); took != after {
		t.Errorf("took %v, want %v", took, after)
	}
}

// endsWhenClosed is a connection, as some dialers make them, that reads the end
// of the stream after it was closed here.
type endsWhenClosed struct{ net.Conn }

func (c endsWhenClosed) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, io.ErrClosedPipe) {
		err = io.EOF
	}
	return n, err
}

func TestCancelledBodyUntilCloseNeverLooksComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{serve: func(_ int, c net.Conn, br *bufio.Reader) {
			_, _, _ = readRequest(br)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nhalf")
			hang(0, c, br)
		}}
		c := New(Options{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			cn, err := p.dial(ctx, network, addr)
			return endsWhenClosed{cn}, err
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, err := c.Do(ctx, post("up:1", "x"))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if b, err := io.ReadAll(r); string(b) != "half" || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%q, %v", b, err)
		}
	})
}

func TestHeadDeadlineDoesNotCutTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{serve: func(_ int, c net.Conn, br *bufio.Reader) {
			_, _, _ = readRequest(br)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh")
			time.Sleep(time.Hour)
			_, _ = io.WriteString(c, "i")
			hang(0, c, br)
		}}
		c := New(Options{Dial: p.dial})
		defer c.CloseIdle()
		req := post("up:1", "x")
		req.HeadDeadline = time.Now().Add(time.Minute)
		if _, body := fetch(t, c, req); body != "hi" {
			t.Errorf("body %q", body)
		}
	})
}

func TestDeadlineOfOneRequestDoesNotReachTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{serve: func(_ int, c net.Conn, br *bufio.Reader) {
			for n := 0; ; n++ {
				if _, _, ok := readRequest(br); !ok {
					return
				}
				time.Sleep(time.Duration(n) * time.Hour)
				_, _ = io.WriteString(c, okReply)
			}
		}}
		c := New(Options{Dial: p.dial, IdleTimeout: 100 * time.Hour})
		defer c.CloseIdle()
		req := post("up:1", "x")
		req.HeadDeadline = time.Now().Add(time.Minute)
		r, err := c.Do(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.ReadAll(r)
		_ = r.Close()
		time.Sleep(time.Hour)
		if r, _ := fetch(t, c, post("up:1", "x")); !r.Timing.Reused || r.Timing.FirstByte != time.Hour {
			t.Errorf("timing %+v", r.Timing)
		}
	})
}

// A read deadline that is set and passes early is set anew, and holds to the moment.
func TestEachDeadlineHoldsWhateverWasSetBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{serve: func(_ int, c net.Conn, br *bufio.Reader) {
			for {
				_, body, ok := readRequest(br)
				if !ok {
					return
				}
				wait, _ := time.ParseDuration(string(body))
				time.Sleep(wait)
				_, _ = io.WriteString(c, okReply[:len(okReply)-1])
				time.Sleep(wait)
				_, _ = io.WriteString(c, okReply[len(okReply)-1:])
			}
		}}
		c := New(Options{Dial: p.dial, IdleTimeout: 100 * time.Hour})
		defer c.CloseIdle()
		ask := func(wait, head, body time.Duration) (took time.Duration, err error) {
			begin := time.Now()
			req := post("up:1", wait.String())
			if head > 0 {
				req.HeadDeadline = begin.Add(head)
			}
			r, err := c.Do(t.Context(), req)
			if err != nil {
				return time.Since(begin), err
			}
			defer r.Close()
			if body > 0 {
				_ = r.SetReadDeadline(time.Now().Add(body))
			}
			_, err = io.ReadAll(r)
			return time.Since(begin), err
		}
		for _, tc := range []struct{ wait, head, body, took time.Duration }{
			{0, time.Minute, time.Minute, 0},
			{45 * time.Second, time.Minute, 2 * time.Minute, 90 * time.Second}, // over the minute that was set before
			{time.Hour, 0, 0, 2 * time.Hour},
			{time.Hour, 0, 2 * time.Hour, 2 * time.Hour},
			{3 * time.Hour, 4 * time.Hour, time.Hour, 4 * time.Hour}, // the last passes
			{0, time.Minute, time.Minute, 0},
			{time.Hour, 30 * time.Minute, 0, 30 * time.Minute}, // and so does this
		} {
			took, err := ask(tc.wait, tc.head, tc.body)
			if late := tc.took != 2*tc.wait; took != tc.took || errors.Is(err, os.ErrDeadlineExceeded) != late || err != nil && !late {
				t.Errorf("%+v: %v after %v", tc, err, took)
			}
		}
		time.Sleep(10 * time.Hour) // what is still to be answered
	})
}

func TestCancelAfterCloseDoesNotTouchTheNextRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{serve: func(_ int, c net.Conn, br *bufio.Reader) {
			for {
				if _, _, ok := readRequest(br); !ok {
					return
				}
				_, _ = io.WriteString(c, okReply)
			}
		}}
		c := New(Options{Dial: p.dial})
		defer c.CloseIdle()
		for i := range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			r, err := c.Do(ctx, post("up:1", "x"))
			if err != nil {
				t.Fatal(i, err)
			}
			_, _ = io.ReadAll(r)
			if i%2 == 0 {
				go cancel() // races with Close: the connection is kept or it is not
			}
			_ = r.Close()
			cancel()
			if _, body := fetch(t, c, post("up:1", "x")); body != "hi" {
				t.Fatalf("request after a cancelled one: %q", body)
			}
		}
	})
}

func TestIdleConnectionsAreClosedAfterTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := make(chan time.Time, 2)
		p := &pipes{serve: func(_ int, c net.Conn, br *bufio.Reader) {
			for {
				if _, _, ok := readRequest(br); !ok {
					closed <- time.Now()
					return
				}
				_, _ = io.WriteString(c, okReply)
			}
		}}
		c := New(Options{Dial: p.dial, IdleTimeout: time.Minute})
		start := time.Now()
		a, err := c.Do(t.Context(), post("up:1", "x"))
		if err != nil {
			t.Fatal(err)
		}
		fetch(t, c, post("up:1", "x"))
		time.Sleep(30 * time.Second)
		_, _ = io.ReadAll(a)
		_ = a.Close()
		if d := (<-closed).Sub(start); d != time.Minute {
			t.Errorf("first closed after %v", d)
		}
		if d := (<-closed).Sub(start); d != 90*time.Second {
			t.Errorf("second closed after %v", d)
		}
		synctest.Wait()
		if h := c.host(post("up:1", "x")); len(h.idle) != 0 || h.timer != nil {
			t.Errorf("%d idle, timer %v", len(h.idle), h.timer)
		}
	})
}

func TestRequestIsReplayedOnlyWhereTheRuleSays(t *testing.T) {
	for _, tc := range []struct {
		name    string
		method  string
		wait    time.Duration // before the reused connection is closed
		partial string        // sent before that
		read    bool          // whether the upstream reads the second request
		size    int
		dials   int
		stale   bool
	}{
		{"post, closed at once", "POST", 0, "", true, 1, 2, false},
		{"post, closed late", "POST", time.Second, "", true, 1, 1, true},
		{"get, closed late", "GET", time.Second, "", true, 1, 2, false},
		{"post, never read", "POST", time.Second, "", false, 1, 2, false},
		{"huge post, never read", "POST", time.Second, "", false, 1 << 20, 2, false},
		{"get, half a head", "GET", 0, "HTTP/1.1 2", true, 1, 1, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &pipes{serve: func(n int, c net.Conn, br *bufio.Reader) {
					_, _, _ = readRequest(br)
					_, _ = io.WriteString(c, okReply)
					if n > 0 {
						hang(n, c, br)
						return
					}
					if tc.read {
						_, _, _ = readRequest(br)
					}
					time.Sleep(tc.wait)
					if tc.partial != "" {
						_, _ = io.WriteString(c, tc.partial)
					}
				}}
				c := New(Options{Dial: p.dial})
				defer c.CloseIdle()
				fetch(t, c, post("up:1", "x"))
				req := post("up:1", strings.Repeat("x", tc.size))
				req.Method = tc.method
				r, err := c.Do(t.Context(), req)
				if p.dials() != tc.dials || (err == nil) != (tc.dials == 2) {
					t.Fatalf("%d dials, %v", p.dials(), err)
				}
				if err == nil {
					_ = r.Close()
				} else if e, ok := errors.AsType[*Error](err); !ok || e.Stale != tc.stale {
					t.Errorf("got %v, stale must be %v", err, tc.stale)
				}
			})
		})
	}
}

func TestReplayRule(t *testing.T) {
	base := failure{reused: true, broken: true, written: true}
	for _, tc := range []struct {
		name   string
		change func(*failure)
		method string
		want   bool
	}{
		{"within the window", func(f *failure) { f.after = staleWindow }, "POST", true},
		{"after the window", func(f *failure) { f.after = staleWindow + 1 }, "POST", false},
		{"fresh connection", func(f *failure) { f.reused = false }, "GET", false},
		{"after a response byte", func(f *failure) { f.answered = true }, "GET", false},
		{"not the peer's doing", func(f *failure) { f.broken = false }, "GET", false},
		{"incomplete write, late", func(f *failure) { f.written, f.after = false, time.Hour }, "POST", true},
	} {
		f := base
		tc.change(&f)
		if got := f.replayable(tc.method); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
	for err, want := range map[error]bool{
		io.EOF: true, syscall.ECONNRESET: true, syscall.EPIPE: true, io.ErrClosedPipe: true,
		os.ErrDeadlineExceeded: false, net.ErrClosed: false, context.Canceled: false, http1.ErrChunk: false,
		tls.AlertError(0): false,
	} {
		if got := connectionBroke(err); got != want {
			t.Errorf("connectionBroke(%v) = %v", err, got)
		}
	}
}
