// Package secret turns references to secrets into values that cannot be
// printed by accident.
//
// It owns the reference syntax of the config file (env:NAME, file:/path and
// those of secret stores), the reading and re-reading of the local ones, and the
// client of Vault. It never accepts a literal secret, never runs a program to
// get one, and never puts a value into an error. Stores that need a cloud's
// identity are read by a [Resolver] that the caller brings.
//
// Start reading at [Ref]. All types are safe for concurrent use.
package secret

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Value is a secret in memory. Every way of printing or marshalling it gives
// three asterisks; only Reveal gives the text.
type Value struct{ text string }

// Plain wraps a text that is known to be a secret.
func Plain(text string) Value { return Value{text} }

// Reveal returns the secret itself, for the wire and nothing else.
func (v Value) Reveal() string { return v.text }

// IsZero reports whether there is no secret.
func (v Value) IsZero() bool { return v.text == "" }

const masked = "***"

func (v Value) String() string               { return masked }
func (v Value) GoString() string             { return masked }
func (v Value) Format(s fmt.State, _ rune)   { _, _ = io.WriteString(s, masked) }
func (v Value) MarshalText() ([]byte, error) { return []byte(masked), nil }
func (v Value) LogValue() slog.Value         { return slog.StringValue(masked) }

// Hint is what may be shown of a secret so that its owner recognises it: the
// last four characters of one that is long enough.
func (v Value) Hint() string {
	if len(v.text) < 16 {
		return "..."
	}
	return "..." + v.text[len(v.text)-4:]
}

// recheck is how long a file's secret is used before the file is looked at
// again, so that a rotated secret takes effect without a restart.
const recheck = 5 * time.Second

// Source is a resolved reference that follows its file. A file that cannot be
// read any more keeps the last good value: a rotation that goes wrong must not
// take the service down.
type Source struct {
	ref Ref

	mu      sync.Mutex
	value   Value
	checked time.Time
	modTime time.Time
}

// Open resolves a local reference for the first time.
func (r Ref) Open(now time.Time) (*Source, error) {
	v, err := r.Resolve()
	if err != nil {
		return nil, err
	}
	s := &Source{ref: r, value: v, checked: now}
	if r.scheme == SchemeFile {
		if st, err := os.Stat(r.name); err == nil {
			s.modTime = st.ModTime()
		}
	}
	return s, nil
}

// Value is the secret as of now. A nil Source has no secret.
func (s *Source) Value(now time.Time) Value {
	if s == nil {
		return Value{}
	}
	if s.ref.scheme != SchemeFile {
		return s.value
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.checked) < recheck {
		return s.value
	}
	s.checked = now
	st, err := os.Stat(s.ref.name)
	if err != nil || st.ModTime().Equal(s.modTime) {
		return s.value
	}
	if v, err := s.ref.Resolve(); err == nil {
		s.value, s.modTime = v, st.ModTime()
	}
	return s.value
}
