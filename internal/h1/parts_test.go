package h1

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
)

// A body in parts arrives as one, on new and on used connections, plain and over TLS,
// however large its parts are.
func TestPartsOfABodyArriveAsOne(t *testing.T) {
	arrived := make(chan []byte, 1)
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got, _ := io.ReadAll(r.Body)
		if want := strconv.FormatInt(r.ContentLength, 10); want != strconv.Itoa(len(got)) {
			t.Errorf("Content-Length is %s of %d bytes", want, len(got))
		}
		arrived <- got
	})
	plain, secured := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secured.Close()
	c := newClient(t, Options{TLS: &tls.Config{InsecureSkipVerify: true}})
	long := bytes.Repeat([]byte("0123456789abcdef"), 2*asyncWrite/16)
	for _, sizes := range [][3]int{
		{0, 3, 0},
		{5, 0, 7},
		{10, 20, 30},
		{writeBufSize, 1, 0},
		{0, 1, writeBufSize},
		{writeBufSize / 2, 100, writeBufSize / 2},
		{asyncWrite - 1, 1, 0},
		{50_000, 30, 50_000},
		{asyncWrite, 30, asyncWrite},
	} {
		for _, s := range []*httptest.Server{plain, secured} {
			req := post(s.Listener.Addr().String(), "")
			req.TLS = s == secured
			req.Front, req.Body, req.Back = long[:sizes[0]], bytes.Repeat([]byte("-"), sizes[1]), long[3:3+sizes[2]]
			want := bytes.Join([][]byte{req.Front, req.Body, req.Back}, nil)
			for range 2 {
				r, err := c.Do(t.Context(), req)
				if err != nil {
					t.Fatalf("%v, TLS %v: %v", sizes, req.TLS, err)
				}
				_, _ = io.Copy(io.Discard, r)
				_ = r.Close()
				if got := <-arrived; !bytes.Equal(got, want) {
					t.Errorf("%v, TLS %v: %d bytes came, want %d", sizes, req.TLS, len(got), len(want))
				}
			}
		}
	}
}
