package watch

import (
	"time"

	"tailplane/internal/engine"
)

// patience is how long an engine may stand still with work in it. Found out with
// two looks a second, it is left alone well within half a minute.
const patience = 20 * time.Second

// standstill sees whether an engine that has work moves. Work is a request in its
// batch, or requests that wait while nothing is in the batch; motion is any of
// the metrics that change with a token or a piece of a prompt. An answer that
// ends well here is motion, too: then it is the page that stands still.
//
// A long prompt that is computed in pieces moves, for it takes up cache.
type standstill struct {
	begun  bool
	motion uint64
	served uint64
	at     time.Time // of the last look
	since  time.Time // of the last motion, or of the beginning of the work
}

// see takes a look, and returns for how long there has been work and no motion;
// 0 where that cannot be said.
func (s *standstill) see(now time.Time, sample *engine.Sample, served uint64) time.Duration {
	known := sample.Moving && sample.Known.Has(engine.SignalRunning)
	work := known && (sample.Running > 0 || sample.Known.Has(engine.SignalWaiting) && sample.Waiting > 0)
	gap := now.Sub(s.at) > patience/2 // nobody looked: it may have moved in between
	if !work || !s.begun || gap || sample.Motion != s.motion || served != s.served {
		s.since = now
	}
	s.begun, s.motion, s.served, s.at = known, sample.Motion, served, now
	return now.Sub(s.since)
}
