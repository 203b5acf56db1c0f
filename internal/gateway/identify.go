package gateway

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"time"

	"tailplane/internal/llm"
	"tailplane/internal/policy"
	"tailplane/internal/sigv4"
)

// Tokens verifies bearer tokens of identity providers. The error says what is
// wrong with a token, without any of it.
type Tokens interface {
	Verify(ctx context.Context, raw string, now time.Time) (claims map[string]any, err error)
}

// identify finds out who calls, before anything else is looked at. Of a signed
// request it finds out who that is said to be: prove follows when the body is
// there, and nothing is told or done before.
func (c *call) identify() *llm.Fault {
	if !c.plane.mayHost(c.r.Host) {
		return &llm.Fault{Kind: llm.FaultForbidden, Message: "this host name is not served here; add it to listen.hosts"}
	}
	if sigv4.Present(c.says.auth, c.r.URL.RawQuery) {
		return c.claim()
	}
	text, source := c.shown()
	switch {
	case len(c.plane.Tokens) > 0 && strings.Count(text, ".") == 2:
		return c.byToken(text)
	case text == "" && c.r.TLS != nil && len(c.r.TLS.VerifiedChains) > 0:
		if key, customer, ok := c.plane.Keys.Certificate(names(c.r.TLS.PeerCertificates[0]), c.ex.Start); ok {
			c.proven = policy.Claim{Customer: customer, From: "mtls", Proven: customer != ""}
			return c.identified(key)
		}
	}
	key := c.opened(text)
	if key == nil {
		return &llm.Fault{Kind: llm.FaultUnauthorized, Message: refusal(c.plane.Keys.Why(text, c.ex.Start), source)}
	}
	return c.identified(key)
}

// opened is the key to a text; nil where it opens nothing.
func (c *call) opened(text string) *policy.Key {
	if text == c.says.key {
		return c.plane.Keys.FindShown(c.says.shown, c.ex.Start)
	}
	return c.plane.Keys.Find(text, c.ex.Start)
}

// byToken finds the key that a token of an identity provider stands for.
func (c *call) byToken(raw string) *llm.Fault {
	var last error
	for _, t := range c.plane.Tokens {
		claims, err := t.Verify(c.ctx, raw, c.ex.Start)
		if err != nil {
			last = err
			continue
		}
		key, customer, ok := c.plane.Keys.Token(claims, c.ex.Start)
		if !ok {
			return &llm.Fault{Kind: llm.FaultUnauthorized, Message: "the token is good, and stands for no key here; its claims must fit a rule of keys.jwt"}
		}
		c.proven = policy.Claim{Customer: customer, From: "jwt", Proven: customer != ""}
		return c.identified(key)
	}
	return &llm.Fault{Kind: llm.FaultUnauthorized, Message: "the token is not taken: " + last.Error()}
}

// names are those that a client certificate is known by.
func names(cert *x509.Certificate) []string {
	out := append([]string{}, cert.DNSNames...)
	out = append(out, cert.EmailAddresses...)
	for _, u := range cert.URIs {
		out = append(out, u.String())
	}
	for _, ip := range cert.IPAddresses {
		out = append(out, ip.String())
	}
	if cert.Subject.CommonName != "" {
		out = append(out, cert.Subject.CommonName)
	}
	return out
}

// identified notes who calls, and refuses what the key may not do at all.
func (c *call) identified(key *policy.Key) *llm.Fault {
	c.key = key
	c.ex.Key, c.ex.Name = key.ID, key.Name
	c.countFor(key.Party())
	return c.scoped()
}

// shown is the key that the caller shows, wherever its SDK puts it: in a header,
// in the query (Google) or among the subprotocols of a WebSocket (browsers).
func (c *call) shown() (text, source string) {
	if c.says.key != "" {
		return c.says.key, c.says.source
	}
	switch {
	case c.surface.dialect.Name() == llm.Gemini && strings.Contains(c.r.URL.RawQuery, "key="):
		return c.r.URL.Query().Get("key"), "the query"
	case c.surface.op == llm.OpRealtime:
		_, text = protocols(c.r.Header)
		return text, "Sec-WebSocket-Protocol"
	}
	return "", c.says.source
}

// credential takes the key from the Authorization or whichever header the caller's
// SDK uses.
func credential(auth string, h http.Header) (text, source string) {
	if len(auth) > 7 && strings.EqualFold(auth[:7], "bearer ") {
		return strings.TrimSpace(auth[7:]), "Authorization"
	}
	if key := field(h, "X-Api-Key"); key != "" {
		return key, "x-api-key"
	}
	if key := field(h, "X-Goog-Api-Key"); key != "" {
		return key, "x-goog-api-key"
	}
	return field(h, "Api-Key"), "api-key"
}

// refusal tells what is wrong with a key without repeating any of it.
func refusal(why policy.Lack, source string) string {
	switch why {
	case policy.LackNone:
		return "no key was sent; send one as `Authorization: Bearer sk-tp-...`, `x-api-key`, `api-key` or `x-goog-api-key`"
	case policy.LackUnknown:
		return fmt.Sprintf("the key in %s is not known here", source)
	case policy.LackExpired:
		return fmt.Sprintf("the key in %s has expired; ask its owner for a new one", source)
	case policy.LackReplaced:
		return fmt.Sprintf("the key in %s has been replaced, and the time for the change is over; use its new text", source)
	case policy.LackRevoked:
		return fmt.Sprintf("the key in %s has been revoked", source)
	case policy.LackBroken:
		return fmt.Sprintf("the key in %s cannot be used now: what it belongs to is not there; ask its owner", source)
	case policy.LackDamaged:
		return fmt.Sprintf("the key in %s is damaged: its checksum does not fit; copy it again, whole", source)
	}
	return fmt.Sprintf("the key in %s is not a key of this gateway; use one that begins with sk-tp-, and leave the provider's key to the gateway", source)
}
