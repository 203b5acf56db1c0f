package httpd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

const post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"

func TestAHandlerHearsThatTheClientHasGone(t *testing.T) {
	for _, tc := range []struct {
		name, request string
		prepare       func(http.ResponseWriter, *http.Request)
	}{
		{"before an answer", get, func(http.ResponseWriter, *http.Request) {}},
		{"after reading the body", post, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) }},
		{"after reading the body slowly", post, func(_ http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			_, _ = io.ReadAll(r.Body)
		}},
		{"with a deadline for the body behind it", post, func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			_ = rc.SetReadDeadline(time.Now().Add(time.Minute))
			_, _ = io.ReadAll(r.Body)
			_ = rc.SetReadDeadline(time.Now().Add(time.Second))
		}},
		{"while it streams", get, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "hi")
			w.(http.Flusher).Flush()
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			left := make(chan time.Duration, 1)
			var closed time.Time
			s := &Server{ReadHeaderTimeout: time.Second, IdleTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tc.prepare(w, r)
				time.Sleep(time.Hour) // an upstream that thinks
				if r.Context().Err() != nil {
					t.Error("the context ended while the client was there")
				}
				select {
				case <-r.Context().Done():
					left <- time.Since(closed)
				case <-time.After(time.Hour):
					left <- time.Hour
				}
			})}
			inBubble(t, s, func(t *testing.T, c net.Conn, br *bufio.Reader) {
				go func() { _, _ = io.Copy(io.Discard, br) }()
				_, _ = io.WriteString(c, tc.request)
				time.Sleep(time.Hour + time.Minute)
				closed = time.Now()
				_ = c.Close()
				if d := <-left; d > 50*time.Millisecond {
					t.Errorf("noticed after %v", d)
				}
			})
		})
	}
}

func TestTheContextEndsWithTheHandler(t *testing.T) {
	done := make(chan (<-chan struct{}), 1)
	s := &Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { done <- r.Context().Done() })}
	talk(t, start(t, s), get)
	<-<-done
}

func TestAPipelinedRequestSurvivesTheWatch(t *testing.T) {
	for _, split := range []int{0, 1, 2, len(get) - 1, len(get)} {
		for _, flush := range []bool{false, true} {
			served := 0
			s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				served++
				if flush {
					w.(http.Flusher).Flush()
				}
				time.Sleep(time.Second) // long enough for the watch to take a byte
				if r.Context().Err() != nil {
					t.Error("a pipelined request ended the context")
				}
				fmt.Fprint(w, served)
			})}
			inBubble(t, s, func(t *testing.T, c net.Conn, br *bufio.Reader) {
				go func() {
					_, _ = io.WriteString(c, get+get[:split])
					time.Sleep(500 * time.Millisecond)
					_, _ = io.WriteString(c, get[split:]+get)
				}()
				for n := 1; n <= 3; n++ {
					resp, err := http.ReadResponse(br, nil)
					if err != nil {
						t.Fatal(err)
					}
					if b, _ := io.ReadAll(resp.Body); string(b) != fmt.Sprint(n) {
						t.Fatalf("answer %d is %q", n, b)
					}
				}
			})
		}
	}
}

func TestAFailedWriteEndsTheContextAndStays(t *testing.T) {
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(w, "hi")
		if err := http.NewResponseController(w).Flush(); !timedOut(err) {
			t.Error("a client that does not read:", err)
		}
		if _, err := io.WriteString(w, "more"); !timedOut(err) {
			t.Error("after an error:", err)
		}
		if r.Context().Err() == nil {
			t.Error("the context goes on")
		}
	})}
	inBubble(t, s, func(t *testing.T, c net.Conn, _ *bufio.Reader) {
		_, _ = io.WriteString(c, get)
		time.Sleep(time.Minute)
		synctest.Wait()
		if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
			t.Errorf("%q %v", b, err)
		}
	})
}

// The same over real connections, where reading is not a pipe.
func TestAClosedSocketEndsTheContextSoon(t *testing.T) {
	begun, over := make(chan struct{}, 1), make(chan error, 1)
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		if r.URL.Path == "/flush" {
			w.(http.Flusher).Flush()
		}
		begun <- struct{}{}
		<-r.Context().Done()
		over <- r.Context().Err()
	})}
	addr := start(t, s)
	for _, request := range []string{get, post, "GET /flush HTTP/1.1\r\nHost: h\r\n\r\n"} {
		c := dial(t, addr)
		_, _ = io.WriteString(c, request)
		<-begun
		closed := time.Now()
		_ = c.Close()
		<-over
		if d := time.Since(closed); d > 2*time.Second {
			t.Errorf("noticed after %v", d)
		}
	}
}

// TestAnInterruptedRequestDoesNotWaitForItsBody, and its client gets the answer.
func TestAnInterruptedRequestDoesNotWaitForItsBody(t *testing.T) {
	for _, head := range []string{"Content-Length: 9\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n9\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"} {
		begun := make(chan struct{})
		s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			half := make([]byte, 4)
			_, err := io.ReadFull(r.Body, half)
			close(begun)
			for range 2 {
				_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Hour))
				_, more := io.ReadAll(r.Body)
				fmt.Fprintln(w, string(half), err, errors.Is(more, os.ErrDeadlineExceeded), r.Context().Err())
			}
		})}
		c := dial(t, start(t, s))
		_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\n"+head)
		<-begun
		s.Interrupt()
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		const want = "half <nil> true context canceled\n"
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != want+want || !resp.Close {
			t.Errorf("%q: %q %v, close %v", head, body, err, resp.Close)
		}
	}
}
