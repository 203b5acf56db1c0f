// Package kvevents listens to what an engine says of its prefix cache: which
// blocks it stored, which it removed, and that it cleared everything.
//
// It owns the subscription (ZMTP 3, as a SUB socket, over a dialer that it is
// given), the decoding of the batches that vLLM and SGLang publish, and how much of
// a cache they say is in use. It never asks an engine for anything else and never
// decides what an event means for routing: without the model's tokenizer blocks
// cannot be told to be somebody's prompt, so most consumers take [Held] and the
// clearings alone.
//
// What an engine sends is not trusted: every size is bounded, and what does not
// decode counts as lost.
//
// Start reading at [Subscriber]; zmtp.go is the protocol, batch.go the events.
package kvevents

import (
	"context"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"
)

const (
	firstPause = 250 * time.Millisecond
	mostPause  = 30 * time.Second
)

// Options are what a Subscriber works with. Dial is needed.
type Options struct {
	// Dial opens the connection.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Event takes each event in the order of publication. Its slices are valid
	// during the call only. While it works, nothing is read: a consumer that is
	// too slow makes the engine drop batches, which are then told as lost.
	Event func(Event)
	// Batch says that the events of a batch were all given.
	Batch func()
	// Begun says, before the first event of all, that nothing was published before it.
	Begun func()
	// Lost says that batches are missing before the next event, so that what is
	// believed of the engine's cache may be wrong.
	Lost func(Lost)
	Log  *slog.Logger
	// Chance is below one and spreads reconnections; nil is random.
	Chance func() float64
}

// Lost is a gap in what an engine published.
type Lost struct {
	// Batches that are missing, since the engine's start where it restarted.
	Batches uint64
	// Restarted says that the engine counts anew: its cache began empty.
	Restarted bool
}

// Stats counts since the start.
type Stats struct {
	Connected bool
	Connects  uint64
	Batches   uint64 // that were decoded
	Events    uint64
	Unknown   uint64 // events of kinds that are not known
	Malformed uint64 // messages that are no batch
	Lost      uint64 // batches
}

// Subscriber follows one publisher. Run is called once; Stats is safe for
// concurrent use.
type Subscriber struct {
	opt     Options
	address string
	topic   string
	decoder decoder
	order   order

	mu    sync.Mutex
	stats Stats
}

// New makes a subscriber to the publisher at an address, HOST:PORT, and to
// topics that begin so. It opens no connection.
func New(address, topic string, o Options) *Subscriber {
	if o.Event == nil {
		o.Event = func(Event) {}
	}
	if o.Batch == nil {
		o.Batch = func() {}
	}
	if o.Begun == nil {
		o.Begun = func() {}
	}
	if o.Lost == nil {
		o.Lost = func(Lost) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Chance == nil {
		o.Chance = rand.Float64
	}
	return &Subscriber{opt: o, address: address, topic: topic}
}

// Stats tells what happened so far.
func (s *Subscriber) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Run listens until the context ends, and returns nil then. A connection that is
// refused or lost is opened again, after a pause that doubles until one lasts or
// brings something.
func (s *Subscriber) Run(ctx context.Context) error {
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		before, began := s.Stats(), time.Now()
		err := s.listen(ctx)
		if ctx.Err() != nil {
			return nil
		}
		after := s.Stats()
		if after.Batches > before.Batches || after.Connects > before.Connects && time.Since(began) > mostPause {
			pause = firstPause
		}
		level := slog.LevelDebug
		if after.Connects > before.Connects || before.Connects == 0 && pause == firstPause {
			level = slog.LevelWarn // once for each outage
		}
		s.opt.Log.Log(ctx, level, "cache events: the connection ended", "publisher", s.address, "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Duration(s.opt.Chance() * float64(pause))):
		}
	}
}

// listen is one connection's life.
func (s *Subscriber) listen(ctx context.Context) error {
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	defer c.Close()
	z, err := subscribe(c, s.topic)
	if err != nil {
		return err
	}
	s.count(func(st *Stats) { st.Connected = true; st.Connects++ })
	defer s.count(func(st *Stats) { st.Connected = false })
	s.opt.Log.Info("cache events: subscribed", "publisher", s.address)
	for {
		parts, err := z.message()
		if err != nil {
			return err
		}
		s.take(parts)
	}
}

func (s *Subscriber) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.opt.Dial(ctx, "tcp", s.address)
}

// take handles a message: topic, sequence number and batch.
func (s *Subscriber) take(parts [][]byte) {
	if len(parts) != 3 || len(parts[1]) != 8 {
		s.count(func(st *Stats) { st.Malformed++ })
		return
	}
	if !strings.HasPrefix(string(parts[0]), s.topic) {
		return // a publisher that does not filter
	}
	n := binary.BigEndian.Uint64(parts[1])
	if n == 0 && !s.order.known {
		s.opt.Begun()
	}
	if gap := s.order.take(n); gap != (Lost{}) {
		s.lost(gap)
	}
	events, unknown, err := s.decoder.batch(parts[2])
	if err != nil {
		s.count(func(st *Stats) { st.Malformed++ })
		s.lost(Lost{Batches: 1})
		return
	}
	s.mu.Lock()
	s.stats.Batches++
	s.stats.Events += uint64(len(events))
	s.stats.Unknown += uint64(unknown)
	s.mu.Unlock()
	for _, e := range events {
		s.opt.Event(e)
	}
	s.opt.Batch()
}

func (s *Subscriber) lost(gap Lost) {
	s.mu.Lock()
	s.stats.Lost += gap.Batches
	s.mu.Unlock()
	s.opt.Lost(gap)
}

func (s *Subscriber) count(change func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.stats)
}

// order follows the sequence numbers of a publisher, which begin with zero when
// it starts.
type order struct {
	next  uint64
	known bool // a first one came
}

// take says what is missing before n. Nothing is before the first one that is
// ever heard: nobody believed anything yet.
func (o *order) take(n uint64) (gap Lost) {
	switch {
	case !o.known || n == o.next:
	case n > o.next:
		gap.Batches = n - o.next
	default:
		gap = Lost{Batches: n, Restarted: true}
	}
	o.next, o.known = n+1, true
	return gap
}
