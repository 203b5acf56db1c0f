package httpd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

func TestUnreadBodiesAreDroppedUpToALimit(t *testing.T) {
	for _, tc := range []struct {
		name string
		size int
		keep bool
	}{{"small", 100, true}, {"at the limit", maxDrain - 1, true}, {"beyond the limit", maxDrain, false}, {"far beyond", 8 << 20, false}} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprint(tc.name, chunked), func(t *testing.T) {
				addr := start(t, &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.WriteHeader(401)
					_, _ = io.WriteString(w, "no")
				})})
				c := dial(t, addr)
				body := "Content-Length: " + fmt.Sprint(tc.size) + "\r\n\r\n" + strings.Repeat("x", tc.size)
				if chunked {
					body = fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", tc.size, strings.Repeat("x", tc.size))
				}
				var sent sync.WaitGroup
				defer sent.Wait()
				sent.Go(func() { _, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\n"+body) })
				br := bufio.NewReader(c)
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatal(err)
				}
				if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "no" || resp.StatusCode != 401 || resp.Close == tc.keep && tc.size != maxDrain {
					t.Fatalf("%d %q %v, close %v", resp.StatusCode, b, err, resp.Close)
				}
				if tc.keep {
					sent.Wait()
					_, _ = io.WriteString(c, get)
					if _, err := http.ReadResponse(br, nil); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

func TestTheBodyCannotBeReadOnceTheAnswerIsOnItsWay(t *testing.T) {
	addr := start(t, &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		if _, err := r.Body.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) && r.Method == "POST" {
			t.Error(err)
		}
	})})
	if got := talk(t, addr, post+get); strings.Count(got, "0\r\n\r\n") != 2 {
		t.Errorf("%q", got)
	}
}

// logged is a log in memory.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// take returns what was logged since the last time.
func (l *logged) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.buf.Reset()
	return l.buf.String()
}

func TestAPanicCostsOneConnectionAndIsLogged(t *testing.T) {
	var out logged
	addr := start(t, &Server{ErrorLog: slog.New(slog.NewTextHandler(&out, nil)), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "lost")
		panic("a bug")
	})})
	if got := talk(t, addr, get+get); got != "" {
		t.Errorf("%q", got)
	}
	if s := out.take(); strings.Count(s, "a bug") != 1 || !strings.Contains(s, "body_test.go") {
		t.Error(s)
	}
	talk(t, addr, "GET /abort HTTP/1.1\r\nHost: h\r\n\r\n")
	if s := out.take(); s != "" {
		t.Error(s)
	}
}

// Many clients of net/http send bodies of all sizes and framings and must get
// them back whole, whatever is reused in between.
func TestEchoesUnderLoad(t *testing.T) {
	addr := start(t, &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		w.Header().Set("X-Echo", r.Header.Get("X-Echo"))
		w.Header().Set("Content-Type", "application/octet-stream")
		if r.URL.Query().Has("flush") {
			w.(http.Flusher).Flush()
		}
		for len(b) > 0 {
			n := min(len(b), 1+rand.IntN(5000))
			if _, err := w.Write(b[:n]); err != nil {
				panic(err)
			}
			b = b[n:]
		}
	})})
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	var clients sync.WaitGroup
	for id := range 16 {
		clients.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(id), 3))
			for i := range 60 {
				body := bytes.Repeat([]byte{byte('a' + id)}, rnd.IntN(1<<uint(rnd.IntN(18))))
				var rd io.Reader = bytes.NewReader(body)
				if i%3 == 0 {
					rd = io.MultiReader(rd) // of unknown length: chunked
				}
				req, err := http.NewRequest("POST", "http://"+addr+"/p?"+[]string{"", "flush"}[i%2], rd)
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("X-Echo", fmt.Sprint(id, i))
				if i%5 == 0 {
					req.Header.Set("Expect", "100-continue")
				}
				resp, err := tr.RoundTrip(req)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || !bytes.Equal(got, body) || resp.Header.Get("X-Echo") != fmt.Sprint(id, i) {
					t.Errorf("client %d: %d bytes of %d, echo %q, %v", id, len(got), len(body), resp.Header.Get("X-Echo"), err)
					return
				}
			}
		})
	}
	clients.Wait()
}

func TestARefusalReachesAClientThatStillSends(t *testing.T) {
	addr := start(t, &Server{MaxHeaderBytes: 4 << 10, Handler: http.NotFoundHandler()})
	c := dial(t, addr)
	var sent sync.WaitGroup
	defer sent.Wait()
	defer func() { _ = c.(*net.TCPConn).Close() }()
	sent.Go(func() { _, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nA: "+strings.Repeat("b", 200<<10)) })
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != 431 {
		t.Fatal(resp, err)
	}
}
