package discover

import (
	"slices"
	"time"
)

// held is what is believed of one source. It is changed by the source's own
// goroutine; time is an argument.
//
// An answer is believed, with one exception: that no replica is usable any more,
// when some were, only after it has been said for a while. A cluster that loses
// its readiness probes, a resolver that has just started and a list that is
// written anew all look like that, and the replicas are there all the same. A
// failure changes nothing: the last answer stays, however old it gets.
type held struct {
	endpoints []Endpoint
	answered  bool
	good      time.Time // when the last answer without an error came
	dropped   int       // endpoints beyond what is kept, in the last answer

	failures int // in a row
	failed   uint64
	why      error // of the last failure in the row

	doubted []Endpoint // the answer that is not believed yet
	doubt   time.Time  // since when; zero = there is none
}

// take takes an answer and reports whether what is believed has changed.
func (h *held) take(a Answer, grace time.Duration) bool {
	if a.Err != nil {
		h.failures++
		h.failed++
		h.why = a.Err
		return false
	}
	h.failures, h.why, h.good = 0, nil, a.At
	list, dropped := sorted(a.Endpoints)
	h.dropped = dropped
	if h.answered && none(list) && !none(h.endpoints) {
		h.doubted = list
		if h.doubt.IsZero() {
			h.doubt = a.At
		}
		return h.expire(a.At, grace)
	}
	return h.believe(list)
}

// expire believes a doubted answer that has been said for long enough, and
// reports whether it did.
func (h *held) expire(now time.Time, grace time.Duration) bool {
	if h.doubt.IsZero() || now.Sub(h.doubt) < grace {
		return false
	}
	return h.believe(h.doubted)
}

func (h *held) believe(list []Endpoint) bool {
	changed := !h.answered || !slices.EqualFunc(h.endpoints, list, Endpoint.equal)
	h.answered, h.endpoints, h.doubted, h.doubt = true, list, nil, time.Time{}
	return changed
}

// none reports whether no endpoint is usable.
func none(list []Endpoint) bool { return !slices.Contains(usable(list), true) }
