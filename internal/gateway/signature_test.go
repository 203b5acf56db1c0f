package gateway_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tailplane/internal/llmtest"
	"tailplane/internal/policy"
	"tailplane/internal/sigv4"
)

const signedConfig = `
targets:
  a: {kind: vllm, url: "http://a", models: [m]}
keys: {static: [{name: app, key: "env:CLIENT_KEY", customer: acme}]}
`

const converseBody = `{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}`

// signed is a request of an SDK of AWS's as it stands on the wire.
type signed struct {
	method, path, query string
	header              []sigv4.Field // host is the first
	body                string
}

func converseCall() *signed {
	return &signed{
		method: "POST", path: "/model/m/converse", query: "x=1",
		header: []sigv4.Field{{Name: "host", Value: "127.0.0.1:4600"}, {Name: "content-type", Value: "application/json"}, {Name: "amz-sdk-invocation-id", Value: "e5b1"}},
		body:   converseBody,
	}
}

func (w *signed) request() sigv4.Request {
	return sigv4.Request{Method: w.method, Path: w.path, Query: w.query, Payload: sigv4.Hash([]byte(w.body)), Header: func(yield func(string, string) bool) {
		for _, f := range w.header {
			if !yield(f.Name, f.Value) {
				return
			}
		}
	}}
}

// sign signs with a pair, for a service.
func (w *signed) sign(p policy.Pair, service string, at time.Time) *signed {
	scope := sigv4.Scope{At: at, Region: "eu-west-1", Service: service}
	w.header = append(w.header, sigv4.Sign(w.request(), sigv4.Credentials{ID: p.ID, Secret: p.Secret.Reveal()}, sigv4.Derive(p.Secret.Reveal(), scope), scope)...)
	return w
}

// presign is sign with the signature in the query.
func (w *signed) presign(p policy.Pair, at time.Time) *signed {
	scope := sigv4.Scope{At: at, Region: "eu-west-1", Service: "bedrock"}
	w.query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + url.QueryEscape(p.ID+"/"+scope.String()) +
		"&X-Amz-Date=" + at.UTC().Format("20060102T150405Z") + "&X-Amz-Expires=60&X-Amz-SignedHeaders=host"
	canonical := strings.Join([]string{w.method, w.path, w.query, "host:" + w.header[0].Value, "", "host", sigv4.Hash([]byte(w.body))}, "\n")
	key := sigv4.Derive(p.Secret.Reveal(), scope)
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte("AWS4-HMAC-SHA256\n" + at.UTC().Format("20060102T150405Z") + "\n" + scope.String() + "\n" + sigv4.Hash([]byte(canonical))))
	w.query += "&X-Amz-Signature=" + hex.EncodeToString(mac.Sum(nil))
	return w
}

// send is the answer of a gateway to it.
func (w *signed) send(r *rig) *httptest.ResponseRecorder {
	target := w.path
	if w.query != "" {
		target += "?" + w.query
	}
	u, err := url.ParseRequestURI(target)
	out := httptest.NewRecorder()
	if err != nil || !strings.HasPrefix(target, "/") {
		out.Code = http.StatusBadRequest // no server passes that on
		return out
	}
	req := &http.Request{
		Method: w.method, URL: u, RequestURI: target, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
		Body: http.NoBody, ContentLength: int64(len(w.body)),
	}
	req.Body = readCloser{strings.NewReader(w.body)}
	for _, f := range w.header {
		if f.Name == "host" {
			req.Host = f.Value
			continue
		}
		req.Header[http.CanonicalHeaderKey(f.Name)] = append(req.Header[http.CanonicalHeaderKey(f.Name)], f.Value)
	}
	r.gateway.ServeHTTP(out, req)
	return out
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// signedRig is a gateway with one target and the pair of its static key.
func signedRig(t *testing.T) (*rig, *llmtest.Upstream, policy.Pair) {
	t.Helper()
	setSecrets(t)
	r := newRig(t, signedConfig, nil)
	reply, err := llmtest.ParseReply("HTTP 200\ncontent-type: application/json\n\n" +
		`{"choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`)
	if err != nil {
		t.Fatal(err)
	}
	up := r.host("a", reply)
	return r, up, pairOf(t, r, "app")
}

func pairOf(t *testing.T, r *rig, name string) policy.Pair {
	t.Helper()
	pair, _, err := r.gateway.Plane().Keys.PairOf(name, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// TestASignedRequestIsItsKeys: static keys and those of the store, signed in the
// headers and in the query; the record has the key, and the upstream nothing of
// the signature.
func TestASignedRequestIsItsKeys(t *testing.T) {
	r, up, static := signedRig(t)
	_, made, err := r.keys.CreateKey(t.Context(), "test", policy.Order{KeySpec: policy.KeySpec{Name: "stored"}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	stored := pairOf(t, r, "stored")
	for _, w := range []*signed{
		converseCall().sign(static, "bedrock", time.Now()),
		converseCall().sign(stored, "bedrock", time.Now().Add(-4*time.Minute)),
		converseCall().presign(static, time.Now()),
	} {
		if out := w.send(r); out.Code != http.StatusOK || !strings.Contains(out.Body.String(), `"Hello"`) {
			t.Fatalf("%d %s", out.Code, out.Body)
		}
	}
	for i, want := range []string{"static-app", made.ID, "static-app"} {
		if got := r.records()[i].Key; got != want {
			t.Errorf("record %d has key %q, want %q", i, got, want)
		}
	}
	for _, h := range up.Heard() {
		for name := range h.Header {
			if strings.HasPrefix(strings.ToLower(name), "x-amz") || strings.EqualFold(name, "authorization") {
				t.Errorf("the upstream got %s", name)
			}
		}
	}
	r.stop()
}

// TestWrongSignaturesAreRefusedInWords, in AWS's dialect, and before anything
// is asked of an upstream.
func TestWrongSignaturesAreRefusedInWords(t *testing.T) {
	r, up, pair := signedRig(t)
	now := time.Now()
	if _, _, err := r.keys.CreateKey(t.Context(), "test", policy.Order{KeySpec: policy.KeySpec{Name: "short"}, Lifetime: time.Minute}, now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	expired, _, err := r.gateway.Plane().Keys.PairOf("short", now.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	declared := func(hash string) *signed {
		w := converseCall()
		w.header = append(w.header, sigv4.Field{Name: "x-amz-content-sha256", Value: hash})
		return w.sign(pair, "bedrock", now)
	}
	elsewhere := converseCall()
	elsewhere.path = "/v1/chat/completions"
	unserved := converseCall()
	unserved.path = "/model/m/nothing"
	token := converseCall()
	token.header = append(token.header, sigv4.Field{Name: "x-amz-security-token", Value: "t"})
	body := converseCall().sign(pair, "bedrock", now)
	body.body += " "
	late := converseCall().presign(pair, now.Add(-2*time.Minute))
	cases := []struct {
		name       string
		w          *signed
		code, says string
	}{
		{"unknown", converseCall().sign(policy.Pair{ID: "TPAKAAAAAAAAAAAAAAAA", Secret: pair.Secret}, "bedrock", now), "UnrecognizedClientException", "tailplane keys aws"},
		{"AWS's own", converseCall().sign(policy.Pair{ID: "AKIAIOSFODNN7EXAMPLE", Secret: pair.Secret}, "bedrock", now), "UnrecognizedClientException", "key pair of AWS"},
		{"an expired key", converseCall().sign(expired, "bedrock", now), "UnrecognizedClientException", "has expired"},
		{"another secret", converseCall().sign(policy.Pair{ID: pair.ID, Secret: expired.Secret}, "bedrock", now), "InvalidSignatureException", "does not fit"},
		{"another service", converseCall().sign(pair, "s3", now), "InvalidSignatureException", "sign it for"},
		{"a slow clock", converseCall().sign(pair, "bedrock", now.Add(-10*time.Minute)), "InvalidSignatureException", "caller's clock is 10m"},
		{"a fast clock", converseCall().sign(pair, "bedrock", now.Add(10*time.Minute)), "InvalidSignatureException", "ahead"},
		{"a late query", late, "InvalidSignatureException", "expired"},
		{"an unsigned body", declared("UNSIGNED-PAYLOAD"), "InvalidSignatureException", "unsigned"},
		{"another body's hash", declared(sigv4.Hash(nil)), "InvalidSignatureException", "not the hash"},
		{"another body", body, "InvalidSignatureException", "does not fit"},
		{"a session", token.sign(pair, "bedrock", now), "UnrecognizedClientException", "session token"},
		{"malformed", &signed{"POST", "/model/m/converse", "", []sigv4.Field{{Name: "host", Value: "localhost"}, {Name: "authorization", Value: "AWS4-HMAC-SHA256"}}, ""}, "IncompleteSignatureException", "malformed"},
		{"no path that is served", unserved.sign(pair, "bedrock", now), "UnrecognizedClientException", "none of them"},
		{"another dialect", elsewhere.sign(pair, "bedrock", now), "", "none of them"},
	}
	for _, c := range cases {
		out := c.w.send(r)
		if out.Code != http.StatusForbidden || out.Header().Get("X-Amzn-Errortype") != c.code || !strings.Contains(out.Body.String(), c.says) {
			t.Errorf("%s: %d %q %s, want %s and %s", c.name, out.Code, out.Header().Get("X-Amzn-Errortype"), out.Body, c.code, c.says)
		}
		if strings.Contains(out.Body.String(), pair.Secret.Reveal()) {
			t.Errorf("%s: the secret is told", c.name)
		}
	}
	if len(up.Heard()) > 0 || len(r.records()) > 0 {
		t.Error("a wrong signature got to an upstream, or into the ledger")
	}
	r.stop()
}

// TestAKeyThatIsGoneSignsNoMore: a static key with another text has another
// pair.
func TestAKeyThatIsGoneSignsNoMore(t *testing.T) {
	r, _, before := signedRig(t)
	t.Setenv("CLIENT_KEY", "another text of the operator")
	r.gateway.Swap(r.plane(signedConfig))
	if out := converseCall().sign(before, "bedrock", time.Now()).send(r); out.Code != http.StatusForbidden {
		t.Errorf("the old pair is taken: %d", out.Code)
	}
	if out := converseCall().sign(pairOf(t, r, "app"), "bedrock", time.Now()).send(r); out.Code != http.StatusOK {
		t.Errorf("the new pair is refused: %s", out.Body)
	}
	r.stop()
}

// TestNoSignatureIsCheckedWhereNoKeyIsRequired: whatever an SDK insists on is
// taken for nobody, but a known key must be right.
func TestNoSignatureIsCheckedWhereNoKeyIsRequired(t *testing.T) {
	r, _, pair := signedRig(t)
	r.gateway.Swap(r.plane(strings.Replace(signedConfig, "keys: {", "keys: {required: false, ", 1)))
	other := policy.Pair{ID: "AKIAIOSFODNN7EXAMPLE", Secret: pair.Secret}
	if out := converseCall().sign(other, "bedrock", time.Now()).send(r); out.Code != http.StatusOK {
		t.Errorf("nobody's signature: %d %s", out.Code, out.Body)
	}
	wrong := converseCall().sign(pair, "bedrock", time.Now())
	wrong.body += " "
	if out := wrong.send(r); out.Code != http.StatusForbidden {
		t.Errorf("a known key's wrong signature: %d", out.Code)
	}
	r.stop()
}

// TestNoChangedBitPasses: one bit of what is sent and signed is another, and the
// request gets nowhere.
func TestNoChangedBitPasses(t *testing.T) {
	r, up, pair := signedRig(t)
	rapid.Check(t, func(t *rapid.T) {
		w := converseCall()
		w.body = `{"messages":[{"role":"user","content":[{"text":` + strconv.Quote(rapid.StringMatching(`[a-z]{1,20}`).Draw(t, "text")) + `}]}]}`
		w.sign(pair, "bedrock", time.Now())
		parts := []*string{&w.method, &w.path, &w.query, &w.body}
		for i := range w.header {
			parts = append(parts, &w.header[i].Value)
		}
		part := rapid.SampledFrom(parts).Draw(t, "part")
		text := []byte(*part)
		at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
		text[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		*part = string(text)
		if out := w.send(r); out.Code == http.StatusOK {
			t.Fatalf("%+v is taken", w)
		}
	})
	if len(up.Heard()) > 0 {
		t.Error("a changed request got to an upstream")
	}
	r.stop()
}

// FuzzAuthorization: no text in the header or in the query opens anything.
func FuzzAuthorization(f *testing.F) {
	good := "AWS4-HMAC-SHA256 Credential=TPAKAAAAAAAAAAAAAAAA/20261124/eu-west-1/bedrock/aws4_request, SignedHeaders=host, Signature=" + strings.Repeat("0", 64)
	for _, auth := range []string{good, "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ,,,", strings.Replace(good, "host", "host;x", 1), "Bearer x", ""} {
		f.Add(auth, "")
		f.Add(auth, "X-Amz-Signature="+strings.Repeat("0", 64)+"&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=60")
	}
	f.Setenv("CLIENT_KEY", clientKey)
	r := newRig(f, signedConfig, nil)
	f.Cleanup(r.stop)
	f.Fuzz(func(t *testing.T, auth, query string) {
		if strings.Contains(auth, clientKey) {
			t.Skip()
		}
		w := &signed{"POST", "/model/m/converse", query, []sigv4.Field{{Name: "host", Value: "localhost"}, {Name: "authorization", Value: auth}}, converseBody}
		out := w.send(r)
		if out.Code/100 != 4 || bytes.Contains(out.Body.Bytes(), []byte(clientKey)) {
			t.Fatalf("%d %s", out.Code, out.Body)
		}
		if code := out.Header().Get("X-Amzn-Errortype"); out.Code == http.StatusForbidden && !slices.Contains([]string{
			"UnrecognizedClientException", sigv4.CodeInvalid, sigv4.CodeIncomplete, sigv4.CodeMissing,
		}, code) {
			t.Fatalf("%q", code)
		}
	})
}
