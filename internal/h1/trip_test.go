//go:build unix

package h1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// patiently tries what needs a deadline that comes, and not before something else has
// happened: with more time, until there was enough of it.
func patiently(t *testing.T, least time.Duration, try func(d time.Duration) error) {
	t.Helper()
	var err error
	for d := least; d <= 1000*least; d *= 10 {
		if err = try(d); err == nil {
			return
		}
	}
	t.Error(err)
}

// On a connection that is used again, the write and the first read are one.
func TestAReusedSocketFailsAsAFreshOneDoes(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer func(c *net.TCPConn)
		phase  Phase
		is     error
		dials  int32
	}{
		{"no answer", func(*net.TCPConn) {}, PhaseHead, os.ErrDeadlineExceeded, 1},
		{"half a head", func(c *net.TCPConn) { _, _ = io.WriteString(c, okReply[:9]) }, PhaseHead, os.ErrDeadlineExceeded, 1},
		{"half a head and the end", func(c *net.TCPConn) {
			_, _ = io.WriteString(c, okReply[:9])
			_ = c.Close()
		}, PhaseHead, io.ErrUnexpectedEOF, 1},
		{"the end", func(c *net.TCPConn) { _ = c.Close() }, PhaseHead, os.ErrDeadlineExceeded, 2},
		{"a reset", func(c *net.TCPConn) {
			_ = c.SetLinger(0)
			_ = c.Close()
		}, PhaseHead, os.ErrDeadlineExceeded, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			patiently(t, 100*time.Millisecond, func(d time.Duration) error {
				var dials atomic.Int32
				over := make(chan struct{})
				defer close(over)
				addr := upstream(t, func(n int, c *net.TCPConn, br *bufio.Reader) {
					dials.Add(1)
					if _, _, ok := readRequest(br); !ok {
						return
					}
					if n == 0 {
						_, _ = io.WriteString(c, okReply)
						_, _, _ = readRequest(br)
						tc.answer(c)
					}
					<-over
				})
				c := newClient(t, Options{})
				fetch(t, c, post(addr, "x"))
				req := post(addr, "y")
				req.HeadDeadline = time.Now().Add(d)
				_, err := c.Do(t.Context(), req)
				e, ok := errors.AsType[*Error](err)
				if !ok || e.Phase != tc.phase || !errors.Is(err, tc.is) || dials.Load() != tc.dials {
					return fmt.Errorf("got %w after %d dials", err, dials.Load())
				}
				return nil
			})
		})
	}
}

func TestADeadlineThatHasPassedSendsNothing(t *testing.T) {
	var got atomic.Int32
	addr := upstream(t, func(_ int, c *net.TCPConn, br *bufio.Reader) {
		for {
			if _, _, ok := readRequest(br); !ok {
				return
			}
			got.Add(1)
			_, _ = io.WriteString(c, okReply)
		}
	})
	c := newClient(t, Options{})
	fetch(t, c, post(addr, "x"))
	req := post(addr, "y")
	req.HeadDeadline = time.Now().Add(-time.Second)
	_, err := c.Do(t.Context(), req)
	if e, ok := errors.AsType[*Error](err); !ok || e.Phase != PhaseWrite || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if r, _ := fetch(t, c, post(addr, "z")); r.Timing.Reused || got.Load() != 2 {
		t.Errorf("reused %v, %d requests came", r.Timing.Reused, got.Load())
	}
}

// A socket that takes only a part of a request is written to until all is there.
func TestARequestThatASocketTakesInPartsArrivesWhole(t *testing.T) {
	request := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	left, came := make(chan struct{}), make(chan []byte, 1)
	addr := upstream(t, func(_ int, c *net.TCPConn, br *bufio.Reader) {
		<-left // what the sockets do not take
		b := make([]byte, len(request))
		_, _ = io.ReadFull(br, b)
		_, _ = io.WriteString(c, okReply)
		came <- b
	})
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	cn := newConn(New(Options{}).host(post(addr, "")), raw)
	r := &Response{conn: cn, ctx: t.Context()}
	s, rest, _ := cn.trip.run(request, time.Now())
	close(left)
	if len(rest) == 0 || s.err != nil || s.stale || !s.first.IsZero() {
		t.Fatalf("%d bytes are left, %+v", len(rest), s)
	}
	if _, err := raw.Write(rest); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(<-came, request) {
		t.Error("another request has arrived")
	}
	if _, err := r.receive("POST", time.Time{}); err != nil || r.Status != 200 {
		t.Error(r.Status, err)
	}
}

func TestAnAnswerInPartsIsReadOnAReusedSocket(t *testing.T) {
	addr := upstream(t, func(_ int, c *net.TCPConn, br *bufio.Reader) {
		for {
			if _, _, ok := readRequest(br); !ok {
				return
			}
			for i := range okReply {
				_, _ = io.WriteString(c, okReply[i:i+1])
				runtime.Gosched()
			}
		}
	})
	c := newClient(t, Options{})
	for i := range 5 {
		if r, body := fetch(t, c, post(addr, strings.Repeat("x", 1000*i))); body != "hi" || r.Timing.Reused != (i > 0) {
			t.Errorf("%q, %+v", body, r.Timing)
		}
	}
}

func TestADeadlineSetBeforeDoesNotEndALaterRequest(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	addr := upstream(t, func(_ int, c *net.TCPConn, br *bufio.Reader) {
		for {
			_, body, ok := readRequest(br)
			if !ok {
				return
			}
			wait, _ := time.ParseDuration(string(body))
			select {
			case <-time.After(wait):
			case <-over:
			}
			_, _ = io.WriteString(c, okReply)
		}
	})
	patiently(t, 50*time.Millisecond, func(d time.Duration) error {
		c := newClient(t, Options{})
		for _, tc := range []struct{ deadline, wait time.Duration }{
			{time.Hour, 0}, {d, 0}, {time.Hour, 2 * d}, {d, 0}, {3 * d, time.Hour},
		} {
			req := post(addr, tc.wait.String())
			begin := time.Now()
			req.HeadDeadline = begin.Add(tc.deadline)
			r, err := c.Do(t.Context(), req)
			if late := tc.wait > tc.deadline; late != errors.Is(err, os.ErrDeadlineExceeded) || late && time.Since(begin) < tc.deadline {
				return fmt.Errorf("%+v: %w after %v", tc, err, time.Since(begin))
			}
			if err == nil {
				_, _ = io.ReadAll(r)
				_ = r.Close()
			}
		}
		return nil
	})
}
