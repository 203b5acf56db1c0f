package credential

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"tailplane/internal/secret"
)

// fakeEntra is a tenant. Its token endpoint tells in the token by what it was
// asked.
type fakeEntra struct {
	mu    sync.Mutex
	asked []string
	words string // of a refusal; empty gives tokens
}

func (f *fakeEntra) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if strings.Contains(r.URL.Path, "openid-configuration") {
		base := "https://" + r.Host + "/tenant-1"
		fmt.Fprintf(w, `{"authorization_endpoint":"%[1]s/oauth2/v2.0/authorize","token_endpoint":"%[1]s/oauth2/v2.0/token","issuer":"%[1]s/v2.0"}`, base)
		return
	}
	_ = r.ParseForm()
	f.mu.Lock()
	defer f.mu.Unlock()
	proof := r.Form.Get("client_secret") + r.Form.Get("client_assertion")
	f.asked = append(f.asked, strings.Join([]string{r.URL.Path, r.Form.Get("client_id"), r.Form.Get("grant_type"), strings.Fields(r.Form.Get("scope"))[0], proof}, " "))
	if f.words != "" {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":"invalid_client","error_description":"%s You sent %s.","error_codes":[7000215]}`, f.words, proof)
		return
	}
	fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"entra-token-%d"}`, len(f.asked))
}

func TestEveryWayOfEntraGivesATokenForTheRequest(t *testing.T) {
	t.Run("client secret", func(t *testing.T) {
		n := newNetwork(t)
		entra := &fakeEntra{}
		n.on("login.microsoftonline.com", entra.serve)
		t.Setenv("TEST_ENTRA", "entra-secret-012345")
		header, err := n.authorized(Config{Azure: &Azure{Tenant: "tenant-1", Client: "client-1", ClientSecret: secret.Env("TEST_ENTRA")}}, "")
		if err != nil || header["authorization"] != "Bearer entra-token-1" {
			t.Fatalf("%v, %v\n%s", header, err, n.log())
		}
		if want := "/tenant-1/oauth2/v2.0/token client-1 client_credentials " + openAIScope + " entra-secret-012345"; entra.asked[0] != want {
			t.Errorf("asked %s\nwant %s", entra.asked[0], want)
		}
	})
	t.Run("workload identity at a private authority", func(t *testing.T) {
		n := newNetwork(t)
		entra := &fakeEntra{}
		n.on("login.internal", entra.serve)
		t.Setenv("AZURE_TENANT_ID", "tenant-1")
		t.Setenv("AZURE_CLIENT_ID", "client-2")
		t.Setenv("AZURE_FEDERATED_TOKEN_FILE", write(t, "token", "cluster-jwt"))
		header, err := n.authorized(Config{Azure: &Azure{Authority: "https://login.internal/", Scope: "https://ml.azure.com/.default"}}, "")
		if err != nil || header["authorization"] != "Bearer entra-token-1" {
			t.Fatalf("%v, %v\n%s", header, err, n.log())
		}
		if want := "/tenant-1/oauth2/v2.0/token client-2 client_credentials https://ml.azure.com/.default cluster-jwt"; entra.asked[0] != want {
			t.Errorf("asked %s\nwant %s", entra.asked[0], want)
		}
	})
	t.Run("managed identity", func(t *testing.T) {
		n := newNetwork(t)
		var asked string
		times := 0
		n.on("169.254.169.254", func(w http.ResponseWriter, r *http.Request) {
			times++
			asked = r.Header.Get("Metadata") + " " + r.URL.Query().Get("resource") + " " + r.URL.Query().Get("client_id")
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"access_token":"machine-token-%d","expires_in":"86399","resource":"x","token_type":"Bearer"}`, times)
		})
		for _, want := range []string{"machine-token-1", "machine-token-2"} { // none of them out of a cache of the library's
			header, err := n.authorized(Config{Azure: &Azure{Client: "assigned-1"}, Header: "x-custom"}, "")
			if err != nil || header["x-custom"] != want {
				t.Fatalf("%v, %v, want %s\n%s", header, err, want, n.log())
			}
		}
		if asked != "true https://cognitiveservices.azure.com assigned-1" {
			t.Errorf("asked %s", asked)
		}
	})
}

// TestWhatEntraSaysHoldsNoSecret, although it repeats what it was sent.
func TestWhatEntraSaysHoldsNoSecret(t *testing.T) {
	n := newNetwork(t)
	n.on("login.microsoftonline.com", (&fakeEntra{words: "AADSTS7000215: Invalid client secret provided."}).serve)
	t.Setenv("TEST_ENTRA", "canary-entra+secret/1")
	_, err := n.authorized(Config{Azure: &Azure{Tenant: "tenant-1", Client: "client-1", ClientSecret: secret.Env("TEST_ENTRA")}}, "")
	if err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "AADSTS7000215") || !strings.Contains(err.Error(), "Entra at https://login.microsoftonline.com/") {
		t.Error(err)
	}
	if strings.Contains(err.Error(), "\n") || len(err.Error()) > 500 {
		t.Errorf("not one line: %q", err)
	}
	_, err = n.authorized(Config{Azure: &Azure{}}, "") // a machine without identity
	if err == nil || !strings.Contains(err.Error(), "managed identity endpoint") {
		t.Error(err)
	}
}
