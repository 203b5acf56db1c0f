package kvevents

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// publisher is the other end of a connection, written from the protocol's
// description and not with our own code.
type publisher struct {
	net.Conn
	r *bufio.Reader
	t *testing.T
}

// hello is a greeting of version 3.minor.
func hello(minor byte, mechanism string) []byte {
	g := append([]byte{0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, minor}, mechanism...)
	return append(g, make([]byte, 64-len(g))...)
}

const pubReady = "\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB"

// greet takes the subscriber's greeting and answers with one. The pipe between
// them holds nothing, so nobody speaks before the other one listens.
func (p *publisher) greet(answer []byte) {
	theirs := p.hear(64)
	if theirs[0] != 0xff || theirs[9] != 0x7f || theirs[10] != 3 || string(theirs[12:17]) != "NULL\x00" || theirs[32] != 0 {
		p.t.Errorf("the greeting is %x", theirs)
	}
	p.say(answer)
}

// meet greets and takes the subscriber's READY.
func (p *publisher) meet(minor byte) {
	p.greet(hello(minor, "NULL"))
	if got := p.frame(4); got != "\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB" {
		p.t.Errorf("READY is %q", got)
	}
}

// shake does all of the handshake and returns the topic that is asked for.
func (p *publisher) shake(minor byte) (topic string) {
	p.meet(minor)
	p.say([]byte(pubReady))
	if minor == 0 {
		got := p.frame(0)
		if got == "" || got[0] != 1 {
			p.t.Errorf("the subscription is %q", got)
			return ""
		}
		return got[1:]
	}
	got := p.frame(4)
	if len(got) < 10 || got[:10] != "\x09SUBSCRIBE" {
		p.t.Errorf("the subscription is %q", got)
		return ""
	}
	return got[10:]
}

func (p *publisher) say(b []byte) {
	if _, err := p.Write(b); err != nil {
		p.t.Logf("the subscriber is gone: %v", err)
	}
}

func (p *publisher) hear(n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(p.r, b); err != nil {
		p.t.Logf("the subscriber is gone: %v", err)
	}
	return b
}

// frame reads a short frame with these flags.
func (p *publisher) frame(flags byte) string {
	head := p.hear(2)
	if head[0] != flags {
		p.t.Errorf("a frame has the flags %x, want %x", head[0], flags)
	}
	return string(p.hear(int(head[1])))
}

// publish sends a message of parts, the last one as a long frame.
func (p *publisher) publish(parts ...[]byte) {
	var b []byte
	for i, part := range parts {
		if i < len(parts)-1 {
			b = append(b, 1, byte(len(part)))
		} else {
			b = binary.BigEndian.AppendUint64(append(b, 2), uint64(len(part)))
		}
		b = append(b, part...)
	}
	p.say(b)
}

func (p *publisher) batch(sequence uint64, events ...any) {
	p.publish([]byte("kv-events"), binary.BigEndian.AppendUint64(nil, sequence), batchOf(events...))
}

// engine is a Dial whose connections are served by the scripts in turn; when
// there is none left, it refuses.
type engine struct {
	t       *testing.T
	scripts []func(*publisher)
	dials   int
	at      []time.Time
	wg      sync.WaitGroup
}

func (e *engine) dial(context.Context, string, string) (net.Conn, error) {
	e.dials++
	e.at = append(e.at, time.Now())
	if len(e.scripts) == 0 {
		return nil, errors.New("refused")
	}
	script := e.scripts[0]
	e.scripts = e.scripts[1:]
	here, there := net.Pipe()
	e.wg.Go(func() {
		defer there.Close()
		script(&publisher{Conn: there, r: bufio.NewReader(there), t: e.t})
	})
	return here, nil
}

// log is what a subscriber told.
type log struct {
	batches, begun int
	events         []Event
	lost           []Lost
}

// follow runs a subscriber to an engine for some (virtual) time.
func follow(t *testing.T, e *engine, topic string, d time.Duration) (*Subscriber, *log) {
	t.Helper()
	e.t = t
	l := &log{}
	s := New("engine:5557", topic, Options{
		Dial:   e.dial,
		Event:  func(ev Event) { ev.Hashes, ev.TokenIDs = nil, nil; l.events = append(l.events, ev) },
		Batch:  func() { l.batches++ },
		Begun:  func() { l.begun += 1 + len(l.events) },
		Lost:   func(g Lost) { l.lost = append(l.lost, g) },
		Chance: func() float64 { return 1 },
	})
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
	e.wg.Wait()
	return s, l
}

// tape is a connection that says what is on it and ends.
type tape struct {
	net.Conn
	*bytes.Reader
}

func (t tape) Read(b []byte) (int, error)     { return t.Reader.Read(b) }
func (tape) Write(b []byte) (int, error)      { return len(b), nil }
func (tape) SetDeadline(time.Time) error      { return nil }
func (tape) SetReadDeadline(time.Time) error  { return nil }
func (tape) SetWriteDeadline(time.Time) error { return nil }

func FuzzStream(f *testing.F) {
	head := string(hello(1, "NULL")) + pubReady
	f.Add([]byte(head + "\x01\x02kv\x01\x08\x00\x00\x00\x00\x00\x00\x00\x05\x00\x01\xc0"))
	f.Add([]byte(head + "\x04\x0a\x04PING\x00\x10abc\x02\x00\x00\x00\x00\x00\x00\x00\x01x"))
	f.Add([]byte(head + "\x02\x00\x00\x00\x00\x00\x7f\xff\xffx"))
	f.Add([]byte(string(hello(0, "NULL")) + "\x04\x0b\x05ERROR\x04nope"))
	f.Fuzz(func(t *testing.T, b []byte) {
		z, err := subscribe(tape{Reader: bytes.NewReader(b)}, "kv")
		for total := 0; err == nil; {
			var parts [][]byte
			if parts, err = z.message(); err != nil {
				break
			}
			if len(parts) == 0 || len(parts) > mostParts {
				t.Fatalf("%d parts", len(parts))
			}
			for _, p := range parts {
				total += len(p)
			}
			if total > len(b) || cap(z.buf) > 4*(len(b)+chunk) {
				t.Fatalf("%d bytes became %d in %d bytes of memory", len(b), total, cap(z.buf))
			}
		}
	})
}
