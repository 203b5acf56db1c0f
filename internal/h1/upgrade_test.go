package h1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestUpgrade: what a server says to a request for a WebSocket, and what becomes
// of it.
func TestUpgrade(t *testing.T) {
	const head = "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
	cases := map[string]struct {
		say    string
		tunnel string // what is read from the tunnel
		status int
		phase  Phase
	}{
		"agreed":         {say: "HTTP/1.1 101 Switching Protocols\r\n" + head + "first", tunnel: "first more"},
		"with a comment": {say: "HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n" + head, tunnel: " more"},
		"refused":        {say: "HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno", status: 401},
		"cut":            {say: "HTTP/1.1 101 Switch", phase: PhaseHead},
		"silent":         {phase: PhaseHead},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				client := New(Options{Dial: func(context.Context, string, string) (net.Conn, error) { return ours, nil }})
				go func() {
					defer theirs.Close()
					req, err := http.ReadRequest(bufio.NewReader(theirs))
					if err != nil || req.Header.Get("Upgrade") != "websocket" || req.Header.Get("Connection") != "Upgrade" || req.Header.Get("X-A") != "b" {
						t.Errorf("%v %v", req, err)
						return
					}
					_, _ = io.WriteString(theirs, c.say)
					if c.tunnel != "" {
						_, _ = io.WriteString(theirs, " more")
					}
					if c.say == "" {
						time.Sleep(time.Hour)
					}
				}()
				req := &Request{
					Method: "GET", Address: "x:80", Host: "x", Target: "/", Header: []Field{{"x-a", "b"}}, HeadDeadline: time.Now().Add(time.Minute),
				}
				tunnel, resp, err := client.Upgrade(t.Context(), req)
				switch {
				case c.tunnel != "":
					if err != nil {
						t.Fatal(err)
					}
					if got, err := io.ReadAll(tunnel); string(got) != c.tunnel || err != nil {
						t.Errorf("%q %v", got, err)
					}
					if tunnel.Close() != nil || !errors.Is(tunnel.Close(), net.ErrClosed) {
						t.Error("closing it twice is not told")
					}
				case c.status != 0:
					if err != nil || resp.Status != c.status {
						t.Fatal(resp, err)
					}
					if got, err := io.ReadAll(resp); string(got) != "no" || err != nil {
						t.Errorf("%q %v", got, err)
					}
					_ = resp.Close()
				default:
					if failed, ok := errors.AsType[*Error](err); !ok || failed.Phase != c.phase {
						t.Errorf("error %v", err)
					}
				}
				_ = ours.Close()
				time.Sleep(2 * time.Hour)
			})
		})
	}
}

// TestATunnelEndsWithItsContext.
func TestATunnelEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		client := New(Options{Dial: func(context.Context, string, string) (net.Conn, error) { return ours, nil }})
		go func() {
			_, _ = http.ReadRequest(bufio.NewReader(theirs))
			_, _ = io.WriteString(theirs, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		}()
		ctx, cancel := context.WithCancel(t.Context())
		tunnel, _, err := client.Upgrade(ctx, &Request{Method: "GET", Address: "x:80", Host: "x", Target: "/"})
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, cancel)
		if _, err := tunnel.Read(make([]byte, 1)); err == nil {
			t.Error("it goes on")
		}
		_ = theirs.Close()
	})
}
