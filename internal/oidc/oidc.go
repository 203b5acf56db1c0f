// Package oidc verifies the ID tokens of an OpenID provider, and lets a browser
// log in there.
//
// It owns which signatures are believed (RS256, ES256 and EdDSA, each by a key of
// that kind), the provider's keys (from a file, or from the provider by the one
// client that it is given), what a token must say to be taken, and a cache of
// tokens that were. It never opens a connection of its own, never decides what a
// claim is good for, and never repeats a token or a piece of one in an error.
//
// Start reading at [Verifier.Verify]; keys.go has the keys, login.go the login.
package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	upstream "github.com/coreos/go-oidc/v3/oidc"
)

// Limits of what is taken.
const (
	skew         = 60 * time.Second // between the provider's clock and ours
	longestToken = 16 << 10         // bytes
	mostCached   = 8192             // tokens
)

// Options are what a Verifier is made of.
type Options struct {
	// Issuer is what tokens must name as theirs, to the letter.
	Issuer string
	// Audiences are those of which a token must name one.
	Audiences []string
	// JWKS is a file with the issuer's keys. It is read again when it changes.
	// Without one they come from the issuer.
	JWKS string
	// Client asks the issuer; it is not used where JWKS is set.
	Client *http.Client
}

// Reason is why a token is not taken, as one word.
type Reason string

// The reasons.
const (
	Malformed   Reason = "malformed"
	Algorithm   Reason = "algorithm"   // of the signature: not one that is believed
	UnknownKey  Reason = "unknown_key" // the issuer has no such key
	Signature   Reason = "signature"
	Issuer      Reason = "issuer"
	Audience    Reason = "audience"
	Expired     Reason = "expired"
	Early       Reason = "early"       // not valid yet
	Unavailable Reason = "unavailable" // the issuer's keys cannot be had: this is not the token's fault
)

// Error says why a token is not taken.
type Error struct {
	Reason Reason
	Text   string
}

func (e *Error) Error() string { return e.Text }

func refuse(reason Reason, format string, args ...any) error {
	return &Error{reason, fmt.Sprintf(format, args...)}
}

// Verifier verifies the tokens of one issuer. It is safe for concurrent use.
type Verifier struct {
	opt  Options
	keys *keyring
	made *upstream.IDTokenVerifier

	found discovery // of the issuer; without use where the keys are in a file

	mu    sync.Mutex
	cache map[[sha256.Size]byte]verified
}

// verified is a token that was taken.
type verified struct {
	head   head
	claims map[string]any
	exp    float64 // Unix seconds
	set    *keySet // that it was verified by
}

// good reports whether the token is still taken: its end has not come, and the
// issuer's keys are the same.
func (t *verified) good(set *keySet, now time.Time) bool {
	return t.set == set && float64(now.Unix()) < t.exp+skew.Seconds()
}

// New makes a Verifier. Nothing is asked and read yet: a gateway starts while
// its provider is away.
func New(o Options) (*Verifier, error) {
	switch {
	case o.Issuer == "" || len(o.Audiences) == 0 || slices.Contains(o.Audiences, ""):
		return nil, errors.New("a verifier of tokens needs an issuer and an audience")
	case o.JWKS == "" && o.Client == nil:
		return nil, errors.New("a verifier of tokens needs a file with keys, or a way to the issuer")
	}
	v := &Verifier{opt: o, cache: map[[sha256.Size]byte]verified{}}
	v.found = discovery{issuer: o.Issuer, client: o.Client}
	if o.JWKS != "" {
		v.keys = fileKeys(o.JWKS)
	} else {
		v.keys = remoteKeys(&v.found)
	}
	// What the library would check of time and audience is checked here, where
	// the clock is the caller's.
	v.made = upstream.NewVerifier(o.Issuer, signatures{}, &upstream.Config{
		SupportedSigningAlgs: algorithms, SkipClientIDCheck: true, SkipExpiryCheck: true,
	})
	return v, nil
}

// Verify returns the claims of a token that is good at now, or an *Error. The
// claims are shared with other callers and only read. It may ask the issuer for
// its keys, within ten seconds and not again and again.
func (v *Verifier) Verify(ctx context.Context, raw string, now time.Time) (map[string]any, error) {
	if len(raw) > longestToken {
		return nil, refuse(Malformed, "the token is longer than %d bytes", longestToken)
	}
	digest := sha256.Sum256([]byte(raw))
	have, cached := v.cached(digest)
	h := have.head
	if !cached {
		var err error
		if h, err = readHead(raw); err != nil {
			return nil, err
		}
	}
	set, err := v.keys.set(ctx, h.Kid, now)
	if err != nil {
		return nil, err
	}
	if cached && have.good(set, now) {
		return have.claims, nil
	}
	candidates, err := set.fitting(h)
	if err != nil {
		return nil, err
	}
	token, err := v.made.Verify(context.WithValue(ctx, candidateKey{}, candidates), raw)
	if err != nil {
		return nil, v.explain(err, raw)
	}
	var claims map[string]any
	if err := token.Claims(&claims); err != nil {
		return nil, refuse(Malformed, "the token's claims cannot be read")
	}
	exp, err := v.judge(claims, token.Audience, now)
	if err != nil {
		return nil, err
	}
	v.keep(digest, verified{h, claims, exp, set}, now)
	return claims, nil
}

// errSignature is what a signature that does not fit is.
var errSignature = errors.New("the signature does not fit")

// explain words an error of the library, whose own text is not repeated: it may
// hold a piece of the token.
func (v *Verifier) explain(err error, raw string) error {
	if errors.Is(err, errSignature) || strings.Contains(err.Error(), errSignature.Error()) {
		return refuse(Signature, "the token's signature is wrong")
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	_, rest, _ := strings.Cut(raw, ".")
	payload, _, _ := strings.Cut(rest, ".")
	if text, err := base64.RawURLEncoding.DecodeString(payload); err == nil && json.Unmarshal(text, &claims) == nil && claims.Issuer != v.opt.Issuer {
		return refuse(Issuer, "the token is of another issuer than %s", v.opt.Issuer)
	}
	return refuse(Malformed, "the token is malformed")
}

// judge checks what a token says of its time and its audience. It returns when
// the token ends, in Unix seconds.
func (v *Verifier) judge(claims map[string]any, audience []string, now time.Time) (float64, error) {
	exp, ok := claims["exp"].(float64)
	if !ok {
		return 0, refuse(Malformed, "the token does not say when it ends")
	}
	at, leeway := float64(now.Unix()), skew.Seconds()
	if at >= exp+leeway {
		return 0, refuse(Expired, "the token has expired, %v ago", time.Duration(min(at-exp, 1e8))*time.Second)
	}
	for _, name := range []string{"nbf", "iat"} {
		if from, ok := claims[name].(float64); ok && from > at+leeway {
			return 0, refuse(Early, "the token is not valid yet (%s); is this machine's clock right?", name)
		}
	}
	if !slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(v.opt.Audiences, a) }) {
		return 0, refuse(Audience, "the token is for another audience than %s", strings.Join(v.opt.Audiences, ", "))
	}
	return exp, nil
}

func (v *Verifier) cached(digest [sha256.Size]byte) (verified, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	have, ok := v.cache[digest]
	return have, ok
}

// keep adds a token to the cache. Where that is full, it drops what cannot be
// used any more, or else an eighth of it, whichever that is.
func (v *Verifier) keep(digest [sha256.Size]byte, token verified, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.cache) >= mostCached {
		for key, have := range v.cache {
			if !have.good(token.set, now) {
				delete(v.cache, key)
			}
		}
		for key := range v.cache {
			if len(v.cache) <= mostCached*7/8 {
				break
			}
			delete(v.cache, key)
		}
	}
	v.cache[digest] = token
}

// head is the protected header of a token.
type head struct {
	Alg string `json:"alg"`
	Kid string `json:"kid"`
}

// readHead reads the header of a token in its compact form, and refuses a
// signature that is not believed before any key is looked for.
func readHead(raw string) (head, error) {
	var h head
	first, _, _ := strings.Cut(raw, ".")
	if strings.Count(raw, ".") != 2 {
		return h, refuse(Malformed, "this is no token: it has not three parts")
	}
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil || json.Unmarshal(text, &h) != nil {
		return h, refuse(Malformed, "the token's header cannot be read")
	}
	if !slices.Contains(algorithms, h.Alg) {
		return h, refuse(Algorithm, "the token is not signed by one of %s", strings.Join(algorithms, ", "))
	}
	return h, nil
}
