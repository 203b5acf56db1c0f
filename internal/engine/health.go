package engine

import (
	"bytes"
	"net/http"
)

// Proof is what a good answer to a health check proves.
type Proof uint8

// The proofs, each with what those before it say.
const (
	ProcessUp   Proof = iota // a process answers; what computes may hang
	ModelLoaded              // the model is in place
	Generates                // it has just generated a token, or is busy
)

// Check is a health check.
type Check struct {
	Path   string
	Proves Proof
	// Sick is what a body says when a good status is not meant.
	Sick string
}

// Health is what an answer to a check says.
type Health uint8

// The healths.
const (
	NoCheck  Health = iota // there is no such check at this server
	Ready                  // it serves
	NotReady               // it is there, and says that it does not serve: it loads, or it stops
	Sick                   // it says that it is broken, or says nothing that makes sense
)

// String is the word for people and metrics.
func (h Health) String() string { return [...]string{"no check", "ready", "not ready", "sick"}[h] }

// Judge says what an answer to a check means.
func (c Check) Judge(status int, body []byte) Health {
	switch {
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status == http.StatusNotImplemented,
		status == http.StatusUnauthorized, status == http.StatusForbidden:
		return NoCheck
	case status == http.StatusServiceUnavailable:
		return NotReady
	case status/100 == 2 && c.Sick != "" && bytes.Contains(body, []byte(c.Sick)):
		return NotReady
	case status/100 == 2, status == http.StatusTooManyRequests: // it has no room, and is well
		return Ready
	}
	return Sick
}
