package h1

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func TestCancelEndsAWaitOnARealSocket(t *testing.T) {
	arrived := make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/body" {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
		}
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	plain, secured := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secured.Close()
	c := newClient(t, Options{TLS: &tls.Config{InsecureSkipVerify: true}})
	for _, path := range []string{"/head", "/body"} {
		for _, s := range []*httptest.Server{plain, secured} {
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-arrived
				cancel()
			}()
			req := post(s.Listener.Addr().String(), "x")
			req.TLS, req.Target = s == secured, path
			r, err := c.Do(ctx, req)
			phase := PhaseHead
			if err == nil {
				phase = PhaseBody
				_, err = io.ReadAll(r)
				_ = r.Close()
			}
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Phase != phase || !errors.Is(err, context.Canceled) {
				t.Errorf("%s, TLS %v: %v", path, req.TLS, err)
			}
			if n := len(c.host(req).idle); n != 0 {
				t.Errorf("%d connections idle after a cancel", n)
			}
		}
	}
}

// Each response repeats the body of its request, so a connection that is given
// to two requests, or back in a wrong state, shows as a wrong body.
func TestConcurrentRequestsAndCancelsNeverMixResponses(t *testing.T) {
	addr := upstream(t, func(_ int, c *net.TCPConn, br *bufio.Reader) {
		rnd := rand.New(rand.NewPCG(1, 2))
		for {
			_, body, ok := readRequest(br)
			if !ok {
				return
			}
			var out bytes.Buffer
			if rnd.IntN(2) == 0 {
				fmt.Fprintf(&out, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
			} else {
				out.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
				for len(body) > 0 {
					k := 1 + rnd.IntN(min(len(body), 5000))
					fmt.Fprintf(&out, "%x\r\n%s\r\n", k, body[:k])
					body = body[k:]
				}
				out.WriteString("0\r\n\r\n")
			}
			for out.Len() > 0 {
				if _, err := c.Write(out.Next(1 + rnd.IntN(4000))); err != nil {
					return
				}
			}
			if rnd.IntN(20) == 0 {
				return // close a connection that the client believes alive
			}
		}
	})
	c := newClient(t, Options{})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 3))
			for i := range 150 {
				size := rnd.IntN(2000)
				if i%25 == 0 {
					size = 150_000
				}
				want := strings.Repeat(fmt.Sprintf("%d-%d ", w, i), 1+size/5)
				ctx, cancel := context.WithCancel(t.Context())
				if rnd.IntN(3) == 0 {
					go cancel()
				}
				r, err := c.Do(ctx, post(addr, want))
				var body []byte
				if err == nil {
					body, err = io.ReadAll(r)
					_ = r.Close()
				}
				cancelled := ctx.Err() != nil
				cancel()
				switch {
				case err == nil && string(body) != want:
					t.Errorf("request %d-%d got another body of %d bytes, want %d", w, i, len(body), len(want))
				case err != nil && !cancelled:
					t.Errorf("request %d-%d: %v", w, i, err)
				}
			}
		})
	}
	wg.Wait()
}
