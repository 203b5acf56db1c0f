package credential

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// endpoint is an identity endpoint that can be switched off. Its tokens are the
// numbers of its calls.
type endpoint struct {
	calls  atomic.Int64
	broken atomic.Bool
	life   time.Duration // 0: they state no end
	takes  time.Duration
}

var errDown = errors.New("the endpoint is down")

func (e *endpoint) fetch(ctx context.Context) (fetched[int64], error) {
	n := e.calls.Add(1)
	select {
	case <-time.After(e.takes):
	case <-ctx.Done():
		return fetched[int64]{}, ctx.Err()
	}
	if e.broken.Load() {
		return fetched[int64]{}, errDown
	}
	f := fetched[int64]{value: n}
	if e.life > 0 {
		f.expires = time.Now().Add(e.life)
	}
	return f, nil
}

func newCell(e *endpoint) *cell[int64] {
	return &cell[int64]{fetch: e.fetch, roll: func() float64 { return 0 }}
}

// TestOneFetchServesEverybody: a hundred callers at once, one fetch.
func TestOneFetchServesEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{life: time.Hour, takes: time.Second}
		c := newCell(e)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if v, err := c.get(t.Context(), time.Now()); v != 1 || err != nil {
					t.Errorf("%d, %v", v, err)
				}
			})
		}
		wg.Wait()
		if n := e.calls.Load(); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

// TestATokenIsReplacedAheadOfItsEnd: at 80 percent of its life or five minutes
// before its end, whichever is earlier, and nobody waits for that.
func TestATokenIsReplacedAheadOfItsEnd(t *testing.T) {
	cases := []struct{ life, refresh time.Duration }{
		{time.Hour, 48 * time.Minute},
		{10 * time.Minute, 5 * time.Minute},
		{4 * time.Minute, 192 * time.Second},
		{0, time.Minute},
	}
	for _, k := range cases {
		synctest.Test(t, func(t *testing.T) {
			e := &endpoint{life: k.life, takes: time.Second}
			c := newCell(e)
			if _, err := c.get(t.Context(), time.Now()); err != nil {
				t.Fatal(err)
			}
			got := time.Now()
			time.Sleep(k.refresh - time.Millisecond)
			if _, _ = c.get(t.Context(), time.Now()); e.calls.Load() != 1 {
				t.Errorf("life %v: replaced too early", k.life)
			}
			time.Sleep(time.Millisecond)
			before := time.Now()
			if v, err := c.get(t.Context(), time.Now()); v != 1 || err != nil || !time.Now().Equal(before) {
				t.Errorf("life %v: %d, %v after %v: the old one is to be used at once", k.life, v, err, time.Since(before))
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if v, _ := c.get(t.Context(), time.Now()); v != 2 {
				t.Errorf("life %v: still token %d after %v", k.life, v, time.Since(got))
			}
		})
	}
}

// TestAFailingEndpointIsSurvivedWhileTheOldTokenLives, and is asked with growing
// pauses; after that the error is the endpoint's own, at once.
func TestAFailingEndpointIsSurvivedWhileTheOldTokenLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{life: time.Hour}
		c := newCell(e)
		if _, err := c.get(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		e.broken.Store(true)
		end := time.Now().Add(time.Hour)
		for time.Now().Before(end) {
			if v, err := c.get(t.Context(), time.Now()); v != 1 || err != nil {
				t.Fatalf("%v before its end: %d, %v", time.Until(end), v, err)
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		calls := e.calls.Load()
		if calls < 10 || calls > 40 { // 12 minutes: 1 2 4 ... 60 s, halved by the roll
			t.Errorf("%d fetches in 12 minutes", calls)
		}
		for range 1000 { // its requests do not wait, and do not hammer
			if _, err := c.get(t.Context(), time.Now()); !errors.Is(err, errDown) {
				t.Fatalf("after its end: %v", err)
			}
		}
		if n := e.calls.Load() - calls; n > 1 {
			t.Errorf("%d fetches at once", n)
		}
		e.broken.Store(false)
		time.Sleep(mostBackoff)
		if v, err := c.get(t.Context(), time.Now()); v == 0 || err != nil {
			t.Errorf("the endpoint is well again: %d, %v", v, err)
		}
		if _, err := c.status(); err != nil {
			t.Errorf("the error stays: %v", err)
		}
	})
}

// TestACallerThatLeavesDoesNotEndTheFetch of the others.
func TestACallerThatLeavesDoesNotEndTheFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{life: time.Hour, takes: 3 * time.Second}
		c := newCell(e)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.get(ctx, time.Now()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		time.Sleep(2 * time.Second)
		if v, err := c.get(t.Context(), time.Now()); v != 1 || err != nil || e.calls.Load() != 1 {
			t.Errorf("%d, %v, %d fetches", v, err, e.calls.Load())
		}
	})
}

// TestAnEndpointThatHangsIsGivenUp after its time, and a bug in a library is an
// error.
func TestAnEndpointThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{takes: time.Hour}
		begin := time.Now()
		if _, err := newCell(e).get(t.Context(), begin); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != fetchTime {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		c := &cell[int64]{roll: func() float64 { return 0 }, fetch: func(context.Context) (fetched[int64], error) { panic("x") }}
		if _, err := c.get(t.Context(), time.Now()); err == nil || !strings.Contains(err.Error(), "bug") {
			t.Error(err)
		}
	})
}

// TestARefusedTokenIsRenewed although it lives.
func TestARefusedTokenIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{life: time.Hour}
		c := newCell(e)
		_, _ = c.get(t.Context(), time.Now())
		c.renew(time.Now()) // it was just got
		time.Sleep(recheck)
		if _, _ = c.get(t.Context(), time.Now()); e.calls.Load() != 1 {
			t.Error("a new token is renewed at once")
		}
		c.renew(time.Now())
		_, _ = c.get(t.Context(), time.Now())
		synctest.Wait()
		if v, _ := c.get(t.Context(), time.Now()); v != 2 {
			t.Errorf("token %d", v)
		}
	})
}

// TestATokenThatIsOverIsNone: a clock that is off is named.
func TestATokenThatIsOverIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cell[int64]{roll: func() float64 { return 0 }, fetch: func(context.Context) (fetched[int64], error) {
			return fetched[int64]{1, time.Now().Add(-10 * time.Minute)}, nil
		}}
		if _, err := c.get(t.Context(), time.Now()); err == nil || !strings.Contains(err.Error(), "clock") {
			t.Error(err)
		}
	})
}
