package telemetry

import (
	"bytes"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"tailplane/internal/wire"
)

// Log is the program's log: an slog.Logger, and the access line, of which there
// is one for each request. That line is written by hand in the form that slog's
// handlers have, because through slog it costs as much as reading a request.
type Log struct {
	*slog.Logger
	out   io.Writer
	json  bool
	lines sync.Pool // of *Line
}

// NewLog makes a log in the form "json" or, for every other word, text.
func NewLog(out io.Writer, format string, level slog.Leveler) *Log {
	opt := &slog.HandlerOptions{Level: level}
	l := &Log{out: out, json: format == "json"}
	if l.json {
		l.Logger = slog.New(slog.NewJSONHandler(out, opt))
	} else {
		l.Logger = slog.New(slog.NewTextHandler(out, opt))
	}
	l.lines.New = func() any { return &Line{log: l} }
	return l
}

// Line is one line that is being written. It is used by one goroutine, and not
// after Send.
type Line struct {
	log  *Log
	text []byte

	second int64  // the Unix second of which stamp is the text
	stamp  []byte // up to the second, in UTC
}

// Line begins a line; Send must follow. Its time is written to the millisecond,
// in UTC.
func (l *Log) Line(at time.Time, level slog.Level, message string) *Line {
	n := l.lines.Get().(*Line)
	if s := at.Unix(); s != n.second || len(n.stamp) == 0 {
		n.second = s
		n.stamp = at.UTC().AppendFormat(n.stamp[:0], "2006-01-02T15:04:05")
	}
	name := "INFO"
	if level != slog.LevelInfo {
		name = level.String()
	}
	milli := at.Nanosecond() / int(time.Millisecond)
	if l.json {
		n.text = append(append(n.text[:0], `{"time":"`...), n.stamp...)
		n.text = append(n.text, '.', byte('0'+milli/100), byte('0'+milli/10%10), byte('0'+milli%10), 'Z', '"')
	} else {
		n.text = append(append(n.text[:0], "time="...), n.stamp...)
		n.text = append(n.text, '.', byte('0'+milli/100), byte('0'+milli/10%10), byte('0'+milli%10), 'Z')
	}
	n.Text("level", name)
	n.Text("msg", message)
	return n
}

// Send writes the line.
func (n *Line) Send() {
	if n.log.json {
		n.text = append(n.text, '}')
	}
	n.text = append(n.text, '\n')
	_, _ = n.log.out.Write(n.text) // where errors are told cannot tell its own
	n.log.lines.Put(n)
}

// key begins a member. Keys are plain words.
func (n *Line) key(key string) {
	if n.log.json {
		n.text = append(append(append(n.text, `,"`...), key...), `":`...)
		return
	}
	n.text = append(append(append(n.text, ' '), key...), '=')
}

// Text adds a text.
func (n *Line) Text(key, value string) {
	n.key(key)
	switch {
	case n.log.json:
		n.text = wire.AppendString(n.text, value)
	case plain(value):
		n.text = append(n.text, value...)
	default:
		n.text = strconv.AppendQuote(n.text, value)
	}
}

// plain reports whether slog's text form writes s without quotes.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= utf8.RuneSelf || c == '"' || c == '=' {
			return c >= utf8.RuneSelf && printable(s)
		}
	}
	return s != ""
}

// printable is plain for a text with characters beyond ASCII.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r == '"' || r == '=' || r == utf8.RuneError || unicode.IsSpace(r) || r >= utf8.RuneSelf && !unicode.IsPrint(r)
	})
}

// Int adds a number.
func (n *Line) Int(key string, value int64) {
	n.key(key)
	n.text = strconv.AppendInt(n.text, value, 10)
}

// Bool adds a truth.
func (n *Line) Bool(key string, value bool) {
	n.key(key)
	n.text = strconv.AppendBool(n.text, value)
}

// Duration adds a duration: in nanoseconds as JSON, else as time.Duration writes
// it.
func (n *Line) Duration(key string, d time.Duration) {
	n.key(key)
	if n.log.json {
		n.text = strconv.AppendInt(n.text, int64(d), 10)
		return
	}
	n.text = appendDuration(n.text, d)
}

// appendDuration appends d.String() without memory of its own below a minute.
func appendDuration(b []byte, d time.Duration) []byte {
	unit, scale := "ns", time.Nanosecond
	switch {
	case d == 0:
		return append(b, "0s"...)
	case d < 0 || d >= time.Minute:
		return append(b, d.String()...)
	case d >= time.Second:
		unit, scale = "s", time.Second
	case d >= time.Millisecond:
		unit, scale = "ms", time.Millisecond
	case d >= time.Microsecond:
		unit, scale = "µs", time.Microsecond
	}
	b = strconv.AppendInt(b, int64(d/scale), 10)
	if rest := int64(d % scale); rest != 0 {
		// The fraction has as many digits as the unit is wide: the one before it
		// keeps its leading zeros.
		from := len(b)
		b = strconv.AppendInt(b, int64(scale)+rest, 10)
		b[from] = '.'
		b = bytes.TrimRight(b, "0")
	}
	return append(b, unit...)
}
