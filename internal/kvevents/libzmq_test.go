package kvevents

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestRealPublisher subscribes to libzmq. TAILPLANE_PYZMQ is a Python that has
// pyzmq and msgpack.
func TestRealPublisher(t *testing.T) {
	python := os.Getenv("TAILPLANE_PYZMQ")
	if python == "" {
		t.Skip("TAILPLANE_PYZMQ names no Python with pyzmq and msgpack")
	}
	cmd := exec.CommandContext(t.Context(), python, "testdata/publisher.py")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var lost []Lost
	tokens := 0
	s := New(net.JoinHostPort("127.0.0.1", strings.TrimSpace(port)), "kv", Options{
		Dial:   (&net.Dialer{}).DialContext,
		Lost:   func(g Lost) { lost = append(lost, g) },
		Event:  func(e Event) { tokens += len(e.TokenIDs) },
		Chance: func() float64 { return 0.1 },
	})
	ctx, cancel := context.WithTimeout(t.Context(), 18*time.Second)
	defer cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	st := s.Stats()
	t.Logf("%+v, lost %+v, %d tokens", st, lost, tokens)
	if st.Connects != 2 || st.Malformed != 0 || st.Batches < 150 || tokens != int(st.Batches)*640 {
		t.Errorf("%+v with %d tokens, want 2 connections and batches of 640 tokens", st, tokens)
	}
	if len(lost) != 1 || !lost[0].Restarted {
		t.Errorf("lost %+v, want one restart", lost)
	}
}
