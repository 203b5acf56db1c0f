package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	upstream "github.com/coreos/go-oidc/v3/oidc"

	"tailplane/internal/secret"
)

// endpoints are where an issuer does what.
type endpoints struct {
	Authorize string `json:"authorization_endpoint"`
	Token     string `json:"token_endpoint"`
	Keys      string `json:"jwks_uri"`
}

// discovery asks an issuer where it does what, once it has answered never again.
type discovery struct {
	issuer string
	client *http.Client

	mu    sync.Mutex
	found *endpoints
}

func (d *discovery) endpoints(ctx context.Context) (*endpoints, error) {
	d.mu.Lock()
	found := d.found
	d.mu.Unlock()
	if found != nil {
		return found, nil
	}
	if d.client == nil {
		return nil, errors.New("there is no way to the issuer: its keys are in a file")
	}
	p, err := upstream.NewProvider(upstream.ClientContext(ctx, d.client), d.issuer)
	if err != nil {
		return nil, fmt.Errorf("ask %s where its keys are: %s", d.issuer, brief(err.Error()))
	}
	found = new(endpoints)
	if err := p.Claims(found); err != nil {
		return nil, fmt.Errorf("ask %s where its keys are: the answer cannot be read", d.issuer)
	}
	for _, at := range []string{found.Authorize, found.Token, found.Keys} {
		if at != "" && strings.HasPrefix(d.issuer, "https:") && !strings.HasPrefix(at, "https:") {
			return nil, fmt.Errorf("%s names %s, which is not encrypted", d.issuer, at)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.found = found
	return found, nil
}

// brief cuts what somebody else wrote to a length for a log.
func brief(text string) string {
	const most = 200
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}

// Login is the authorization code flow with PKCE (RFC 7636) for one client of an
// issuer. It is safe for concurrent use.
type Login struct {
	*Verifier
	clientID string
	secret   secret.Ref
	scopes   []string
}

// NewLogin is a login at the issuer of v for its client. ref refers to the
// client's secret; the zero Ref is for a public client. openid is always asked
// for.
func NewLogin(v *Verifier, clientID string, ref secret.Ref, scopes []string) *Login {
	if len(scopes) == 0 {
		scopes = []string{"email"}
	}
	if !slices.Contains(scopes, "openid") {
		scopes = append([]string{"openid"}, scopes...)
	}
	return &Login{v, clientID, ref, scopes}
}

// Begin is where a browser goes to log in. state and nonce come back with it,
// verifier is kept until then: each is random, and for one login.
func (l *Login) Begin(ctx context.Context, redirect, state, nonce, verifier string) (string, error) {
	at, err := l.found.endpoints(ctx)
	if err != nil {
		return "", err
	}
	to, err := url.Parse(at.Authorize)
	if err != nil || to.Host == "" {
		return "", fmt.Errorf("%s does not say where people log in", l.opt.Issuer)
	}
	challenge := sha256.Sum256([]byte(verifier))
	q := to.Query()
	for name, value := range map[string]string{
		"response_type": "code", "client_id": l.clientID, "redirect_uri": redirect, "scope": strings.Join(l.scopes, " "),
		"state": state, "nonce": nonce, "code_challenge_method": "S256", "code_challenge": base64.RawURLEncoding.EncodeToString(challenge[:]),
	} {
		q.Set(name, value)
	}
	to.RawQuery = q.Encode()
	return to.String(), nil
}

// Redeem exchanges the code that a browser brings back for an ID token, which is
// not verified yet.
func (l *Login) Redeem(ctx context.Context, redirect, code, verifier string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTime)
	defer cancel()
	at, err := l.found.endpoints(ctx)
	if err != nil {
		return "", err
	}
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "client_id": {l.clientID}, "code_verifier": {verifier},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.Token, strings.NewReader(form.Encode()))
	if err != nil || at.Token == "" {
		return "", fmt.Errorf("%s does not say where codes are redeemed", l.opt.Issuer)
	}
	if !l.secret.IsZero() {
		value, err := l.secret.Resolve()
		if err != nil {
			return "", err
		}
		// RFC 6749 2.3.1: both are encoded as in a form.
		req.SetBasicAuth(url.QueryEscape(l.clientID), url.QueryEscape(value.Reveal()))
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := l.found.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := bounded(resp.Body)
	if err != nil {
		return "", err
	}
	var got struct {
		Token string `json:"id_token"`
		Error string `json:"error"`
	}
	switch err := json.Unmarshal(text, &got); {
	case resp.StatusCode != http.StatusOK && err == nil && got.Error != "":
		return "", fmt.Errorf("%s refused the code: %s", l.opt.Issuer, brief(got.Error))
	case resp.StatusCode != http.StatusOK:
		return "", fmt.Errorf("%s answered with %s", l.opt.Issuer, resp.Status)
	case err != nil || got.Token == "":
		return "", fmt.Errorf("%s gave no ID token; is openid among the scopes of the client?", l.opt.Issuer)
	}
	return got.Token, nil
}
