package upstream

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tailplane/internal/h1"
	"tailplane/internal/llm"
	"tailplane/internal/secret"
)

// Target is one address that can be called, with everything that a request to
// it needs. It is immutable after New, apart from its credential, which follows
// its source. It is safe for concurrent use.
type Target struct {
	Name     string
	Kind     *Kind
	Dialects []llm.Dialect
	Limits   Limits
	Config   Config
	// StreamUsage: a stream may be asked to end with its usage.
	StreamUsage bool

	client  *h1.Client
	tls     bool
	address string
	host    string
	prefix  string
	fixed   []h1.Field
	hidden  []string // values of fixed headers that came from a reference
	key     *secret.Source
	auth    atomic.Pointer[credential]
}

// credential is the ready header for one value of the key.
type credential struct {
	key   secret.Value
	field h1.Field
}

// Dialer opens connections; nil is the network's own.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// New makes a target from a valid config. Its error names the reference that
// cannot be resolved.
func New(name string, c Config, client *h1.Client, now time.Time) (*Target, error) {
	kind, ok := Find(c.Kind)
	if !ok {
		return nil, fmt.Errorf("target %q: there is no kind %q", name, c.Kind)
	}
	t := &Target{Name: name, Kind: kind, Dialects: c.Dialects, Limits: c.Limits, Config: c, client: client}
	if len(t.Dialects) == 0 {
		t.Dialects = kind.Dialects
	}
	t.StreamUsage = c.StreamUsage == "ask" || c.StreamUsage == "" && !kind.NoStreamUsage
	if err := t.place(c.URL); err != nil {
		return nil, fmt.Errorf("target %q: %w", name, err)
	}
	if err := t.headers(c, now); err != nil {
		return nil, fmt.Errorf("target %q: %w", name, err)
	}
	return t, nil
}

// place works out where the target lies.
func (t *Target) place(text string) error {
	if text == "" {
		text = t.Kind.URL
	}
	u, err := parseURL(text)
	if err != nil {
		return err
	}
	t.tls, t.host = u.Scheme == "https", u.Host
	t.address = hostPort(u)
	t.prefix = strings.TrimSuffix(u.EscapedPath(), "/")
	if t.prefix == "" {
		t.prefix = t.Kind.Prefix
	}
	return nil
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// headers resolves the key and the fixed headers.
func (t *Target) headers(c Config, now time.Time) error {
	t.fixed = slices.Clone(t.Kind.Header)
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		value := c.Headers[name]
		if ref, err := secret.Parse(value); err == nil {
			v, err := ref.Resolve()
			if err != nil {
				return fmt.Errorf("header %s: %w", name, err)
			}
			value = v.Reveal()
			t.hidden = append(t.hidden, value)
		}
		t.fixed = slices.DeleteFunc(t.fixed, func(f h1.Field) bool { return strings.EqualFold(f.Name, name) })
		t.fixed = append(t.fixed, h1.Field{Name: name, Value: value})
	}
	if c.Key.IsZero() {
		return nil
	}
	key, err := c.Key.Open(now)
	if err != nil {
		return fmt.Errorf("key %s: %w", c.Key, err)
	}
	t.key = key
	return nil
}

// Speaks reports whether the target serves a dialect itself.
func (t *Target) Speaks(d llm.Dialect) bool { return slices.Contains(t.Dialects, d) }

// Conversation returns the dialect in which the target is addressed by a
// client of dialect d: d itself when both speak it, else the target's first
// one that has conversations in it; false when it has none.
func (t *Target) Conversation(d llm.Dialect) (llm.Dialect, bool) {
	if t.Speaks(d) {
		return d, true
	}
	for _, own := range t.Dialects {
		if own == llm.Chat || own == llm.Responses || own == llm.Anthropic {
			return own, true
		}
	}
	return "", false
}

// Call is what is sent to a target.
type Call struct {
	Op      llm.Op
	Dialect llm.Dialect
	Stream  bool
	Body    []byte
	// Forward are fields of the client's request that mean something to the
	// provider (anthropic-beta and the like).
	Forward        []h1.Field
	ConnectTimeout time.Duration
	HeadDeadline   time.Time
	// Passage is set for an operation of the forward lane.
	Passage Passage
}

// Fill writes the call into req, reusing its header slice.
func (t *Target) Fill(req *h1.Request, c Call, now time.Time) {
	req.Method, req.TLS, req.Address, req.Host = "POST", t.tls, t.address, t.host
	req.Target = t.path(c.Op, c.Dialect)
	req.Body, req.ConnectTimeout, req.HeadDeadline = c.Body, c.ConnectTimeout, c.HeadDeadline
	h := req.Header[:0]
	accept := "application/json"
	if c.Stream {
		accept = "text/event-stream"
	}
	kind := "application/json"
	if p := &c.Passage; p.Method != "" {
		req.Method, kind, accept = p.Method, p.Type, p.Accept
		if p.Path != "" {
			req.Target = p.Path
		}
	}
	if kind != "" {
		h = append(h, h1.Field{Name: "content-type", Value: kind})
	}
	h = append(h, h1.Field{Name: "accept", Value: accept},
		h1.Field{Name: "user-agent", Value: "tailplane"})
	if auth := t.authorization(now); auth != nil {
		h = append(h, *auth)
	}
	for _, f := range t.fixed {
		if !has(c.Forward, f.Name) {
			h = append(h, f)
		}
	}
	req.Header = append(h, c.Forward...)
}

func has(fields []h1.Field, name string) bool {
	return slices.ContainsFunc(fields, func(f h1.Field) bool { return strings.EqualFold(f.Name, name) })
}

// authorization is the credential's header; nil when the target has no key.
func (t *Target) authorization(now time.Time) *h1.Field {
	if t.key == nil {
		return nil
	}
	key := t.key.Value(now)
	if have := t.auth.Load(); have != nil && have.key == key {
		return &have.field
	}
	made := &credential{key: key, field: h1.Field{Name: "authorization", Value: "Bearer " + key.Reveal()}}
	if t.Kind.Auth == AuthXAPIKey {
		made.field = h1.Field{Name: "x-api-key", Value: key.Reveal()}
	}
	t.auth.Store(made)
	return &made.field
}

// Classify says what an answer of this target means. Some servers quote the
// credential that they were sent: it is cut out of their words.
func (t *Target) Classify(a Answer, now time.Time) *llm.Fault {
	a.Body = masked(a.Body, t.secrets(now))
	return t.Kind.Classify(a)
}

// secrets are the texts that the target was trusted with and must not repeat.
func (t *Target) secrets(now time.Time) []string {
	if t.key == nil {
		return t.hidden
	}
	return append(slices.Clip(t.hidden), t.key.Value(now).Reveal())
}

// longestID bounds a request id of an upstream.
const longestID = 100

// RequestID is the upstream's own id of a request, under the names that
// providers use; empty when there is none, or one that is no id: a server that
// puts our credential there does not get it into the ledger.
func (t *Target) RequestID(get func(name string) string, now time.Time) string {
	for _, name := range [...]string{"x-request-id", "request-id", "apim-request-id"} {
		id := get(name)
		if id == "" {
			continue
		}
		odd := func(r rune) bool { return !strings.ContainsRune(idCharacters, r) }
		repeats := func(secret string) bool { return len(secret) >= shortestSecret && strings.Contains(id, secret) }
		if len(id) > longestID || strings.ContainsFunc(id, odd) || slices.ContainsFunc(t.hidden, repeats) || t.key != nil && repeats(t.key.Value(now).Reveal()) {
			return ""
		}
		return id
	}
	return ""
}

const idCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:"

// path is the request target of an operation. The strings are made once per
// call only where a prefix is unusual; "/v1" has its own.
func (t *Target) path(op llm.Op, d llm.Dialect) string {
	p := paths[d]
	if op == llm.OpCount {
		p = countPath
	}
	if t.prefix == "/v1" {
		return versioned[p]
	}
	return t.prefix + p
}

var versioned = func() map[string]string {
	m := map[string]string{countPath: "/v1" + countPath}
	for _, p := range paths {
		m[p] = "/v1" + p
	}
	return m
}()

// Do sends a filled request.
func (t *Target) Do(ctx context.Context, req *h1.Request) (*h1.Response, error) {
	return t.client.Do(ctx, req)
}

// Address is host:port, for the explanation and the egress list.
func (t *Target) Address() string { return t.address }

// Local reports whether the target is on this machine or in this process, so
// that calling it neither leaves the machine nor costs money.
func (t *Target) Local() bool {
	host, _, _ := net.SplitHostPort(t.address)
	ip := net.ParseIP(host)
	return t.Kind == &simulator || host == "localhost" || ip != nil && ip.IsLoopback()
}

// List asks the target which models it serves (GET /models), for discovery.
func (t *Target) List(ctx context.Context) ([]byte, error) {
	req := h1.Request{
		Method: "GET", TLS: t.tls, Address: t.address, Host: t.host, Target: t.prefix + "/models",
		Header: slices.Clone(t.fixed), ConnectTimeout: time.Second,
	}
	if auth := t.authorization(time.Now()); auth != nil {
		req.Header = append(req.Header, *auth)
	}
	if deadline, ok := ctx.Deadline(); ok {
		req.HeadDeadline = deadline
	}
	resp, err := t.client.Do(ctx, &req)
	if err != nil {
		return nil, err
	}
	defer resp.Close()
	if resp.Status != 200 {
		return nil, fmt.Errorf("GET %s answered HTTP %d", req.Target, resp.Status)
	}
	body := make([]byte, 0, 4<<10)
	for len(body) < 1<<20 {
		body = slices.Grow(body, 4<<10)
		n, err := resp.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err != nil {
			break
		}
	}
	return body, nil
}
