// Package secret turns references to secrets into values that cannot be
// printed by accident.
//
// It owns the reference syntax of the config file (env:NAME, file:/path) and
// the reading and re-reading behind it. It never accepts a literal secret, never
// runs a program to get one, and never puts a value into an error.
//
// Start reading at [Ref]. All types are safe for concurrent use.
package secret

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
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

// Ref is a reference to a secret. It is safe to print: it names the place and
// not the secret. The zero Ref refers to nothing.
type Ref struct{ scheme, name string }

// The schemes.
const (
	schemeEnv  = "env"
	schemeFile = "file"
)

// Parse reads a reference. Its errors never contain the text, which may be the
// secret itself.
func Parse(text string) (Ref, error) {
	scheme, name, found := strings.Cut(text, ":")
	if !found || (scheme != schemeEnv && scheme != schemeFile) {
		return Ref{}, errors.New("a secret must be a reference, never the secret itself; write env:NAME or file:/path")
	}
	if name == "" {
		return Ref{}, fmt.Errorf("%s: names nothing; write env:NAME or file:/path", scheme)
	}
	return Ref{scheme, name}, nil
}

// Env is the reference to an environment variable.
func Env(name string) Ref { return Ref{schemeEnv, name} }

// IsZero reports whether r refers to nothing.
func (r Ref) IsZero() bool { return r.scheme == "" }

// String gives the reference as it is written in the config.
func (r Ref) String() string {
	if r.IsZero() {
		return ""
	}
	return r.scheme + ":" + r.name
}

// UnmarshalText parses a reference.
func (r *Ref) UnmarshalText(text []byte) error {
	ref, err := Parse(string(text))
	*r = ref
	return err
}

// MarshalText gives the reference.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Resolve reads the secret now. White space around it is cut: editors and
// `echo` add a newline to files.
func (r Ref) Resolve() (Value, error) {
	var text string
	switch r.scheme {
	case schemeEnv:
		text = os.Getenv(r.name)
		if text == "" {
			return Value{}, fmt.Errorf("environment variable %s is not set", r.name)
		}
	case schemeFile:
		raw, err := os.ReadFile(r.name)
		if err != nil {
			return Value{}, err
		}
		text = string(raw)
	default:
		return Value{}, errors.New("no secret is referred to")
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return Value{}, fmt.Errorf("%s is empty", r)
	}
	if strings.ContainsAny(text, "\r\n\x00") {
		return Value{}, fmt.Errorf("%s holds more than one line; a secret is one line", r)
	}
	return Value{text}, nil
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

// Open resolves the reference for the first time.
func (r Ref) Open(now time.Time) (*Source, error) {
	v, err := r.Resolve()
	if err != nil {
		return nil, err
	}
	s := &Source{ref: r, value: v, checked: now}
	if r.scheme == schemeFile {
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
	if s.ref.scheme != schemeFile {
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
