package h1

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// Phase is the part of an exchange in which an error happened.
type Phase uint8

// The phases, in the order of an exchange.
const (
	PhaseRequest Phase = iota // the request was refused, nothing was dialed
	PhaseDial                 // opening the connection
	PhaseTLS                  // the TLS handshake
	PhaseWrite                // writing the request; no complete request arrived upstream
	PhaseHead                 // waiting for the response head, or a malformed one
	PhaseBody                 // reading the response body
)

// String is the phase as one lower-case word.
func (p Phase) String() string {
	names := [...]string{"request", "dial", "tls", "write", "head", "body"}
	if int(p) < len(names) {
		return names[p]
	}
	return "unknown"
}

// Error is every error of this package, except the io.EOF at the end of a
// complete body. It unwraps to its cause, so that errors.Is finds
// os.ErrDeadlineExceeded (a deadline or timeout given to this package passed),
// context.Canceled and context.DeadlineExceeded (the context ended),
// syscall.ECONNREFUSED and io.ErrUnexpectedEOF (the response was cut).
// Its text never contains a header value.
type Error struct {
	Phase   Phase
	Address string // host:port of the request
	Err     error
	// Stale says that a reused connection broke before a response byte came
	// and that the request was not replayed because the upstream may have
	// taken it.
	Stale bool
}

// Error says what failed and where.
func (e *Error) Error() string {
	s := "h1: " + e.Phase.String() + " " + e.Address + ": "
	if e.Stale {
		s += "reused connection broke before the response: "
	}
	return s + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether a deadline passed: one of this package or the context's.
func (e *Error) Timeout() bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](e.Err)
	return ok && t.Timeout()
}

// Malformed reports that the peer sent what is no response in HTTP/1.1, or more
// of one than is taken: as opposed to a connection that ended or failed. The
// text of the cause says what was amiss.
func (e *Error) Malformed() bool {
	if e.Phase != PhaseHead && e.Phase != PhaseBody || connectionBroke(e.Err) {
		return false
	}
	if _, is := errors.AsType[net.Error](e.Err); is {
		return false
	}
	return !errors.Is(e.Err, net.ErrClosed)
}

// cut turns the end of the stream in the middle of a message into
// io.ErrUnexpectedEOF, so that no cut response looks complete.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// connectionBroke reports whether err says that the peer ended the connection,
// as opposed to a deadline, a malformed message or a local close.
func connectionBroke(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		return false
	}
	for _, e := range []error{
		io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe,
		syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
