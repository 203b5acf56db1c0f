package httpd

import (
	"context"
	"sync"
	"time"
)

// requestContext is the context of one request. It ends when the client has
// left or the handler has returned. It is what context.WithCancel would make,
// but what is done with the context of most requests, to hang one function on
// it and take that off again, needs no map and no further context.
//
// It has no deadline and no values. It is made for each request and never used
// again: whoever keeps it finds it ended.
type requestContext struct {
	mu    sync.Mutex
	done  chan struct{} // made when it is asked for
	err   error
	hooks []hook
	first [1]hook // what hooks begins in
	last  int     // the number of the last hook
	kept  *any
	of    *exchange // which may serve another request by now
}

// hook is a function that runs when the context ends.
type hook struct {
	number int
	run    func()
}

// Deadline implements context.Context; there is none.
func (c *requestContext) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value implements context.Context; there is none.
func (c *requestContext) Value(any) any { return nil }

// Kept is a place for what a handler has read out of the head: a request with the
// same head, but for the length of the body, finds it there when it comes next on the
// same connection. It is nil for a head that was parsed, and belongs to the handler
// until that returns.
func (c *requestContext) Kept() *any { return c.kept }

// Done implements context.Context.
func (c *requestContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
	}
	return c.done
}

// Err implements context.Context.
func (c *requestContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// AfterFunc runs f in a goroutine of its own when the context ends, at once if
// it has. stop takes f off and reports whether that was in time. Package context
// finds this method, for contexts that are derived from this one, too.
func (c *requestContext) AfterFunc(f func()) (stop func() bool) {
	number := c.Hook(f)
	return func() bool { return c.Unhook(number) }
}

// Hook is AfterFunc for callers that take the function off by its number.
func (c *requestContext) Hook(run func()) (number int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	switch {
	case c.err != nil:
		go run()
	case c.hooks == nil:
		c.first[0] = hook{c.last, run}
		c.hooks = c.first[:]
	default:
		c.hooks = append(c.hooks, hook{c.last, run})
	}
	return c.last
}

// Unhook takes a function off and reports whether that was in time.
func (c *requestContext) Unhook(number int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.hooks {
		if c.hooks[i].number == number {
			last := len(c.hooks) - 1
			c.hooks[i], c.hooks[last] = c.hooks[last], hook{}
			c.hooks = c.hooks[:last]
			return true
		}
	}
	return false
}

// cancel ends the context. A second call does nothing.
func (c *requestContext) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = context.Canceled
	if c.done != nil {
		close(c.done)
	}
	for _, h := range c.hooks {
		go h.run()
	}
	c.hooks = nil
}
