package egress

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
)

// Kind says which part of the way failed.
type Kind string

// The kinds. Their text stands in the report.
const (
	Refused   Kind = "refused"    // the policy does not let it out; nothing was dialed
	ProxyAuth Kind = "proxy_auth" // the proxy wants other credentials
	ProxyGave Kind = "proxy"      // the proxy cannot be reached, or did not connect
	Lookup    Kind = "dns"        // the name has no address
	Failed    Kind = "failed"     // the connection could not be opened
)

// Error is a dial that failed for a reason that has words: mostly one that the
// same dial will meet again until somebody changes something. Its text is for
// the operator: it names hosts and addresses, and never a credential.
type Error struct {
	Kind    Kind
	Address string // host:port that was asked for
	Dialed  string // the address behind it, where it was known
	Why     string
	Do      string // what to do about it; may be empty
	Again   bool   // the same dial may go better in a moment
	Err     error  // the cause, if there is one
}

// Error says what failed, where, why and what to do.
func (e *Error) Error() string {
	where := e.Address
	if e.Dialed != "" && e.Dialed != host(e.Address) {
		where += " (" + e.Dialed + ")"
	}
	verb := "failed"
	if e.Kind == Refused {
		verb = "refused"
	}
	s := fmt.Sprintf("egress: dial to %s %s: %s", where, verb, e.Why)
	if e.Do != "" {
		s += "; " + e.Do
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// public is what a caller may read: what and no addresses.
var public = map[Kind]string{
	Refused:   "the network policy of this gateway (egress) does not let out connections to the target's address",
	ProxyAuth: "the proxy on the way to the target refuses the credentials of this gateway (egress.proxy_auth)",
	ProxyGave: "the proxy on the way to the target does not connect to it",
	Lookup:    "the target's name could not be resolved to an address",
	Failed:    "the target cannot be reached",
}

func refusal(host string, port uint16, dialed, why, do string) *Error {
	return &Error{Kind: Refused, Address: join(host, port), Dialed: dialed, Why: why, Do: do}
}

func join(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

func host(address string) string {
	h, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return h
}

// Advice is a failed connection in words.
type Advice struct {
	Public string // for the caller: no address, no credential
	Detail string // for the operator: with the place and what to do
	Again  bool   // the same may go better in a moment
}

// Explain finds words for a failure of the way to a target: a dial of this
// package, or a TLS handshake. ok is false for everything else.
func Explain(err error) (a Advice, ok bool) {
	if e, is := errors.AsType[*Error](err); is {
		return Advice{public[e.Kind], e.Error(), e.Again}, true
	}
	if what, do := explainTLS(err); what != "" {
		return Advice{Public: what, Detail: err.Error() + "; " + do}, true
	}
	return Advice{}, false
}

// explainTLS words what the TLS handshake says.
func explainTLS(err error) (what, do string) {
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return "the target's certificate is not valid at this time", "renew it, or set this machine's clock"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the target's certificate is for another name", "correct the url, or say which name it has with egress.server_name"
	}
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); unknown || invalid {
		return "the target's certificate is not signed by an authority that is trusted here", "add the authority's certificate with egress.ca; behind an intercepting proxy that is the proxy's"
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "remote error" {
		return alerted(strings.TrimPrefix(e.Err.Error(), "tls: "))
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the target does not speak TLS on that port", "write http:// in its url, or the port that speaks TLS"
	}
	return "", ""
}

// alerted words an alert of the server, by crypto/tls's name for it: what it
// thinks of our certificate, or of the name that we ask for.
func alerted(alert string) (what, do string) {
	switch alert {
	case "certificate required", "handshake failure":
		return "the target wants a client certificate, or TLS parameters that this gateway does not have", "set egress.client_cert of the target"
	case "bad certificate", "unsupported certificate", "revoked certificate", "expired certificate", "unknown certificate",
		"unknown certificate authority", "access denied":
		return "the target does not accept the client certificate of this gateway, or misses one", "set egress.client_cert of the target, renew its files, or have their authority trusted there"
	case "unrecognized name":
		return "the target knows no host of that name", "correct the url, or set egress.server_name"
	}
	return "", ""
}

// system words the errors of the operating system that have a remedy in the
// config, and those of DNS.
func system(address string, err error) error {
	if d, ok := errors.AsType[*net.DNSError](err); ok {
		e := &Error{Kind: Lookup, Address: address, Why: "the name " + d.Name + " has no address", Do: "correct the name, or have it entered in DNS", Err: err}
		if !d.IsNotFound {
			e.Why, e.Do, e.Again = "the name "+d.Name+" could not be looked up: "+d.Err, "is the DNS server of this machine reachable?", true
		}
		return e
	}
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return &Error{Kind: Failed, Address: address, Why: err.Error(), Do: "is egress.source_address an address of this machine?", Err: err}
	}
	return err
}
