//go:build linux

package main

import "time"

// timer says when a connection is due; a serial that is no longer the
// connection's own makes it void.
type timer struct {
	at     int64
	fd     int
	serial uint64
}

// queue is a binary heap of timers, the earliest first.
type queue []timer

func (q *queue) push(t timer) {
	*q = append(*q, t)
	h := *q
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if h[up].at <= h[i].at {
			return
		}
		h[up], h[i] = h[i], h[up]
		i = up
	}
}

// pop takes the earliest timer that is due at now.
func (q *queue) pop(now int64) (timer, bool) {
	h := *q
	if len(h) == 0 || h[0].at > now {
		return timer{}, false
	}
	first, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	*q = h
	for i := 0; ; {
		low := 2*i + 1
		if low >= len(h) {
			return first, true
		}
		if low+1 < len(h) && h[low+1].at < h[low].at {
			low++
		}
		if h[i].at <= h[low].at {
			return first, true
		}
		h[i], h[low] = h[low], h[i]
		i = low
	}
}

// wait is how long the loop may sleep from now.
func (q queue) wait(now int64) time.Duration {
	if len(q) == 0 {
		return idle
	}
	return min(idle, since(q[0].at, now))
}
