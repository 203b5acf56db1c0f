package secret

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Vault reads the KV version 2 engine of HashiCorp Vault or OpenBao over its
// HTTP API. Where it lies and who we are there says the environment that Vault's
// own tools read:
//
//	VAULT_ADDR, VAULT_NAMESPACE, VAULT_CACERT
//	VAULT_TOKEN, or VAULT_TOKEN_FILE (default ~/.vault-token), read each time
//	VAULT_K8S_ROLE, with VAULT_K8S_MOUNT (kubernetes) and VAULT_K8S_TOKEN_FILE
//	VAULT_ROLE_ID with VAULT_SECRET_ID or VAULT_SECRET_ID_FILE, VAULT_APPROLE_MOUNT (approle)
//
// A role logs in again before its token ends. A token that was given is its
// owner's to renew.
type Vault struct {
	client *http.Client

	mu    sync.Mutex // held while logging in: others wait for that token
	token string     // of a login
	until time.Time
}

// NewVault uses client for every request.
func NewVault(client *http.Client) *Vault { return &Vault{client: client} }

// mostVault bounds what is read of an answer.
const mostVault = 1 << 20

// Resolve is a Resolver of vault:MOUNT/PATH#FIELD.
func (v *Vault) Resolve(ctx context.Context, r Ref) (Value, error) {
	mount, path, _ := strings.Cut(r.name, "/")
	for again := false; ; again = true {
		token, fresh, err := v.login(ctx, time.Now())
		if err != nil {
			return Value{}, err
		}
		var answer struct {
			Data struct {
				Data json.RawMessage `json:"data"`
			} `json:"data"`
		}
		status, err := v.call(ctx, http.MethodGet, "/v1/"+mount+"/data/"+escapePath(path), token, nil, &answer)
		if status == http.StatusForbidden && !again && !fresh && v.forget(token) {
			continue // the token was revoked before its end
		}
		switch {
		case err != nil:
			return Value{}, err
		case len(answer.Data.Data) == 0 || string(answer.Data.Data) == "null":
			return Value{}, errors.New("Vault has no such secret, or its newest version is deleted")
		}
		return r.Pick(answer.Data.Data)
	}
}

// login is the token to read with; fresh says that it was just given.
func (v *Vault) login(ctx context.Context, now time.Time) (token string, fresh bool, err error) {
	role, path, body, err := loginOf()
	if err != nil {
		return "", false, err
	}
	if role == "" {
		token, err := givenToken()
		return token, true, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.token != "" && now.Before(v.until) {
		return v.token, false, nil
	}
	var answer struct {
		Auth struct {
			Token string `json:"client_token"`
			Lease int64  `json:"lease_duration"`
		} `json:"auth"`
	}
	if _, err := v.call(ctx, http.MethodPost, path, "", body, &answer); err != nil {
		return "", false, fmt.Errorf("log in as %s: %w", role, err)
	}
	if answer.Auth.Token == "" {
		return "", false, fmt.Errorf("log in as %s: Vault gave no token", role)
	}
	v.token = answer.Auth.Token
	v.until = now.Add(time.Duration(answer.Auth.Lease) * time.Second * 2 / 3)
	return v.token, true, nil
}

// forget drops a login's token, and reports whether it was one.
func (v *Vault) forget(token string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.token != token {
		return false
	}
	v.token = ""
	return true
}

// loginOf is the login that the environment asks for; no role means a token.
func loginOf() (role, path string, body map[string]string, err error) {
	if name := os.Getenv("VAULT_K8S_ROLE"); name != "" {
		file := cmp.Or(os.Getenv("VAULT_K8S_TOKEN_FILE"), "/var/run/secrets/kubernetes.io/serviceaccount/token")
		jwt, err := os.ReadFile(file)
		if err != nil {
			return "", "", nil, fmt.Errorf("the service account's token: %w", err)
		}
		mount := cmp.Or(os.Getenv("VAULT_K8S_MOUNT"), "kubernetes")
		return "Kubernetes role " + name, "/v1/auth/" + mount + "/login", map[string]string{"role": name, "jwt": strings.TrimSpace(string(jwt))}, nil
	}
	if id := os.Getenv("VAULT_ROLE_ID"); id != "" {
		secretID := os.Getenv("VAULT_SECRET_ID")
		if file := os.Getenv("VAULT_SECRET_ID_FILE"); secretID == "" && file != "" {
			text, err := os.ReadFile(file)
			if err != nil {
				return "", "", nil, fmt.Errorf("the AppRole's secret id: %w", err)
			}
			secretID = strings.TrimSpace(string(text))
		}
		mount := cmp.Or(os.Getenv("VAULT_APPROLE_MOUNT"), "approle")
		return "AppRole", "/v1/auth/" + mount + "/login", map[string]string{"role_id": id, "secret_id": secretID}, nil
	}
	return "", "", nil, nil
}

// givenToken is the one of the environment or of a file.
func givenToken() (string, error) {
	if token := os.Getenv("VAULT_TOKEN"); token != "" {
		return token, nil
	}
	file := os.Getenv("VAULT_TOKEN_FILE")
	if home, err := os.UserHomeDir(); file == "" && err == nil {
		file = filepath.Join(home, ".vault-token")
	}
	text, err := os.ReadFile(file)
	if token := strings.TrimSpace(string(text)); err == nil && token != "" {
		return token, nil
	}
	return "", errors.New("there is no token for Vault; set VAULT_TOKEN, VAULT_TOKEN_FILE, VAULT_K8S_ROLE, or VAULT_ROLE_ID with VAULT_SECRET_ID")
}

// call asks Vault and decodes a 200. The words of another answer are Vault's
// own, without anything that it was sent.
func (v *Vault) call(ctx context.Context, method, path, token string, body map[string]string, into any) (int, error) {
	addr := strings.TrimSuffix(os.Getenv("VAULT_ADDR"), "/")
	if addr == "" {
		return 0, errors.New("VAULT_ADDR is not set; write the address of Vault there")
	}
	client, err := v.trusting(os.Getenv("VAULT_CACERT"))
	if err != nil {
		return 0, err
	}
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		content = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, addr+path, content)
	if err != nil {
		return 0, errors.New("VAULT_ADDR is no address; write http://HOST:PORT or https://HOST")
	}
	for name, value := range map[string]string{"X-Vault-Token": token, "X-Vault-Namespace": os.Getenv("VAULT_NAMESPACE")} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	req.Header.Set("X-Vault-Request", "true")
	resp, err := client.Do(req)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err // the address without what may stand in it
		}
		return 0, fmt.Errorf("Vault at %s cannot be reached: %w", req.URL.Host, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, mostVault))
	if err != nil {
		return 0, fmt.Errorf("Vault at %s: %w", req.URL.Host, err)
	}
	if resp.StatusCode != http.StatusOK {
		return resp.StatusCode, fmt.Errorf("Vault at %s: HTTP %d%s", req.URL.Host, resp.StatusCode, vaultWords(raw, token, body))
	}
	if json.Unmarshal(raw, into) != nil {
		return resp.StatusCode, fmt.Errorf("Vault at %s answered something that is not its API", req.URL.Host)
	}
	return resp.StatusCode, nil
}

// vaultWords are the errors of an answer.
func vaultWords(raw []byte, token string, body map[string]string) string {
	var said struct {
		Errors []string `json:"errors"`
	}
	if json.Unmarshal(raw, &said) != nil || len(said.Errors) == 0 {
		return ""
	}
	text := strings.Join(strings.Fields(strings.Join(said.Errors, "; ")), " ")
	for _, hidden := range []string{token, body["jwt"], body["secret_id"]} {
		if hidden != "" {
			text = strings.ReplaceAll(text, hidden, masked)
		}
	}
	return ": " + text[:min(len(text), 300)]
}

// trusting is the client with another set of CAs.
func (v *Vault) trusting(caFile string) (*http.Client, error) {
	if caFile == "" {
		return v.client, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("VAULT_CACERT: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("VAULT_CACERT: %s holds no certificate in PEM", caFile)
	}
	base, ok := v.client.Transport.(*http.Transport)
	if !ok {
		return nil, errors.New("VAULT_CACERT cannot be used here; add the CA to the egress settings instead")
	}
	own := base.Clone()
	if own.TLSClientConfig == nil {
		own.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	own.TLSClientConfig.RootCAs = pool
	own.DisableKeepAlives = true // it is asked once a minute at most
	client := *v.client
	client.Transport = own
	return &client, nil
}

// escapePath escapes each segment.
func escapePath(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}
