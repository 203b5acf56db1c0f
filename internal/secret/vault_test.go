package secret

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// fakeVault is a server with one secret and two roles. Each login gives another
// token; only the last one is good.
type fakeVault struct {
	mu     sync.Mutex
	logins int
	good   string
	asked  []string
}

func (f *fakeVault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, r.Method+" "+r.URL.EscapedPath()+" "+r.Header.Get("X-Vault-Namespace"))
	refuse := func(status int, words string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"errors":[%q]}`, words)
	}
	if r.Method == http.MethodPost {
		var sent map[string]string
		_ = json.NewDecoder(r.Body).Decode(&sent)
		if sent["jwt"] != "pod-jwt" && sent["secret_id"] != "approle-secret" {
			refuse(http.StatusBadRequest, "invalid role or secret ID: "+sent["jwt"]+sent["secret_id"])
			return
		}
		f.logins++
		f.good = fmt.Sprintf("hvs.login-%d", f.logins)
		fmt.Fprintf(w, `{"auth":{"client_token":%q,"lease_duration":3600}}`, f.good)
		return
	}
	switch {
	case r.Header.Get("X-Vault-Token") != f.good:
		refuse(http.StatusForbidden, "permission denied for "+r.Header.Get("X-Vault-Token"))
	case r.URL.Path == "/v1/kv/data/team/open ai":
		_, _ = w.Write([]byte(`{"data":{"data":{"key":"of-the-vault","n":7},"metadata":{"version":4}}}`))
	case r.URL.Path == "/v1/kv/data/deleted":
		_, _ = w.Write([]byte(`{"data":{"data":null,"metadata":{"deletion_time":"2026-01-01T00:00:00Z"}}}`))
	default:
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"errors":[]}`))
	}
}

// vaultEnv is an environment without anything of Vault's but what is given.
func vaultEnv(t *testing.T, vars ...string) {
	t.Helper()
	for _, name := range []string{"ADDR", "NAMESPACE", "CACERT", "TOKEN", "TOKEN_FILE", "K8S_ROLE", "K8S_MOUNT", "K8S_TOKEN_FILE", "ROLE_ID", "SECRET_ID", "SECRET_ID_FILE", "APPROLE_MOUNT"} {
		t.Setenv("VAULT_"+name, "")
	}
	t.Setenv("HOME", t.TempDir())
	for i := 0; i < len(vars); i += 2 {
		t.Setenv("VAULT_"+vars[i], vars[i+1])
	}
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func fromVault(t *testing.T, v *Vault, text string) (string, error) {
	t.Helper()
	r, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Read(t.Context(), Resolvers{SchemeVault: v.Resolve})
	return got.Reveal(), err
}

func TestEveryLoginOfVaultReadsTheSecret(t *testing.T) {
	logins := []struct {
		name  string
		vars  func() []string
		asked string
	}{
		{"token", func() []string { return []string{"TOKEN", "hvs.given", "NAMESPACE", "ns1"} }, "GET /v1/kv/data/team/open%20ai ns1"},
		{"token file", func() []string { return []string{"TOKEN_FILE", file(t, "hvs.given\n")} }, "GET /v1/kv/data/team/open%20ai"},
		{"kubernetes", func() []string { return []string{"K8S_ROLE", "tailplane", "K8S_TOKEN_FILE", file(t, "pod-jwt")} }, "POST /v1/auth/kubernetes/login"},
		{"kubernetes elsewhere", func() []string {
			return []string{"K8S_ROLE", "tailplane", "K8S_MOUNT", "k8s-eu", "K8S_TOKEN_FILE", file(t, "pod-jwt")}
		}, "POST /v1/auth/k8s-eu/login"},
		{"approle", func() []string { return []string{"ROLE_ID", "r", "SECRET_ID", "approle-secret"} }, "POST /v1/auth/approle/login"},
		{"approle by file", func() []string { return []string{"ROLE_ID", "r", "SECRET_ID_FILE", file(t, "approle-secret\n")} }, "POST /v1/auth/approle/login"},
	}
	for _, login := range logins {
		t.Run(login.name, func(t *testing.T) {
			f := &fakeVault{good: "hvs.given"}
			server := httptest.NewServer(f)
			defer server.Close()
			vaultEnv(t, append(login.vars(), "ADDR", server.URL+"/")...)
			v := NewVault(server.Client())
			for range 3 {
				if got, err := fromVault(t, v, "vault:kv/team/open ai#key"); got != "of-the-vault" || err != nil {
					t.Fatalf("%q, %v", got, err)
				}
			}
			if strings.TrimSpace(f.asked[0]) != login.asked {
				t.Errorf("asked %v, want %s first", f.asked, login.asked)
			}
			if f.logins > 1 {
				t.Errorf("%d logins for three reads", f.logins)
			}
		})
	}
}

// TestARevokedLoginIsMadeAgain once, and no more.
func TestARevokedLoginIsMadeAgain(t *testing.T) {
	f := &fakeVault{}
	server := httptest.NewServer(f)
	defer server.Close()
	vaultEnv(t, "ADDR", server.URL, "ROLE_ID", "r", "SECRET_ID", "approle-secret")
	v := NewVault(server.Client())
	for range 2 {
		if got, err := fromVault(t, v, "vault:kv/team/open ai#n"); got != "7" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		f.good = "revoked"
	}
	if f.logins != 2 {
		t.Errorf("%d logins", f.logins)
	}
}

func TestVaultsRefusalsAreItsOwnWordsWithoutSecrets(t *testing.T) {
	f := &fakeVault{good: "hvs.given"}
	server := httptest.NewServer(f)
	defer server.Close()
	cases := []struct {
		name  string
		vars  []string
		ref   string
		words string
	}{
		{"no address", []string{"TOKEN", "x"}, "vault:kv/x#k", "VAULT_ADDR is not set"},
		{"no address", []string{"TOKEN", "x", "ADDR", "http://\x7f"}, "vault:kv/x#k", "VAULT_ADDR is no address"},
		{"no token", []string{"ADDR", server.URL}, "vault:kv/x#k", "VAULT_ROLE_ID"},
		{"wrong token", []string{"ADDR", server.URL, "TOKEN", canary}, "vault:kv/x#k", "HTTP 403: permission denied for ***"},
		{"wrong role", []string{"ADDR", server.URL, "ROLE_ID", "r", "SECRET_ID", canary}, "vault:kv/x#k", "log in as AppRole: Vault at " + strings.TrimPrefix(server.URL, "http://") + ": HTTP 400: invalid role or secret ID: ***"},
		{"no service account", []string{"ADDR", server.URL, "K8S_ROLE", "r", "K8S_TOKEN_FILE", "/nowhere"}, "vault:kv/x#k", "service account's token"},
		{"absent", []string{"ADDR", server.URL, "TOKEN", "hvs.given"}, "vault:kv/x#k", "HTTP 404"},
		{"deleted", []string{"ADDR", server.URL, "TOKEN", "hvs.given"}, "vault:kv/deleted#k", "its newest version is deleted"},
		{"no field", []string{"ADDR", server.URL, "TOKEN", "hvs.given"}, "vault:kv/team/open ai#k", `no field "k"`},
		{"unreachable", []string{"ADDR", "http://127.0.0.1:1", "TOKEN", canary}, "vault:kv/x#k", "cannot be reached"},
		{"no CA", []string{"ADDR", server.URL, "TOKEN", "x", "CACERT", "/nowhere"}, "vault:kv/x#k", "VAULT_CACERT"},
		{"empty CA", []string{"ADDR", server.URL, "TOKEN", "x", "CACERT", file(t, "x")}, "vault:kv/x#k", "no certificate"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			vaultEnv(t, c.vars...)
			_, err := fromVault(t, NewVault(&http.Client{Transport: &http.Transport{}}), c.ref)
			if err == nil || !strings.Contains(err.Error(), c.words) || !strings.Contains(err.Error(), c.ref) {
				t.Errorf("%v, want %q", err, c.words)
			}
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("a secret: %v", err)
			}
		})
	}
}

func TestVaultIsTrustedByItsOwnCA(t *testing.T) {
	f := &fakeVault{good: "hvs.given"}
	server := httptest.NewTLSServer(f)
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	vaultEnv(t, "ADDR", server.URL, "TOKEN", "hvs.given", "CACERT", file(t, string(ca)))
	if got, err := fromVault(t, NewVault(&http.Client{Transport: &http.Transport{}}), "vault:kv/team/open ai#key"); got != "of-the-vault" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
