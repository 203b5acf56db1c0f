package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

const smallConfig = `
targets:
  a: {kind: vllm, url: "http://a", models: [m]}
listen: {max_body: 4KiB, max_event: 64KiB}
keys: {required: false}
`

func TestABodyThatIsTooLargeIsRefused(t *testing.T) {
	bubble(t, smallConfig, func(t *testing.T, r *rig) {
		huge := strings.Repeat("x", 5<<10)
		for name, length := range map[string]int64{"announced": int64(len(huge)), "chunked": -1} {
			w := httptest.NewRecorder()
			req := httptest.NewRequest(http.MethodPost, "/v1/messages", io.NopCloser(strings.NewReader(huge)))
			req.ContentLength, req.Host = length, "localhost"
			r.gateway.ServeHTTP(w, req)
			if got := w.Header().Get("Connection"); got != "close" {
				t.Errorf("%s: Connection is %q", name, got)
			}
			if w.Code != http.StatusRequestEntityTooLarge || !strings.Contains(w.Body.String(), `"request_too_large"`) {
				t.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
		}
	})
}

// TestARefusedBodyEndsNoHTTP2Connection: what is left of the body is the stream's
// affair there, and other requests are on the connection.
func TestARefusedBodyEndsNoHTTP2Connection(t *testing.T) {
	bubble(t, smallConfig, func(t *testing.T, r *rig) {
		for body, status := range map[string]int{strings.Repeat("x", 5<<10): 413, "{": 400} {
			w := httptest.NewRecorder()
			req := httptest.NewRequest(http.MethodPost, "/v1/messages", strings.NewReader(body))
			req.Host, req.Proto, req.ProtoMajor, req.ProtoMinor = "localhost", "HTTP/2.0", 2, 0
			r.gateway.ServeHTTP(w, req)
			if got, named := w.Header()["Connection"]; w.Code != status || named {
				t.Errorf("%d, Connection %q, want %d without", w.Code, got, status)
			}
		}
	})
}

// TestABodyInABadChunkIsCalledSo: it came at once, so that no time is to blame.
func TestABodyInABadChunkIsCalledSo(t *testing.T) {
	bubble(t, chatConfig, func(t *testing.T, r *rig) {
		r.serve(r.net.Listen("gateway"))
		conn, err := r.net.Dial(context.Background(), "tcp", "gateway:80")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
		got := readAnswer(conn)
		_ = conn.Close()
		if got.status != http.StatusBadRequest || !strings.Contains(string(got.body), "the body cannot be read: ") {
			t.Errorf("%d %s %v", got.status, got.body, got.err)
		}
	})
}

func TestABodyThatIsNoRequestIsRefused(t *testing.T) {
	bodies := map[string]string{
		"deep nesting":    `{"model":"m","messages":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}`,
		"invalid UTF-8":   "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\xfe\"}]}",
		"two models":      `{"model":"m","messages":[],"model":"m"}`,
		"trailing text":   `{"model":"m","messages":[]} {}`,
		"a lone escape":   `{"model":"m\`,
		"control in text": "{\"model\":\"m\n\",\"messages\":[]}",
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			bubble(t, smallConfig, func(t *testing.T, r *rig) {
				if name == "deep nesting" {
					r.gateway.Swap(r.plane(chatConfig))
				}
				w := r.post(body)
				if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `"code":"bad_request"`) {
					t.Errorf("%d %s", w.Code, w.Body)
				}
				if n := len(r.records()); n != 1 {
					t.Errorf("%d records, want 1", n)
				}
			})
		})
	}
}

// TestAModelNameCannotForgeAHeader: what a caller made up comes back in headers,
// in the log and in the ledger, but never as anything else than itself.
func TestAModelNameCannotForgeAHeader(t *testing.T) {
	bubble(t, chatConfig, func(t *testing.T, r *rig) {
		r.host("a", reply(t, okScript))
		r.serve(r.net.Listen("gateway"))
		conn, err := r.net.Dial(context.Background(), "tcp", "gateway:80")
		if err != nil {
			t.Fatal(err)
		}
		body := `{"model":"a/x\r\nX-Forged: 1\r\n\r\nbody\u00e9","messages":[]}`
		fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		got := readAnswer(conn)
		_ = conn.Close()
		if got.status != http.StatusOK || got.header.Get("X-Forged") != "" || strings.TrimSpace(string(got.body)) != `{"choices":[]}` {
			t.Errorf("%d %v %s", got.status, got.header, got.body)
		}
	})
}

// TestABodyThatNeverComesIsGivenUp: a client that sends its body byte by byte, or
// not at all, holds a connection for a minute and no longer.
func TestABodyThatNeverComesIsGivenUp(t *testing.T) {
	bubble(t, chatConfig, func(t *testing.T, r *rig) {
		r.serve(r.net.Listen("gateway"))
		conn, err := r.net.Dial(context.Background(), "tcp", "gateway:80")
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		var writing sync.WaitGroup
		defer writing.Wait()
		writing.Go(func() {
			if _, err := io.WriteString(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"); err != nil {
				return
			}
			for {
				time.Sleep(time.Second)
				if _, err := conn.Write([]byte(" ")); err != nil {
					return
				}
			}
		})
		got := readAnswer(conn)
		_ = conn.Close()
		if got.status != http.StatusBadRequest || !strings.Contains(string(got.body), "did not arrive whole") {
			t.Errorf("%d %s %v", got.status, got.body, got.err)
		}
		if took := time.Since(begin); took < 59*time.Second || took > 61*time.Second {
			t.Errorf("given up after %v", took)
		}
	})
}

// TestAnAnswerWithoutEndIsGivenUp: an upstream that sends one endless line, or
// one endless body, is cut off near the limit.
func TestAnAnswerWithoutEndIsGivenUp(t *testing.T) {
	for name, head := range map[string]string{
		"a line":   "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: ",
		"a body":   "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{\"a\":\"",
		"a head":   "HTTP/1.1 200 OK\r\nX-Endless: ",
		"an error": "HTTP/1.1 400 No\r\nConnection: close\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, smallConfig, func(t *testing.T, r *rig) {
				l := r.net.Listen("a")
				sent := make(chan int)
				go func() {
					total := 0
					for range 2 {
						c, err := l.Accept()
						if err != nil {
							break
						}
						total += babble(c, head)
						_ = c.Close()
					}
					sent <- total
				}()
				w := r.post(fmt.Sprintf(`{"model":"m","stream":%v,"messages":[]}`, name == "a line"))
				_ = l.Close()
				if n := <-sent; n > 2<<20 {
					t.Errorf("%d bytes were taken", n)
				}
				if w.Code < 400 || !strings.Contains(w.Body.String(), `"error"`) {
					t.Errorf("%d %.200s", w.Code, w.Body)
				}
			})
		})
	}
}

// babble reads a request's head and writes without end, until nobody listens or
// far too much was taken. It returns how much that was.
func babble(c net.Conn, head string) int {
	if _, err := c.Read(make([]byte, 4<<10)); err != nil {
		return 0
	}
	n, err := io.WriteString(c, head)
	noise := []byte(strings.Repeat("x", 32<<10))
	for err == nil && n < 8<<20 {
		var m int
		m, err = c.Write(noise)
		n += m
	}
	return n
}
