// Package sigv4 signs requests with AWS Signature Version 4 and checks such
// signatures.
//
// It owns the canonical request, the string to sign, the derived key and the
// two places in which a signature travels (the Authorization header and the
// query). It never reads a body, a clock or a credential store: the hash of the
// body, the time and the key are arguments. It knows one credential scope form
// (aws4_request) and no chunk signatures.
//
// Start reading at [Sign], then at [Parse] and [Claim.Verify] for the way in.
// Source of the rules: AWS's signing test suite, and the Signature Version 4
// pages of the IAM user guide. All functions are pure.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	stampForm  = "20060102T150405Z"
	dayLength  = len("20060102")
)

// Request is what is signed of a request.
type Request struct {
	Method string
	// Path is as it stands on the wire, escapes included: of a service other
	// than S3 the signature covers it escaped once more, so that
	// "/model/a%3A0/converse" is signed as "/model/a%253A0/converse".
	Path string
	// Query is as it stands on the wire, without "?".
	Query string
	// Header are all fields, "host" included, in their order.
	Header iter.Seq2[string, string]
	// Payload is the SHA-256 of the body in lower-case hex; see [Hash].
	Payload string
	// Paths says how the path is made canonical; zero is right for Bedrock and
	// every other service but S3.
	Paths Paths
}

// Paths are the rules for the path.
type Paths uint8

// The rules.
const (
	PathNormal   Paths = iota // "." , ".." and empty segments are resolved, then every byte is escaped
	PathSegments              // segments stay as they are, every byte is escaped
	PathVerbatim              // S3: the path is signed as it stands
)

// Scope is what a signature is good for.
type Scope struct {
	At              time.Time
	Region, Service string
}

func (s Scope) stamp() string { return s.At.UTC().Format(stampForm) }

// String is the credential scope, "20150830/us-east-1/service/aws4_request".
func (s Scope) String() string { return s.on(s.stamp()) }

func (s Scope) on(stamp string) string {
	return stamp[:dayLength] + "/" + s.Region + "/" + s.Service + "/" + terminator
}

// Credentials are who signs. Printing them shows the id alone.
type Credentials struct {
	ID     string // access key id
	Secret string
	Token  string // of a session; empty for a permanent key
}

// Format prints the access key id, whatever the verb.
func (c Credentials) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.ID+" (secret ***)") }

// Key is a derived key: it holds for one day, region and service and may be
// kept for that long.
type Key [sha256.Size]byte

// Format prints asterisks, whatever the verb.
func (k Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "***") }

// Derive makes the key of a secret for a scope.
func Derive(secret string, s Scope) Key {
	key := Key(mac([]byte("AWS4"+secret), s.stamp()[:dayLength]))
	for _, part := range [...]string{s.Region, s.Service, terminator} {
		key = mac(key[:], part)
	}
	return key
}

func mac(key []byte, text string) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, key)
	_, _ = io.WriteString(h, text)
	h.Sum(sum[:0])
	return sum
}

// Hash is the hash of a body, given in one part or several, as Request.Payload wants it.
func Hash(body ...[]byte) string {
	h := sha256.New()
	for _, part := range body {
		h.Write(part) // never fails
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Field is a header to add to a request.
type Field struct{ Name, Value string }

// Sign returns the headers that make r a signed request; key is the one that
// [Derive] gives for the scope. Every field of r is covered but those that a
// proxy on the way may change (see unsigned).
func Sign(r Request, c Credentials, key Key, s Scope) []Field {
	stamp := s.stamp()
	scope := s.on(stamp)
	added := make([]Field, 0, 3)
	added = append(added, Field{"x-amz-date", stamp})
	if c.Token != "" {
		added = append(added, Field{"x-amz-security-token", c.Token})
	}
	fields := make([]Field, 0, 16)
	for name, value := range r.Header {
		if name = strings.ToLower(name); !unsigned[name] {
			fields = append(fields, Field{name, value})
		}
	}
	canonical, names := r.canonical(append(fields, added...), r.Query)
	signature := sign(stringToSign(canonical, stamp, scope), key)
	return append(added, Field{"authorization", algorithm + " Credential=" + c.ID + "/" + scope +
		", SignedHeaders=" + names + ", Signature=" + signature})
}

// unsigned fields are changed or removed on the way, or hold the signature
// itself.
var unsigned = map[string]bool{
	"authorization": true, "connection": true, "expect": true, "transfer-encoding": true, "user-agent": true, "x-amzn-trace-id": true,
}

// stringToSign is what the key is applied to.
func stringToSign(canonical []byte, stamp, scope string) string {
	sum := sha256.Sum256(canonical)
	return algorithm + "\n" + stamp + "\n" + scope + "\n" + hex.EncodeToString(sum[:])
}

func sign(text string, key Key) string {
	sum := mac(key[:], text)
	return hex.EncodeToString(sum[:])
}
