package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/policy"
	"tailplane/internal/secret"
	"tailplane/internal/sigv4"
)

// An SDK of AWS's signs instead of showing a key. A signature covers the body,
// and who made it must be known before the body is read. So there are two steps:
//
//	identify  claim: whose key pair it is said to be, and all that is wrong whatever the body is
//	read
//	prove     the signature over everything; only now the caller is who it says
//
// Between them nothing is answered from what a caller may know: a signature is
// taken only where the body is read.

// proof is a claim that has not been checked against the body.
type proof struct {
	claim  sigv4.Claim
	key    *policy.Key
	secret secret.Value
}

// signedService is what a scope must be for; any region is taken.
const signedService = "bedrock"

// codeUnknown is AWS's name for a key that it does not know.
const codeUnknown = "UnrecognizedClientException"

// claim finds the key that a signed request names.
func (c *call) claim() *llm.Fault {
	if c.surface.dialect.Name() != llm.Converse || c.surface.op == "" {
		return unsigned(codeUnknown, "an AWS signature is taken for Bedrock's operations alone (POST /model/MODEL/converse and the like), and this is none of them; send the key as a bearer token")
	}
	r := c.signed()
	said, err := sigv4.Parse(r)
	if err != nil {
		return refusedSignature(err)
	}
	key, secret := c.plane.Keys.FindPair(said.ID, c.ex.Start)
	switch {
	case key == nil:
		return unsigned(codeUnknown, unknownPair(said.ID))
	case secret.IsZero():
		return c.identified(key) // whatever an SDK insists on, where no key is required
	case said.Token != "":
		return unsigned(codeUnknown, "the key pairs of this gateway have no session token; remove it (AWS_SESSION_TOKEN) from the SDK's settings")
	case said.Scope.Service != signedService:
		return unsigned(sigv4.CodeInvalid, fmt.Sprintf("the request is signed for the service %q; sign it for %q, in any region", cut(said.Scope.Service, 40), signedService))
	}
	if err := said.Early(r, c.ex.Start); err != nil {
		return refusedSignature(err)
	}
	c.proof = &proof{said, key, secret}
	return nil
}

// prove checks the signature of a signed request, whose body has been read.
func (c *call) prove() *llm.Fault {
	p := c.proof
	if p == nil {
		return nil
	}
	r := c.signed()
	r.Payload = sigv4.Hash(c.body)
	if err := p.claim.Verify(r, sigv4.Derive(p.secret.Reveal(), p.claim.Scope), c.ex.Start); err != nil {
		return refusedSignature(err)
	}
	return c.identified(p.key)
}

// signed is the request as its signature covers it, without the body. The path
// is the one on the wire; dots in it are not resolved, as they are not when it
// is served.
func (c *call) signed() sigv4.Request {
	path, query, _ := strings.Cut(c.r.RequestURI, "?")
	if !strings.HasPrefix(path, "/") { // a proxy's form, or a request that was made here
		path, query = c.r.URL.EscapedPath(), c.r.URL.RawQuery
	}
	return sigv4.Request{Method: c.r.Method, Path: path, Query: query, Paths: sigv4.PathSegments, Header: c.headers}
}

// headers walks the fields that a server keeps elsewhere, and all others.
func (c *call) headers(yield func(name, value string) bool) {
	if !yield("host", c.r.Host) {
		return
	}
	if _, has := c.r.Header["Content-Length"]; !has && c.r.ContentLength >= 0 && !yield("content-length", strconv.FormatInt(c.r.ContentLength, 10)) {
		return
	}
	for name, values := range c.r.Header {
		for _, value := range values {
			if !yield(name, value) {
				return
			}
		}
	}
}

// unknownPair tells what is wrong with an access key id, which is public.
func unknownPair(id string) string {
	if strings.HasPrefix(id, "AKIA") || strings.HasPrefix(id, "ASIA") {
		return "the request is signed with a key pair of AWS; use one of this gateway, which `tailplane keys aws NAME` prints, and leave AWS's to the gateway"
	}
	return "the access key id is not known here, or its key has expired or was replaced; `tailplane keys aws NAME` prints the pair of a key"
}

// refusedSignature is the fault of a signature that is not right.
func refusedSignature(err error) *llm.Fault {
	code := sigv4.CodeInvalid
	if known, ok := errors.AsType[*sigv4.Error](err); ok {
		code = known.Code
	}
	return unsigned(code, err.Error())
}

// unsigned refuses in the words of AWS's SDKs, with the status that they expect.
func unsigned(code, message string) *llm.Fault {
	return &llm.Fault{Kind: llm.FaultUnauthorized, Status: http.StatusForbidden, Type: code, Message: message}
}
