package credential

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tailplane/internal/secret"
)

// serviceAccount is the JSON key of an account whose tokens are had at a host.
func serviceAccount(t *testing.T, host string) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "p", "private_key_id": "kid-1", "client_email": "tp@p.iam.gserviceaccount.com",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": "https://" + host + "/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// googleTokens answers with a token that tells for whom it is.
func googleTokens(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	w.Header().Set("Content-Type", "application/json")
	name := "exchanged-" + r.Form.Get("subject_token")
	if jwt := strings.Split(r.Form.Get("assertion"), "."); len(jwt) == 3 {
		var claims struct{ Iss, Scope string }
		raw, _ := base64.RawURLEncoding.DecodeString(jwt[1])
		_ = json.Unmarshal(raw, &claims)
		name = claims.Iss + " " + claims.Scope
	}
	fmt.Fprintf(w, `{"access_token":%q,"expires_in":3600,"token_type":"Bearer","issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}`, name)
}

func TestEveryWayOfGoogleGivesATokenForTheRequest(t *testing.T) {
	const account = "Bearer tp@p.iam.gserviceaccount.com " + cloudPlatform
	federation := `{"type":"external_account","audience":"//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",` +
		`"subject_token_type":"urn:ietf:params:oauth:token-type:jwt","token_url":"https://sts.googleapis.com/v1/token","credential_source":{"file":%q}}`
	server := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Metadata-Flavor") != "Google" || r.URL.Path != "/computeMetadata/v1/instance/service-accounts/default/token" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte(`{"access_token":"machine","expires_in":3600,"token_type":"Bearer"}`))
	}
	ways := []struct {
		name, want string
		config     func(t *testing.T, n *network) *Google
	}{
		{"a key by reference", account, func(t *testing.T, _ *network) *Google {
			r, _ := secret.Parse("file:" + write(t, "key.json", serviceAccount(t, "oauth2.googleapis.com")))
			return &Google{Credentials: r}
		}},
		{"a key at a private endpoint", account, func(t *testing.T, n *network) *Google {
			n.on("oauth2.internal", googleTokens)
			t.Setenv("TEST_GOOGLE", serviceAccount(t, "oauth2.internal"))
			return &Google{Credentials: secret.Env("TEST_GOOGLE")}
		}},
		{"application default, named", account, func(t *testing.T, _ *network) *Google {
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", write(t, "key.json", serviceAccount(t, "oauth2.googleapis.com")))
			return &Google{}
		}},
		{"workload identity federation", "Bearer exchanged-cluster-jwt", func(t *testing.T, _ *network) *Google {
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", write(t, "wif.json", fmt.Sprintf(federation, write(t, "token", "cluster-jwt"))))
			return &Google{}
		}},
		{"metadata server", "Bearer machine", func(_ *testing.T, n *network) *Google {
			n.on("metadata.google.internal", server)
			return &Google{}
		}},
		{"metadata server elsewhere", "Bearer machine", func(_ *testing.T, n *network) *Google {
			n.on("metadata.test", server)
			return &Google{MetadataURL: "http://metadata.test/"}
		}},
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			n := newNetwork(t)
			n.on("oauth2.googleapis.com", googleTokens)
			n.on("sts.googleapis.com", googleTokens)
			header, err := n.authorized(Config{Google: way.config(t, n)}, "")
			if err != nil || header["authorization"] != way.want {
				t.Errorf("%v, %v\n%s", header, err, n.log())
			}
		})
	}
}

// TestWhatGoogleSaysHoldsNoSecret, although it repeats what it was sent.
func TestWhatGoogleSaysHoldsNoSecret(t *testing.T) {
	n := newNetwork(t)
	n.on("oauth2.googleapis.com", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":"invalid_grant","error_description":"Invalid JWT: Token must be a short-lived token; you sent %s"}`, r.Form.Get("assertion"))
	})
	text := serviceAccount(t, "oauth2.googleapis.com")
	t.Setenv("TEST_GOOGLE", text)
	_, err := n.authorized(Config{Google: &Google{Credentials: secret.Env("TEST_GOOGLE")}}, "")
	if err == nil || strings.Contains(err.Error(), "eyJ") || !strings.Contains(err.Error(), "Invalid JWT") || !strings.Contains(err.Error(), "https://oauth2.googleapis.com/token") {
		t.Error(err)
	}
	for _, broken := range []string{`canary`, `{"type":"canary"}`, `{"type":"service_account","private_key":"canary-private-key"}`} {
		t.Setenv("TEST_GOOGLE", broken)
		if _, err := n.authorized(Config{Google: &Google{Credentials: secret.Env("TEST_GOOGLE")}}, ""); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", broken, err)
		}
	}
	if _, err := n.authorized(Config{Google: &Google{}}, ""); err == nil || !strings.Contains(err.Error(), "metadata server") {
		t.Error(err)
	}
	s, err := New(Config{Google: &Google{}, AWS: nil}, "", Options{}, t0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := finished(t.Context(), s, ""); err == nil || !strings.Contains(err.Error(), "no way to the network") {
		t.Error(err)
	}
}
