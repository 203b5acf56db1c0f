package h1

import (
	"context"
	"net"
	"testing"

	"tailplane/internal/llmtest"
)

// loopConn is an upstream without a system below it: it answers every request,
// which is written at once. So what is measured is this package.
type loopConn struct {
	llmtest.NoConn
	due []byte
}

func (l *loopConn) Write(p []byte) (int, error) {
	l.due = reply700
	return len(p), nil
}

func (l *loopConn) Read(p []byte) (int, error) {
	n := copy(p, l.due)
	l.due = l.due[n:]
	return n, nil
}

// BenchmarkExchange is a small request on a kept connection, without the network.
func BenchmarkExchange(b *testing.B) {
	c := newClient(b, Options{Dial: func(context.Context, string, string) (net.Conn, error) { return &loopConn{}, nil }})
	req := chatRequest("u:1", 1000)
	var ctx context.Context = hooks{context.Background()}
	p := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		roundTrip(b, ctx, c, req, p)
	}
}
