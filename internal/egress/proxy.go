package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// proxy is the server that connections are asked of.
type proxy struct {
	scheme  string
	address string      // host:port
	tls     *tls.Config // nil: spoken to in the clear
	auth    credential
}

// newProxy is the proxy of a way. A proxy with https is trusted by the way's
// own authorities, and never shown its client certificate.
func (w Way) newProxy(conf *tls.Config) (*proxy, error) {
	u, err := url.Parse(w.proxy)
	if err != nil {
		return nil, errors.New("egress.proxy is not the address of a proxy")
	}
	p := &proxy{scheme: u.Scheme, address: join(canonical(u.Hostname()), portOf(u)), auth: credential{fixed: w.user}}
	if u.Scheme == "https" {
		p.tls = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: conf.RootCAs, ServerName: u.Hostname(), NextProtos: []string{"http/1.1"}}
	}
	if !w.auth.IsZero() {
		if p.auth.source, err = w.auth.Open(time.Now()); err != nil {
			return nil, fmt.Errorf("egress.proxy_auth: %w", err)
		}
	}
	return p, nil
}

func portOf(u *url.URL) uint16 {
	port, err := parsePort(u.Port())
	if err != nil {
		return 0
	}
	return port
}

// unreachable words a proxy that did not answer to a dial.
func (p *proxy) unreachable(ctx context.Context, to endpoint, err error) error {
	if ctx.Err() != nil {
		return err
	}
	if e, ok := errors.AsType[*Error](err); ok && e.Kind == Refused {
		return err
	}
	return p.fault(to, "the proxy cannot be reached: "+err.Error(), err)
}

func (p *proxy) fault(to endpoint, why string, err error) *Error {
	return &Error{
		Kind: ProxyGave, Address: join(to.host, to.port), Why: why + " (" + p.address + ")",
		Do: "correct egress.proxy, or name hosts that need none in egress.no_proxy", Again: true, Err: err,
	}
}

// open asks the proxy, on a connection to it, for one to a host. It closes the
// connection when it fails.
func (p *proxy) open(ctx context.Context, c net.Conn, to endpoint) (net.Conn, error) {
	if p.tls != nil {
		t := tls.Client(c, p.tls)
		if err := t.HandshakeContext(ctx); err != nil {
			_ = c.Close()
			what, do := explainTLS(err)
			e := p.fault(to, strings.ReplaceAll("no TLS with the proxy: "+err.Error()+" "+what, "the target", "the proxy"), err)
			if do != "" {
				e.Do, e.Again = do, false
			}
			return nil, e
		}
		c = t
	}
	ask := p.httpConnect
	if strings.HasPrefix(p.scheme, "socks5") {
		ask = p.socks
	}
	// What the proxy says is bounded by the context, like a dial.
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	err := ask(c, to)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = c.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	return c, nil
}

// Sizes of what is read of a proxy.
const (
	mostProxyHead = 64 << 10
	mostProxyBody = 4 << 10
	mostWords     = 300
)

// httpConnect is the CONNECT method of RFC 9110 section 9.3.6.
func (p *proxy) httpConnect(c net.Conn, to endpoint) error {
	target := join(to.host, to.port)
	head := "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\nUser-Agent: tailplane\r\n"
	user := p.auth.value()
	if !user.IsZero() {
		head += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user.Reveal())) + "\r\n"
	}
	if _, err := io.WriteString(c, head+"\r\n"); err != nil {
		return p.fault(to, "the proxy closed the connection: "+err.Error(), err)
	}
	in := bufio.NewReader(io.LimitReader(c, mostProxyHead))
	resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return p.fault(to, "the proxy's answer is not HTTP: "+err.Error(), err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 == 2 {
		if in.Buffered() > 0 {
			return p.fault(to, "the proxy sent bytes that nobody asked for", nil)
		}
		return nil
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, mostProxyBody)) // its words only
	said := words(resp.Status, string(body), user.Reveal())
	if resp.StatusCode == http.StatusProxyAuthRequired {
		said += offered(resp.Header)
		return p.unauthorized(to, !user.IsZero(), said)
	}
	e := p.fault(to, "the proxy answers "+said, nil)
	e.Again = resp.StatusCode >= 500
	if resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusMethodNotAllowed {
		e.Do = "have the proxy let this host and port pass (CONNECT), or name it in egress.no_proxy"
	}
	return e
}

// unauthorized words a proxy that wants to know who asks.
func (p *proxy) unauthorized(to endpoint, shown bool, said string) *Error {
	e := p.fault(to, "the proxy wants credentials and says "+said, nil)
	e.Kind, e.Do, e.Again = ProxyAuth, "set egress.proxy_auth to a reference to USER:PASSWORD", false
	if shown {
		e.Why = "the proxy refuses our credentials and says " + said + " (" + p.address + ")"
		e.Do = "correct what egress.proxy_auth, or the user in the proxy's address, refers to"
	}
	return e
}

// offered are the ways of authentication that a proxy wants, when ours is not
// among them.
func offered(h http.Header) string {
	var schemes []string
	for _, v := range h.Values("Proxy-Authenticate") {
		scheme, _, _ := strings.Cut(v, " ")
		if strings.EqualFold(scheme, "Basic") {
			return ""
		}
		schemes = append(schemes, strings.Map(printable, scheme))
	}
	if len(schemes) == 0 {
		return ""
	}
	return fmt.Sprintf(" [it takes %s, and Basic is what there is here]", strings.Join(schemes, ", "))
}

var tags = regexp.MustCompile(`(?s)<(style|script|title)[^>]*>.*?</(style|script|title)>|<[^>]*>`)

// words is what a proxy says, on one line, without markup and without our own
// credential, which some pages repeat.
func words(status, body, credential string) string {
	text := status
	if body = strings.Join(strings.Fields(tags.ReplaceAllString(body, " ")), " "); body != "" {
		text += ": " + body
	}
	if credential != "" {
		_, password, _ := strings.Cut(credential, ":")
		for _, s := range []string{credential, base64.StdEncoding.EncodeToString([]byte(credential)), password} {
			if s != "" {
				text = strings.ReplaceAll(text, s, "***")
			}
		}
	}
	text = strings.Map(printable, text)
	if len(text) > mostWords {
		text = strings.ToValidUTF8(text[:mostWords], "") + "..."
	}
	return `"` + text + `"`
}

func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return -1
}
