package dialect

import (
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

// Words that stand where a wrapping, and llm.Part.SignedBy, names the dialect, or
// behind its name.
const (
	// byNobody is for thinking that nobody signed, so that it is not taken for
	// the client dialect's own when it comes back.
	byNobody llm.Dialect = "unsigned"
	// byRedacted ends the name of a dialect whose thinking is redacted, so has
	// no text, so that it comes back as such.
	byRedacted llm.Dialect = "-redacted"
	// byGeminiCall and byGeminiPart are for Gemini's signatures of a function
	// call and of any other part that is no thought: they travel as a thinking
	// part without text and go back on the next such part.
	byGeminiCall llm.Dialect = "gemini-call"
	byGeminiPart llm.Dialect = "gemini-part"
)

// signatureFor is the signature of a thinking part as a client of dialect d
// keeps it: d's own as it is, others wrapped.
func signatureFor(d llm.Dialect, p *llm.Part) string {
	switch {
	case p.SignedBy == d || p.Extra.Dialect == d:
		return p.Signature
	case p.Redacted && (p.SignedBy == llm.Anthropic || p.SignedBy == llm.Converse):
		return wrapSignature(p.SignedBy+byRedacted, p.Signature)
	case p.SignedBy == "" && p.Signature == "":
		return wrapSignature(byNobody, "")
	}
	return wrapSignature(p.SignedBy, p.Signature)
}

// unwrapThinking undoes signatureFor. What is left is no part of the client's
// dialect any more.
func unwrapThinking(p *llm.Part) {
	if p.Kind != llm.PartThinking {
		return
	}
	by, signature, ok := unwrapSignature(p.Signature)
	if !ok {
		return
	}
	p.Signature, p.SignedBy, p.Extra = signature, by, llm.Extra{}
	if by == byNobody {
		p.SignedBy = ""
	}
	if name, redacted := strings.CutSuffix(string(by), string(byRedacted)); redacted {
		p.SignedBy, p.Redacted = llm.Dialect(name), true
	}
}

// unwrapTurns undoes signatureFor in a conversation.
func unwrapTurns(turns []llm.Turn) {
	for i := range turns {
		for k := range turns[i].Parts {
			unwrapThinking(&turns[i].Parts[k])
		}
	}
}

// WrappedSignatures is what strings with a wrapped signature begin with. A request
// that has one must be translated even to a target of its own dialect: spliced,
// the wrapping would reach a provider that takes it for a forged signature. A
// text that merely quotes one is translated, too.
func WrappedSignatures() []string { return []string{signaturePrefix, signatureBase64} }

// signatureBase64 is how a wrapped signature begins in base64, as Gemini's
// clients keep it: five characters, because the sixth has bits of what
// follows signaturePrefix.
const signatureBase64 = "dHAxL"
