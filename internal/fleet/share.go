package fleet

import (
	"sync"
	"time"
)

// Share divides the time of a target among the requests in flight there: at each
// moment every one of them uses an equal part of it. What the requests of a
// target use adds up to the time in which it had any, to the nanosecond: nothing
// is counted twice, and what is not counted is idle time.
//
// It is a clock that runs at the speed 1/n while n requests are in flight
// (processor sharing), so that joining and leaving cost the same however many
// there are. The zero Share is ready; it is safe for concurrent use.
type Share struct {
	mu   sync.Mutex
	n    int64
	at   time.Time
	now  int64         // of the clock, in nanoseconds
	rest int64         // nanoseconds of the target that n did not divide evenly
	mean time.Duration // of what requests used, recent ones more
}

// Join begins a request; Leave takes what it returns.
func (s *Share) Join(now time.Time) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run(now)
	s.n++
	return s.now
}

// Leave ends a request that joined at mark, and returns the time of the target
// that it used.
func (s *Share) Leave(now time.Time, mark int64) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run(now)
	s.n--
	used := time.Duration(s.now - mark)
	s.mean += (used - s.mean) / 16
	return used
}

// Typical is what a request uses of the target's time, lately.
func (s *Share) Typical() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mean
}

// run moves the clock to a moment; one that lies before the last is the last.
func (s *Share) run(now time.Time) {
	if s.n == 0 {
		s.at = now
		return
	}
	passed := now.Sub(s.at)
	if passed <= 0 {
		return
	}
	s.at = now
	s.rest += int64(passed)
	s.now += s.rest / s.n
	s.rest %= s.n
}
