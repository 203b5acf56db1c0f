package engine

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
)

// The rules of this file, which reads Prometheus' text format line by line:
//
//   - Only series of wanted metrics are looked at; the rest of a page is passed
//     over at the speed of a search for line ends.
//   - A line that is not understood is counted and passed over: one bad line does
//     not hide the others.
//   - Nothing is taken for longer than a line; what is returned is valid until
//     the next one.

// longestLine bounds a line. A longer one is one that is not understood.
const longestLine = 64 << 10

// label is one label of a series; both are bytes of the line, or of its
// unescaped copy.
type label struct{ name, value []byte }

// series is one sample of a page.
type series struct {
	name   []byte
	labels []label
	value  float64
	raw    []byte // the value as it stood there
}

// label returns the value of a label; nil when the series has none of that name.
func (s *series) label(name string) []byte {
	for i := range s.labels {
		if string(s.labels[i].name) == name {
			return s.labels[i].value
		}
	}
	return nil
}

// page reads a page.
type page struct {
	in *bufio.Reader
	series
	scratch []byte // of values that have escapes
	lines   int    // that hold a series, wanted or not
	bad     int    // that were not understood
}

func newPage(r io.Reader) *page { return &page{in: bufio.NewReaderSize(r, longestLine)} }

// reset begins another page with the same buffers.
func (p *page) reset(r io.Reader) {
	p.in.Reset(r)
	p.lines, p.bad = 0, 0
}

// next moves to the next series whose name is wanted. It returns io.EOF behind
// the last one.
func (p *page) next(wanted func(name []byte) bool) error {
	for {
		line, err := p.line()
		if err != nil {
			return err
		}
		line = bytes.TrimLeft(line, " \t")
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		p.lines++
		n := nameLength(line)
		if n == 0 {
			p.bad++
			continue
		}
		if !wanted(line[:n]) {
			continue
		}
		if !p.parse(line, n) {
			p.bad++
			continue
		}
		return nil
	}
}

// line is the next one without its end; one that is too long is counted and
// left out. The last needs no end.
func (p *page) line() ([]byte, error) {
	for {
		line, err := p.in.ReadSlice('\n')
		if !errors.Is(err, bufio.ErrBufferFull) {
			if len(line) == 0 && err != nil {
				return nil, err
			}
			return bytes.TrimRight(line, "\r\n"), nil
		}
		p.bad++
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = p.in.ReadSlice('\n')
		}
		if err != nil {
			return nil, err
		}
	}
}

// nameLength is how long the metric's name at the beginning of a line is.
func nameLength(line []byte) int {
	n := 0
	for n < len(line) && nameByte(line[n], n == 0) {
		n++
	}
	return n
}

func nameByte(c byte, first bool) bool {
	return c == '_' || c == ':' || c|0x20 >= 'a' && c|0x20 <= 'z' || !first && c >= '0' && c <= '9'
}

// parse reads the line of a series whose name is n bytes long.
func (p *page) parse(line []byte, n int) bool {
	p.name, p.labels, p.scratch = line[:n], p.labels[:0], p.scratch[:0]
	rest := bytes.TrimLeft(line[n:], " \t")
	if len(rest) > 0 && rest[0] == '{' {
		var ok bool
		if rest, ok = p.parseLabels(rest[1:]); !ok {
			return false
		}
		rest = bytes.TrimLeft(rest, " \t")
	} else if len(rest) == len(line)-n {
		return false // nothing between the name and what follows
	}
	end := bytes.IndexAny(rest, " \t")
	if end < 0 {
		end = len(rest)
	}
	p.raw = rest[:end]
	v, err := parseValue(p.raw)
	p.value = v
	return err == nil
}

// parseValue reads a number as the format has it, which is as Go has it without
// hexadecimal digits and underscores.
func parseValue(raw []byte) (float64, error) {
	if bytes.ContainsAny(raw, "pPxX_") {
		return 0, strconv.ErrSyntax
	}
	v, err := strconv.ParseFloat(string(raw), 64)
	if errors.Is(err, strconv.ErrRange) {
		err = nil // an infinity, which is refused by whoever knows what it means
	}
	return v, err
}

// parseLabels reads labels up to the closing brace and returns what follows it.
func (p *page) parseLabels(rest []byte) ([]byte, bool) {
	for {
		rest = bytes.TrimLeft(rest, " \t")
		if len(rest) > 0 && rest[0] == '}' {
			return rest[1:], true
		}
		n := 0
		for n < len(rest) && nameByte(rest[n], n == 0) && rest[n] != ':' {
			n++
		}
		name := rest[:n]
		rest = bytes.TrimLeft(rest[n:], " \t")
		if n == 0 || len(rest) == 0 || rest[0] != '=' {
			return nil, false
		}
		rest = bytes.TrimLeft(rest[1:], " \t")
		if len(rest) == 0 || rest[0] != '"' {
			return nil, false
		}
		value, after, ok := p.quoted(rest[1:])
		if !ok {
			return nil, false
		}
		p.labels = append(p.labels, label{name, value})
		rest = bytes.TrimLeft(after, " \t")
		switch {
		case len(rest) > 0 && rest[0] == ',':
			rest = rest[1:]
		case len(rest) == 0 || rest[0] != '}':
			return nil, false
		}
	}
}

// quoted reads a label's value behind its opening quote, and returns what
// follows the closing one.
func (p *page) quoted(rest []byte) (value, after []byte, ok bool) {
	end := bytes.IndexAny(rest, `"\`)
	if end >= 0 && rest[end] == '"' {
		return rest[:end], rest[end+1:], true
	}
	begin := len(p.scratch)
	for i := 0; i < len(rest); i++ {
		c := rest[i]
		switch {
		case c == '"':
			return p.scratch[begin:len(p.scratch):len(p.scratch)], rest[i+1:], true
		case c == '\\' && i+1 < len(rest):
			i++
			switch rest[i] {
			case 'n':
				c = '\n'
			case '\\', '"':
				c = rest[i]
			default:
				return nil, nil, false
			}
		case c == '\\':
			return nil, nil, false
		}
		p.scratch = append(p.scratch, c)
	}
	return nil, nil, false
}
