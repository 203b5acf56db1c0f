package admin

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"tailplane/internal/secret"
)

// Provider is an OpenID provider as the door needs it; package oidc has one.
type Provider interface {
	// Begin is where a browser goes to log in.
	Begin(ctx context.Context, redirect, state, nonce, verifier string) (url string, err error)
	// Redeem exchanges the code that the browser brings back for an ID token.
	Redeem(ctx context.Context, redirect, code, verifier string) (token string, err error)
	// Verify checks an ID token and returns its claims, which are only read.
	Verify(ctx context.Context, token string, now time.Time) (map[string]any, error)
}

// Bounds of the door. What is beyond them is refused, and nothing older is
// thrown out for it.
const (
	sessionTime  = 12 * time.Hour
	defaultLink  = 10 * time.Minute
	longestLink  = 24 * time.Hour
	loginTime    = 10 * time.Minute // for a provider's page
	mostSessions = 10_000
	mostLinks    = 1_000
	mostLogins   = 1_000
)

// Door says who comes: by the token of the state directory, a session, or an ID
// token. Sessions, links and logins under way are in memory, by hash: a restart
// ends them. Its methods are safe for concurrent use.
type Door struct {
	token [sha256.Size]byte

	mu       sync.Mutex
	config   Config
	provider Provider // nil without one
	sessions map[digest]*Session
	links    map[digest]*link
	logins   map[digest]*login
	attempts limiter
}

// digest is a hash of what somebody must show.
type digest [sha256.Size]byte

func digestOf(text string) digest { return sha256.Sum256([]byte(text)) }

// NewDoor is a door that the token opens.
func NewDoor(token secret.Value) *Door {
	return &Door{
		token: sha256.Sum256([]byte(token.Reveal())), sessions: map[digest]*Session{}, links: map[digest]*link{}, logins: map[digest]*login{},
		attempts: limiter{most: 20, per: time.Minute},
	}
}

// Use puts a section of the file into force; p is nil where it names no
// provider. Sessions stay as they were given.
func (d *Door) Use(c Config, p Provider) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.config, d.provider = c, p
}

func (d *Door) rules() (Config, Provider) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.config, d.provider
}

// Session is somebody who was let in.
type Session struct {
	ID      string    `json:"id"` // names it, and opens nothing
	Viewer  Viewer    `json:"viewer"`
	How     string    `json:"how"` // cookie, token
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// link lets one in, once.
type link struct {
	viewer  Viewer
	expires time.Time
}

// The beginnings of our texts, by which a scanner for leaked secrets knows them.
const (
	linkPrefix    = "tp-link-"
	sessionPrefix = "tp-session-"
)

// random is 32 random bytes as text.
func random() string {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// The refusals of the door.
var (
	errNobody  = errors.New("the admin API needs the token that lies in the state directory, a session or an ID token; the tailplane command finds the first")
	errLink    = errors.New("the link is not valid any more: it works once, for a short time; ask for another one")
	errFull    = errors.New("too many sessions, links or logins are open; try again later")
	errTooMany = errors.New("too many attempts to log in from this address; wait a minute")
)

// newLink makes a link for a viewer and returns its code, which is kept nowhere.
func (d *Door) newLink(v Viewer, lifetime time.Duration, now time.Time) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.config.LinksAllowed() {
		return "", fmt.Errorf("%w: auth.links: false forbids links", ErrBadOrder)
	}
	expire(d.links, func(l *link) time.Time { return l.expires }, now)
	if len(d.links) >= mostLinks {
		return "", errFull
	}
	code := linkPrefix + random()
	d.links[digestOf(code)] = &link{v, now.Add(lifetime)}
	return code, nil
}

// enter exchanges the code of a link for a session, once.
func (d *Door) enter(code, how string, now time.Time) (text string, s *Session, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.links[digestOf(code)]
	if l == nil || !now.Before(l.expires) || !d.config.LinksAllowed() {
		return "", nil, errLink
	}
	text, s, err = d.admit(l.viewer, how, now)
	if err == nil {
		delete(d.links, digestOf(code))
	}
	return text, s, err
}

// admit makes a session. The caller holds the lock.
func (d *Door) admit(v Viewer, how string, now time.Time) (string, *Session, error) {
	expire(d.sessions, func(s *Session) time.Time { return s.Expires }, now)
	if len(d.sessions) >= mostSessions {
		return "", nil, errFull
	}
	text := sessionPrefix + random()
	key := digestOf(text)
	s := &Session{ID: hex.EncodeToString(key[:6]), Viewer: v, How: how, Created: now.UTC(), Expires: now.Add(sessionTime).UTC()}
	d.sessions[key] = s
	return text, s, nil
}

func expire[V any](held map[digest]V, end func(V) time.Time, now time.Time) {
	for key, v := range held {
		if !now.Before(end(v)) {
			delete(held, key)
		}
	}
}

// cookieName is that of the session's cookie.
const cookieName = "tailplane_session"

// viewer is who sends a request, and whether a cookie says so.
func (d *Door) viewer(r *http.Request, now time.Time) (v Viewer, byCookie bool, err error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		cookie, err := r.Cookie(cookieName)
		if err != nil {
			return Viewer{}, false, errNobody
		}
		v, ok := d.session(cookie.Value, "cookie", now)
		if !ok {
			return Viewer{}, false, errNobody
		}
		return v, true, nil
	}
	text, ok := strings.CutPrefix(header, "Bearer ")
	if !ok {
		return Viewer{}, false, errNobody
	}
	// Both are hashed, so that the comparison tells nothing about a length.
	if sum := sha256.Sum256([]byte(text)); subtle.ConstantTimeCompare(sum[:], d.token[:]) == 1 {
		c, _ := d.rules()
		return Viewer{Actor: "local", Role: cmp.Or(c.Local, Owner)}, false, nil
	}
	if v, ok := d.session(text, "token", now); ok {
		return v, false, nil
	}
	if strings.Count(text, ".") == 2 {
		v, err := d.known(r.Context(), text, "", now)
		return v, false, err
	}
	return Viewer{}, false, errNobody
}

func (d *Door) session(text, how string, now time.Time) (Viewer, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.sessions[digestOf(text)]
	if s == nil || s.How != how || !now.Before(s.Expires) {
		return Viewer{}, false
	}
	return s.Viewer, true
}

// known is who an ID token says somebody is. A nonce, where one is given, must
// be the token's.
func (d *Door) known(ctx context.Context, token, nonce string, now time.Time) (Viewer, error) {
	c, p := d.rules()
	if p == nil {
		return Viewer{}, errNobody
	}
	claims, err := p.Verify(ctx, token, now)
	if err != nil {
		return Viewer{}, fmt.Errorf("the ID token is not accepted: %w", err)
	}
	if nonce != "" && claims["nonce"] != nonce {
		return Viewer{}, errors.New("the ID token is not accepted: it was made for another login")
	}
	v, ok := c.viewer(claims)
	if !ok {
		return Viewer{}, &ForbiddenError{Role: "none", What: "come in here as " + v.Actor + ": no entry of auth.roles names them"}
	}
	return v, nil
}

// Sessions lists who is in, the newest first.
func (d *Door) Sessions(now time.Time) []Session {
	d.mu.Lock()
	defer d.mu.Unlock()
	expire(d.sessions, func(s *Session) time.Time { return s.Expires }, now)
	out := make([]Session, 0, len(d.sessions))
	for _, s := range d.sessions {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Session) int { return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID)) })
	return out
}

// end ends the sessions that match, and returns how many there were.
func (d *Door) end(match func(digest, *Session) bool) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for key, s := range d.sessions {
		if match(key, s) {
			delete(d.sessions, key)
			n++
		}
	}
	return n
}

// limiter bounds the attempts of an address in a period. Its zero members are
// ready; it is guarded by the lock of what holds it.
type limiter struct {
	most  int
	per   time.Duration
	since time.Time
	seen  map[string]int
}

// mostAddresses bounds what a limiter remembers; beyond it everybody waits.
const mostAddresses = 4096

func (l *limiter) allows(address string, now time.Time) bool {
	if now.Sub(l.since) >= l.per || l.seen == nil {
		l.since, l.seen = now, map[string]int{}
	}
	if _, known := l.seen[address]; !known && len(l.seen) >= mostAddresses {
		return false
	}
	l.seen[address]++
	return l.seen[address] <= l.most
}

// attempt reports whether an address may try to log in now.
func (d *Door) attempt(address string, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.attempts.allows(address, now)
}
