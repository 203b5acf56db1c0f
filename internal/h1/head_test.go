package h1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
)

func TestEndlessInformationalResponsesAreAnError(t *testing.T) {
	for n, ok := range map[int]bool{maxInformational: true, maxInformational + 1: false} {
		conn := newScriptConn([]byte(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", n)+okReply), 1, 1)
		c := newClient(t, Options{Dial: func(context.Context, string, string) (net.Conn, error) { return conn, nil }})
		r, err := c.Do(t.Context(), post("u:1", "x"))
		if (err == nil) != ok {
			t.Errorf("%d informational responses: %v", n, err)
		}
		if err == nil {
			_ = r.Close()
		}
	}
}

func TestErrorsCanBeClassified(t *testing.T) {
	c := newClient(t, Options{})
	_, err := c.Do(t.Context(), post("127.0.0.1:1", "x"))
	if e, ok := errors.AsType[*Error](err); !ok || e.Phase != PhaseDial || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("refused: %v", err)
	}

	replies := map[string]string{
		"nothing":         "",
		"half a head":     "HTTP/1.1 200 OK\r\nContent-",
		"half a body":     "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
		"half a chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
		"no last chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"no end of chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
	}
	for name, reply := range replies {
		t.Run(name, func(t *testing.T) {
			addr := upstream(t, func(_ int, c *net.TCPConn, br *bufio.Reader) {
				_, _, _ = readRequest(br)
				_, _ = io.WriteString(c, reply)
			})
			phase := PhaseHead
			r, err := c.Do(t.Context(), post(addr, "x"))
			if err == nil {
				phase = PhaseBody
				var b []byte
				b, err = io.ReadAll(r)
				if string(b) != "half" {
					t.Errorf("body before the cut: %q", b)
				}
				_ = r.Close()
			}
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Phase != phase || e.Stale || e.Address != addr {
				t.Fatalf("got %+v", err)
			}
			if !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
				t.Errorf("a cut response must be io.ErrUnexpectedEOF: %v", err)
			}
		})
	}
}

func TestHeadLargerThanTheLimitIsAnError(t *testing.T) {
	for _, tc := range []struct {
		fill, limit int
		ok          bool
	}{{100, 0, true}, {60 << 10, 0, true}, {65 << 10, 0, false}, {5000, 4096, false}, {3000, 4096, true}, {3000, 2000, false}} {
		conn := newScriptConn([]byte("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("y", tc.fill)+"\r\nContent-Length: 2\r\n\r\nhi"), 1, 1)
		c := newClient(t, Options{MaxHead: tc.limit, Dial: func(context.Context, string, string) (net.Conn, error) { return conn, nil }})
		r, err := c.Do(t.Context(), post("u:1", "x"))
		if (err == nil) != tc.ok {
			t.Errorf("fill %d, limit %d: %v", tc.fill, tc.limit, err)
		}
		if err == nil {
			if b, err := io.ReadAll(r); string(b) != "hi" || err != nil || len(r.Header.Get("x")) != tc.fill {
				t.Errorf("fill %d: %q %v", tc.fill, b, err)
			}
			_ = r.Close()
		}
	}
}

func TestManyFieldsKeepTheirOrder(t *testing.T) {
	var script bytes.Buffer
	script.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n")
	for i := range 100 {
		script.WriteString("Set-X: " + string(rune('a'+i%26)) + "\r\n")
	}
	script.WriteString("\r\n")
	conn := newScriptConn(script.Bytes(), 1, 3)
	c := newClient(t, Options{Dial: func(context.Context, string, string) (net.Conn, error) { return conn, nil }})
	r, err := c.Do(t.Context(), post("u:1", "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	i := 0
	for v := range r.Header.Values("SET-x") {
		if v != string(rune('a'+i%26)) {
			t.Errorf("value %d is %q", i, v)
		}
		i++
	}
	if i != 100 || r.Header.Len() != 101 || r.Header.Has("Set-Y") || !r.Header.Has("set-x") || r.Header.Get("Set-Y") != "" {
		t.Errorf("%d values, %d fields", i, r.Header.Len())
	}
}
