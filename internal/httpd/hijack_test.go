package httpd

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAHandlerTakesTheConnectionOver: with what the client has sent already, by
// itself or to a watch, and for as long as it runs.
func TestAHandlerTakesTheConnectionOver(t *testing.T) {
	for name, wait := range map[string]time.Duration{"at once": 0, "behind a watch": time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(wait)
					conn, rw, err := http.NewResponseController(w).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					if _, _, err := w.(http.Hijacker).Hijack(); !errors.Is(err, http.ErrHijacked) {
						t.Errorf("taken over twice: %v", err)
					}
					line, err := rw.ReadString('\n')
					if err != nil || line != "hello\n" || r.Context().Err() != nil {
						t.Errorf("%q %v %v", line, err, r.Context().Err())
					}
					_, _ = io.WriteString(conn, "bye")
				})}
				c := newConn(s, theirs)
				s.track(c)
				go c.serve()
				go func() {
					_, _ = io.WriteString(ours, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
					time.Sleep(wait / 2)
					_, _ = io.WriteString(ours, "hel")
					time.Sleep(wait)
					_, _ = io.WriteString(ours, "lo\n")
				}()
				got, err := io.ReadAll(ours)
				if string(got) != "bye" || err != nil {
					t.Errorf("%q %v", got, err)
				}
				_ = ours.Close()
				synctest.Wait()
			})
		})
	}
}

func TestAConnectionWithABodyIsNotTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, _, err := http.NewResponseController(w).Hijack(); err == nil {
				t.Error("an unread body was lost")
			}
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, "fine")
			if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrHijacked) {
				t.Errorf("behind an answer: %v", err)
			}
		})}
		c := newConn(s, theirs)
		s.track(c)
		go c.serve()
		go func() { _, _ = io.WriteString(ours, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi") }()
		resp, err := http.ReadResponse(bufio.NewReader(ours), nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(resp.Body); !strings.Contains(string(body), "fine") {
			t.Errorf("%q", body)
		}
		_ = ours.Close()
		synctest.Wait()
	})
}
