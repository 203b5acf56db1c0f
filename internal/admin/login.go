package admin

import (
	"fmt"
	"html"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// login is one under way at the provider.
type login struct {
	nonce, verifier, redirect string
	expires                   time.Time
}

// loginCookie ties a login under way to the browser that began it, so that
// nobody can be logged in by a link of somebody else.
const loginCookie = "tailplane_login"

// loginPaths adds what a browser needs to come in: these places are for
// everybody who can reach the listener.
func (d *Door) loginPaths(mux *http.ServeMux) {
	limited := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			address, _, err := net.SplitHostPort(r.RemoteAddr)
			if err != nil {
				address = r.RemoteAddr
			}
			if !d.attempt(address, time.Now()) {
				w.Header().Set("Retry-After", "60")
				fail(w, http.StatusTooManyRequests, "too_many", errTooMany.Error())
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
			next(w, r)
		}
	}
	mux.HandleFunc("GET /admin/login", limited(d.begin))
	mux.HandleFunc("POST /admin/login", limited(d.byLink))
	mux.HandleFunc("GET /admin/callback", limited(d.callback))
	mux.HandleFunc("POST /admin/logout", d.logout)
}

// begin shows the button of a link, or sends the browser to the provider. A link
// works by the button alone: programs that look at links in messages press none.
func (d *Door) begin(w http.ResponseWriter, r *http.Request) {
	if code := r.URL.Query().Get("code"); code != "" {
		page(w, http.StatusOK, `<form method="post" action="/admin/login"><input type="hidden" name="code" value="`+
			html.EscapeString(code)+`"><button>Log in to tailplane</button></form>`)
		return
	}
	c, p := d.rules()
	if p == nil || c.OIDC.JWKS != "" {
		page(w, http.StatusNotFound, "<p>Nobody can log in here by name. Ask an owner for a link: <code>tailplane admin link --role ROLE</code></p>")
		return
	}
	base := strings.TrimSuffix(c.OIDC.Redirect, "/")
	if base == "" {
		base = origin(r)
	}
	l := &login{nonce: random(), verifier: random(), redirect: base + "/admin/callback", expires: time.Now().Add(loginTime)}
	state := random()
	to, err := p.Begin(r.Context(), l.redirect, state, l.nonce, l.verifier)
	if err != nil {
		page(w, http.StatusBadGateway, "<p>The provider cannot be asked: "+html.EscapeString(err.Error())+"</p>")
		return
	}
	if !d.keep(state, l) {
		page(w, http.StatusServiceUnavailable, "<p>"+errFull.Error()+"</p>")
		return
	}
	// Lax, since the browser comes back from another site.
	http.SetCookie(w, &http.Cookie{Name: loginCookie, Value: state, Path: "/admin/callback", MaxAge: int(loginTime / time.Second), HttpOnly: true, Secure: strings.HasPrefix(base, "https:"), SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, to, http.StatusFound)
}

func (d *Door) keep(state string, l *login) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	expire(d.logins, func(l *login) time.Time { return l.expires }, time.Now())
	if len(d.logins) >= mostLogins {
		return false
	}
	d.logins[digestOf(state)] = l
	return true
}

// take ends a login under way; nil for one that is not known.
func (d *Door) take(state string, now time.Time) *login {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.logins[digestOf(state)]
	delete(d.logins, digestOf(state))
	if l == nil || !now.Before(l.expires) {
		return nil
	}
	return l
}

// callback is where the browser comes back to.
func (d *Door) callback(w http.ResponseWriter, r *http.Request) {
	q, now := r.URL.Query(), time.Now()
	cookie, err := r.Cookie(loginCookie)
	if err != nil || cookie.Value == "" || cookie.Value != q.Get("state") {
		page(w, http.StatusForbidden, `<p>This login was not begun in this browser. <a href="/admin/login">Begin again</a></p>`)
		return
	}
	l := d.take(cookie.Value, now)
	if l == nil {
		page(w, http.StatusForbidden, `<p>This login is over. <a href="/admin/login">Begin again</a></p>`)
		return
	}
	if code := q.Get("error"); code != "" {
		page(w, http.StatusForbidden, "<p>The provider refused: "+html.EscapeString(code)+"</p>")
		return
	}
	_, p := d.rules()
	if p == nil {
		page(w, http.StatusNotFound, "<p>Nobody can log in here by name any more.</p>")
		return
	}
	token, err := p.Redeem(r.Context(), l.redirect, q.Get("code"), l.verifier)
	if err != nil {
		page(w, http.StatusBadGateway, "<p>The provider did not say who you are: "+html.EscapeString(err.Error())+"</p>")
		return
	}
	v, err := d.known(r.Context(), token, l.nonce, now)
	if err != nil {
		page(w, http.StatusForbidden, "<p>"+html.EscapeString(err.Error())+"</p>")
		return
	}
	d.welcome(w, r, func() (string, *Session, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.admit(v, "cookie", now)
	})
}

// byLink exchanges a link's code for a session: a cookie for a form, a token for
// a program that wants JSON.
func (d *Door) byLink(w http.ResponseWriter, r *http.Request) {
	code := r.PostFormValue("code")
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		text, s, err := d.enter(code, "token", time.Now())
		if err != nil {
			fail(w, http.StatusForbidden, "forbidden", err.Error())
			return
		}
		answer(w, Let{Token: text, Viewer: s.Viewer, Expires: s.Expires})
		return
	}
	if !sameOrigin(r) {
		page(w, http.StatusForbidden, "<p>Press the button on the page of this gateway.</p>")
		return
	}
	d.welcome(w, r, func() (string, *Session, error) { return d.enter(code, "cookie", time.Now()) })
}

// Let is the answer to a program that came by a link.
type Let struct {
	Token   string    `json:"token"`
	Viewer  Viewer    `json:"viewer"`
	Expires time.Time `json:"expires"`
}

// welcome makes a session and gives its cookie.
func (d *Door) welcome(w http.ResponseWriter, r *http.Request, session func() (string, *Session, error)) {
	text, s, err := session()
	if err != nil {
		page(w, http.StatusForbidden, "<p>"+html.EscapeString(err.Error())+"</p>")
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: text, Path: "/", MaxAge: int(sessionTime / time.Second), HttpOnly: true, Secure: d.secure(r), SameSite: http.SameSiteStrictMode})
	page(w, http.StatusOK, fmt.Sprintf(`<p>You are in as %s (%s), until %s.</p><p><a href="/admin/v1/me">who am I</a></p>`,
		html.EscapeString(s.Viewer.Actor), s.Viewer.Role, s.Expires.Format(time.RFC1123)))
}

// secure reports whether a browser comes by TLS, here or where it ends before.
func (d *Door) secure(r *http.Request) bool {
	c, _ := d.rules()
	return r.TLS != nil || strings.HasPrefix(c.OIDC.Redirect, "https:")
}

// logout ends the session of a cookie.
func (d *Door) logout(w http.ResponseWriter, r *http.Request) {
	if !sameOrigin(r) {
		fail(w, http.StatusForbidden, "forbidden", errOrigin)
		return
	}
	if cookie, err := r.Cookie(cookieName); err == nil {
		own := digestOf(cookie.Value)
		d.end(func(key digest, _ *Session) bool { return key == own })
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, Secure: d.secure(r), SameSite: http.SameSiteStrictMode})
	page(w, http.StatusOK, "<p>You are out.</p>")
}

const errOrigin = "a browser changes something only from a page of this gateway"

// origin is the listener's own address as the browser wrote it.
func origin(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// sameOrigin reports whether a page of this listener sent the request. A request
// that does not say so is taken for one of another page.
func sameOrigin(r *http.Request) bool {
	from, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && from.Host != "" && strings.EqualFold(from.Host, r.Host)
}

// page answers a browser. Nothing of it runs, loads, or is shown in a frame.
func page(w http.ResponseWriter, status int, body string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Referrer-Policy", "same-origin") // the address may hold a code, and a form must say where it comes from
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>tailplane</title>%s</html>\n", body)
}
