package admin

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"tailplane/internal/egress"
	"tailplane/internal/secret"
	"tailplane/internal/suggest"
)

// Config is the `auth:` section of the file: who may come to the admin listener,
// beside the holder of the state directory's token.
type Config struct {
	// Local is the role of the token in the state directory: owner unless it
	// says otherwise.
	Local Role `yaml:"local"`
	// Links is whether an owner can let others in by links that work once: yes
	// unless it says no.
	Links *bool `yaml:"links"`
	// OIDC is where people log in.
	OIDC OIDC `yaml:"oidc"`
	// Roles says who has which role. Who is in several has the strongest.
	Roles map[string][]Grant `yaml:"roles"`
}

// OIDC is an identity provider.
type OIDC struct {
	Issuer   string     `yaml:"issuer"`
	ClientID string     `yaml:"client_id"`
	Secret   secret.Ref `yaml:"secret"` // none for a public client
	// Scopes that are asked for, beside openid; email without any.
	Scopes []string `yaml:"scopes"`
	// GroupsClaim names the claim with the groups, UserClaim the one with the
	// user: groups and email without them. An email counts when the provider
	// says that it has verified it.
	GroupsClaim string `yaml:"groups_claim"`
	UserClaim   string `yaml:"user_claim"`
	// Redirect is the address of the admin listener as browsers see it, where it
	// stands behind another one: https://HOST.
	Redirect string `yaml:"redirect"`
	// JWKS is a file with the provider's keys, for a machine that cannot reach
	// it; then tokens are taken, and nobody can log in by the browser.
	JWKS string `yaml:"jwks"`
}

// Grant is somebody who has a role: `user:NAME` or `group:NAME`, or a mapping
// that says for which customers or targets, too.
type Grant struct {
	User      string   `yaml:"user"`
	Group     string   `yaml:"group"`
	Customer  string   `yaml:"customer"`
	Customers []string `yaml:"customers"`
	Targets   []string `yaml:"targets"`
}

// UnmarshalText reads the short form.
func (g *Grant) UnmarshalText(text []byte) error {
	kind, name, _ := strings.Cut(string(text), ":")
	switch {
	case name != "" && kind == "user":
		g.User = name
	case name != "" && kind == "group":
		g.Group = name
	default:
		return fmt.Errorf("%q names neither a user nor a group; write user:NAME or group:NAME", text)
	}
	return nil
}

// customers are those of a grant.
func (g Grant) customers() []string {
	if g.Customer == "" {
		return g.Customers
	}
	return append([]string{g.Customer}, g.Customers...)
}

// LinksAllowed reports whether links let people in.
func (c Config) LinksAllowed() bool { return c.Links == nil || *c.Links }

// Guarded reports whether anybody but the holder of the state directory can come
// in, so that listening for other machines has a use.
func (c Config) Guarded() bool { return c.LinksAllowed() || c.OIDC.Issuer != "" }

// Destinations are what the section leads to: the provider, unless its keys are
// in a file. Where it has its endpoints on other hosts, `egress.allow` names them.
func (c Config) Destinations() []egress.Destination {
	u, err := url.Parse(c.OIDC.Issuer)
	if err != nil || u.Host == "" || c.OIDC.JWKS != "" {
		return nil
	}
	port := cmp.Or(u.Port(), map[string]string{"http": "80"}[u.Scheme], "443")
	return []egress.Destination{{Address: net.JoinHostPort(u.Hostname(), port), Why: "auth.oidc"}}
}

// Validate reports every problem of the section.
func (c Config) Validate(report func(path, wrong, right string)) {
	if c.Local != "" && !slices.Contains(Roles(), c.Local) {
		report("auth.local", unknownRole(string(c.Local)), knownRoles(string(c.Local)))
	} else if c.Local == GPUTeam || c.Local == CustomerViewer {
		report("auth.local", fmt.Sprintf("%s sees nothing without customers or targets of its own", c.Local), "use owner, operator, finance or viewer")
	}
	c.OIDC.validate(report)
	for _, name := range slices.Sorted(maps.Keys(c.Roles)) {
		path := "auth.roles." + name
		if !slices.Contains(Roles(), Role(name)) {
			report(path, unknownRole(name), knownRoles(name))
			continue
		}
		for i, g := range c.Roles[name] {
			g.validate(fmt.Sprintf("%s[%d]", path, i), Role(name), report)
		}
	}
	if len(c.Roles) > 0 && c.OIDC.Issuer == "" {
		report("auth.roles", "nobody can have these roles: there is no provider that says who somebody is", "add `auth.oidc`, or let people in by `tailplane admin link`")
	}
}

func (o OIDC) validate(report func(path, wrong, right string)) {
	if o.isZero() {
		return
	}
	if err := httpsOrLocal(o.Issuer); err != nil {
		report("auth.oidc.issuer", err.Error(), "write the issuer as the provider states it, such as https://login.example.com")
	}
	if o.ClientID == "" {
		report("auth.oidc", "there is no client_id", "add the one that the provider gave this gateway")
	}
	if o.Redirect != "" {
		if err := httpsOrLocal(o.Redirect); err != nil {
			report("auth.oidc.redirect", err.Error(), "write https://HOST, as browsers see the admin listener")
		}
	}
}

func (o OIDC) isZero() bool {
	return o.Issuer == "" && o.ClientID == "" && o.Secret.IsZero() && o.JWKS == "" && o.Redirect == "" && o.GroupsClaim == "" && o.UserClaim == "" && len(o.Scopes) == 0
}

// httpsOrLocal checks an address: what is not encrypted stays on this machine.
func httpsOrLocal(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("this is not the address of a provider")
	case u.Scheme != "https" && !(u.Scheme == "http" && isLocal(u.Host)):
		return errors.New("what is sent there would not be encrypted")
	}
	return nil
}

func (g Grant) validate(path string, role Role, report func(path, wrong, right string)) {
	if (g.User == "") == (g.Group == "") {
		report(path, "the entry names not exactly one user or group", "write `user: NAME` or `group: NAME`")
	}
	hasCustomers, hasTargets := len(g.customers()) > 0, len(g.Targets) > 0
	switch {
	case slices.Contains(g.customers(), "") && hasCustomers || slices.Contains(g.Targets, ""):
		report(path, "a name is empty", "write the name")
	case role == CustomerViewer && !hasCustomers:
		report(path, "the entry names no customer that is seen", "add `customer: NAME`")
	case role == GPUTeam && !hasTargets:
		report(path, "the entry names no target that is seen", "add `targets: [NAME]`")
	case role != CustomerViewer && hasCustomers:
		report(path, fmt.Sprintf("%s sees all customers", role), "remove them, or use the role customer-viewer")
	case role != GPUTeam && hasTargets:
		report(path, fmt.Sprintf("%s sees all targets", role), "remove them, or use the role gpu-team")
	}
}

func unknownRole(name string) string { return fmt.Sprintf("there is no role %q", name) }

// knownRoles says which there are, and which was probably meant.
func knownRoles(name string) string {
	var all []string
	for _, r := range Roles() {
		all = append(all, string(r))
	}
	return "use one of " + strings.Join(all, ", ") + suggest.Phrase(suggest.Nearest(name, all))
}

// viewer is who a verified token says somebody is; ok is false for somebody
// without a role.
func (c Config) viewer(claims map[string]any) (Viewer, bool) {
	user := c.OIDC.user(claims)
	groups := words(claims[cmp.Or(c.OIDC.GroupsClaim, "groups")])
	actor := "user:" + user
	if user == "" {
		subject, _ := claims["sub"].(string)
		actor = "user:" + subject
	}
	for _, role := range Roles() {
		v := Viewer{Actor: actor, Role: role}
		has := false
		for _, g := range c.Roles[string(role)] {
			if g.User != "" && g.User == user || g.Group != "" && slices.Contains(groups, g.Group) {
				has = true
				v.Customers = append(v.Customers, g.customers()...)
				v.Targets = append(v.Targets, g.Targets...)
			}
		}
		if has {
			return v, true
		}
	}
	return Viewer{Actor: actor}, false
}

// user is the name by which grants know somebody; empty when there is none to
// rely on.
func (o OIDC) user(claims map[string]any) string {
	claim := cmp.Or(o.UserClaim, "email")
	name, _ := claims[claim].(string)
	if claim == "email" && claims["email_verified"] != true {
		return ""
	}
	return name
}

// words are the strings of a claim that is one or a list of them.
func words(claim any) []string {
	switch c := claim.(type) {
	case string:
		return []string{c}
	case []any:
		var out []string
		for _, item := range c {
			if text, ok := item.(string); ok {
				out = append(out, text)
			}
		}
		return out
	}
	return nil
}
