//go:build linux

package main

import (
	"time"

	"tailplane/bench/internal/proc"
	"tailplane/bench/internal/sock"
)

// closed keeps one request on every connection, measures the window, and lets
// what is under way come to its end.
func (l *loader) closed(end int64) error {
	if err := l.connect(end); err != nil {
		return err
	}
	l.again = true
	l.sendAll()
	if err := l.pass(l.opt.warmup, end); err != nil {
		return err
	}
	begin := l.reading()
	l.inside = true
	if err := l.pass(l.opt.duration, end); err != nil {
		return err
	}
	l.fill(begin, l.reading())
	l.inside, l.again = false, false
	return l.until(end, func() bool { return l.flying == 0 })
}

func (l *loader) sendAll() {
	free := l.free
	l.free = nil
	for _, c := range free {
		l.send(c, l.clock())
	}
}

// pass lets d go by; a loop whose every connection is lost ends early.
func (l *loader) pass(d time.Duration, end int64) error {
	stop := min(l.clock()+int64(d), end)
	return l.until(stop+int64(time.Second), func() bool { return l.clock() >= stop || l.dead == len(l.all) })
}

// open sends at a fixed rate. A latency counts from the time the request was
// due, whether or not a connection was free then, so that a stall is charged
// to all who would have met it.
func (l *loader) open(end int64) error {
	if err := l.connect(end); err != nil {
		return err
	}
	alarm, err := sock.Alarm()
	if err != nil {
		return err
	}
	defer sock.Close(alarm)
	if err := l.poll.Add(alarm, sock.In); err != nil {
		return err
	}
	gap := 1e9 / l.opt.rate
	start := l.clock()
	opens, closes := start+int64(l.opt.warmup), start+int64(l.opt.warmup+l.opt.duration)
	var begin window
	sent := 0
	for {
		now := l.clock()
		if !l.inside && now >= opens {
			l.inside, begin = true, l.reading()
		}
		if now >= closes || l.dead == len(l.all) || now >= end {
			break
		}
		due := start + int64(float64(sent)*gap)
		for due <= now && len(l.free) > 0 {
			c := l.free[len(l.free)-1]
			l.free = l.free[:len(l.free)-1]
			if l.conns[c.fd] != c {
				continue
			}
			l.send(c, due)
			sent++
			due = start + int64(float64(sent)*gap)
		}
		// The loop sleeps to the nanosecond: polling would take the core that
		// the mock needs.
		wake := closes
		if len(l.free) > 0 {
			wake = min(wake, due)
		}
		sock.SetAlarm(alarm, wake)
		if err := l.turn(10 * time.Millisecond); err != nil {
			return err
		}
	}
	l.fill(begin, l.reading())
	l.result.Late = max(0, int64(l.opt.rate*(l.opt.warmup+l.opt.duration).Seconds())-int64(sent))
	l.inside = false
	return l.until(end, func() bool { return l.flying == 0 })
}

// streams starts all streams, spread over the warm-up so that their events are
// too, opens the window when each has had an event, and closes it at the
// first stream's end; then all must end whole.
func (l *loader) streams(end int64) error {
	if err := l.connect(end); err != nil {
		return err
	}
	if err := l.spread(l.opt.warmup, end); err != nil {
		return err
	}
	if err := l.until(end, func() bool { return l.begun+l.over >= l.opt.conns }); err != nil {
		return err
	}
	begin := l.reading()
	l.inside = true
	stop := min(l.clock()+int64(l.opt.duration), end)
	if err := l.until(end, func() bool { return l.over > 0 || l.clock() >= stop }); err != nil {
		return err
	}
	l.fill(begin, l.reading())
	l.inside = false
	return l.until(end, func() bool { return l.flying == 0 })
}

func (l *loader) spread(over time.Duration, end int64) error {
	free := l.free
	l.free = nil
	start, n := l.clock(), int64(len(free))
	for i, c := range free {
		due := start + int64(i)*int64(over)/n
		if err := l.until(end, func() bool { return l.clock() >= due }); err != nil {
			return err
		}
		if l.conns[c.fd] == c {
			l.send(c, l.clock())
		}
	}
	return nil
}

// settle is how long memory is given to come to rest before a reading.
const settle = time.Second

// memory reads the memory of the processes before, with every connection idle
// after one small answer, and with a live stream on each.
func (l *loader) memory(end int64) error {
	l.result.Before = proc.MemoryOf(l.tree)
	if err := l.connect(end); err != nil {
		return err
	}
	l.request = l.plain
	if err := l.spread(l.opt.warmup, end); err != nil {
		return err
	}
	if err := l.until(end, func() bool { return l.flying == 0 }); err != nil {
		return err
	}
	if err := l.pass(settle, end); err != nil {
		return err
	}
	l.result.Idle = proc.MemoryOf(l.tree)
	l.request = l.order
	if err := l.spread(l.opt.warmup, end); err != nil {
		return err
	}
	if err := l.until(end, func() bool { return l.begun >= l.opt.conns || l.over > l.opt.conns || l.dead > 0 }); err != nil {
		return err
	}
	if err := l.pass(settle, end); err != nil {
		return err
	}
	l.result.Live = proc.MemoryOf(l.tree)
	l.result.Streams = int64(l.flying)
	l.hangUp()
	return nil
}

// breaking runs streams that do not end well: in mode leave this side goes after
// a few events, in mode cut the upstream does.
func (l *loader) breaking(end int64) error {
	if err := l.connect(end); err != nil {
		return err
	}
	l.sendAll()
	left := 0
	err := l.until(end, func() bool {
		if l.opt.mode == "leave" {
			for _, c := range l.all {
				if c.busy && c.got >= l.opt.leave {
					l.leave(c, left)
					left++
				}
			}
		}
		return l.flying == 0
	})
	l.result.Units = int64(left)
	return err
}

// leave goes by FIN and RST in turn.
func (l *loader) leave(c *conn, n int) {
	c.busy = false
	l.flying--
	l.conns[c.fd] = nil
	if n%2 == 0 {
		sock.Close(c.fd)
		return
	}
	sock.Reset(c.fd)
}

func (l *loader) hangUp() {
	for _, c := range l.all {
		if l.conns[c.fd] == c {
			l.conns[c.fd] = nil
			sock.Close(c.fd)
		}
	}
	l.flying = 0
}
