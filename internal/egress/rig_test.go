package egress

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// names is a DNS server inside the process: what a name's addresses are when it
// is asked for the n-th time.
type names struct {
	mu    sync.Mutex
	asked map[string]int
	addrs func(name string, n int) []string
}

// resolver asks the server.
func (s *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go s.serve(theirs)
		return ours, nil
	}}
}

// serve answers questions in the framing of DNS over TCP. It is asked for A and
// for AAAA of the same name; both count as one time.
func (s *names) serve(c net.Conn) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		reply := s.answer(query)
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

func (s *names) answer(query []byte) []byte {
	var labels []string
	at := 12
	for query[at] != 0 {
		n := int(query[at])
		labels = append(labels, string(query[at+1:at+1+n]))
		at += 1 + n
	}
	question := query[12 : at+5]
	kind := binary.BigEndian.Uint16(query[at+1:])
	var answers []byte
	count := uint16(0)
	for _, text := range s.lookup(strings.Join(labels, "."), kind) {
		ip := netip.MustParseAddr(text)
		if ip.Is4() != (kind == 1) {
			continue
		}
		count++
		answers = append(answers, 0xc0, 12) // the name in the question
		answers = binary.BigEndian.AppendUint16(answers, kind)
		answers = append(answers, 0, 1, 0, 0, 0, 0) // IN, not to be kept
		answers = binary.BigEndian.AppendUint16(answers, uint16(len(ip.AsSlice())))
		answers = append(answers, ip.AsSlice()...)
	}
	head := append([]byte{}, query[:2]...)
	rcode := byte(0)
	if s.addrs(strings.Join(labels, "."), 1) == nil {
		rcode = 3 // no such name
	}
	head = append(head, 0x81, 0x80|rcode, 0, 1)
	head = binary.BigEndian.AppendUint16(head, count)
	head = append(head, 0, 0, 0, 0)
	return append(append(head, question...), answers...)
}

func (s *names) lookup(name string, kind uint16) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked == nil {
		s.asked = map[string]int{}
	}
	key := name + map[uint16]string{1: " A", 28: " AAAA"}[kind]
	s.asked[key]++
	return s.addrs(name, s.asked[key])
}

func (s *names) times(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[name+" A"]
}

// authority is a CA of the test's own.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // PEM
	dir  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the test's authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	var der []byte
	a.key, der = sign(t, template, template, nil)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = writePEM(t, filepath.Join(a.dir, "ca.pem"), "CERTIFICATE", der)
	return a
}

func sign(t *testing.T, template, parent *x509.Certificate, by *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

func writePEM(t *testing.T, path, kind string, der []byte) string {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// issue makes a certificate for a name and writes it as NAME.pem and NAME.key.
func (a *authority) issue(t *testing.T, name string, until time.Time) ClientCert {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	key, der := sign(t, template, a.cert, a.key)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return ClientCert{
		Cert: writePEM(t, filepath.Join(a.dir, name+".pem"), "CERTIFICATE", der),
		Key:  "file:" + writePEM(t, filepath.Join(a.dir, name+".key"), "PRIVATE KEY", raw),
	}
}

// server is a TLS configuration with a certificate for a name.
func (a *authority) server(t *testing.T, name string, until time.Time) *tls.Config {
	t.Helper()
	pair, err := readPair(a.issue(t, name, until))
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{*pair}}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// dialer makes a dialer of a network under a policy.
func dialer(t *testing.T, n *Network, c Config, o Override, named ...Destination) *Dialer {
	t.Helper()
	n.Enforce(c, c.Reach(o, named))
	way, err := NewWay(c, o)
	if err != nil {
		t.Fatal(err)
	}
	d, err := n.Dialer(way)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// listening is a TCP listener of this machine whose connections are handled.
func listening(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

// named is a destination for each address.
func named(addresses ...string) []Destination {
	var out []Destination
	for _, a := range addresses {
		out = append(out, Destination{Address: a, Why: "target " + a})
	}
	return out
}
