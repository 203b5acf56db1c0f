// Package config reads the one file that says what the plane is.
//
// It owns the composition of the file from the Config of each package, the
// strict decoding of YAML with a position for every problem, and the file's
// hash. It never gives a key a meaning: the package that owns the key does, and
// validates it.
//
// Start reading at [Parse]. A File is immutable once it is returned.
package config

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"time"

	"tailplane/internal/admin"
	"tailplane/internal/catalog"
	"tailplane/internal/discover"
	"tailplane/internal/discover/kube"
	"tailplane/internal/egress"
	"tailplane/internal/facts"
	"tailplane/internal/fleet"
	"tailplane/internal/gateway"
	"tailplane/internal/gossip"
	"tailplane/internal/ledger"
	"tailplane/internal/meter"
	"tailplane/internal/models"
	"tailplane/internal/notify"
	"tailplane/internal/pg"
	"tailplane/internal/policy"
	"tailplane/internal/secret"
	"tailplane/internal/statement"
	"tailplane/internal/upstream"
)

// File is the whole file. Each top-level key belongs to one package.
type File struct {
	Version  int                        `yaml:"version"`
	Site     statement.Config           `yaml:"site"`
	Listen   gateway.Listen             `yaml:"listen"`
	Egress   egress.Config              `yaml:"egress"`
	Targets  map[string]upstream.Config `yaml:"targets"`
	Models   map[string]models.Model    `yaml:"models"`
	Rules    []models.Rule              `yaml:"rules"`
	Timeouts models.Timeouts            `yaml:"timeouts"`
	Retry    models.Retry               `yaml:"retry"`
	Health   fleet.Rules                `yaml:"health"`
	Keys     policy.Config              `yaml:"keys"`
	Auth     admin.Config               `yaml:"auth"`

	Organisations map[string]policy.PartyConfig `yaml:"organisations"`
	Teams         map[string]policy.PartyConfig `yaml:"teams"`
	Customers     map[string]policy.PartyConfig `yaml:"customers"`

	Store   facts.Config   `yaml:"store"`
	Gossip  gossip.Config  `yaml:"gossip"`
	Ledger  ledger.Config  `yaml:"ledger"`
	Notify  notify.Config  `yaml:"notify"`
	Catalog catalog.Config `yaml:"catalog"`

	// Name and Hash say which file it is and which content it had.
	Name string `yaml:"-"`
	Hash string `yaml:"-"`
}

// Default is the file that an empty one amounts to.
func Default() *File {
	m := models.Default()
	return &File{Version: 1, Listen: gateway.DefaultListen(), Timeouts: m.Timeouts, Retry: m.Retry, Gossip: gossip.Default(), Ledger: ledger.Default(), Catalog: catalog.Default()}
}

// ModelConfig is what package models needs of the file.
func (f *File) ModelConfig() models.Config {
	return models.Config{Models: f.Models, Rules: f.Rules, Timeouts: f.Timeouts, Retry: f.Retry}
}

// Prices are what targets charge instead of the list prices, as [meter.Book.With]
// takes them.
func (f *File) Prices() map[string]meter.Override {
	prices := map[string]meter.Override{}
	for name, t := range f.Targets {
		if !t.Price.IsZero() {
			prices[name+"/*"] = t.Price
			if !t.Discover.IsZero() {
				prices[name+"/**"] = t.Price
			}
		}
	}
	return prices
}

// Policy is what package policy needs of the file.
func (f *File) Policy() policy.Setting {
	return policy.Setting{Keys: f.Keys, Organisations: f.Organisations, Teams: f.Teams, Customers: f.Customers}
}

// Problem is one thing that is wrong with a file, where, and what would be
// right.
type Problem struct {
	File      string
	Line, Col int
	Wrong     string
	Right     string
	excerpt   string
}

// String is the one-line form: file:line:col: what is wrong; what would be
// right.
func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s; %s", p.File, p.Line, p.Col, p.Wrong, p.Right)
}

// Excerpt shows the line with a caret below the place, indented; empty when the
// line may hold a secret.
func (p Problem) Excerpt() string { return p.excerpt }

// Parse decodes and validates a file and reports every problem there is, in
// the order of their places. The File is only to be used when there is none.
func Parse(name string, text []byte) (*File, []Problem) {
	f := Default()
	d := newDecoder(name, text)
	d.file(f)
	f.Name, f.Hash = name, Hash(text)
	if d.root == nil && !d.broken {
		d.add(Problem{File: name, Line: 1, Col: 1, Wrong: "the file is empty", Right: "write at least `targets:`; `tailplane config init` makes a file to begin with"})
		return f, d.sorted()
	}
	if !d.broken {
		f.validate(d.report)
	}
	return f, d.sorted()
}

// ParseHere is Parse on a machine that is to serve the file: what the file refers
// to and cannot be read there now is among the problems.
func ParseHere(name string, text []byte) (*File, []Problem) {
	f, problems := Parse(name, text)
	for _, p := range f.Secrets(text) {
		told := slices.ContainsFunc(problems, func(q Problem) bool { return q.Line == p.Line && q.Col == p.Col && q.Wrong == p.Wrong })
		if !told {
			problems = append(problems, p)
		}
	}
	return f, inOrder(problems)
}

// Keyless reports whether callers need no key.
func (f *File) Keyless() bool { return f.Keys.Required != nil && !*f.Keys.Required }

// Hash identifies the content of a file.
func Hash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

// validate asks every package about its part.
func (f *File) validate(report func(path, wrong, right string)) {
	if f.Version != 1 {
		report("version", fmt.Sprintf("version %d is not known", f.Version), "write `version: 1`")
	}
	targets := slices.Sorted(maps.Keys(f.Targets))
	for _, name := range targets {
		validateName("targets."+name, "target", name, report)
		f.Targets[name].Validate("targets."+name, report)
	}
	f.Egress.Validate(report)
	f.guarded(targets, report)
	for name := range f.Models {
		validateName("models."+name, "model", name, report)
	}
	f.ModelConfig().Validate(targets, report)
	f.Health.Validate(report)
	f.published(report)
	f.paired(report)
	f.embedders(targets, report)
	f.Policy().Validate(report)
	f.Listen.Validate(f.Keyless(), f.Auth.Guarded(), report)
	f.Auth.Validate(report)
	f.Catalog.Validate(report)
	f.Store.Validate(report)
	f.Gossip.Validate(report)
	f.Notify.Validate(report)
	f.Site.Validate(report)
	f.Ledger.Validate(func(path, wrong, right string) { report("ledger."+path, wrong, right) })
}

// guarded reports targets at addresses that package egress lets nobody reach by
// accident.
func (f *File) guarded(targets []string, report func(path, wrong, right string)) {
	policy := egress.NewPolicy(f.Egress, f.leading(func(string, upstream.Config) []egress.Destination { return nil }))
	for _, name := range targets {
		t := f.Targets[name]
		for _, d := range t.Destinations(name) {
			no := policy.Named(d)
			switch {
			case no == nil:
			case t.Egress.Address != "":
				report("targets."+name+".egress.address", no.Why, no.Do)
			default:
				report("targets."+name+".url", no.Why, no.Do)
			}
		}
	}
}

// Discovered are the targets whose addresses are found beside the file, by name.
func (f *File) Discovered() map[string]discover.Config {
	out := map[string]discover.Config{}
	for name, t := range f.Targets {
		if !t.Discover.IsZero() {
			out[name] = t.Discover
		}
	}
	return out
}

// Destinations are the hosts and ports that the file leads to: its targets, where
// their credentials and replicas are had from, who says who people are, and the proxies on the way to them. What `egress.allow` adds is not among them.
// It reads the environment and the files by which clouds' identities are found.
func (f *File) Destinations() []egress.Destination {
	out := f.leading(func(name string, t upstream.Config) []egress.Destination {
		beside := t.Identities(name)
		if k := t.Discover.Kubernetes; k != (discover.Kubernetes{}) {
			beside = append(beside, kube.Destinations(k, name)...)
		}
		return f.Egress.Reach(egress.Override{}, beside)
	})
	beside := append(f.Egress.Reach(egress.Override{}, append(f.Auth.Destinations(), f.webhook()...)), f.stores()...)
	for _, d := range append(beside, f.gateways()...) {
		if !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// gateways are the others that the file names. What their names stand for is
// reached when `egress.allow` has it, or egress is open.
func (f *File) gateways() (out []egress.Destination) {
	for _, at := range f.Gossip.Gateways() {
		out = append(out, egress.Destination{Address: at, Why: "gossip between gateways"})
	}
	return out
}

// stores are the hosts of the database that gateways share, which is reached
// without a proxy. An address that cannot be read leads nowhere; the start tells.
func (f *File) stores() (out []egress.Destination) {
	if f.Store.IsZero() {
		return nil
	}
	address, err := f.Store.Postgres.Resolve()
	if err != nil {
		return nil
	}
	for _, host := range pg.Hosts(address.Reveal()) {
		out = append(out, egress.Destination{Address: host, Why: "store"})
	}
	return out
}

// webhook is where events are posted.
func (f *File) webhook() []egress.Destination {
	address, plain := f.Notify.Address()
	if !plain {
		v, err := f.Notify.Ref().Resolve()
		if err != nil {
			return nil
		}
		address = v.Reveal()
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return nil
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return []egress.Destination{{Address: net.JoinHostPort(u.Hostname(), port), Why: "notify"}}
}

// leading are the destinations of the targets, each followed by what beside says.
func (f *File) leading(beside func(name string, t upstream.Config) []egress.Destination) []egress.Destination {
	var out []egress.Destination
	for _, name := range slices.Sorted(maps.Keys(f.Targets)) {
		t := f.Targets[name]
		for _, d := range append(f.Egress.Reach(t.Egress, t.Destinations(name)), beside(name, t)...) {
			if !slices.Contains(out, d) {
				out = append(out, d)
			}
		}
	}
	return out
}

// longestName bounds names because they become labels, headers and log fields.
const longestName = 128

func validateName(path, what, name string, report func(path, wrong, right string)) {
	bad := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == ',' }
	if name == "" || len(name) > longestName || slices.ContainsFunc([]rune(name), bad) {
		report(path, fmt.Sprintf("%q cannot be the name of a %s", name, what), "use up to 128 printable ASCII characters without spaces, quotes and commas")
	}
}

// Secrets reports every local reference of the file that cannot be resolved on
// this machine now.
func (f *File) Secrets(text []byte) []Problem {
	d := newDecoder(f.Name, text)
	d.file(Default()) // for the positions
	d.problems = nil
	unresolved := func(path string, err error) {
		d.report(path, err.Error(), "set it, or correct the reference")
	}
	f.Egress.Resolve(func(field string, err error) { unresolved("egress."+field, err) })
	for _, name := range slices.Sorted(maps.Keys(f.Targets)) {
		f.Targets[name].Egress.Resolve(f.Egress, func(field string, err error) { unresolved("targets."+name+".egress."+field, err) })
		if k := f.Targets[name].Discover.Kubernetes; k != (discover.Kubernetes{}) {
			if err := kube.Check(k); err != nil {
				unresolved("targets."+name+".discover.kubernetes", err)
			}
		}
		refs := f.Targets[name].Refs()
		for _, path := range slices.Sorted(maps.Keys(refs)) {
			if refs[path].Remote() {
				continue // it is read when it is needed: a start does not wait for the network
			}
			if _, err := refs[path].Read(context.Background(), nil); err != nil {
				unresolved("targets."+name+"."+path, err)
			}
		}
	}
	if _, err := f.Trained(); err != nil {
		unresolved(err.Path, err)
	}
	for at, t := range map[string]gateway.TLS{"listen.data.tls.": f.Listen.Data.TLS, "listen.admin.tls.": f.Listen.Admin.TLS} {
		for field, ref := range t.Refs() {
			if _, err := ref.Read(context.Background(), nil); err != nil {
				unresolved(at+field, err)
			}
		}
	}
	if r := f.Auth.OIDC.Secret; !r.IsZero() {
		if _, err := r.Resolve(); err != nil {
			unresolved("auth.oidc.secret", err)
		}
	}
	if !f.Keys.Pepper.IsZero() {
		if _, err := f.Keys.Pepper.Resolve(); err != nil {
			unresolved("keys.pepper", err)
		}
	}
	if !f.Store.IsZero() {
		if _, err := f.Store.Postgres.Resolve(); err != nil {
			unresolved("store.postgres", err)
		}
	}
	for path, ref := range map[string]secret.Ref{"notify.webhook": f.Notify.Ref(), "notify.secret": f.Notify.Secret} {
		if ref.IsZero() || ref.Remote() {
			continue
		}
		if _, err := ref.Resolve(); err != nil {
			unresolved(path, err)
		}
	}
	for i, s := range f.Keys.Static {
		if s.Key.IsZero() {
			continue // only rules lead to it
		}
		if _, err := s.Key.Resolve(); err != nil {
			unresolved(fmt.Sprintf("keys.static[%d].key", i), err)
		}
	}
	return d.sorted()
}

// Durations are written with a unit; days are allowed because retention is
// thought of in days.
func parseDuration(text string) (time.Duration, error) {
	if n := len(text); n > 1 && text[n-1] == 'd' {
		var days int
		if _, err := fmt.Sscanf(text, "%dd", &days); err == nil && fmt.Sprintf("%dd", days) == text && days >= 0 && days <= 36500 {
			return time.Duration(days) * 24 * time.Hour, nil
		}
	}
	return time.ParseDuration(text)
}
