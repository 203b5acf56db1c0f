package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tailplane/internal/kvevents"
	"tailplane/internal/route"
	"tailplane/internal/telemetry"
)

// TestTheEventsOfAllRanksDecideTogether, and it is said when they begin to, and when
// they end to.
func TestTheEventsOfAllRanksDecideTogether(t *testing.T) {
	var text bytes.Buffer
	s := &Server{log: &telemetry.Log{Logger: slog.New(slog.NewTextHandler(&text, nil))}}
	e := &cacheEvents{server: s, streams: map[publisher]*stream{}, decide: map[string]bool{}}
	g := s.groups.Group("m")
	var d route.Decision
	g.Pick(time.Now(), &route.Query{}, []route.Facts{{Name: "x/m"}}, &d, false)

	ranks := [2]publisher{{"x", "a:1", ""}, {"x", "a:2", ""}}
	for _, p := range ranks {
		e.streams[p] = new(stream)
	}
	said := func(rank int, hashes ...uint64) {
		one := e.streams[ranks[rank]]
		one.held.Add(&kvevents.Event{Kind: kvevents.Stored, Hashes: hashes, BlockSize: 16})
		e.tell(ranks[rank], one)
	}
	values := func() (v float64) { e.state(func(value float64, _ ...string) { v = value }); return v }
	for _, step := range []struct {
		do   func()
		want float64
		says string
	}{
		{func() { e.streams[ranks[0]].held.Begin(); said(0, 1, 2) }, 0, ""},
		{func() { e.streams[ranks[1]].held.Begin(); said(1, 1) }, 1, "tokens=48"},
		{func() { e.streams[ranks[0]].held.Miss(kvevents.Lost{Batches: 3}); said(0, 3) }, 0, "level=WARN"},
		{func() { e.tell(ranks[0], new(stream)) }, 0, ""},
		{func() { e.keep(nil) }, 0, ""},
	} {
		text.Reset()
		if step.do(); values() != step.want {
			t.Errorf("decided %v, want %v", values(), step.want)
		}
		if got := text.String(); (step.says == "") != (got == "") || !strings.Contains(got, step.says) {
			t.Errorf("it says %q, want %q", got, step.says)
		}
	}
	if len(e.streams)+len(e.decide) != 0 {
		t.Error("streams that have ended are kept")
	}
}

// TestEachReplicaIsListenedTo, at its own host, from when it is found until it is gone.
func TestEachReplicaIsListenedTo(t *testing.T) {
	one, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := one.Addr().(*net.TCPAddr).Port
	two, err := net.Listen("tcp", fmt.Sprintf("127.0.0.2:%d", port))
	if err != nil {
		t.Skip("this machine has one address for itself:", err)
	}
	dir := t.TempDir()
	path, file := filepath.Join(dir, "replicas.yaml"), filepath.Join(dir, "tailplane.yaml")
	listed(t, path, "127.0.0.1:9")
	write(t, file, fmt.Sprintf(`
targets: {llama: {kind: vllm, discover: {file: {path: %q, interval: 10ms}, empty_grace: 1ms}, kv_events: {endpoint: "tcp://*:%d"}}}
models: {llama: {pool: [llama], served_as: m}}
keys: {required: false}
`, path, port))
	r := serving(t, Options{Config: file, NoWatch: true})
	greeted := func(l net.Listener) net.Conn {
		t.Helper()
		t.Cleanup(func() { _ = l.Close() })
		_ = l.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second))
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		greeting := make([]byte, 10)
		if _, err := io.ReadFull(c, greeting); err != nil || greeting[0] != 0xff || greeting[9] != 0x7f {
			t.Fatalf("%s got %x, %v", l.Addr(), greeting, err)
		}
		return c
	}
	first := greeted(one)
	listed(t, path, "127.0.0.1:9", "127.0.0.2:9")
	second := greeted(two)
	listed(t, path, "127.0.0.2:9")
	if _, err := io.Copy(io.Discard, first); err != nil {
		t.Errorf("the one that is gone is listened to: %v", err)
	}
	_ = second.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := io.Copy(io.Discard, second); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the one that is there is not listened to: %v", err)
	}
	r.stop(t)
}
