package h1

import (
	"errors"
	"os"
	"time"
)

// Setting a deadline costs about as much as the look at a connection, and each
// request has a later one than the one before. So a read deadline that is set and
// passes before the one that holds is left as it is. A read that meets it sets the
// one that holds and goes on.

// setReadDeadline bounds reading from now on; the zero time is no bound.
func (cn *conn) setReadDeadline(t time.Time) error {
	cn.due = t
	if t.Equal(cn.until) || !cn.until.IsZero() && (t.IsZero() || t.After(cn.until)) {
		return nil
	}
	cn.until = t
	return cn.net.SetReadDeadline(t)
}

// early reports that err is a deadline that passed before the one that holds, which
// is set now: the read is to be repeated.
func (cn *conn) early(err error) bool {
	if err == nil || cn.until.Equal(cn.due) || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	cn.until = cn.due
	return cn.net.SetReadDeadline(cn.due) == nil
}

// setDeadline bounds reading and writing at once. A write cannot be repeated, so its
// deadline is set as it is.
func (cn *conn) setDeadline(t time.Time) {
	cn.due = t
	if t.IsZero() && cn.until.IsZero() && !cn.bounded {
		return
	}
	cn.until, cn.bounded = t, !t.IsZero()
	_ = cn.net.SetDeadline(t) // fails only on a closed connection, and so does the write
}
