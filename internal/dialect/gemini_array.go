package dialect

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"tailplane/internal/wire"
)

// :streamGenerateContent answers with one JSON array of chunks unless it is
// asked for alt=sse. That is another frame for the same chunks:
// [GeminiArrayReader] turns the array into server-sent events, and
// [GeminiArrayWriter] the events into the array.

// GeminiArrayReader reads an answer in either frame as server-sent events. An
// array that ends before its bracket ends with io.ErrUnexpectedEOF. It reads
// from its source once for each Read, holds no more than that read gave, and is
// used by one goroutine.
type GeminiArrayReader struct {
	src   io.Reader
	buf   []byte // events that the caller has not read
	raw   []byte // the memory of a read
	err   error
	mode  geminiFrame
	depth int
	text  bool // inside a string
	slash bool // behind a backslash
}

// geminiFrame is what a GeminiArrayReader knows of its source.
type geminiFrame uint8

const (
	geminiUnknown geminiFrame = iota
	geminiSSE
	geminiArray
	geminiClosed // behind the array
)

// errArrayTail says that something follows the array.
var errArrayTail = errors.New("the stream goes on behind its JSON array")

// NewGeminiArrayReader reads from r.
func NewGeminiArrayReader(r io.Reader) *GeminiArrayReader { return &GeminiArrayReader{src: r} }

// Read implements io.Reader.
func (r *GeminiArrayReader) Read(p []byte) (int, error) {
	for len(r.buf) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if r.mode == geminiSSE {
			return r.src.Read(p)
		}
		if r.raw == nil {
			r.raw = make([]byte, 4<<10)
		}
		n, err := r.src.Read(r.raw[:min(len(r.raw), max(len(p), 1))])
		r.take(r.raw[:n])
		if err == io.EOF && r.mode == geminiArray {
			err = io.ErrUnexpectedEOF
		}
		if r.err == nil {
			r.err = err
		}
	}
	n := copy(p, r.buf)
	r.buf = r.buf[n:]
	return n, nil
}

// take turns bytes of the source into events.
func (r *GeminiArrayReader) take(raw []byte) {
	r.buf = r.buf[:0]
	for i, c := range raw {
		switch r.mode {
		case geminiUnknown:
			if isSpace(c) || strings.IndexByte("\xEF\xBB\xBF", c) >= 0 { // a byte order mark
				continue
			}
			if c != '[' {
				r.mode = geminiSSE
				r.buf = append(r.buf, raw[i:]...)
				return
			}
			r.mode = geminiArray
		case geminiArray:
			r.inArray(c)
		case geminiClosed:
			if !isSpace(c) {
				r.err = errArrayTail
				return
			}
		}
	}
}

// inArray takes a byte of the array. Line ends inside an element are white
// space there, which a data line cannot hold.
func (r *GeminiArrayReader) inArray(c byte) {
	switch {
	case r.text:
		r.text = c != '"' || r.slash
		r.slash = c == '\\' && !r.slash
	case c == '"':
		r.text = true
	case c == '{' || c == '[':
		if r.depth == 0 {
			r.buf = append(r.buf, "data: "...)
		}
		r.depth++
	case c == '}' || c == ']':
		if r.depth == 0 {
			r.mode = geminiClosed
			return
		}
		r.depth--
		if r.depth == 0 {
			r.buf = append(r.buf, c, '\n', '\n')
			return
		}
	case c == '\n' || c == '\r':
		return
	}
	if r.depth > 0 {
		r.buf = append(r.buf, c)
	}
}

// GeminiArrayWriter writes server-sent events, as a [GeminiCodec] writer or an
// upstream makes them, as the JSON array that a client without alt=sse reads.
// Each Write must hold whole events; each of its elements goes out in one
// write. It is used by one goroutine.
type GeminiArrayWriter struct {
	w      io.Writer
	buf    []byte
	began  bool
	failed bool
}

// NewGeminiArrayWriter writes to w.
func NewGeminiArrayWriter(w io.Writer) *GeminiArrayWriter { return &GeminiArrayWriter{w: w} }

// Write implements io.Writer. The error is the underlying writer's, or that of
// an event that has no end.
func (a *GeminiArrayWriter) Write(p []byte) (int, error) {
	var events wire.EventReader
	events.Reset(bytes.NewReader(p), len(p)+1)
	a.buf = a.buf[:0]
	for {
		err := events.Fill()
		for ev, ok := events.Next(); ok; ev, ok = events.Next() {
			a.element(ev.Data)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	if len(events.Rest()) > 0 {
		return 0, io.ErrUnexpectedEOF
	}
	if len(a.buf) == 0 {
		return len(p), nil
	}
	if _, err := a.w.Write(a.buf); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (a *GeminiArrayWriter) element(data []byte) {
	if len(data) == 0 || a.failed {
		return
	}
	if a.began {
		a.buf = append(a.buf, "\n,"...)
	} else {
		a.buf = append(a.buf, '[')
	}
	a.began = true
	a.buf = append(a.buf, data...)
	var at [1]wire.Member
	names := [...]string{"error"}
	if _, err := wire.Scan(data, names[:], at[:]); err == nil && !at[0].IsZero() {
		a.failed = true
	}
}

// Close ends the array of an answer that is complete. Behind an error it writes
// nothing: an array without its bracket is not taken for an answer. It does not
// close the underlying writer.
func (a *GeminiArrayWriter) Close() error {
	switch {
	case a.failed:
		return nil
	case a.began:
		_, err := io.WriteString(a.w, "]")
		return err
	}
	_, err := io.WriteString(a.w, "[]")
	return err
}
