package kvevents

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"
)

// ZMTP 3.0 and 3.1 as a subscriber speaks them, without security (the mechanism
// NULL, which is all that engines offer). In 3.1 a subscription is a command and
// there are heartbeats; in 3.0 it is a message that begins with 1.
const (
	greetingSize = 64
	patience     = 10 * time.Second // for a connection, a handshake and a write
	idle         = 10 * time.Second // without a byte, until a ping
	mostPings    = 3                // without an answer, until the end
	frameTime    = 30 * time.Second // for a frame that began

	mostCommand = 4 << 10
	mostMessage = 8 << 20
	mostParts   = 8
	chunk       = 64 << 10 // memory is taken as bytes come, not as they are announced
)

// The bits of a frame's first byte; the others are zero.
const (
	flagMore    = 1
	flagLong    = 2
	flagCommand = 4
)

// zmtp is a connection after its handshake. One goroutine reads and writes it.
type zmtp struct {
	net.Conn
	r     *bufio.Reader
	minor byte
	pings int // sent since the last byte came
	buf   []byte
	parts [][]byte
}

// subscribe shakes hands with a publisher and asks for a topic.
func subscribe(c net.Conn, topic string) (*zmtp, error) {
	z := &zmtp{Conn: c, r: bufio.NewReaderSize(c, chunk)}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := c.Write(greeting()); err != nil {
		return nil, err
	}
	var theirs [greetingSize]byte
	if _, err := io.ReadFull(z.r, theirs[:]); err != nil {
		return nil, fmt.Errorf("no greeting: %w", err)
	}
	var err error
	if z.minor, err = checkGreeting(theirs[:]); err != nil {
		return nil, err
	}
	if _, err := c.Write(command("READY", property("Socket-Type", "SUB"))); err != nil {
		return nil, err
	}
	if err := z.ready(); err != nil {
		return nil, err
	}
	ask := command("SUBSCRIBE", []byte(topic))
	if z.minor == 0 {
		ask = append([]byte{0, byte(1 + len(topic)), 1}, topic...)
	}
	if _, err := c.Write(ask); err != nil {
		return nil, err
	}
	return z, c.SetDeadline(time.Time{})
}

func greeting() []byte {
	g := make([]byte, greetingSize)
	g[0], g[9] = 0xff, 0x7f
	g[10], g[11] = 3, 1
	copy(g[12:32], "NULL")
	return g
}

func checkGreeting(g []byte) (minor byte, err error) {
	mechanism := string(bytes.TrimRight(g[12:32], "\x00"))
	switch {
	case g[0] != 0xff || g[9] != 0x7f:
		return 0, errors.New("this is no ZeroMQ socket")
	case g[10] < 3:
		return 0, fmt.Errorf("the publisher speaks ZMTP %d, and 3 is needed", g[10])
	case mechanism != "NULL":
		return 0, fmt.Errorf("the publisher wants %.20q for security, and only NULL is spoken", mechanism)
	case g[10] > 3:
		return 1, nil // it speaks ours, too
	}
	return min(g[11], 1), nil
}

// ready reads up to the publisher's READY and looks at what it is.
func (z *zmtp) ready() error {
	for {
		flags, size, err := z.frame()
		if err != nil {
			return err
		}
		if flags&flagCommand == 0 {
			return errors.New("a message came before the handshake was over")
		}
		name, data, err := z.command(size)
		if err != nil {
			return err
		}
		switch name {
		case "ERROR":
			return refused(data)
		case "READY":
			if kind := socketType(data); kind != "PUB" && kind != "XPUB" {
				return fmt.Errorf("this is a socket of type %.20q and no publisher", kind)
			}
			return nil
		}
	}
}

// message gives the parts of the next message. They are valid until the next
// call.
func (z *zmtp) message() ([][]byte, error) {
	if cap(z.buf) > mostMessage/8 {
		z.buf = nil
	}
	z.buf = z.buf[:0]
	var ends [mostParts]int
	for n := 0; ; {
		if err := z.wait(); err != nil {
			return nil, err
		}
		flags, size, err := z.frame()
		if err != nil {
			return nil, err
		}
		if flags&flagCommand != 0 {
			if err := z.obey(size); err != nil {
				return nil, err
			}
			continue
		}
		if size > mostMessage-uint64(len(z.buf)) || n == mostParts {
			return nil, errors.New("the message is too long")
		}
		if err := z.read(int(size)); err != nil {
			return nil, err
		}
		ends[n] = len(z.buf)
		n++
		if flags&flagMore == 0 {
			return z.cut(ends[:n]), nil
		}
	}
}

// cut gives the parts that end there.
func (z *zmtp) cut(ends []int) [][]byte {
	z.parts = z.parts[:0]
	from := 0
	for _, end := range ends {
		z.parts = append(z.parts, z.buf[from:end])
		from = end
	}
	return z.parts
}

// wait returns when a byte is there. It pings a publisher that says nothing, and
// gives up one that does not answer. A connection that takes no deadline is
// closed, which shows when what came before is read.
func (z *zmtp) wait() error {
	for {
		_ = z.SetReadDeadline(time.Now().Add(idle))
		_, err := z.r.Peek(1)
		switch {
		case err == nil:
			z.pings = 0
			_ = z.SetReadDeadline(time.Now().Add(frameTime))
			return nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case z.minor == 0: // it does not know pings
			continue
		case z.pings == mostPings:
			return errors.New("the publisher does not answer")
		}
		z.pings++
		if err := z.write(command("PING", []byte{0, 0})); err != nil { // 0: it need not watch us
			return err
		}
	}
}

// obey does what a command wants after the handshake. Those that are not known
// are passed over.
func (z *zmtp) obey(size uint64) error {
	name, data, err := z.command(size)
	switch {
	case err != nil:
		return err
	case name == "ERROR":
		return refused(data)
	case name == "PING" && len(data) >= 2:
		return z.write(command("PONG", data[2:min(len(data), 2+16)]))
	}
	return nil
}

func (z *zmtp) write(b []byte) error {
	if err := z.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := z.Write(b)
	return err
}

// frame reads a frame's head.
func (z *zmtp) frame() (flags byte, size uint64, err error) {
	if flags, err = z.r.ReadByte(); err != nil {
		return 0, 0, err
	}
	if flags&^(flagMore|flagLong|flagCommand) != 0 || flags&flagCommand != 0 && flags&flagMore != 0 {
		return 0, 0, errors.New("this is no frame")
	}
	if flags&flagLong == 0 {
		short, err := z.r.ReadByte()
		return flags, uint64(short), err
	}
	var long [8]byte
	_, err = io.ReadFull(z.r, long[:])
	return flags, binary.BigEndian.Uint64(long[:]), err
}

// read appends a frame's body to what there is.
func (z *zmtp) read(size int) error {
	for size > 0 {
		n := min(size, chunk)
		at := len(z.buf)
		z.buf = slices.Grow(z.buf, n)[:at+n]
		if _, err := io.ReadFull(z.r, z.buf[at:]); err != nil {
			return err
		}
		size -= n
	}
	return nil
}

// command reads the body of a command.
func (z *zmtp) command(size uint64) (name string, data []byte, err error) {
	if size < 1 || size > mostCommand {
		return "", nil, errors.New("this is no command")
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(z.r, body); err != nil {
		return "", nil, err
	}
	n := int(body[0])
	if n == 0 || 1+n > len(body) {
		return "", nil, errors.New("this is no command")
	}
	return string(body[1 : 1+n]), body[1+n:], nil
}

// command is the frame of one. Ours are short.
func command(name string, data []byte) []byte {
	size := 1 + len(name) + len(data)
	b := []byte{flagCommand, byte(size)}
	if size > 255 {
		b = binary.BigEndian.AppendUint64([]byte{flagCommand | flagLong}, uint64(size))
	}
	b = append(b, byte(len(name)))
	b = append(b, name...)
	return append(b, data...)
}

func property(name, value string) []byte {
	b := append([]byte{byte(len(name))}, name...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	return append(b, value...)
}

// socketType finds what a socket says it is; empty where it does not say so.
func socketType(properties []byte) string {
	for b := properties; len(b) > 0; {
		n := 1 + int(b[0])
		if len(b) < n+4 {
			return ""
		}
		name, size := b[1:n], uint64(binary.BigEndian.Uint32(b[n:]))
		if b = b[n+4:]; size > uint64(len(b)) {
			return ""
		}
		if bytes.EqualFold(name, []byte("Socket-Type")) {
			return string(b[:size])
		}
		b = b[size:]
	}
	return ""
}

func refused(data []byte) error {
	if len(data) > 0 {
		data = data[1:] // its length
	}
	return fmt.Errorf("the publisher refuses: %.100q", data)
}
