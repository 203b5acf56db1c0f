package sigv4

import (
	"crypto/subtle"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Skew is how far the clocks of signer and verifier may be apart.
const Skew = 5 * time.Minute

// longestExpiry bounds a signature in the query (AWS: seven days).
const longestExpiry = 7 * 24 * time.Hour

// Error is a signature that cannot be read or is not right. Code is AWS's name
// for it, which is what its SDKs look at.
type Error struct{ Code, Text string }

func (e *Error) Error() string { return e.Text }

// The codes.
const (
	CodeMissing    = "MissingAuthenticationTokenException" // no signature at all
	CodeIncomplete = "IncompleteSignatureException"        // a part of it is missing or malformed
	CodeInvalid    = "InvalidSignatureException"           // it does not fit, or not now
)

func incomplete(format string, args ...any) error {
	return &Error{CodeIncomplete, fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) error {
	return &Error{CodeInvalid, fmt.Sprintf(format, args...)}
}

// Claim is what a signed request says about itself. Nothing of it is to be
// believed before Verify.
type Claim struct {
	ID      string // access key id: whose secret the signature is made with
	Scope   Scope
	Token   string // session token, if it has one
	Signed  []string
	Expires time.Duration // of a signature in the query; 0 for one in the header

	signature string
	query     string // without the signature
	inQuery   bool
}

// Present reports whether a request with these is signed, well or badly.
func Present(authorization, query string) bool {
	return strings.HasPrefix(authorization, algorithm) || strings.Contains(query, querySignature)
}

// querySignature is the parameter that makes a query a signed one.
const querySignature = "X-Amz-Signature="

// Parse reads the signature of r from its Authorization header or, when it has
// none of ours, from its query. Every error is an *Error.
func Parse(r Request) (Claim, error) {
	auth, stamp, token := "", "", ""
	for name, value := range r.Header {
		switch strings.ToLower(name) {
		case "authorization":
			auth = value
		case "x-amz-date":
			stamp = value
		case "x-amz-security-token":
			token = value
		}
	}
	rest, inHeader := strings.CutPrefix(auth, algorithm)
	inQuery := strings.Contains(r.Query, querySignature)
	switch {
	case inHeader && inQuery:
		return Claim{}, invalid("the request is signed twice: in the Authorization header and in the query")
	case inQuery:
		return parseQuery(r.Query)
	case !inHeader:
		return Claim{}, &Error{CodeMissing, "the request has no AWS signature: neither an Authorization header that begins with " + algorithm + " nor a query with X-Amz-Signature"}
	}
	c := Claim{Token: token, query: r.Query}
	parts, err := pairsOf(rest, ",")
	if err != nil {
		return Claim{}, err
	}
	return c.complete(claimText{parts["Credential"], parts["SignedHeaders"], parts["Signature"], stamp})
}

// pairsOf reads NAME=VALUE parts, each of which may stand there once.
func pairsOf(text, separator string) (map[string]string, error) {
	out := map[string]string{}
	for part := range strings.SplitSeq(text, separator) {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := out[name]; twice || !ok {
			return nil, incomplete("the Authorization header is malformed: it is %s Credential=..., SignedHeaders=..., Signature=...", algorithm)
		}
		out[name] = value
	}
	return out, nil
}

// parseQuery reads a presigned request.
func parseQuery(query string) (Claim, error) {
	c := Claim{inQuery: true}
	var text claimText
	var kept []string
	seen := map[string]bool{}
	form, expires := "", ""
	places := map[string]*string{
		"X-Amz-Algorithm": &form, "X-Amz-Credential": &text.credential, "X-Amz-Date": &text.stamp, "X-Amz-Expires": &expires,
		"X-Amz-SignedHeaders": &text.signed, "X-Amz-Signature": &text.signature, "X-Amz-Security-Token": &c.Token,
	}
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		if place, ours := places[name]; ours {
			if seen[name] {
				return Claim{}, incomplete("the query has %s twice", name)
			}
			seen[name], *place = true, unescape(value)
		}
		if name != "X-Amz-Signature" {
			kept = append(kept, part)
		}
	}
	if form != algorithm {
		return Claim{}, incomplete("X-Amz-Algorithm must be %s", algorithm)
	}
	seconds, err := strconv.Atoi(expires)
	if c.Expires = time.Duration(seconds) * time.Second; err != nil || seconds < 1 || seconds > int(longestExpiry/time.Second) {
		return Claim{}, incomplete("X-Amz-Expires must be a number of seconds from 1 to %d", int(longestExpiry/time.Second))
	}
	c.query = strings.Join(kept, "&")
	return c.complete(text)
}

// claimText are the texts that both places have.
type claimText struct{ credential, signed, signature, stamp string }

func (c Claim) complete(t claimText) (Claim, error) {
	at, err := time.Parse(stampForm, t.stamp)
	if err != nil {
		return Claim{}, incomplete("X-Amz-Date is missing or not of the form %s", stampForm)
	}
	scope := strings.Split(t.credential, "/")
	if len(scope) < 5 {
		return Claim{}, incomplete("Credential must be KEY-ID/DATE/REGION/SERVICE/%s", terminator)
	}
	id, scope := scope[:len(scope)-4], scope[len(scope)-4:]
	c.ID, c.Scope = strings.Join(id, "/"), Scope{at, scope[1], scope[2]}
	if c.ID == "" || c.Scope.Region == "" || c.Scope.Service == "" || scope[3] != terminator {
		return Claim{}, incomplete("Credential must be KEY-ID/DATE/REGION/SERVICE/%s", terminator)
	}
	if scope[0] != t.stamp[:dayLength] {
		return Claim{}, invalid("the date in Credential and the one in X-Amz-Date are not the same day")
	}
	c.Signed = strings.Split(t.signed, ";")
	if !slices.IsSorted(c.Signed) || len(slices.Compact(slices.Clone(c.Signed))) != len(c.Signed) || t.signed != strings.ToLower(t.signed) {
		return Claim{}, incomplete("SignedHeaders must be lower case, in order, each once")
	}
	if !slices.Contains(c.Signed, "host") {
		return Claim{}, invalid("the Host header must be among the signed headers")
	}
	if len(t.signature) != 2*len(Key{}) {
		return Claim{}, incomplete("Signature must be 64 hexadecimal digits")
	}
	c.signature = t.signature
	return c, nil
}

// Early reports what is wrong with the claim whatever the body of r is: its time,
// a signed header that is not there, a body that is declared unsigned. It is for
// those who do not read a body for nothing; r.Payload is not looked at. Every
// error is an *Error.
func (c Claim) Early(r Request, now time.Time) error {
	if err := c.timely(now); err != nil {
		return err
	}
	for name, value := range r.Header {
		if strings.EqualFold(name, contentHash) && len(value) != len(Hash()) {
			return errUnsigned
		}
	}
	_, err := c.fields(r)
	return err
}

// contentHash is the header that declares the hash of the body, or that the
// signature does not cover it.
const contentHash = "x-amz-content-sha256"

var errUnsigned = invalid("x-amz-content-sha256 is not the hash of the body; unsigned and chunk-signed bodies are not taken")

// Verify reports whether r is signed with the key, which is the one that
// [Derive] gives for the claim's own scope, and is of now. r.Payload is the
// hash of the body that really came. Every error is an *Error; none says more
// about the right signature than that this is not it.
func (c Claim) Verify(r Request, key Key, now time.Time) error {
	if err := c.timely(now); err != nil {
		return err
	}
	canonical, err := c.canonical(r)
	if err != nil {
		return err
	}
	right := sign(stringToSign(canonical, c.Scope.stamp(), c.Scope.String()), key)
	if subtle.ConstantTimeCompare([]byte(right), []byte(c.signature)) != 1 {
		return invalid("the signature does not fit the request: the secret key is another one, or the method, path, query, a signed header or the body was changed on the way")
	}
	return nil
}

// canonical is the canonical request of the headers that the claim names.
func (c Claim) canonical(r Request) ([]byte, error) {
	fields, err := c.fields(r)
	if err != nil {
		return nil, err
	}
	for _, f := range fields {
		if f.Name == contentHash && f.Value != r.Payload {
			return nil, errUnsigned
		}
	}
	text, _ := r.canonical(fields, c.query)
	return text, nil
}

// fields are the headers that the claim names.
func (c Claim) fields(r Request) ([]Field, error) {
	var fields []Field
	found := make([]bool, len(c.Signed))
	for name, value := range r.Header {
		name = strings.ToLower(name)
		i, signed := slices.BinarySearch(c.Signed, name)
		if !signed {
			continue
		}
		found[i] = true
		fields = append(fields, Field{name, value})
	}
	if i := slices.Index(found, false); i >= 0 {
		return nil, invalid("SignedHeaders names %q, which the request does not have", c.Signed[i])
	}
	return fields, nil
}

// timely reports a signature that is too old or of the future, in words that
// tell whose clock is off and by how much.
func (c Claim) timely(now time.Time) error {
	apart := c.Scope.At.Sub(now)
	if c.inQuery && apart <= Skew {
		if late := -apart - c.Expires; late > 0 {
			return invalid("the signature expired %v ago: it was made at %s for %v, and it is %s here",
				late.Round(time.Second), clock(c.Scope.At), c.Expires, clock(now))
		}
		return nil
	}
	way := "behind"
	if apart > 0 {
		way = "ahead"
	}
	if apart.Abs() > Skew {
		return invalid("the request was signed at %s and it is %s here: the caller's clock is %v %s, and at most %v is allowed",
			clock(c.Scope.At), clock(now), apart.Abs().Round(time.Second), way, Skew)
	}
	return nil
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }
