package wire

import (
	"encoding/binary"
	"fmt"
)

// Frames looks at the frames of one direction of a WebSocket (RFC 6455) as its bytes pass,
// in whatever pieces: it gathers text messages and notices the closing frame. It changes and
// keeps back nothing. The zero value with a Limit is ready; it is not safe for concurrent use.
//
// Masked frames are unmasked, so that either direction can be looked at. Compressed messages
// (reserved bits) are not understood; who looks leaves the extension out of the handshake.
type Frames struct {
	// Limit is the longest message that is gathered, in bytes; of a longer one nothing is.
	Limit int

	head    [14]byte
	headLen int
	frame   frameHead
	left    uint64 // of the frame's payload
	done    uint64 // bytes of the payload that have passed, for the mask
	inside  bool   // behind a head whose payload or whose end is not here yet
	text    bool   // the message is a text and is not too long
	message []byte
	closed  bool
	skipped int
}

// frameHead is the decoded head of a frame.
type frameHead struct {
	final  bool
	opcode byte
	masked bool
	mask   [4]byte
}

// The opcodes that matter.
const (
	frameContinuation = 0
	frameText         = 1
	frameClose        = 8
)

// Pass looks at the next bytes and calls text with each complete text message; what it is
// given is valid until it returns. The error says that the bytes are no WebSocket frames;
// nothing can be read behind it.
func (f *Frames) Pass(p []byte, text func(message []byte)) error {
	for len(p) > 0 || f.inside && f.left == 0 {
		if !f.inside {
			n, err := f.takeHead(p)
			if err != nil {
				return err
			}
			p = p[n:]
			continue
		}
		n := int(min(uint64(len(p)), f.left))
		f.takePayload(p[:n])
		p = p[n:]
		if f.left == 0 {
			f.endFrame(text)
		}
	}
	return nil
}

// Closed reports whether the closing frame has passed.
func (f *Frames) Closed() bool { return f.closed }

// Whole reports whether the last byte ended a frame, so that another frame may follow.
func (f *Frames) Whole() bool { return !f.inside && f.headLen == 0 }

// Skipped is the number of text messages that were longer than Limit.
func (f *Frames) Skipped() int { return f.skipped }

// takeHead gathers the head of a frame, which is 2 to 14 bytes.
func (f *Frames) takeHead(p []byte) (int, error) {
	n := 0
	for {
		need := 2
		if f.headLen >= 2 {
			need = headSize(f.head[1])
		}
		if f.headLen == need {
			return n, f.open()
		}
		if n == len(p) {
			return n, nil
		}
		f.head[f.headLen] = p[n]
		f.headLen, n = f.headLen+1, n+1
	}
}

func headSize(second byte) int {
	size := 2
	switch second & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if second&0x80 != 0 {
		size += 4
	}
	return size
}

// open decodes a gathered head.
func (f *Frames) open() error {
	h := f.head[:f.headLen]
	f.headLen = 0
	if h[0]&0x70 != 0 {
		return fmt.Errorf("a WebSocket frame has reserved bits %#x: no extension was agreed on", h[0]&0x70)
	}
	f.frame = frameHead{final: h[0]&0x80 != 0, opcode: h[0] & 0x0f, masked: h[1]&0x80 != 0}
	switch n := h[1] & 0x7f; n {
	case 126:
		f.left = uint64(binary.BigEndian.Uint16(h[2:]))
	case 127:
		f.left = binary.BigEndian.Uint64(h[2:])
	default:
		f.left = uint64(n)
	}
	if f.left > 1<<62 {
		return fmt.Errorf("a WebSocket frame claims %d bytes", f.left)
	}
	if f.frame.masked {
		copy(f.frame.mask[:], h[len(h)-4:])
	}
	f.inside, f.done = true, 0
	switch f.frame.opcode {
	case frameText:
		f.text, f.message = true, f.message[:0]
	case frameClose:
		f.closed = true
	case frameContinuation:
	default:
		if f.frame.opcode < frameClose {
			f.text = false // a binary message
		}
	}
	return nil
}

// carriesText reports whether the frame is a piece of a text message.
func (f *Frames) carriesText() bool {
	return f.text && (f.frame.opcode == frameText || f.frame.opcode == frameContinuation)
}

func (f *Frames) takePayload(p []byte) {
	f.left -= uint64(len(p))
	if !f.carriesText() {
		return
	}
	if len(f.message)+len(p) > f.Limit {
		f.text = false
		f.message = nil
		f.skipped++
		return
	}
	from := len(f.message)
	f.message = append(f.message, p...)
	if f.frame.masked {
		for i := range f.message[from:] {
			f.message[from+i] ^= f.frame.mask[(f.done+uint64(i))&3]
		}
	}
	f.done += uint64(len(p))
}

func (f *Frames) endFrame(text func([]byte)) {
	f.inside = false
	if f.carriesText() && f.frame.final {
		f.text = false
		text(f.message)
	}
}

// AppendClose appends a server's closing frame with a status (RFC 6455 7.4) and a reason of
// at most 123 bytes.
func AppendClose(dst []byte, status uint16, reason string) []byte {
	reason = reason[:min(len(reason), 123)]
	dst = append(dst, 0x80|frameClose, byte(2+len(reason)))
	dst = binary.BigEndian.AppendUint16(dst, status)
	return append(dst, reason...)
}
