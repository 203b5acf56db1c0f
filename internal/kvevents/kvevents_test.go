package kvevents

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stay keeps a connection open until the subscriber closes it, and takes its
// pings.
func stay(p *publisher) { _, _ = io.Copy(io.Discard, p.r) }

func TestEventsComeInOrder(t *testing.T) {
	for _, minor := range []byte{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			e := &engine{scripts: []func(*publisher){func(p *publisher) {
				if topic := p.shake(minor); topic != "kv" {
					t.Errorf("3.%d: the topic is %q", minor, topic)
				}
				p.batch(0, stored(1, 2), stored(3, 1))
				p.batch(1, removed(1, 1))
				p.publish([]byte("other"), make([]byte, 8), []byte("not ours"))
				p.batch(2, []any{"AllBlocksCleared"})
				stay(p)
			}}}
			s, l := follow(t, e, "kv", time.Second)
			want := []Event{
				{Kind: Stored, Blocks: 2, Tokens: 32, BlockSize: 16, Medium: "GPU"},
				{Kind: Stored, Blocks: 1, Tokens: 16, BlockSize: 16, Medium: "GPU"},
				{Kind: Removed, Blocks: 1, Tokens: 16, Medium: "GPU"},
				{Kind: Cleared},
			}
			if diff := cmp.Diff(want, l.events); diff != "" || len(l.lost) != 0 {
				t.Errorf("3.%d: lost %v, events -want +got\n%s", minor, l.lost, diff)
			}
			if l.batches != 3 || l.begun != 1 {
				t.Errorf("3.%d: told of %d batches, and %d times that nothing was before", minor, l.batches, l.begun)
			}
			if got := s.Stats(); got != (Stats{Connects: 1, Batches: 3, Events: 4}) {
				t.Errorf("3.%d: %+v", minor, got)
			}
		})
	}
}

func TestGapsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{scripts: []func(*publisher){
			func(p *publisher) {
				p.shake(1)
				p.batch(41, stored(1, 1))
				p.batch(44, stored(2, 1)) // 42 and 43 are gone
				p.publish([]byte("kv-events"), append(make([]byte, 7), 45), []byte{0xc1})
				p.publish([]byte("one part"))
				p.publish([]byte("kv-events"), []byte("short"), batchOf())
				p.batch(46, stored(3, 1))
			},
			func(p *publisher) { // while the connection was cut, 47 was missed
				p.shake(1)
				p.batch(48, stored(4, 1))
			},
			func(p *publisher) { // the engine restarted
				p.shake(1)
				p.batch(2, stored(5, 1))
				stay(p)
			},
		}}
		s, l := follow(t, e, "", time.Minute)
		want := []Lost{{Batches: 2}, {Batches: 1}, {Batches: 1}, {Batches: 2, Restarted: true}}
		if !slices.Equal(l.lost, want) || len(l.events) != 5 {
			t.Errorf("lost %+v and %d events, want %+v and 5", l.lost, len(l.events), want)
		}
		if l.batches != 5 || l.begun != 0 {
			t.Errorf("told of %d batches, and %d times that nothing was before", l.batches, l.begun)
		}
		if got := s.Stats(); got.Malformed != 3 || got.Lost != 6 || got.Connects != 3 {
			t.Errorf("%+v", got)
		}
	})
}

func TestReconnectionsArePacedAndRecover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		follow(t, e, "", 10*time.Minute)
		if e.dials < 15 || e.dials > 30 {
			t.Errorf("%d attempts in ten minutes", e.dials)
		}
		for i := 1; i < len(e.at); i++ {
			want := min(firstPause<<min(i-1, 20), mostPause)
			if got := e.at[i].Sub(e.at[i-1]); got != want {
				t.Errorf("pause %d is %v, want %v", i, got, want)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		quick := func(p *publisher) { p.shake(1); p.batch(0, stored(1, 1)) }
		e := &engine{scripts: []func(*publisher){quick, quick, quick, quick, quick, quick, quick, quick}}
		follow(t, e, "", 3*time.Second)
		if e.dials < 8 {
			t.Errorf("%d connections that brought something in three seconds, want all 8", e.dials)
		}
	})
}

func TestWhoIsNoPublisherIsLeft(t *testing.T) {
	for name, script := range map[string]func(*publisher){
		"a web server": func(p *publisher) { p.greet([]byte("HTTP/1.1 400 Bad Request\r\n" + strings.Repeat("x", 64))) },
		"an older version": func(p *publisher) {
			p.greet(append([]byte{0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 1}, make([]byte, 53)...))
		},
		"security":           func(p *publisher) { p.greet(hello(1, "CURVE")) },
		"a puller":           func(p *publisher) { p.meet(1); p.say([]byte(strings.Replace(pubReady, "PUB", "REP", 1))) },
		"no kind":            func(p *publisher) { p.meet(1); p.say([]byte("\x04\x06\x05READY")) },
		"an error":           func(p *publisher) { p.meet(1); p.say([]byte("\x04\x0b\x05ERROR\x04nope")) },
		"a message at first": func(p *publisher) { p.meet(1); p.say([]byte{0, 1, 'x'}) },
		"a reserved bit":     func(p *publisher) { p.shake(1); p.say([]byte{8, 0}) },
		"an endless frame":   func(p *publisher) { p.shake(1); p.say([]byte{2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) },
		"a frame of 8 MiB+1": func(p *publisher) { p.shake(1); p.say([]byte{2, 0, 0, 0, 0, 0, 0x80, 0, 1}) },
		"too many parts":     func(p *publisher) { p.shake(1); p.say(bytes.Repeat([]byte{1, 0}, mostParts+1)) },
		"a long command":     func(p *publisher) { p.shake(1); p.say([]byte{6, 0, 0, 0, 0, 0, 1, 0, 0}) },
		"an empty command":   func(p *publisher) { p.shake(1); p.say([]byte{4, 0}) },
		"a late error":       func(p *publisher) { p.shake(1); p.say([]byte("\x04\x0b\x05ERROR\x04nope")) },
	} {
		synctest.Test(t, func(t *testing.T) {
			var took time.Duration
			e := &engine{scripts: []func(*publisher){func(p *publisher) {
				began := time.Now()
				script(p)
				stay(p)
				took = time.Since(began)
			}}}
			_, l := follow(t, e, "", time.Minute)
			if took != 0 || len(l.events) != 0 {
				t.Errorf("%s: it is left after %v with %v", name, took, l.events)
			}
		})
	}
}

func TestWhoSaysNothingIsLeftInTime(t *testing.T) {
	for name, c := range map[string]struct {
		script func(*publisher)
		after  time.Duration
	}{
		"no greeting":     {func(p *publisher) { stay(p) }, patience},
		"half a greeting": {func(p *publisher) { p.greet(hello(1, "NULL")[:11]); stay(p) }, patience},
		"no READY":        {func(p *publisher) { p.meet(1); stay(p) }, patience},
		"no pong":         {func(p *publisher) { p.shake(1); stay(p) }, (mostPings + 1) * idle},
		"half a frame":    {func(p *publisher) { p.shake(1); p.say([]byte{0, 10, 1, 2}); stay(p) }, frameTime},
	} {
		synctest.Test(t, func(t *testing.T) {
			var took time.Duration
			e := &engine{scripts: []func(*publisher){func(p *publisher) {
				began := time.Now()
				c.script(p)
				took = time.Since(began)
			}}}
			follow(t, e, "", 5*time.Minute)
			if took != c.after {
				t.Errorf("%s: it is left after %v, want %v", name, took, c.after)
			}
		})
	}
}

func TestHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{scripts: []func(*publisher){func(p *publisher) {
			p.shake(1)
			for range 20 {
				if got := p.frame(4); got != "\x04PING\x00\x00" {
					t.Errorf("heard %q, want a ping", got)
				}
				p.say([]byte("\x04\x05\x04PONG"))
			}
			p.say([]byte("\x04\x0a\x04PING\x00\x10abc"))
			if got := p.frame(4); got != "\x04PONGabc" {
				t.Errorf("heard %q, want a pong", got)
			}
			// A command may come between two parts.
			p.say([]byte("\x01\x02kv\x04\x05\x04PONG\x01\x08\x00\x00\x00\x00\x00\x00\x00\x05"))
			p.publish(batchOf(stored(1, 1)))
			stay(p)
		}}}
		s, l := follow(t, e, "", 4*time.Minute)
		if len(l.events) != 1 || s.Stats().Connects != 1 {
			t.Errorf("%d events in %d connections", len(l.events), s.Stats().Connects)
		}
	})
	synctest.Test(t, func(t *testing.T) { // 3.0 knows none, and may be silent
		e := &engine{scripts: []func(*publisher){func(p *publisher) {
			p.shake(0)
			time.Sleep(time.Hour)
			p.batch(1, stored(1, 1))
			stay(p)
		}}}
		if s, l := follow(t, e, "", 2*time.Hour); len(l.events) != 1 || s.Stats().Connects != 1 {
			t.Errorf("%d events, %+v", len(l.events), s.Stats())
		}
	})
}

// TestASlowConsumerStopsThePublisher: nothing is gathered here while an event is
// handled.
func TestASlowConsumerStopsThePublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		e := &engine{t: t, scripts: []func(*publisher){func(p *publisher) {
			p.shake(1)
			for i := range uint64(1000) {
				if _, err := p.Write(append([]byte{1, 0, 1, 8, 0, 0, 0, 0, 0, 0, byte(i >> 8), byte(i), 0, 255}, make([]byte, 255)...)); err != nil {
					return
				}
				sent.Add(1)
			}
		}}}
		s := New("engine:1", "", Options{Dial: e.dial, Chance: func() float64 { return 1 }, Lost: func(Lost) { time.Sleep(time.Second) }})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(10*time.Second + time.Millisecond)
		if most := int64(10 + 2 + chunk/269); sent.Load() > most {
			t.Errorf("%d messages are on their way after ten seconds, want %d at most", sent.Load(), most)
		}
		cancel()
		if err := <-done; err != nil || sent.Load() < 10 {
			t.Errorf("%d messages, error %v", sent.Load(), err)
		}
	})
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		conf Config
		want []string
		at   []string
	}{
		{Config{}, nil, nil},
		{Config{Endpoint: "tcp://10.0.0.7:5557", Topic: "kv"}, nil, []string{"10.0.0.7:5557"}},
		{Config{Endpoint: "engine:5557", Ranks: 2}, nil, []string{"engine:5557", "engine:5558"}},
		{Config{Endpoint: "tcp://[fd00::1]:5557"}, nil, []string{"[fd00::1]:5557"}},
		{Config{Topic: "kv"}, []string{"t.endpoint"}, nil},
		{Config{Endpoint: "tcp://*:5557", Ranks: 2}, nil, []string{"its.own:5557", "its.own:5558"}},
		{Config{Endpoint: "tcp://0.0.0.0:5557"}, []string{"t.endpoint"}, []string{"0.0.0.0:5557"}},
		{Config{Endpoint: "ipc:///tmp/kv"}, []string{"t.endpoint"}, nil},
		{Config{Endpoint: "tcp://engine"}, []string{"t.endpoint"}, nil},
		{Config{Endpoint: "tcp://engine:65535", Ranks: 2}, []string{"t.ranks"}, []string{"engine:65535", "engine:65536"}},
		{Config{Endpoint: "tcp://engine:1", Ranks: -1, Topic: strings.Repeat("x", 256)}, []string{"t.topic", "t.ranks"}, []string{"engine:1"}},
	} {
		var got []string
		c.conf.Validate("t", func(path, wrong, right string) {
			got = append(got, path)
			if wrong == "" || right == "" {
				t.Errorf("%+v: %s says %q, %q", c.conf, path, wrong, right)
			}
		})
		if at := c.conf.Addresses("its.own"); !slices.Equal(got, c.want) || !slices.Equal(at, c.at) {
			t.Errorf("%+v: reported %v at %v, want %v at %v", c.conf, got, at, c.want, c.at)
		}
	}
}
