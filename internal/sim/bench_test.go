package sim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// sink takes an answer without keeping it.
type sink struct {
	header http.Header
	bytes  int
}

func (s *sink) Header() http.Header { return s.header }
func (s *sink) WriteHeader(int)     {}
func (s *sink) Flush()              {}
func (s *sink) Write(b []byte) (int, error) {
	s.bytes += len(b)
	return len(b), nil
}

// BenchmarkHandler is the cost of one chat request in the handler, with an
// engine that has no delays: what a gateway benchmark pays for its upstream.
func BenchmarkHandler(b *testing.B) {
	s, err := New(Options{Models: []Model{{ID: "m", Profile: Instant()}}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-ended })
	for _, size := range []int{100, 38 << 10} {
		for _, stream := range []bool{false, true} {
			b.Run(fmt.Sprintf("prompt=%d/stream=%v", size, stream), func(b *testing.B) {
				body := fmt.Appendf(nil, `{"model":"m","stream":%v,"max_tokens":32,"ignore_eos":true,"messages":[{"role":"user","content":%q}]}`,
					stream, strings.Repeat("some words of text ", size/19))
				b.ReportAllocs()
				b.SetBytes(int64(len(body)))
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						r := httptest.NewRequest(http.MethodPost, chatPath, io.NopCloser(bytes.NewReader(body)))
						w := &sink{header: make(http.Header)}
						s.ServeHTTP(w, r)
						if w.bytes < 200 {
							b.Error("no answer")
						}
					}
				})
			})
		}
	}
}
