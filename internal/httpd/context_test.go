package httpd

import (
	"context"
	"testing"
	"testing/synctest"
)

// A requestContext does what a context.WithCancel does, also for what is derived
// from it.
func TestRequestContextIsAContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, make := range map[string]func() (context.Context, func()){
			"ours": func() (context.Context, func()) { c := &requestContext{}; return c, c.cancel },
			"the standard library's": func() (context.Context, func()) {
				return context.WithCancel(context.Background())
			},
		} {
			ctx, cancel := make()
			child, stop := context.WithCancel(ctx)
			defer stop()
			ran, off := 0, 0
			context.AfterFunc(ctx, func() { ran++ })
			takeOff := context.AfterFunc(ctx, func() { off++ })
			if !takeOff() || takeOff() {
				t.Errorf("%s: taking a function off", name)
			}
			if ctx.Err() != nil || child.Err() != nil {
				t.Errorf("%s: ended before its end", name)
			}
			cancel()
			cancel()
			synctest.Wait()
			<-ctx.Done()
			if ctx.Err() != context.Canceled || child.Err() != context.Canceled || ran != 1 || off != 0 {
				t.Errorf("%s: %v, its child %v; functions ran %d and %d times", name, ctx.Err(), child.Err(), ran, off)
			}
			late := 0
			if context.AfterFunc(ctx, func() { late++ })() {
				t.Errorf("%s: a function was taken off after the end", name)
			}
			synctest.Wait()
			if late != 1 {
				t.Errorf("%s: a function that comes late ran %d times", name, late)
			}
		}
	})
}
