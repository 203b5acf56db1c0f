package upstream

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tailplane/internal/credential"
	"tailplane/internal/h1"
	"tailplane/internal/http1"
	"tailplane/internal/llm"
	"tailplane/internal/secret"
)

// Target is one address that can be called, with everything that a request to
// it needs. It is immutable after New, apart from its credential, which follows
// its sources. It is safe for concurrent use.
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
	ownPath bool // the config's URL has a path: the kind makes none of its own
	fixed   []h1.Field
	source  *credential.Source
}

// Dialer opens connections; nil is the network's own.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// Site is what targets share: the way to them, and to the identities by which
// they are paid for.
type Site struct {
	Client     *h1.Client
	Identities credential.Options
	// Observe is told every event of a target's credential; nil is allowed.
	Observe func(target string, e credential.Event)
}

// New makes a target from a valid config whose credential needs no network.
func New(name string, c Config, client *h1.Client, now time.Time) (*Target, error) {
	return Site{Client: client}.New(name, c, now)
}

// New makes a target from a valid config. Its error names the reference that
// cannot be resolved.
func (s Site) New(name string, c Config, now time.Time) (*Target, error) {
	kind, ok := Find(c.Kind)
	if !ok {
		return nil, fmt.Errorf("target %q: there is no kind %q", name, c.Kind)
	}
	t := &Target{Name: name, Kind: kind, Dialects: c.Dialects, Limits: c.Limits, Config: c, client: s.Client}
	if len(t.Dialects) == 0 {
		t.Dialects = kind.Dialects
	}
	t.StreamUsage = c.StreamUsage == "ask" || c.StreamUsage == "" && !kind.NoStreamUsage
	if err := t.place(); err != nil {
		return nil, fmt.Errorf("target %q: %w", name, err)
	}
	t.headers(c)
	with := s.Identities
	if s.Observe != nil {
		with.Observe = func(e credential.Event) { s.Observe(name, e) }
	}
	source, err := credential.New(c.identified(kind), kind.Auth.header(), with, now)
	if err != nil {
		return nil, fmt.Errorf("target %q: %w", name, err)
	}
	t.source = source
	return t, nil
}

// place works out where the target lies.
func (t *Target) place() error {
	u, err := parseURL(t.Config.address(t.Kind))
	if err != nil {
		return err
	}
	t.tls, t.host = u.Scheme == "https", u.Host
	if t.address, err = dialed(u, t.Config.Egress); err != nil {
		return fmt.Errorf("egress.address: %w", err)
	}
	t.prefix = strings.TrimSuffix(u.EscapedPath(), "/")
	t.ownPath = t.prefix != ""
	if !t.ownPath {
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

// headers are the fixed ones; those of the config, secret or not, stand for the
// kind's of the same name.
func (t *Target) headers(c Config) {
	t.fixed = slices.Clone(t.Kind.Header)
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		t.fixed = slices.DeleteFunc(t.fixed, func(f h1.Field) bool { return strings.EqualFold(f.Name, name) })
		if _, err := secret.Parse(c.Headers[name]); err != nil {
			t.fixed = append(t.fixed, h1.Field{Name: name, Value: c.Headers[name]})
		}
	}
}

// Speaks reports whether the target serves a dialect itself, with some of its
// models at least.
func (t *Target) Speaks(d llm.Dialect) bool { return slices.Contains(t.Dialects, d) }

// Serves reports whether the target serves an operation on a model in a dialect.
func (t *Target) Serves(op llm.Op, d llm.Dialect, model string) bool {
	return t.Speaks(d) && (t.Kind.Serves == nil || t.Kind.Serves(op, d, model) || t.Kind.Serves(op, d, t.ModelName(model)))
}

// Conversation returns the dialect in which a model of the target is addressed
// by a client of dialect d: d itself when both speak it, else the target's first
// one that has conversations in it; false when it has none.
func (t *Target) Conversation(d llm.Dialect, model string) (llm.Dialect, bool) {
	if t.Serves(llm.OpGenerate, d, model) {
		return d, true
	}
	for _, own := range t.Dialects {
		if conversational(own) && t.Serves(llm.OpGenerate, own, model) {
			return own, true
		}
	}
	return "", false
}

// conversational reports whether any conversation can be said in a dialect.
func conversational(d llm.Dialect) bool {
	switch d {
	case llm.Chat, llm.Responses, llm.Anthropic, llm.Gemini, llm.Converse:
		return true
	}
	return false
}

// ModelName is what the provider calls a model here.
func (t *Target) ModelName(model string) string {
	if name, ok := t.Config.Deployments[model]; ok {
		return name
	}
	return model
}

// Call is what is sent to a target.
type Call struct {
	Op      llm.Op
	Dialect llm.Dialect
	// Model is the model's own name; the target turns it into its provider's.
	Model  string
	Stream bool
	Body   []byte
	// Front and Back are parts of the body that stand elsewhere: see h1.Request.
	Front, Back []byte
	// Forward are fields of the client's request that mean something to the
	// provider (anthropic-beta and the like).
	Forward        []h1.Field
	ConnectTimeout time.Duration
	HeadDeadline   time.Time
	// Passage is set for an operation of the forward lane.
	Passage Passage
}

// Fill writes the call into req, reusing its header slice. It is complete but
// for its credential: see Authorize.
func (t *Target) Fill(req *h1.Request, c Call, _ time.Time) {
	req.Method, req.TLS, req.Address, req.Host = "POST", t.tls, t.address, t.host
	req.Target = t.path(&c)
	req.Front, req.Body, req.Back = c.Front, c.Body, c.Back
	req.ConnectTimeout, req.HeadDeadline = c.ConnectTimeout, c.HeadDeadline
	h := req.Header[:0]
	envelope := t.Envelope(c.Op, c.Dialect)
	accept := "application/json"
	switch {
	case c.Stream && (c.Dialect == llm.Converse || envelope != nil && envelope.Chunk != ""):
		accept = "application/vnd.amazon.eventstream"
	case c.Stream:
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
	for _, f := range t.fixed {
		if !has(c.Forward, f.Name) {
			h = append(h, f)
		}
	}
	if t.Kind.Mark != nil {
		h = append(h, t.Kind.Mark(t, c)...)
	}
	for _, f := range c.Forward {
		if envelope == nil || !envelope.takes(f.Name) {
			h = append(h, f)
		}
	}
	req.Header = h
}

func has(fields []h1.Field, name string) bool {
	return slices.ContainsFunc(fields, func(f h1.Field) bool { return strings.EqualFold(f.Name, name) })
}

// Authorize adds the credential to a filled request that is made for a customer
// (empty: for none that is known) and a model; what it used is to be told to Report. Its fault is public: it names the place where no
// credential could be had.
func (t *Target) Authorize(ctx context.Context, req *h1.Request, customer, model string, now time.Time) (credential.Use, *llm.Fault) {
	use, err := t.source.Authorize(ctx, req, credential.Caller{Customer: customer, Model: model}, now)
	if err == nil {
		return use, nil
	}
	if ctx.Err() != nil {
		return use, Broken(ctx.Err(), llm.FaultTotal)
	}
	return use, &llm.Fault{
		Kind: llm.FaultCredential, Retry: llm.RetryElsewhere, Scope: llm.ScopeKey, Phase: llm.PhasePrepare,
		Message: "there is no credential for target " + t.Name + ": " + mask(err.Error(), t.source.Secrets()),
		Detail:  "see whether what the target's key or auth refers to is there, and may be read from here",
	}
}

// Report says what became of an attempt, so that a key that was refused, or that
// met a rate limit beside others, is left alone. When another key of the target may
// do better the fault says so, and demands no longer a wait than all keys rest.
func (t *Target) Report(use credential.Use, f *llm.Fault, now time.Time) {
	another := t.source.Report(use, f, now)
	if another && f.Retry == llm.RetryElsewhere {
		f.Retry = llm.RetrySame
	}
	if f == nil || f.Kind != llm.FaultRateLimit {
		return
	}
	if rest := t.source.Rest(use, now); another || rest > 0 {
		f.After = min(f.After, rest)
	}
}

// Credential is the state of the target's keys and tokens; no secret is in it.
func (t *Target) Credential(now time.Time) []credential.State { return t.source.State(now) }

// Classify says what an answer of this target means. Some servers quote the
// credential that they were sent: it is cut out of their words.
func (t *Target) Classify(a Answer, _ time.Time) *llm.Fault {
	a.Body = masked(a.Body, t.source.Secrets())
	return t.Kind.Classify(a)
}

// longestID bounds a request id of an upstream.
const longestID = 100

// RequestID is the upstream's own id of a request, under the names that
// providers use; empty when there is none, or one that is no id: a server that
// puts our credential there does not get it into the ledger.
func (t *Target) RequestID(get func(name string) string, _ time.Time) string {
	for _, name := range [...]string{"x-request-id", "request-id", "apim-request-id", "x-amzn-requestid"} {
		id := get(name)
		if id == "" {
			continue
		}
		if !isID(id) || t.source.Repeats(id, shortestSecret) {
			return ""
		}
		return id
	}
	return ""
}

// isID reports whether an id has the length and the characters of one.
func isID(id string) bool {
	for i := range len(id) {
		switch c := id[i]; {
		case http1.IsDigit(c), c|0x20-'a' < 26, c == '-', c == '_', c == '.', c == ':':
		default:
			return false
		}
	}
	return len(id) <= longestID
}

// Do sends a filled request.
func (t *Target) Do(ctx context.Context, req *h1.Request) (*h1.Response, error) {
	return t.client.Do(ctx, req)
}

// Encrypted reports whether the target is called over TLS.
func (t *Target) Encrypted() bool { return t.tls }

// Address is host:port, for the explanation and the egress list.
func (t *Target) Address() string { return t.address }

// KVAddress is host:port of its engine's KV connector.
func (t *Target) KVAddress() string {
	host, _, _ := net.SplitHostPort(t.address)
	return net.JoinHostPort(host, strconv.Itoa(t.Config.KVPort))
}

// Local reports whether the target is on this machine or in this process, so
// that calling it neither leaves the machine nor costs money.
func (t *Target) Local() bool {
	host, _, _ := net.SplitHostPort(t.address)
	ip := net.ParseIP(host)
	return t.Kind == &simulator || host == "localhost" || ip != nil && ip.IsLoopback()
}

// Keyed reports whether the config says how the target is paid for.
func (t *Target) Keyed() bool { return t.source.Keyed() }
