package replay

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Rules of this file: a trace is read as a stream, line by line; a line, and a
// trace, have a most; what cannot be read is an error with the line's number.

const (
	mostLine     = 64 << 20 // bytes
	mostRequests = 5_000_000
	mostTokens   = 16 << 20 // of one prompt or answer
	mostBlock    = 1 << 16
)

// ReadOptions are the rules by which a trace is cut. What is zero has its
// default.
type ReadOptions struct {
	Block    int           // tokens of a block of hash_ids; 512
	Turns    int           // of a session; 60, below zero is all
	MaxInput int           // tokens; a session ends before a longer prompt; 120,000, below zero is no limit
	MaxThink time.Duration // longer ones are cut to it; 30 s
	Requests int           // of an open trace; all
}

func (o ReadOptions) defaults() ReadOptions {
	o.Block = cmp.Or(o.Block, 512)
	o.Turns = cmp.Or(o.Turns, 60)
	o.MaxInput = cmp.Or(o.MaxInput, 120_000)
	o.MaxThink = cmp.Or(o.MaxThink, 30*time.Second)
	o.Requests = cmp.Or(o.Requests, mostRequests)
	return o
}

// validate says what no trace can be read by.
func (o ReadOptions) validate() error {
	switch {
	case o.Block < 1 || o.Block > mostBlock:
		return fmt.Errorf("blocks of %d tokens: want 1 to %d", o.Block, mostBlock)
	case o.MaxThink < 0:
		return fmt.Errorf("think times up to %v: want 0 or more", o.MaxThink)
	case o.Requests < 1:
		return fmt.Errorf("%d requests: want at least 1", o.Requests)
	}
	return nil
}

// ReadFile reads a trace, packed with gzip or not.
func ReadFile(path string, o ReadOptions) (*Trace, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := Read(f, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// Read reads a trace in any of the formats, told apart by their content.
func Read(r io.Reader, o ReadOptions) (*Trace, error) {
	o = o.defaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(r, 64<<10)
	if magic, _ := in.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		in = bufio.NewReaderSize(z, 64<<10)
	}
	l := &lines{in: in}
	first, err := l.next()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the trace is empty")
		}
		return nil, err
	}
	f, err := detect(first)
	if err != nil {
		return nil, l.wrap(err)
	}
	t, err := f(l, first, o)
	if err != nil {
		return nil, l.wrap(err)
	}
	if t.Size() == 0 {
		return nil, errors.New("the trace has no request that can be played")
	}
	return t, nil
}

// format reads the rest of a trace whose first line is given.
type format func(l *lines, first []byte, o ReadOptions) (*Trace, error)

func detect(first []byte) (format, error) {
	switch {
	case first[0] == '{' && bytes.Contains(first, []byte(`"requests"`)):
		return readAgentic, nil
	case first[0] == '{' && bytes.Contains(first, []byte(`"hash_ids"`)):
		return readMooncake, nil
	case bytes.Contains(bytes.ToLower(first), []byte("contexttokens")):
		return readAzure, nil
	}
	return nil, errors.New("unknown format: want lines of JSON with hash_ids (Mooncake) or requests (agent sessions), or CSV with TIMESTAMP,ContextTokens,GeneratedTokens (Azure)")
}

// lines cuts a stream into lines that are not blank.
type lines struct {
	in  *bufio.Reader
	buf []byte
	n   int
}

// next is valid until the next call; io.EOF after the last line.
func (l *lines) next() ([]byte, error) {
	for {
		l.buf = l.buf[:0]
		l.n++
		for {
			part, err := l.in.ReadSlice('\n')
			l.buf = append(l.buf, part...)
			switch {
			case len(l.buf) > mostLine:
				return nil, l.wrap(fmt.Errorf("longer than %d MB", mostLine>>20))
			case errors.Is(err, bufio.ErrBufferFull):
				continue
			case errors.Is(err, io.EOF) && len(l.buf) > 0:
			case err != nil:
				return nil, err
			}
			break
		}
		l.buf = bytes.TrimPrefix(l.buf, []byte("\xef\xbb\xbf"))
		if line := bytes.TrimSpace(l.buf); len(line) > 0 {
			return line, nil
		}
	}
}

// each calls f with the first line and those after it.
func (l *lines) each(first []byte, f func(line []byte) error) error {
	for line := first; ; {
		if err := f(line); err != nil {
			return err
		}
		var err error
		if line, err = l.next(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// lineError is an error that knows its line.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }
func (e *lineError) Unwrap() error { return e.err }

func (l *lines) wrap(err error) error {
	if _, ok := errors.AsType[*lineError](err); ok {
		return err
	}
	return &lineError{l.n, err}
}
