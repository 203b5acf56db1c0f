package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"tailplane/internal/secret"
)

const issuer = "https://login.test"

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// pairs are the signing keys of the tests, made once for the process.
var pairs = sync.OnceValue(func() map[string]crypto.Signer {
	one, err1 := rsa.GenerateKey(rand.Reader, 2048)
	two, err2 := rsa.GenerateKey(rand.Reader, 2048)
	weak, err3 := rsa.GenerateKey(rand.Reader, 1024)
	ec, err4 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	other, err5 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, ed, err6 := ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		panic(err)
	}
	return map[string]crypto.Signer{"rsa": one, "rsa2": two, "weak": weak, "ec": ec, "ec384": other, "ed": ed}
})

// jwks is a set of the named keys, with their names as ids.
func jwks(t testing.TB, names ...string) []byte {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, name := range names {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: pairs()[name].Public(), KeyID: name})
	}
	raw, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

type claims map[string]any

// good is a token's claims that are taken at noon, with changes; nil removes.
func good(change claims) claims {
	c := claims{"iss": issuer, "aud": "gw", "sub": "ann", "exp": noon.Add(time.Hour).Unix(), "iat": noon.Unix()}
	for name, v := range change {
		if c[name] = v; v == nil {
			delete(c, name)
		}
	}
	return c
}

// sign makes a token with a header that says what it wants.
func sign(t testing.TB, signer, alg, kid string, c claims) string {
	t.Helper()
	h := map[string]string{"alg": alg}
	if kid != "" {
		h["kid"] = kid
	}
	return signed(t, h, c, func(text []byte) []byte {
		sum := sha256.Sum256(text)
		var sig []byte
		var err error
		switch k := pairs()[signer].(type) {
		case *rsa.PrivateKey:
			sig, err = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
		case *ecdsa.PrivateKey:
			r, s, e := ecdsa.Sign(rand.Reader, k, sum[:])
			size := (k.Curve.Params().BitSize + 7) / 8
			sig, err = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...), e
		case ed25519.PrivateKey:
			sig = ed25519.Sign(k, text)
		}
		if err != nil {
			t.Fatal(err)
		}
		return sig
	})
}

func signed(t testing.TB, header any, c claims, sign func([]byte) []byte) string {
	t.Helper()
	h, err1 := json.Marshal(header)
	body, err2 := json.Marshal(c)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(body)
	return text + "." + base64.RawURLEncoding.EncodeToString(sign([]byte(text)))
}

// byFile is a verifier with the named keys in a file.
func byFile(t testing.TB, names ...string) (*Verifier, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, jwks(t, names...), 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := New(Options{Issuer: issuer, Audiences: []string{"gw", "api"}, JWKS: path})
	if err != nil {
		t.Fatal(err)
	}
	return v, path
}

func reason(err error) Reason {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return ""
}

func TestWhichTokensAreTaken(t *testing.T) {
	v, _ := byFile(t, "rsa", "rsa2", "ec", "ed", "weak", "ec384")
	hs := func(key []byte) string {
		return signed(t, map[string]string{"alg": "HS256", "kid": "rsa"}, good(nil), func(text []byte) []byte {
			m := hmac.New(sha256.New, key)
			m.Write(text)
			return m.Sum(nil)
		})
	}
	public, err := x509.MarshalPKIXPublicKey(pairs()["rsa"].Public())
	if err != nil {
		t.Fatal(err)
	}
	bare := func(alg string) string {
		return signed(t, map[string]string{"alg": alg}, good(nil), func([]byte) []byte { return nil })
	}
	stranger, err := json.Marshal(jose.JSONWebKey{Key: pairs()["weak"].Public()})
	if err != nil {
		t.Fatal(err)
	}
	rs := sign(t, "rsa", "RS256", "rsa", good(nil))
	parts := strings.Split(rs, ".")
	cases := []struct {
		name, token string
		want        Reason // empty: it is taken
	}{
		{"RS256", rs, ""},
		{"ES256", sign(t, "ec", "ES256", "ec", good(nil)), ""},
		{"EdDSA", sign(t, "ed", "EdDSA", "ed", good(nil)), ""},
		{"no key id, one key of the kind", sign(t, "ec", "ES256", "", good(nil)), ""},
		{"no key id, several keys of the kind", sign(t, "rsa", "RS256", "", good(nil)), UnknownKey},
		{"one audience of a list", sign(t, "rsa", "RS256", "rsa", good(claims{"aud": []string{"x", "api"}})), ""},

		{"no signature at all", bare("none"), Algorithm},
		{"no signature, spelled otherwise", bare("None"), Algorithm},
		{"an empty signature", parts[0] + "." + parts[1] + ".", Signature},
		{"HMAC with the public key as its secret", hs(public), Algorithm},
		{"HMAC with nothing", hs(nil), Algorithm},
		{"PS256 by the same key", sign(t, "rsa", "PS256", "rsa", good(nil)), Algorithm},
		{"RS384", sign(t, "rsa", "RS384", "rsa", good(nil)), Algorithm},
		{"RS256 with the key of ES256", sign(t, "rsa", "RS256", "ec", good(nil)), Algorithm},
		{"ES256 with the key of RS256", sign(t, "ec", "ES256", "rsa", good(nil)), Algorithm},
		{"another key's id", sign(t, "rsa", "RS256", "rsa2", good(nil)), Signature},
		{"a key that is not there", sign(t, "rsa", "RS256", "nosuch", good(nil)), UnknownKey},
		{"a key id that is a path", sign(t, "rsa", "RS256", "../../dev/null", good(nil)), UnknownKey},
		{"a key that is too short", sign(t, "weak", "RS256", "weak", good(nil)), UnknownKey},
		{"a curve that is not used", sign(t, "ec384", "ES256", "ec384", good(nil)), UnknownKey},
		{"a key of its own in the header", signed(t, map[string]any{"alg": "RS256", "kid": "rsa", "jwk": json.RawMessage(stranger)}, good(nil), func(text []byte) []byte {
			sum := sha256.Sum256(text)
			sig, _ := rsa.SignPKCS1v15(rand.Reader, pairs()["weak"].(*rsa.PrivateKey), crypto.SHA256, sum[:])
			return sig
		}), Signature},
		{"a header that must be understood", signed(t, map[string]any{"alg": "RS256", "kid": "rsa", "crit": []string{"x"}, "x": 1}, good(nil), func(text []byte) []byte {
			sum := sha256.Sum256(text)
			sig, _ := rsa.SignPKCS1v15(rand.Reader, pairs()["rsa"].(*rsa.PrivateKey), crypto.SHA256, sum[:])
			return sig
		}), Signature},
		{"other claims below the signature", parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"`+issuer+`","aud":"gw","exp":9999999999}`)) + "." + parts[2], Signature},

		{"another issuer", sign(t, "rsa", "RS256", "rsa", good(claims{"iss": issuer + "/"})), Issuer},
		{"no issuer", sign(t, "rsa", "RS256", "rsa", good(claims{"iss": nil})), Issuer},
		{"another audience", sign(t, "rsa", "RS256", "rsa", good(claims{"aud": "other"})), Audience},
		{"other audiences", sign(t, "rsa", "RS256", "rsa", good(claims{"aud": []string{"a", "b"}})), Audience},
		{"no audience", sign(t, "rsa", "RS256", "rsa", good(claims{"aud": nil})), Audience},
		{"no end", sign(t, "rsa", "RS256", "rsa", good(claims{"exp": nil})), Malformed},
		{"an end that is a word", sign(t, "rsa", "RS256", "rsa", good(claims{"exp": "never"})), Malformed},
		{"expired", sign(t, "rsa", "RS256", "rsa", good(claims{"exp": noon.Add(-skew).Unix()})), Expired},
		{"expired, within the skew", sign(t, "rsa", "RS256", "rsa", good(claims{"exp": noon.Add(1 - skew + time.Second).Unix()})), ""},
		{"not yet", sign(t, "rsa", "RS256", "rsa", good(claims{"nbf": noon.Add(skew + time.Second).Unix()})), Early},
		{"not yet, within the skew", sign(t, "rsa", "RS256", "rsa", good(claims{"nbf": noon.Add(skew).Unix()})), ""},
		{"made tomorrow", sign(t, "rsa", "RS256", "rsa", good(claims{"iat": noon.Add(24 * time.Hour).Unix()})), Early},

		{"nothing", "", Malformed},
		{"two parts", parts[0] + "." + parts[1], Malformed},
		{"four parts", rs + ".x", Malformed},
		{"dots", "..", Malformed},
		{"another alphabet", strings.ReplaceAll(rs, parts[0], "****"), Malformed},
		{"too long", rs + strings.Repeat("A", longestToken), Malformed},
	}
	for _, c := range cases {
		for _, again := range []bool{false, true} { // a second time it may come of the cache
			got, err := v.Verify(t.Context(), c.token, noon)
			if reason(err) != c.want || (err == nil) != (c.want == "") || (got == nil) != (err != nil) {
				t.Errorf("%s (again: %v): %v (%s), want %q", c.name, again, err, reason(err), c.want)
			}
			if err != nil && c.token != "" {
				for part := range strings.SplitSeq(c.token, ".") {
					if len(part) > 8 && strings.Contains(err.Error(), part[:8]) {
						t.Errorf("%s: the token is told: %v", c.name, err)
					}
				}
			}
		}
	}
	if got, err := v.Verify(t.Context(), rs, noon); err != nil || got["sub"] != "ann" {
		t.Errorf("%v, %v", got, err)
	}
}

// TestTheCacheEndsWithTheToken: what was taken once is not taken for longer than
// it is good, and nothing that differs from it is taken for it.
func TestTheCacheEndsWithTheToken(t *testing.T) {
	v, _ := byFile(t, "rsa")
	token := sign(t, "rsa", "RS256", "rsa", good(nil))
	if _, err := v.Verify(t.Context(), token, noon); err != nil {
		t.Fatal(err)
	}
	end := noon.Add(time.Hour + skew)
	if _, err := v.Verify(t.Context(), token, end.Add(-time.Second)); err != nil {
		t.Errorf("just before its end: %v", err)
	}
	if _, err := v.Verify(t.Context(), token, end); reason(err) != Expired {
		t.Errorf("at its end: %v", err)
	}
	head, sig := token[:strings.LastIndexByte(token, '.')], token[strings.LastIndexByte(token, '.')+1:]
	if _, err := v.Verify(t.Context(), head+"."+strings.Repeat("A", len(sig)), noon); reason(err) != Signature {
		t.Errorf("the same claims with another signature: %v", err)
	}
}

// TestAWithdrawnKeyTakesCachedTokensAlong.
func TestAWithdrawnKeyTakesCachedTokensAlong(t *testing.T) {
	v, path := byFile(t, "rsa")
	token := sign(t, "rsa", "RS256", "rsa", good(nil))
	if _, err := v.Verify(t.Context(), token, noon); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, jwks(t, "rsa2"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), token, noon.Add(fileEvery)); reason(err) != UnknownKey {
		t.Errorf("%v", err)
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	v, _ := byFile(t, "ed")
	set := new(keySet)
	for i := range mostCached + 10 {
		v.keep(sha256.Sum256([]byte{byte(i), byte(i >> 8)}), verified{exp: float64(noon.Unix() + 1000), set: set}, noon)
	}
	if n := len(v.cache); n > mostCached || n < mostCached/2 {
		t.Errorf("%d tokens are kept", n)
	}
	v.keep(sha256.Sum256(nil), verified{set: set, exp: float64(noon.Add(time.Hour).Unix())}, noon)
	for len(v.cache) < mostCached {
		v.keep(sha256.Sum256([]byte{byte(len(v.cache)), byte(len(v.cache) >> 8), 1}), verified{set: set}, noon)
	}
	v.keep(sha256.Sum256([]byte("new")), verified{set: set, exp: float64(noon.Add(time.Hour).Unix())}, noon.Add(30*time.Minute))
	if n := len(v.cache); n > 10 {
		t.Errorf("%d tokens are kept where all but two have ended", n)
	}
}

// TestAFileOfKeysIsFollowed: a change takes effect within a second, a damaged
// file keeps the old keys.
func TestAFileOfKeysIsFollowed(t *testing.T) {
	v, path := byFile(t, "rsa")
	one, two := sign(t, "rsa", "RS256", "rsa", good(nil)), sign(t, "ec", "ES256", "ec", good(nil))
	now := noon
	steps := []struct {
		name     string
		content  []byte
		one, two Reason
	}{
		{"as it was", jwks(t, "rsa"), "", UnknownKey},
		{"another key beside it", jwks(t, "rsa", "ec"), "", ""},
		{"damaged", []byte("{"), "", ""},
		{"the other key alone", jwks(t, "ec"), UnknownKey, ""},
		{"no key that is used", []byte(`{"keys":[{"kty":"oct","k":"AAAA","kid":"rsa"}]}`), UnknownKey, ""},
	}
	for _, s := range steps {
		if err := os.WriteFile(path, s.content, 0o600); err != nil {
			t.Fatal(err)
		}
		now = now.Add(2 * time.Second)
		for token, want := range map[string]Reason{one: s.one, two: s.two} {
			if _, err := v.Verify(t.Context(), token, now); reason(err) != want {
				t.Errorf("%s: %v, want %q", s.name, err, want)
			}
		}
	}
	gone, err := New(Options{Issuer: issuer, Audiences: []string{"gw"}, JWKS: filepath.Join(t.TempDir(), "nosuch")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gone.Verify(t.Context(), one, noon); reason(err) != Unavailable || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("%v", err)
	}
}

// provider is an OpenID provider that counts what it is asked.
type provider struct {
	*httptest.Server
	keys      atomic.Pointer[[]byte]
	asked     atomic.Int32
	away      atomic.Bool
	form      map[string]string
	basic     string
	answer    string
	badIssuer bool
}

func newProvider(t *testing.T, names ...string) *provider {
	t.Helper()
	p := &provider{}
	set := jwks(t, names...)
	p.keys.Store(&set)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.away.Load() {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			name := p.URL
			if p.badIssuer {
				name = issuer
			}
			_ = json.NewEncoder(w).Encode(map[string]string{"issuer": name, "authorization_endpoint": p.URL + "/auth?x=1", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys"})
		case "/keys":
			p.asked.Add(1)
			_, _ = w.Write(*p.keys.Load())
		case "/token":
			user, pass, _ := r.BasicAuth()
			p.basic = user + "/" + pass
			_ = r.ParseForm()
			p.form = map[string]string{}
			for name := range maps.Keys(r.PostForm) {
				p.form[name] = r.PostForm.Get(name)
			}
			if r.PostForm.Get("code") != "good" {
				w.WriteHeader(http.StatusBadRequest)
			}
			_, _ = io.WriteString(w, p.answer)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) verifier(t *testing.T) *Verifier {
	t.Helper()
	v, err := New(Options{Issuer: p.URL, Audiences: []string{"gw"}, Client: p.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestKeysComeFromTheIssuer(t *testing.T) {
	p := newProvider(t, "rsa")
	v := p.verifier(t)
	token := func(signer, alg string) string {
		return sign(t, signer, alg, signer, good(claims{"iss": p.URL, "exp": noon.Add(48 * time.Hour).Unix()}))
	}
	rs, ec := token("rsa", "RS256"), token("ec", "ES256")
	both := jwks(t, "rsa", "ec")
	steps := []struct {
		name   string
		after  time.Duration
		change func()
		token  string
		want   Reason
		asked  int32 // in all
	}{
		{"the first", 0, func() {}, rs, "", 1},
		{"another", time.Second, func() {}, token("rsa", "RS256"), "", 1},
		{"an unknown key, just after", 2 * time.Second, func() {}, ec, UnknownKey, 1},
		{"a new key at the issuer", 31 * time.Second, func() { p.keys.Store(&both) }, ec, "", 2},
		{"unknown keys, again and again", 32 * time.Second, func() {}, token("ed", "EdDSA"), UnknownKey, 2},
		{"after an hour", time.Hour + 32*time.Second, func() {}, rs, "", 3},
		{"the issuer is away", 3 * time.Hour, func() { p.away.Store(true) }, rs, "", 3},
		{"for a day", 27 * time.Hour, func() {}, rs, Unavailable, 3},
		{"and is back", 28 * time.Hour, func() { p.away.Store(false) }, rs, "", 4},
	}
	for _, s := range steps {
		s.change()
		_, err := v.Verify(t.Context(), s.token, noon.Add(s.after))
		if reason(err) != s.want || p.asked.Load() != s.asked {
			t.Errorf("%s: %v, asked %d times; want %q and %d", s.name, err, p.asked.Load(), s.want, s.asked)
		}
	}
}

// TestManyWaitForOneAnswer: the issuer is asked once, whoever leaves.
func TestManyWaitForOneAnswer(t *testing.T) {
	p := newProvider(t, "rsa")
	v := p.verifier(t)
	token := sign(t, "rsa", "RS256", "rsa", good(claims{"iss": p.URL}))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var wg sync.WaitGroup
	var failed atomic.Int32
	for i := range 32 {
		ctx := t.Context()
		if i%2 == 0 {
			ctx = gone
		}
		wg.Go(func() {
			if _, err := v.Verify(ctx, token, noon); err != nil && ctx.Err() == nil {
				failed.Add(1)
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := p.asked.Load(); n != 1 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

func TestAnIssuerThatSaysItIsAnother(t *testing.T) {
	p := newProvider(t, "rsa")
	p.badIssuer = true
	token := sign(t, "rsa", "RS256", "rsa", good(claims{"iss": p.URL}))
	if _, err := p.verifier(t).Verify(t.Context(), token, noon); reason(err) != Unavailable {
		t.Errorf("%v", err)
	}
}

func TestALogin(t *testing.T) {
	p := newProvider(t, "rsa")
	t.Setenv("TEST_OIDC_SECRET", "hush+1")
	l := NewLogin(p.verifier(t), "gw", secret.Env("TEST_OIDC_SECRET"), []string{"groups"})
	to, err := l.Begin(t.Context(), "https://gw/admin/callback", "S", "N", "V")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("V"))
	for _, want := range []string{
		p.URL + "/auth?", "x=1", "state=S", "nonce=N", "code_challenge=" + base64.RawURLEncoding.EncodeToString(sum[:]), "code_challenge_method=S256",
		"response_type=code", "client_id=gw", "scope=openid+groups", "redirect_uri=https%3A%2F%2Fgw%2Fadmin%2Fcallback",
	} {
		if !strings.Contains(to, want) {
			t.Errorf("%s does not say %s", to, want)
		}
	}
	cases := []struct{ code, answer, want, wrong string }{
		{"good", `{"id_token":"a.b.c"}`, "a.b.c", ""},
		{"good", `{}`, "", "gave no ID token"},
		{"good", `<html>`, "", "gave no ID token"},
		{"bad", `{"error":"invalid_grant","error_description":"hush"}`, "", "refused the code: invalid_grant"},
		{"bad", `oops`, "", "answered with 400"},
	}
	for _, c := range cases {
		p.answer = c.answer
		got, err := l.Redeem(t.Context(), "https://gw/admin/callback", c.code, "V")
		if got != c.want || (err == nil) != (c.wrong == "") || err != nil && (!strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), "hush")) {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
	want := map[string]string{"grant_type": "authorization_code", "code": "bad", "redirect_uri": "https://gw/admin/callback", "client_id": "gw", "code_verifier": "V"}
	if !maps.Equal(p.form, want) || p.basic != "gw/hush%2B1" {
		t.Errorf("sent %v as %s", p.form, p.basic)
	}
	file, _ := byFile(t, "rsa")
	if _, err := NewLogin(file, "gw", secret.Ref{}, nil).Begin(t.Context(), "r", "s", "n", "v"); err == nil {
		t.Error("a login begins where the issuer cannot be asked")
	}
}

func TestWhatAVerifierNeeds(t *testing.T) {
	for _, o := range []Options{{}, {Issuer: issuer, JWKS: "f"}, {Issuer: issuer, Audiences: []string{""}, JWKS: "f"}, {Issuer: issuer, Audiences: []string{"a"}}, {Audiences: []string{"a"}, JWKS: "f"}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v makes a verifier", o)
		}
	}
}

// FuzzVerify: whatever is shown, the answer is an *Error or the claims of a token
// that we signed.
func FuzzVerify(f *testing.F) {
	v, _ := byFile(f, "rsa", "ec", "ed")
	known := sign(f, "ed", "EdDSA", "ed", good(nil))
	for _, seed := range []string{known, sign(f, "rsa", "RS256", "rsa", good(nil)), sign(f, "ec", "ES256", "ec", good(nil)), "..", "a.b.c", "eyJhbGciOiJub25lIn0..", known + "=", strings.ToUpper(known)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := v.Verify(context.Background(), raw, noon)
		if err == nil && got["sub"] != "ann" {
			t.Errorf("%q is taken: %v", raw, got)
		}
		if e, ok := errors.AsType[*Error](err); err != nil && (!ok || e.Reason == "" || e.Text == "") {
			t.Errorf("%q: %v", raw, err)
		}
	})
}

// BenchmarkVerifyAgain is a token that was verified before.
func BenchmarkVerifyAgain(b *testing.B) {
	v, _ := byFile(b, "rsa")
	token := sign(b, "rsa", "RS256", "rsa", good(nil))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), token, noon); err != nil {
			b.Fatal(err)
		}
	}
}
