package egress

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
)

// The parts of SOCKS5 (RFC 1928) and its user and password (RFC 1929) that a
// client needs. It is written here and not taken from a library because the
// libraries hand back a connection in a wrapping of theirs, and the pool looks
// at the TCP connection itself to see whether it is still alive.
const (
	socksVersion  = 5
	socksNoAuth   = 0
	socksUserPass = 2

	socksConnect = 1
	socksIPv4    = 1
	socksName    = 3
	socksIPv6    = 4
)

// socksReplies are the words of RFC 1928 section 6, with whether the same
// question may be answered otherwise in a moment.
var socksReplies = map[byte]struct {
	text  string
	again bool
}{
	1: {"general failure", true}, 2: {"not allowed by its rules", false}, 3: {"network unreachable", true}, 4: {"host unreachable", true},
	5: {"connection refused", true}, 6: {"time to live expired", true}, 7: {"command not supported", false}, 8: {"address type not supported", false},
}

// socks asks a SOCKS5 proxy for a connection. Names are resolved by the proxy.
func (p *proxy) socks(c net.Conn, to endpoint) error {
	if len(to.host) > 255 {
		return p.fault(to, "the name is longer than SOCKS5 can say", nil)
	}
	if err := p.greet(c, to); err != nil {
		return err
	}
	if _, err := c.Write(socksRequest(to)); err != nil {
		return p.fault(to, "the proxy closed the connection: "+err.Error(), err)
	}
	code, err := readReply(c)
	if err != nil {
		return p.fault(to, "the proxy's answer is not SOCKS5: "+err.Error(), err)
	}
	if code == 0 {
		return nil
	}
	reply, known := socksReplies[code]
	if !known {
		reply.text = fmt.Sprintf("code %d", code)
	}
	e := p.fault(to, "the proxy answers: "+reply.text, nil)
	e.Again = reply.again
	if code == 2 {
		e.Do = "have the proxy let this host and port pass, or name it in egress.no_proxy"
	}
	return e
}

// greet agrees on a method and shows the credential.
func (p *proxy) greet(c net.Conn, to endpoint) error {
	user, password, with := strings.Cut(p.auth.value().Reveal(), ":")
	hello := []byte{socksVersion, 1, socksNoAuth}
	if with {
		hello = []byte{socksVersion, 2, socksNoAuth, socksUserPass}
	}
	var answer [2]byte
	if err := exchange(c, hello, answer[:]); err != nil {
		return p.fault(to, "the proxy does not speak SOCKS5: "+err.Error(), err)
	}
	switch {
	case answer[0] != socksVersion:
		return p.fault(to, "the proxy does not speak SOCKS5", nil)
	case answer[1] == socksNoAuth:
		return nil
	case answer[1] != socksUserPass || !with:
		return p.unauthorized(to, with, `"no acceptable method"`)
	case len(user) > 255 || len(password) > 255 || user == "":
		return p.unauthorized(to, false, `"a user and a password of up to 255 bytes are needed"`)
	}
	ask := append([]byte{1, byte(len(user))}, user...)
	ask = append(append(ask, byte(len(password))), password...)
	if err := exchange(c, ask, answer[:]); err != nil {
		return p.fault(to, "the proxy closed the connection: "+err.Error(), err)
	}
	if answer[1] != 0 {
		return p.unauthorized(to, true, fmt.Sprintf(`"status %d"`, answer[1]))
	}
	return nil
}

func exchange(c net.Conn, ask, answer []byte) error {
	if _, err := c.Write(ask); err != nil {
		return err
	}
	_, err := io.ReadFull(c, answer)
	return err
}

// socksRequest asks for a connection.
func socksRequest(to endpoint) []byte {
	b := []byte{socksVersion, socksConnect, 0}
	ip, err := netip.ParseAddr(to.host)
	switch {
	case err != nil:
		b = append(append(b, socksName, byte(len(to.host))), to.host...)
	case ip.Unmap().Is4():
		b = append(append(b, socksIPv4), ip.Unmap().AsSlice()...)
	default:
		b = append(append(b, socksIPv6), ip.AsSlice()...)
	}
	return binary.BigEndian.AppendUint16(b, to.port)
}

// readReply reads the answer to a request, to its last byte and not beyond.
func readReply(r io.Reader) (code byte, err error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, err
	}
	if head[0] != socksVersion {
		return 0, fmt.Errorf("version %d", head[0])
	}
	rest := 2 // the port
	switch head[3] {
	case socksIPv4:
		rest += net.IPv4len
	case socksIPv6:
		rest += net.IPv6len
	case socksName:
		var n [1]byte
		if _, err := io.ReadFull(r, n[:]); err != nil {
			return 0, err
		}
		rest += int(n[0])
	default:
		return 0, fmt.Errorf("address type %d", head[3])
	}
	_, err = io.CopyN(io.Discard, r, int64(rest))
	return head[1], err
}
