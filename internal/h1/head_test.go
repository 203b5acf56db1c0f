package h1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"tailplane/internal/http1"
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

// A head with folded lines is read as the one in which they are joined, whatever
// stands before them.
func FuzzAFoldedHeadIsReadAsItsJoinedLines(f *testing.F) {
	for _, s := range scripts {
		f.Add([]byte(s))
	}
	for _, s := range []string{
		"Content-Length:\r\n 5", "Content-Length: 1\r\n 2", "Transfer-Encoding:\n\tchunked", "A\r\n : b", "A: b\r\n \r\n\t", " A: b", "A: b\r\n\r \r\n c",
	} {
		f.Add([]byte("HTTP/1.1 200 OK\r\nA: b\r\n" + s + "\r\nLast: one\r\n\r\n"))
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		n, _ := http1.HeadEnd(script, 0)
		if n == 0 || n > mostHead/2 {
			return
		}
		_, rest := cutLine(string(script[:n]))
		if continues(rest) || !strings.Contains(rest, "\n ") && !strings.Contains(rest, "\n\t") {
			return // refused, or not folded
		}
		read := func(head string) string {
			var r Response
			m, err := r.parse([]byte(head))
			if err != nil {
				return "refused"
			}
			var said strings.Builder
			said.WriteString(fmt.Sprintf("%d %q %+v", r.Status, r.Reason, m))
			for name, value := range r.Header.All() {
				said.WriteString(fmt.Sprintf(" %q %q", name, value))
			}
			return said.String()
		}
		if got, want := read(string(script[:n])), read(unfold(string(script[:n]))); got != want {
			t.Errorf("%q\nis read as   %s\nand unfolded %s", script[:n], got, want)
		}
	})
}

func TestHeadsAtTheLimit(t *testing.T) {
	last := "Last: one\r\n\r\n"
	first := "HTTP/1.1 200 OK\r\nX: "
	for _, over := range []int{0, 1} {
		fill := strings.Repeat("y", mostHead-len(first)-len("\r\n")-len(last)+over)
		conn := newScriptConn([]byte(first+fill+"\r\n"+last), 1, 1)
		c := newClient(t, Options{MaxHead: 1 << 20, Dial: func(context.Context, string, string) (net.Conn, error) { return conn, nil }})
		r, err := c.Do(t.Context(), post("u:1", "x"))
		if over > 0 {
			if err == nil {
				t.Error("a head that is too large is taken")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if r.Header.Get("X") != fill || r.Header.Get("Last") != "one" {
			t.Errorf("its last field is %q", r.Header.Get("Last"))
		}
		_ = r.Close()
	}
	folded := "HTTP/1.1 200 OK\nA: b\n c\n" + strings.Repeat("a:b\n", mostHead/4-8) + "\n"
	if _, err := new(Response).parse([]byte(folded)); err != errTooLarge {
		t.Error("a head that is too large when its lines are joined:", err)
	}
}
