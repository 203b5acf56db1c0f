package credential

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tailplane/internal/secret"
	"tailplane/internal/sigv4"
)

// read resolves a reference in the network.
func (n *network) read(text string) (string, error) {
	n.t.Helper()
	r, err := secret.Parse(text)
	if err != nil {
		n.t.Fatal(err)
	}
	defer n.confine(storeOf(r))()
	v, err := r.Read(n.t.Context(), Resolvers(n.client))
	return v.Reveal(), err
}

func TestSecretsOfAWSAreReadWithAWSsIdentity(t *testing.T) {
	n := newNetwork(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
	t.Setenv("AWS_REGION", "eu-central-1")
	serve := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		signed := sigv4.Request{Method: r.Method, Path: r.URL.Path, Payload: sigv4.Hash(body), Header: func(yield func(string, string) bool) {
			yield("host", r.Host)
			for name := range r.Header {
				yield(name, r.Header.Get(name))
			}
		}}
		claim, err := sigv4.Parse(signed)
		if err == nil {
			err = claim.Verify(signed, sigv4.Derive("env-secret", claim.Scope), time.Now())
		}
		if err != nil || claim.Scope.Service != "secretsmanager" || r.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue" {
			t.Errorf("%v %v", err, claim.Scope)
		}
		var asked struct{ SecretId string }
		_ = json.Unmarshal(body, &asked)
		switch {
		case strings.Contains(asked.SecretId, "whole"):
			_, _ = w.Write([]byte(`{"SecretString":"plain-text\n"}`))
		case strings.Contains(asked.SecretId, "binary"):
			fmt.Fprintf(w, `{"SecretBinary":%q}`, base64.StdEncoding.EncodeToString([]byte("of-bytes")))
		case strings.Contains(asked.SecretId, "object"):
			_, _ = w.Write([]byte(`{"SecretString":"{\"api_key\":\"in-a-field\",\"n\":7}"}`))
		default:
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"__type":"ResourceNotFoundException","Message":"Secrets Manager can't find the specified secret."}`))
		}
	}
	n.on("secretsmanager.eu-central-1.amazonaws.com", serve)
	n.on("secretsmanager.us-west-2.amazonaws.com", serve)
	expect(t, n, map[string]string{
		"aws-sm:prod/whole":          "plain-text",
		"aws-sm:prod/binary":         "of-bytes",
		"aws-sm:prod/object#api_key": "in-a-field",
		"aws-sm:prod/object#n":       "7",
		"aws-sm:arn:aws:secretsmanager:us-west-2:123456789012:secret:whole-AbCdEf": "plain-text",
		"aws-sm:prod/object#absent": `!no field "absent"`,
		"aws-sm:prod/whole#x":       "!no JSON object",
		"aws-sm:nothing":            "!can't find the specified secret",
	})
	if !strings.Contains(n.log(), "secretsmanager.us-west-2") {
		t.Error("the region of an ARN is not asked")
	}
}

func expect(t *testing.T, n *network, cases map[string]string) {
	t.Helper()
	for text, want := range cases {
		got, err := n.read(text)
		if words, fails := strings.CutPrefix(want, "!"); fails {
			if err == nil || !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v, want %q", text, err, words)
			}
			continue
		}
		if got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestSecretsOfGoogleAreReadWithGooglesIdentity(t *testing.T) {
	n := newNetwork(t)
	n.on("metadata.google.internal", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"access_token":"machine-token","expires_in":3600,"token_type":"Bearer"}`))
	})
	n.on("secretmanager.googleapis.com", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer machine-token" {
			t.Error(r.Header)
		}
		switch r.URL.Path {
		case "/v1/projects/p/secrets/s/versions/latest:access":
			fmt.Fprintf(w, `{"payload":{"data":%q}}`, base64.StdEncoding.EncodeToString([]byte(`{"k":"newest"}`)))
		case "/v1/projects/p/secrets/s/versions/3:access":
			fmt.Fprintf(w, `{"payload":{"data":%q}}`, base64.StdEncoding.EncodeToString([]byte("third")))
		default:
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"error":{"code":403,"message":"Permission denied for machine-token"}}`))
		}
	})
	expect(t, n, map[string]string{
		"gcp-sm:projects/p/secrets/s#k":          "newest",
		"gcp-sm:projects/p/secrets/s/versions/3": "third",
		"gcp-sm:projects/p/secrets/x":            "!Permission denied for [secret]",
	})
}

func TestSecretsOfAzureAreReadWithEntrasIdentity(t *testing.T) {
	n := newNetwork(t)
	entra := &fakeEntra{}
	n.on("login.microsoftonline.com", entra.serve)
	t.Setenv("AZURE_TENANT_ID", "tenant-1")
	t.Setenv("AZURE_CLIENT_ID", "client-1")
	t.Setenv("AZURE_CLIENT_SECRET", "entra-secret")
	serve := func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer entra-token-") || r.URL.Query().Get("api-version") == "" {
			t.Error(r.Header)
		}
		if r.URL.Path != "/secrets/openai" {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"error":{"code":"SecretNotFound","message":"A secret with (name/id) x was not found in this key vault."}}`))
			return
		}
		_, _ = w.Write([]byte(`{"value":"of-the-vault","id":"x"}`))
	}
	n.on("team.vault.azure.net", serve)
	n.on("team.vault.azure.cn", serve)
	expect(t, n, map[string]string{
		"azure-kv:team/openai":                "of-the-vault",
		"azure-kv:team.vault.azure.cn/openai": "of-the-vault",
		"azure-kv:team/x":                     "!SecretNotFound",
	})
	if !strings.Contains(entra.asked[0], vaultScope) {
		t.Error(entra.asked)
	}
}
