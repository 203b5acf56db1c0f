package dialect

import (
	"bytes"
	"encoding/base64"
	"strings"

	"tailplane/internal/llm"
)

// Thinking signatures are opaque and mean something only to the dialect that
// signed them. On the way to a client of another dialect a signature travels,
// wrapped, where that client keeps opaque reasoning state; the client hands it
// back unread with its next request and the codec unwraps it there.

// signaturePrefix marks a wrapped signature; its digit is the version of the
// wrapping.
const signaturePrefix = "tp1."

// wrapSignature returns signature as text that names the dialect that signed
// it: tp1.<dialect>.<base64url without padding>. A signature that a dialect
// keeps in its own place is not wrapped.
func wrapSignature(by llm.Dialect, signature string) string {
	return signaturePrefix + string(by) + "." + base64.RawURLEncoding.EncodeToString([]byte(signature))
}

// unwrapSignature undoes wrapSignature. ok is false, and the other results
// are zero, when text is no wrapped signature: then it is a native one.
func unwrapSignature(text string) (by llm.Dialect, signature string, ok bool) {
	rest, found := strings.CutPrefix(text, signaturePrefix)
	if !found {
		return "", "", false
	}
	name, code, found := strings.Cut(rest, ".")
	if !found || name == "" {
		return "", "", false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(code)
	if err != nil {
		return "", "", false
	}
	return llm.Dialect(name), string(raw), true
}

// CarriesWrappedSignature reports whether a request's bytes seem to hold a
// wrapped signature. Such a request must be translated even to a target of
// its own dialect: spliced, the wrapping would reach a provider that takes it
// for a forged signature. It may be true of a text that merely quotes one.
func CarriesWrappedSignature(body []byte) bool {
	return bytes.Contains(body, []byte(`"`+signaturePrefix))
}
