package egress

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"tailplane/internal/secret"
)

// Way is how some destinations are reached: a config whose references and files
// have been read. It is comparable: two equal ways may share their connections.
type Way struct {
	proxy      string // scheme://host:port; empty = direct
	user       secret.Value
	auth       secret.Ref
	noProxy    string // items separated by commas
	ca         string // PEM
	cert       ClientCert
	source     netip.Addr
	serverName string
}

// NewWay reads what a config and a target's override refer to. It reads files
// and variables and opens no connection.
func NewWay(c Config, o Override) (Way, error) {
	c = c.For(o)
	w := Way{auth: c.ProxyAuth, cert: c.ClientCert, serverName: o.ServerName}
	if err := w.proxied(c); err != nil {
		return Way{}, err
	}
	if c.CA != "" {
		pem, err := readBundle(c.CA)
		if err != nil {
			return Way{}, fmt.Errorf("egress.ca: %w", err)
		}
		w.ca = string(pem)
	}
	if c.ClientCert != (ClientCert{}) {
		if _, err := readPair(c.ClientCert); err != nil {
			return Way{}, fmt.Errorf("egress.client_cert: %w", err)
		}
	}
	if c.SourceAddress != "" {
		source, err := netip.ParseAddr(c.SourceAddress)
		if err != nil {
			return Way{}, fmt.Errorf("egress.source_address: %w", err)
		}
		w.source = source
	}
	return w, nil
}

func (w *Way) proxied(c Config) error {
	u, err := c.proxy()
	if err != nil {
		return fmt.Errorf("egress.proxy: %w", err)
	}
	if u == nil {
		w.auth = secret.Ref{}
		return nil
	}
	w.proxy = u.Scheme + "://" + proxyAddress(u)
	if u.User != nil {
		password, _ := u.User.Password()
		w.user = secret.Plain(u.User.Username() + ":" + password)
	}
	list, err := c.exemptions()
	if err != nil {
		return fmt.Errorf("egress.no_proxy: %w", err)
	}
	texts := make([]string, len(list))
	for i, e := range list {
		texts[i] = e.String()
	}
	w.noProxy = strings.Join(texts, ",")
	return nil
}

// proxy is the proxy's URL, nil when there is none.
func (c Config) proxy() (*url.URL, error) {
	if c.Proxy == "" || c.Proxy == direct {
		return nil, nil
	}
	text, referred, err := dereference(c.Proxy)
	if err != nil {
		return nil, err
	}
	u, err := parseProxy(text, referred)
	if err != nil && referred {
		return nil, fmt.Errorf("what %s holds is not the address of a proxy", c.Proxy)
	}
	return u, err
}

func proxyAddress(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = proxyPorts[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// String is the exemption in a form that parses to itself.
func (e exemption) String() string {
	switch {
	case e.all:
		return "*"
	case e.net.IsValid() && e.port == 0:
		return e.net.String()
	case e.net.IsValid():
		return join(e.net.Addr().String(), e.port)
	}
	text := e.host
	if e.sub {
		text = "." + text
	}
	if e.port != 0 {
		text = fmt.Sprintf("%s:%d", text, e.port)
	}
	return text
}

// readBundle reads certificates; a file without one is refused, because it
// would silently trust nobody more than before.
func readBundle(name string) ([]byte, error) {
	text, err := readFile(name)
	if err != nil {
		return nil, err
	}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, fmt.Errorf("%s holds no PEM certificate", path(name))
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return nil, fmt.Errorf("%s: %w", path(name), err)
		}
		return bytes.TrimSpace(text), nil
	}
}

// readPair reads a client certificate.
func readPair(c ClientCert) (*tls.Certificate, error) {
	cert, err := readFile(c.Cert)
	if err != nil {
		return nil, err
	}
	key, err := readFile(c.Key)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", path(c.Cert), path(c.Key), err)
	}
	return &pair, nil
}

// pair is a client certificate that follows its files. Files that do not go
// together, as in the middle of a rotation, keep the last good ones in use.
type pair struct {
	files ClientCert

	mu    sync.Mutex
	have  *tls.Certificate
	stamp [2]time.Time
}

// certificate is what a handshake shows.
func (p *pair) certificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	stamp, err := stamps(p.files)
	if err == nil && (p.have == nil || stamp != p.stamp) {
		var read *tls.Certificate
		if read, err = readPair(p.files); err == nil {
			p.have, p.stamp = read, stamp
		}
	}
	if p.have == nil {
		return nil, err
	}
	return p.have, nil
}

func stamps(c ClientCert) ([2]time.Time, error) {
	cert, err := os.Stat(path(c.Cert))
	if err != nil {
		return [2]time.Time{}, err
	}
	key, err := os.Stat(path(c.Key))
	if err != nil {
		return [2]time.Time{}, err
	}
	return [2]time.Time{cert.ModTime(), key.ModTime()}, nil
}

// tlsConfig is the TLS of connections that go this way.
func (w Way) tlsConfig() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: w.serverName}
	if w.ca != "" {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool() // an image without certificates of its own
		}
		if !roots.AppendCertsFromPEM([]byte(w.ca)) {
			return nil, errors.New("egress.ca holds no certificate that can be read")
		}
		conf.RootCAs = roots
	}
	if w.cert != (ClientCert{}) {
		conf.GetClientCertificate = (&pair{files: w.cert}).certificate
	}
	return conf, nil
}
