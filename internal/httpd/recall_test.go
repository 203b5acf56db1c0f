package httpd

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tailplane/internal/http1"
)

// take reads a head out of the connection's buffer, in which more stands behind it.
func (c *conn) take(x *exchange, head string) *refusal {
	x.open(c)
	c.state.Store(stateIdle)
	c.buf, c.r, c.w = []byte(head+"POST / "), 0, len(head)+len("POST / ")
	n, bad := c.readHead()
	if bad == nil {
		bad = x.read(c.buf[:n])
	}
	return bad
}

// readHeads reads heads as a connection does, one after the other; of the last it
// tells what it was read as. With forget each is parsed.
func readHeads(forget bool, heads ...string) string {
	c := &conn{srv: &Server{}}
	said := ""
	for _, head := range heads {
		x := c.srv.exchange()
		if forget {
			c.memory = nil
		}
		bad := c.take(x, head)
		said = fmt.Sprintf("%+v", bad)
		if bad == nil {
			p := x.request
			said = fmt.Sprintf("%s %s %q %s %d.%d %q %d %v %v %q %+v %v %d %d %v", p.Method, p.RequestURI, p.URL, p.Proto, p.ProtoMajor, p.ProtoMinor,
				p.Host, p.ContentLength, p.Close, p.TransferEncoding, p.Header, x.is, p.Body == http.NoBody, x.body.left, x.minor, x.body.err)
			for _, values := range p.Header { // as no handler may
				values[0] = "changed"
			}
			p.Header.Set("X-New", "new")
		}
		x.reset()
		if bad != nil {
			break // the connection ends
		}
	}
	return said
}

// varied are heads that are almost one.
func varied(head string) []string {
	out := []string{head}
	for _, r := range [][2]string{
		{"Length: 5", "Length: 0"},
		{"Length: 5", "Length: 55"},
		{"Length: 5", "Length: "},
		{"Length: 5", "Length: +5"},
		{"Length: 5", "Length: 5 "},
		{"Length: 5", "Length: 5\r\nContent-Length: 6"},
		{"Length: 5", "Length: 5\r\nTransfer-Encoding: chunked"},
		{"Length: 5", "Length: 05"},
		{"Content-Length: 5\r\n", ""},
		{"Content-Length: 5", "Content-Lengtg: 5"},
		{"Content-Length: 5", "Transfer-Encoding: chunked"},
		{"HTTP/1.1", "HTTP/1.0"},
		{"POST", "PUT"},
		{" /", " /x"},
		{"Host: h", "Host: i"},
		{"\r\n\r\n", "\r\nConnection: close\r\n\r\n"},
		{"\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n"},
		{"\r\n", "\n"},
		{"k", "l"},
	} {
		out = append(out, strings.Replace(head, r[0], r[1], 1))
	}
	return out
}

// However much of a remembered head is there, its end is found where a search
// finds it.
func TestTheEndOfARememberedHeadIsItsEnd(t *testing.T) {
	for _, first := range append(slices.Clone(scripts), keyed) {
		end, _ := http1.HeadEnd([]byte(first), 0)
		if len(first) > 400 {
			continue // every length is tried
		}
		c := &conn{srv: &Server{}}
		for range fewestMisses {
			if x := c.srv.exchange(); end == 0 || c.take(x, first[:end]) != nil {
				break
			}
		}
		for _, second := range varied(first) {
			second += "0\r\n\r\n"
			for n := range len(second) {
				c.buf, c.r, c.w = []byte(second[:n]), 0, n
				got, _ := c.headEnd(0)
				if want, _ := http1.HeadEnd(c.buf, 0); got != want {
					t.Fatalf("after %q the head of %q has %d bytes, not %d", first[:end], second[:n], got, want)
				}
			}
		}
	}
}

const keyed = "POST /v1/chat?a=b HTTP/1.1\r\nHost: h\r\nauthorization: Bearer k\r\nContent-Length: 5\r\nX-A: \r\n\r\n"

func FuzzAHeadIsRecalledAsItIsParsed(f *testing.F) {
	for _, s := range append(slices.Clone(scripts), keyed) {
		for _, second := range varied(s) {
			f.Add(s, second)
		}
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		a, _ := http1.HeadEnd([]byte(first), 0)
		b, _ := http1.HeadEnd([]byte(second), 0)
		if a == 0 || b == 0 {
			return
		}
		heads := []string{first[:a], first[:a], first[:a], second[:b]}
		want := readHeads(true, heads...)
		if got := readHeads(false, heads...); got != want {
			t.Errorf("after %q\n%q\nis recalled as %s\nand parsed as %s", first[:a], second[:b], got, want)
		}
	})
}

func TestOnlyPlainHeadsAreRemembered(t *testing.T) {
	remembers := func(heads ...string) bool {
		c := &conn{srv: &Server{}}
		for _, head := range heads {
			x := c.srv.exchange()
			if bad := c.take(x, head); bad != nil {
				t.Fatal(bad)
			}
			x.reset()
		}
		return c.memory != nil
	}
	if remembers(keyed) {
		t.Error("after one request a head is remembered")
	}
	if !remembers(keyed, keyed) {
		t.Error("after two it is not")
	}
	var many []string
	for n := range mostMisses {
		many = append(many, strings.Replace(keyed, "/chat", fmt.Sprint("/", n), 1))
	}
	if remembers(many...) {
		t.Error("heads that differ each time are remembered")
	}
	for _, add := range []string{"authorization: l", "X-Long: " + strings.Repeat("x", longestMemory), "Expect: 100-continue", "Connection: close"} {
		if head := strings.Replace(keyed, "X-A: ", add, 1); remembers(head, head) {
			t.Errorf("with %.30q a head is remembered", add)
		}
	}
}

// Each request is its own, however alike the heads are.
func TestRecalledRequestsAreApart(t *testing.T) {
	seen := make(chan http.Header, 16)
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Clone()
		body, err := io.ReadAll(r.Body)
		r.Header["Authorization"][0] = "changed"
		r.Header.Add("X-B", "added")
		r.URL.Path, r.Host = "/other", "other"
		fmt.Fprintf(w, "%s %v|", body, err)
	})}
	addr := start(t, s)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var script strings.Builder
	for n := range 6 {
		body := strings.Repeat(string(rune('a'+n)), 5+n)
		script.WriteString(strings.Replace(keyed, "Length: 5", fmt.Sprint("Length: ", len(body)), 1) + body)
	}
	script.WriteString("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	_, _ = io.WriteString(c, script.String())
	answers, _ := io.ReadAll(c)
	for n := range 6 {
		want := strings.Repeat(string(rune('a'+n)), 5+n) + " <nil>|"
		if !strings.Contains(string(answers), want) {
			t.Errorf("no %q in %q", want, answers)
		}
		h := <-seen
		if h.Get("Content-Length") != fmt.Sprint(5+n) || len(h["X-A"]) != 1 {
			t.Errorf("request %d has the header %v", n, h)
		}
	}
}

// TestAHandlerFindsWhatItKept: what is kept belongs to a head that comes again, and
// to no other one.
func TestAHandlerFindsWhatItKept(t *testing.T) {
	c := &conn{srv: &Server{}}
	var told []string
	for i, head := range []string{keyed, keyed, keyed, keyed, strings.Replace(keyed, "Length: 5", "Length: 15", 1), strings.Replace(keyed, "Bearer k", "Bearer l", 1), keyed} {
		x := c.srv.exchange()
		if bad := c.take(x, head); bad != nil {
			t.Fatal(bad)
		}
		kept := x.request.Context().(interface{ Kept() *any }).Kept()
		switch {
		case kept == nil:
			told = append(told, "parsed")
		case *kept == nil:
			*kept = i
			told = append(told, "new")
		default:
			told = append(told, fmt.Sprint(*kept))
		}
		x.reset()
	}
	if want := []string{"parsed", "parsed", "new", "2", "2", "parsed", "2"}; !slices.Equal(told, want) {
		t.Errorf("%v, want %v", told, want)
	}
}

// A header that stays is that of its request, whatever names and values the handler
// before has changed in it.
func TestAHeaderThatStaysIsThatOfItsRequest(t *testing.T) {
	c := &conn{srv: &Server{}}
	for n := range 8 {
		x := c.srv.exchange()
		if bad := c.take(x, strings.Replace(keyed, "Length: 5", fmt.Sprint("Length: ", n), 1)); bad != nil {
			t.Fatal(bad)
		}
		h := x.request.Header
		want := http.Header{"Authorization": {"Bearer k"}, "Content-Length": {fmt.Sprint(n)}, "X-A": {""}}
		if !maps.EqualFunc(h, want, slices.Equal) {
			t.Errorf("request %d has the header %q", n, h)
		}
		switch n {
		case 3:
			h.Set("X-New", "new")
		case 4:
			h["X-A"][0] = "changed"
		case 5:
			h.Del("Authorization")
		}
		x.reset()
	}
}
