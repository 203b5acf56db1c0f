package app

import (
	"bytes"
	"log/slog"
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
