package credential

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// How a cell is refreshed.
const (
	refreshAhead = 5 * time.Minute  // before a token ends, at the latest
	refreshAt    = 0.8              // of a token's life, if that is earlier
	recheck      = time.Minute      // of a value that states no end
	fetchTime    = 15 * time.Second // for one fetch
	firstBackoff = time.Second      // after a fetch that failed; doubles
	mostBackoff  = time.Minute
)

// fetched is a value with the moment at which it ends; zero when it states none.
type fetched[T any] struct {
	value   T
	expires time.Time
}

// lease is a value in use.
type lease[T any] struct {
	fetched[T]
	got     time.Time
	refresh time.Time // from when on a newer one is looked for
}

// cell keeps a value that comes from elsewhere and ends: it is fetched by one
// goroutine at a time, ahead of its end, while callers go on with the old one. A
// fetch that fails leaves the old one in force until it really ends, and is
// tried again with a growing pause. It is safe for concurrent use.
type cell[T any] struct {
	fetch  func(ctx context.Context) (fetched[T], error)
	roll   func() float64            // in [0,1), for the jitter
	notice func(value *T, err error) // after each fetch, outside of the lock; nil is allowed
	have   atomic.Pointer[lease[T]]

	mu      sync.Mutex
	flight  chan struct{} // closed when the running fetch ends; nil when none runs
	err     error         // of the last fetch
	fails   int           // in a row
	retryAt time.Time
}

// get is the value as of now. It waits only when there is none that may be
// used, and then no longer than ctx.
func (c *cell[T]) get(ctx context.Context, now time.Time) (T, error) {
	if have := c.have.Load(); have != nil && now.Before(have.refresh) {
		return have.value, nil
	}
	flight, err := c.start(now)
	if have := c.have.Load(); have != nil && (have.expires.IsZero() || now.Before(have.expires)) {
		return have.value, nil
	}
	var none T
	if flight == nil {
		return none, err
	}
	select {
	case <-flight:
	case <-ctx.Done():
		return none, fmt.Errorf("the request ended before a credential could be had: %w", context.Cause(ctx))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if have := c.have.Load(); have != nil && c.err == nil {
		return have.value, nil
	}
	return none, c.err
}

// start begins a fetch unless one runs or the pause after the last one that
// failed is not over; then it returns no flight and that one's error.
func (c *cell[T]) start(now time.Time) (<-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if have := c.have.Load(); c.flight == nil && have != nil && now.Before(have.refresh) {
		done := make(chan struct{}) // another caller's fetch has just ended
		close(done)
		return done, nil
	}
	if c.flight == nil && now.Before(c.retryAt) {
		return nil, c.err
	}
	if c.flight == nil {
		c.flight = make(chan struct{})
		go c.run()
	}
	return c.flight, nil
}

// run is one fetch. It outlives the request that asked for it, because others
// may wait for it.
func (c *cell[T]) run() {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTime)
	defer cancel()
	got, err := c.guarded(ctx)
	c.settle(got, err, time.Now())
	if c.notice == nil {
		return
	}
	if err != nil {
		c.notice(nil, err)
		return
	}
	c.notice(&got.value, nil)
}

// guarded is fetch with a bug in a library confined to it.
func (c *cell[T]) guarded(ctx context.Context) (got fetched[T], err error) {
	defer func() {
		if bug := recover(); bug != nil {
			err = errors.New("a bug ended the fetch of the credential")
		}
	}()
	return c.fetch(ctx)
}

func (c *cell[T]) settle(got fetched[T], err error, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && !got.expires.IsZero() && !now.Before(got.expires) {
		err = fmt.Errorf("the identity endpoint gave a token that ended at %s; is this machine's clock right?", got.expires.UTC().Format(time.RFC3339))
	}
	if c.err = err; err != nil {
		pause := min(mostBackoff, firstBackoff<<min(c.fails, 10))
		c.fails++
		c.retryAt = now.Add(pause/2 + time.Duration(c.roll()*float64(pause/2)))
	} else {
		old := c.have.Load()
		next := &lease[T]{fetched: got, got: now, refresh: refreshTime(got.expires, now)}
		if old != nil && !got.expires.IsZero() && got.expires.Equal(old.expires) {
			// The endpoint keeps a token of its own and gave it once more.
			next.refresh = now.Add(max(got.expires.Sub(now)/2, time.Second))
		}
		c.have.Store(next)
		c.fails, c.retryAt = 0, time.Time{}
	}
	close(c.flight)
	c.flight = nil
}

// refreshTime is when a value that was got now is to be replaced.
func refreshTime(expires, now time.Time) time.Time {
	if expires.IsZero() {
		return now.Add(recheck)
	}
	life := expires.Sub(now)
	ahead := now.Add(time.Duration(float64(life) * refreshAt))
	if early := expires.Add(-refreshAhead); early.After(now) && early.Before(ahead) {
		return early
	}
	return ahead
}

// renew makes the next get look for a newer value although this one lives: it
// was refused. One that was just got stays: the refusal has another reason.
func (c *cell[T]) renew(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if have := c.have.Load(); have != nil && now.Before(have.refresh) && now.Sub(have.got) >= recheck {
		c.have.Store(&lease[T]{have.fetched, have.got, now})
	}
}

// status is the end of the value in use and what went wrong last.
func (c *cell[T]) status() (expires time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if have := c.have.Load(); have != nil {
		expires = have.expires
	}
	return expires, c.err
}
