package app

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAnIDTokenOpensTheAdminListener, in the role of the file, which a reload
// changes.
func TestAnIDTokenOpensTheAdminListener(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	dir := t.TempDir()
	place(t, filepath.Join(dir, "jwks"), `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"`+b64(public)+`"}]}`)
	config := func(role string) {
		place(t, filepath.Join(dir, "f.yaml"), "targets: {s: {kind: sim}}\nauth:\n  oidc: {issuer: 'https://login.test', client_id: gw, jwks: '"+filepath.Join(dir, "jwks")+"'}\n  roles: {"+role+": [group:sre]}\n")
	}
	config("viewer")
	r := serving(t, Options{Config: filepath.Join(dir, "f.yaml"), NoWatch: true})
	token := func(audience string) string {
		claims := must(json.Marshal(map[string]any{"iss": "https://login.test", "aud": audience, "sub": "ann", "groups": []string{"sre"}, "exp": time.Now().Add(time.Hour).Unix()}))
		text := b64([]byte(`{"alg":"EdDSA","kid":"k"}`)) + "." + b64(claims)
		return text + "." + b64(ed25519.Sign(private, []byte(text)))
	}
	ask := func(method, path, bearer string) (int, string) {
		return call(t, "http://"+r.admin.Addr().String()+"/admin/v1/"+path, method, bearer, "")
	}
	if status, body := ask(http.MethodGet, "me", token("gw")); status != 200 || !strings.Contains(body, `"actor":"user:ann","role":"viewer"`) {
		t.Errorf("%d %s", status, body)
	}
	if status, body := ask(http.MethodGet, "me", token("other")); status != 401 || !strings.Contains(body, "another audience") {
		t.Errorf("%d %s", status, body)
	}
	if status, body := ask(http.MethodPost, "reload", token("gw")); status != 403 || !strings.Contains(body, "it takes the role owner or operator") {
		t.Errorf("%d %s", status, body)
	}
	before := r.provider
	config("operator")
	if status, body := r.manage(t, http.MethodPost, "/admin/v1/reload"); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if r.provider != before {
		t.Error("the provider's keys are loaded again though its section has not changed")
	}
	if status, body := ask(http.MethodPost, "reload", token("gw")); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	if status, body := r.manage(t, http.MethodGet, "/admin/v1/audit?kind=reload"); status != 200 || !strings.Contains(body, `"actor":"user:ann"`) || !strings.Contains(body, `"actor":"local"`) {
		t.Errorf("%d %s", status, body)
	}
}
