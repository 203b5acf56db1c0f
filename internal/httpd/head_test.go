package httpd

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestRefusalsSayWhatIsWrong(t *testing.T) {
	s := &Server{MaxHeaderBytes: 8 << 10, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("served %s %q with %q", r.Method, r.RequestURI, r.Header)
	})}
	addr := start(t, s)
	const rest = " HTTP/1.1\r\nHost: h\r\n"
	for _, tc := range []struct {
		request string
		status  int
		says    string
	}{
		{"\x16\x03\x01", 400, "not an HTTP request"},
		{"GET / HTTP/1.1\nHost: h\n\n", 400, "does not end in CRLF"},
		{"GET / HTTP/1.1\r\nHost: h\n\r\n", 400, "does not end in CRLF"},
		{"GET /\r\n", 400, "request line"},
		{"GET / HTTP/1.1", 400, "ends early"},
		{"GET / HTTP/3.0\r\n\r\n", 505, "HTTP/1.1 and HTTP/1.0"},
		{preface, 505, "HTTP/1.1 and HTTP/1.0"},
		{"GET x" + rest + "\r\n", 400, "target"},
		{"GET mailto:x" + rest + "\r\n", 400, "target"},
		{"GET /%zz" + rest + "\r\n", 400, "target"},
		{"CONNECT h:1" + rest + "\r\n", 501, "CONNECT"},
		{"GET / HTTP/1.1\r\n\r\n", 400, "Host is missing"},
		{"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "more than one Host"},
		{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "Host is malformed"},
		{"GET /" + rest + "A: b\r\n c\r\n\r\n", 400, "folded"},
		{"GET /" + rest + "A : b\r\n\r\n", 400, "no valid name"},
		{"GET /" + rest + ": b\r\n\r\n", 400, "no valid name"},
		{"GET /" + rest + "A: b\x00\r\n\r\n", 400, "control character"},
		{"GET /" + rest + "A: b\rc\r\n\r\n", 400, "control character"},
		{"POST /" + rest + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "Content-Length"},
		{"POST /" + rest + "Content-Length: 1,1\r\n\r\n", 400, "Content-Length"},
		{"POST /" + rest + "Content-Length: +1\r\n\r\n", 400, "Content-Length"},
		{"POST /" + rest + "Content-Length:\r\n\r\n", 400, "Content-Length"},
		{"POST /" + rest + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "beside"},
		{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "beside"},
		{"POST /" + rest + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "chunked is the only"},
		{"POST /" + rest + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501, "chunked is the only"},
		{"POST /" + rest + "Transfer-Encoding:\r\n\r\n", 501, "chunked is the only"},
		{"POST /" + rest + "Expect: tea\r\n\r\n", 417, "expectation"},
		{"GET /" + rest + "A: " + strings.Repeat("b", 9000) + "\r\n\r\n", 431, "too large"},
		{"GET /" + strings.Repeat("b", 9000), 431, "too large"},
		{"GET /" + rest + strings.Repeat("a:b\r\n", maxFields) + "\r\n", 431, "too many"},
	} {
		after := "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
		if tc.says == "ends early" || tc.says == "not an HTTP request" {
			after = "" // it is the missing rest that matters
		}
		got := talk(t, addr, tc.request+after)
		status := fmt.Sprintf("HTTP/1.1 %d ", tc.status)
		_, body, _ := strings.Cut(got, "\r\n\r\n")
		if !strings.HasPrefix(got, status) || !strings.Contains(body, tc.says) || !strings.Contains(got, "\r\nConnection: close\r\n") || strings.Count(got, "HTTP/1.1 ") > 2 {
			t.Errorf("%q\n  got  %q\n  want %d and %q", cut120(tc.request), got, tc.status, tc.says)
		}
	}
}

func TestCanonicalNamesAreThoseOfNetHTTP(t *testing.T) {
	for _, name := range []string{
		"Content-Type", "content-type", "CONTENT-TYPE", "x-api-key", "X-Api-Key", "etag", "www-authenticate", "-", "a--b", "1a", "x_y-z",
		strings.Repeat("long-name-", 9),
	} {
		if got, ok := canonical(name); !ok || got != http.CanonicalHeaderKey(name) {
			t.Errorf("%s: %s %v, want %s", name, got, ok, http.CanonicalHeaderKey(name))
		}
	}
	for _, name := range []string{"", "a b", "a:", "ä", "content-type "} {
		if got, ok := canonical(name); ok {
			t.Errorf("%q is taken for %q", name, got)
		}
	}
	for name := range interned {
		if http.CanonicalHeaderKey(name) != name {
			t.Error("not canonical:", name)
		}
		lower := strings.ToLower(name)
		if n := testing.AllocsPerRun(10, func() { canonical(lower) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
