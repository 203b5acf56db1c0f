// Package http1 is the grammar that HTTP/1.1's client (package h1) and server
// (package httpd) share.
//
// It owns the chunked coding (RFC 9112, section 7.1), the end of a head and a
// token's characters. It never reads: its user hands it bytes as they come.
// Start reading at [ChunkDecoder].
package http1

import (
	"errors"
	"math"
)

// ChunkDecoder decodes the chunked coding of RFC 9112 7.1 byte by byte where it
// is framing and in blocks where it is data, so that any way of cutting the
// stream gives the same body. Extensions and trailers are checked for their
// form and dropped. The zero value is at the start of a body.
type ChunkDecoder struct {
	state  chunkState
	digits uint8
	line   int   // bytes of the chunk line or of all trailers
	left   int64 // of the size while it is read, then of the chunk
	excess int64 // framing beyond what the data justifies
}

type chunkState uint8

const (
	chunkSize    chunkState = iota // in the digits
	chunkSpace                     // white space after the digits
	chunkExt                       // extension, dropped
	chunkSizeLF                    // LF of the chunk line
	chunkData                      // data
	chunkDataCR                    // CR after the data
	chunkDataLF                    // LF after the data
	trailerStart                   // start of a trailer line
	trailerName                    // in its name
	trailerValue                   // in its value
	trailerLF                      // its LF
	chunkEndLF                     // LF of the empty line
	chunkDone                      // complete
)

// Limits of framing, those of net/http: they keep a peer from sending
// unbounded bytes that carry no body.
const (
	maxChunkLine = 4 << 10
	maxTrailer   = 4 << 10
	maxExcess    = 16 << 10
)

// The errors of Decode: the bytes are not chunked coding, or too much of it.
var (
	ErrChunk     = errors.New("malformed chunked coding")
	errChunkSize = errors.New("chunk size is too large")
	errChunkLine = errors.New("chunked coding carries too much beside the data")
	ErrTrailer   = errors.New("malformed or too long trailer")
)

// Left is how much of the chunk at hand is still to come; zero outside of data.
func (c *ChunkDecoder) Left() int64 {
	if c.state != chunkData {
		return 0
	}
	return c.left
}

// Done reports whether the body is complete.
func (c *ChunkDecoder) Done() bool { return c.state == chunkDone }

// Decode decodes src into dst, which may be the same memory from the same
// start. It returns the bytes put into dst and taken from src; it stops early
// only when dst is full, when the body is complete, or at an error.
func (c *ChunkDecoder) Decode(dst, src []byte) (n, used int, err error) {
	for used < len(src) && c.state != chunkDone {
		if c.state != chunkData {
			if err := c.step(src[used]); err != nil {
				return n, used, err
			}
			used++
			continue
		}
		if n == len(dst) {
			break
		}
		k := copy(dst[n:], src[used:min(int64(len(src)), int64(used)+c.left)])
		n += k
		used += k
		if c.left -= int64(k); c.left == 0 {
			c.state = chunkDataCR
		}
	}
	return n, used, nil
}

// step takes one byte of framing.
func (c *ChunkDecoder) step(b byte) error {
	switch c.state {
	case chunkSize, chunkSpace, chunkExt, chunkSizeLF:
		return c.stepLine(b)
	case chunkDataCR:
		return c.expect(b, '\r', chunkDataLF)
	case chunkDataLF:
		return c.expect(b, '\n', chunkSize)
	case chunkEndLF:
		return c.expect(b, '\n', chunkDone)
	}
	return c.stepTrailer(b)
}

func (c *ChunkDecoder) expect(b, want byte, next chunkState) error {
	if b != want {
		return ErrChunk
	}
	c.state = next
	return nil
}

// stepLine takes one byte of a chunk line. As in net/http, white space may
// follow the size but not stand before an extension.
func (c *ChunkDecoder) stepLine(b byte) error {
	if c.line++; c.line > maxChunkLine {
		return errChunkLine
	}
	switch {
	case c.state == chunkSizeLF:
		if b != '\n' {
			return ErrChunk
		}
		return c.beginChunk()
	case b == '\n' || c.digits == 0 && !isHex(b):
		return ErrChunk
	case b == '\r':
		c.state = chunkSizeLF
	case c.state == chunkExt:
	case c.state == chunkSize && b == ';':
		c.state = chunkExt
	case b == ' ' || b == '\t':
		c.state = chunkSpace
	case c.state == chunkSize && isHex(b):
		if c.digits++; c.digits > 16 || c.left > math.MaxInt64>>4 {
			return errChunkSize
		}
		c.left = c.left<<4 | int64(unhex(b))
	default:
		return ErrChunk
	}
	return nil
}

// beginChunk is reached after a chunk line: data follows, or the trailers.
func (c *ChunkDecoder) beginChunk() error {
	c.excess += int64(c.line) - 16
	if c.left < math.MaxInt64/4 {
		c.excess -= 2 * c.left
	} else {
		c.excess = 0
	}
	c.excess = max(c.excess, 0)
	if c.excess > maxExcess {
		return errChunkLine
	}
	c.line, c.digits = 0, 0
	c.state = chunkData
	if c.left == 0 {
		c.state = trailerStart
	}
	return nil
}

// stepTrailer takes one byte of the trailer section. A line must be a field;
// a folded line or a bare LF is an error here, since the section is dropped
// and nobody has to live with it.
func (c *ChunkDecoder) stepTrailer(b byte) error {
	if c.line++; c.line > maxTrailer {
		return ErrTrailer
	}
	switch {
	case c.state == trailerStart && b == '\r':
		c.state = chunkEndLF
	case c.state == trailerStart && IsTokenByte(b):
		c.state = trailerName
	case c.state == trailerName && IsTokenByte(b):
	case c.state == trailerName && b == ':':
		c.state = trailerValue
	case c.state == trailerValue && b == '\r':
		c.state = trailerLF
	case c.state == trailerValue && (b >= ' ' && b != 0x7f || b == '\t'):
	case c.state == trailerLF && b == '\n':
		c.state = trailerStart
	default:
		return ErrTrailer
	}
	return nil
}

func isDigit(b byte) bool { return b-'0' < 10 }

func isHex(b byte) bool { return isDigit(b) || (b|0x20)-'a' < 6 }

func unhex(b byte) byte {
	if isDigit(b) {
		return b - '0'
	}
	return (b | 0x20) - 'a' + 10
}
