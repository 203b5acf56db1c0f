package admin

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheConfigIsValidated(t *testing.T) {
	idp := OIDC{Issuer: "https://login.test", ClientID: "c"}
	roles := func(role string, g ...Grant) Config { return Config{OIDC: idp, Roles: map[string][]Grant{role: g}} }
	cases := []struct {
		c    Config
		want string
	}{
		{Config{}, ""},
		{Config{OIDC: idp, Local: Operator}, ""},
		{Config{Local: "root"}, `auth.local: there is no role "root"`},
		{Config{Local: GPUTeam}, "auth.local: gpu-team sees nothing"},
		{Config{OIDC: OIDC{ClientID: "c"}}, "auth.oidc.issuer: this is not the address"},
		{Config{OIDC: OIDC{Issuer: "http://login.test", ClientID: "c"}}, "auth.oidc.issuer: what is sent there would not be encrypted"},
		{Config{OIDC: OIDC{Issuer: "http://127.0.0.1:5556", ClientID: "c"}}, ""},
		{Config{OIDC: OIDC{Issuer: "https://u:p@login.test", ClientID: "c"}}, "auth.oidc.issuer: this is not"},
		{Config{OIDC: OIDC{Issuer: "https://login.test"}}, "auth.oidc: there is no client_id"},
		{Config{OIDC: OIDC{Issuer: "https://login.test", ClientID: "c", Redirect: "gw"}}, "auth.oidc.redirect"},
		{roles("finance", Grant{User: "ann@x"}, Grant{Group: "money"}), ""},
		{roles("financ", Grant{User: "ann@x"}), `auth.roles.financ: there is no role "financ"`},
		{roles("finance", Grant{}), "auth.roles.finance[0]: the entry names not exactly one"},
		{roles("finance", Grant{User: "a", Group: "b"}), "auth.roles.finance[0]: the entry names not exactly one"},
		{roles("finance", Grant{User: "a", Customer: "acme"}), "finance sees all customers"},
		{roles("viewer", Grant{User: "a", Targets: []string{"t"}}), "viewer sees all targets"},
		{roles("customer-viewer", Grant{Group: "acme", Customer: "acme"}), ""},
		{roles("customer-viewer", Grant{Group: "acme"}), "names no customer"},
		{roles("customer-viewer", Grant{Group: "acme", Customers: []string{"acme", ""}}), "a name is empty"},
		{roles("gpu-team", Grant{Group: "gpu"}), "names no target"},
		{roles("gpu-team", Grant{Group: "gpu", Targets: []string{"t"}}), ""},
		{Config{Roles: map[string][]Grant{"viewer": {{User: "a"}}}}, "auth.roles: nobody can have these roles"},
	}
	for _, c := range cases {
		var told []string
		c.c.Validate(func(path, wrong, right string) {
			told = append(told, path+": "+wrong)
			if right == "" {
				t.Errorf("%s: nothing to do is told", path)
			}
		})
		if got := strings.Join(told, "\n"); (c.want == "") != (got == "") || !strings.HasPrefix(got, c.want) && !strings.Contains(got, c.want) {
			t.Errorf("%+v: %s\n  want %s", c.c, got, c.want)
		}
	}
}

func TestAGrantHasAShortForm(t *testing.T) {
	for text, want := range map[string]Grant{"user:ann@x": {User: "ann@x"}, "group:a:b": {Group: "a:b"}} {
		var g Grant
		if err := g.UnmarshalText([]byte(text)); err != nil || g.User != want.User || g.Group != want.Group {
			t.Errorf("%s: %+v, %v", text, g, err)
		}
	}
	for _, text := range []string{"", "ann", "user:", "role:x"} {
		if err := new(Grant).UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "; write user:NAME") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// people is the provider and the roles of the tests below.
var people = Config{
	OIDC: OIDC{Issuer: "https://login.test", ClientID: "c"},
	Roles: map[string][]Grant{
		"operator":        {{Group: "sre"}, {User: "ann@x"}},
		"customer-viewer": {{Group: "acme", Customer: "acme"}, {Group: "globex", Customers: []string{"globex"}}},
	},
}

func TestWhoAClaimMakes(t *testing.T) {
	cases := []struct {
		name   string
		claims map[string]any
		want   Viewer
	}{
		{"a group", map[string]any{"sub": "1", "groups": []any{"x", "sre"}}, Viewer{Actor: "user:1", Role: Operator}},
		{"a group that stands alone", map[string]any{"sub": "1", "groups": "sre"}, Viewer{Actor: "user:1", Role: Operator}},
		{"a user", map[string]any{"sub": "1", "email": "ann@x", "email_verified": true}, Viewer{Actor: "user:ann@x", Role: Operator}},
		{"a user whose email is only claimed", map[string]any{"sub": "1", "email": "ann@x"}, Viewer{Actor: "user:1"}},
		{"an email that is not verified", map[string]any{"sub": "1", "email": "ann@x", "email_verified": "true"}, Viewer{Actor: "user:1"}},
		{"the strongest of several", map[string]any{"sub": "1", "groups": []any{"acme", "sre"}}, Viewer{Actor: "user:1", Role: Operator}},
		{"two customers", map[string]any{"sub": "1", "groups": []any{"globex", "acme"}}, Viewer{Actor: "user:1", Role: CustomerViewer, Customers: []string{"acme", "globex"}}},
		{"nobody", map[string]any{"sub": "1", "groups": []any{"x", 7.0}}, Viewer{Actor: "user:1"}},
		{"nothing", nil, Viewer{Actor: "user:"}},
	}
	for _, c := range cases {
		got, ok := people.viewer(c.claims)
		if ok != (c.want.Role != "") || got.Actor != c.want.Actor || got.Role != c.want.Role || !slices.Equal(got.Customers, c.want.Customers) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// idp is a provider that knows one code.
type idp struct {
	nonce, verifier, redirect string
	claims                    map[string]any
}

func (p *idp) Begin(_ context.Context, redirect, state, nonce, verifier string) (string, error) {
	p.redirect, p.nonce, p.verifier = redirect, nonce, verifier
	return "https://login.test/auth?state=" + state, nil
}

func (p *idp) Redeem(_ context.Context, redirect, code, verifier string) (string, error) {
	if code != "good" || redirect != p.redirect || verifier != p.verifier {
		return "", errors.New("no such code")
	}
	return "a.b.c", nil
}

func (p *idp) Verify(_ context.Context, token string, _ time.Time) (map[string]any, error) {
	if token != "a.b.c" {
		return nil, errors.New("wrong signature")
	}
	return p.claims, nil
}

func TestLogInAtTheProvider(t *testing.T) {
	s, h := house(t)
	p := &idp{}
	s.Door.Use(people, p)
	begin := func() (state string, cookie *http.Cookie) {
		w := send(h, "GET", "/admin/login", "", func(*http.Request) {})
		to, err := url.Parse(w.Header().Get("Location"))
		cookies := w.Result().Cookies()
		if err != nil || w.Code != 302 || len(cookies) != 1 || cookies[0].SameSite != http.SameSiteLaxMode || !cookies[0].HttpOnly {
			t.Fatalf("%d %v %+v", w.Code, w.Header(), cookies)
		}
		p.claims = map[string]any{"sub": "1", "groups": "sre", "nonce": p.nonce}
		return to.Query().Get("state"), cookies[0]
	}
	back := func(state, code string, cookie *http.Cookie) *httptest.ResponseRecorder {
		return send(h, "GET", "/admin/callback?code="+code+"&state="+state, "", func(r *http.Request) {
			if cookie != nil {
				r.AddCookie(cookie)
			}
		})
	}
	state, cookie := begin()
	if p.redirect != "http://localhost:4601/admin/callback" {
		t.Errorf("the provider sends the browser to %s", p.redirect)
	}
	w := back(state, "good", cookie)
	if w.Code != 200 || len(w.Result().Cookies()) != 1 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := send(h, "GET", "/admin/v1/me", "", func(r *http.Request) { r.AddCookie(w.Result().Cookies()[0]) }); !strings.Contains(w.Body.String(), `"role":"operator"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	cases := []struct {
		name   string
		try    func() *httptest.ResponseRecorder
		status int
		says   string
	}{
		{"the same once more", func() *httptest.ResponseRecorder { return back(state, "good", cookie) }, 403, "is over"},
		{"another browser", func() *httptest.ResponseRecorder { state, _ := begin(); return back(state, "good", nil) }, 403, "not begun in this browser"},
		{"another state", func() *httptest.ResponseRecorder { _, c := begin(); return back("x", "good", c) }, 403, "not begun in this browser"},
		{"a state that nobody made", func() *httptest.ResponseRecorder {
			return back("x", "good", &http.Cookie{Name: loginCookie, Value: "x"})
		}, 403, "is over"},
		{"another code", func() *httptest.ResponseRecorder { state, c := begin(); return back(state, "bad", c) }, 502, "did not say who you are"},
		{"a token of another login", func() *httptest.ResponseRecorder {
			state, c := begin()
			p.claims["nonce"] = "x"
			return back(state, "good", c)
		}, 403, "made for another login"},
		{"a refusal", func() *httptest.ResponseRecorder { state, c := begin(); return back(state+"&error=%3Cb%3E", "", c) }, 403, "&lt;b&gt;"},
		{"nobody that is known", func() *httptest.ResponseRecorder {
			state, c := begin()
			p.claims["groups"] = "x"
			return back(state, "good", c)
		}, 403, "no entry of auth.roles"},
	}
	for _, c := range cases {
		if w := c.try(); w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || len(w.Result().Cookies()) != 0 {
			t.Errorf("%s: %d %s, want %d and %s", c.name, w.Code, w.Body, c.status, c.says)
		}
	}
	p.claims = map[string]any{"sub": "1", "groups": "sre"}
	for bearer, status := range map[string]int{"a.b.c": 200, "a.b.d": 401, "a.b": 401} {
		w := send(h, "GET", "/admin/v1/me", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+bearer) })
		if w.Code != status {
			t.Errorf("%s: %d %s", bearer, w.Code, w.Body)
		}
	}
}
