package h1

import (
	"slices"
	"time"
)

// When a pooled connection turns out to be dead, the request may be sent again
// once on a fresh one. A generation that runs twice is paid twice, so the rule
// is narrow. In order:
//
//  1. A pooled connection is looked at before it is used (alive_unix.go). If
//     the close has arrived by then, nothing was sent and another connection
//     is taken: this is no replay.
//  2. Nothing is replayed on a connection that was not reused, after a
//     response byte, or for any failure but a connection ended by the peer. In
//     particular a deadline or a malformed response is never replayed.
//  3. If the write did not complete, no complete request reached the upstream,
//     and a body of declared length that ends early cannot be acted upon: it is
//     replayed whatever the method is.
//  4. If the write completed and the method is idempotent (RFC 9110 9.2.2), it
//     is replayed.
//  5. If the write completed and the method is not idempotent (every
//     generation is a POST), the close either crossed the request on the wire,
//     or the upstream took the request and died. In the first case the close
//     or the reset comes back within one round trip. So the request is
//     replayed if the end came within staleWindow of the end of the write, and
//     reported with Stale otherwise.
//
// The risk that remains in 5: an upstream that reads a POST, starts to work and
// closes without a byte within staleWindow has the work done twice. What is
// lost is bounded by what can be generated in that time. net/http does not
// take this risk; but its caller would have to answer the idle close of a
// healthy upstream with an error or with a retry that risks the same without
// the bound.

// staleWindow is longer than a round trip around the earth with one
// retransmission, and shorter than most first tokens.
const staleWindow = 500 * time.Millisecond

// failure says how an exchange ended without a response.
type failure struct {
	phase    Phase
	err      error
	stale    bool // the connection could not be used, and nothing was sent
	reused   bool
	broken   bool          // the peer ended the connection
	answered bool          // at least one response byte came
	written  bool          // the request was written completely
	after    time.Duration // from the end of the write to the failure
}

// replayable is the rule above.
func (f *failure) replayable(method string) bool {
	switch {
	case !f.reused || !f.broken || f.answered:
		return false
	case !f.written:
		return true
	case slices.Contains([]string{"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}, method):
		return true
	}
	return f.after <= staleWindow
}
