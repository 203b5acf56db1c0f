package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"tailplane/internal/gateway"
	"tailplane/internal/secret"
)

// material is the TLS of one listener. It follows its references: what they hold
// is looked at again at a handshake, once a second at most, and what cannot be
// used leaves the old in force.
type material struct {
	name    string // of the listener
	refs    gateway.TLS
	here    bool // connections of this machine need no certificate
	log     *slog.Logger
	changed func() // after what it serves has changed; nil tells nobody

	mu     sync.Mutex
	looked time.Time
	text   []byte // what the references held
	conf   *tls.Config
	pin    string
	failed string // what was logged last
}

// lookEvery is how often references are looked at again.
const lookEvery = time.Second

// open reads the references for the first time.
func (m *material) open() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.looked = time.Now()
	_, err := m.look()
	if err != nil {
		return fmt.Errorf("listen.%s.tls: %w", m.name, err)
	}
	return nil
}

// config is what a listener is made with.
func (m *material) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		return m.current(hello.Conn.RemoteAddr(), time.Now()), nil
	}}
}

// key is the hash of the public key that is served, as hex.
func (m *material) key() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pin
}

// current is the config for a handshake at now.
func (m *material) current(from net.Addr, now time.Time) *tls.Config {
	conf, changed := m.follow(now)
	if changed && m.changed != nil {
		m.changed()
	}
	if m.here && conf.ClientAuth == tls.RequireAndVerifyClientCert && fromHere(from) {
		conf = conf.Clone()
		conf.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return conf
}

func (m *material) follow(now time.Time) (conf *tls.Config, changed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if since := now.Sub(m.looked); since >= 0 && since < lookEvery {
		return m.conf, false
	}
	m.looked = now
	changed, err := m.look()
	switch {
	case err != nil && err.Error() != m.failed:
		m.failed = err.Error()
		m.log.Error("the changed certificate is not used; the old one serves on", "listener", m.name, "error", err)
	case changed:
		m.failed = ""
		m.log.Info("certificate loaded", "listener", m.name)
	}
	return m.conf, changed
}

// look reads the references and builds a config if they have changed. The caller
// holds the lock.
func (m *material) look() (changed bool, err error) {
	var parts [3]string
	for i, ref := range []secret.Ref{m.refs.Cert, m.refs.Key, m.refs.ClientCA} {
		if ref.IsZero() {
			continue
		}
		value, err := ref.Read(context.Background(), nil) // local: validation sees to it
		if err != nil {
			return false, err
		}
		parts[i] = value.Reveal()
	}
	text := []byte(strings.Join(parts[:], "\x00"))
	if m.conf != nil && bytes.Equal(text, m.text) {
		return false, nil
	}
	conf, pin, err := build(m.refs, parts)
	if err != nil {
		return false, err
	}
	m.text, m.conf, m.pin = text, conf, pin
	return true, nil
}

// build makes a config of what the references hold: certificate, key, authority.
func build(refs gateway.TLS, parts [3]string) (conf *tls.Config, pin string, err error) {
	cert, err := tls.X509KeyPair([]byte(parts[0]), []byte(parts[1]))
	if err != nil {
		return nil, "", fmt.Errorf("%s and %s are no pair of certificate and key: %w", refs.Cert, refs.Key, err)
	}
	sum := sha256.Sum256(cert.Leaf.RawSubjectPublicKeyInfo)
	conf = &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, Certificates: []tls.Certificate{cert},
		// A ticket would let in who came by an authority that is not trusted any more.
		SessionTicketsDisabled: !refs.ClientCA.IsZero(),
	}
	if refs.ClientCA.IsZero() {
		return conf, hex.EncodeToString(sum[:]), nil
	}
	conf.ClientCAs = x509.NewCertPool()
	if !conf.ClientCAs.AppendCertsFromPEM([]byte(parts[2])) {
		return nil, "", fmt.Errorf("%s holds no PEM certificate", refs.ClientCA)
	}
	conf.ClientAuth = tls.RequireAndVerifyClientCert
	if refs.Client == gateway.ClientRequest {
		conf.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return conf, hex.EncodeToString(sum[:]), nil
}

func fromHere(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// secure opens the TLS of the listeners that have it.
func (s *Server) secure(l gateway.Listen) error {
	var errs []error
	for _, one := range []struct {
		name string
		refs gateway.TLS
		here bool
		into **material
	}{{"data", l.Data.TLS, false, &s.dataTLS}, {"admin", l.Admin.TLS, true, &s.adminTLS}} {
		if one.refs.IsZero() {
			continue
		}
		m := &material{name: one.name, refs: one.refs, here: one.here, log: s.log.Logger, changed: s.sayWhere}
		errs = append(errs, m.open())
		*one.into = m
	}
	return errors.Join(errs...)
}

// over is a listener with its TLS, if it has one.
func over(ln net.Listener, m *material) net.Listener {
	if m == nil {
		return ln
	}
	return tls.NewListener(ln, m.config())
}
