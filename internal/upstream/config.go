package upstream

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tailplane/internal/account"
	"tailplane/internal/credential"
	"tailplane/internal/discover"
	"tailplane/internal/egress"
	"tailplane/internal/fleet"
	"tailplane/internal/kvevents"
	"tailplane/internal/llm"
	"tailplane/internal/meter"
	"tailplane/internal/models"
	"tailplane/internal/secret"
	"tailplane/internal/suggest"
)

// Config is one target in the file.
type Config struct {
	// Kind is the provider or engine; it supplies every default.
	Kind string `yaml:"kind"`
	// URL is the address, with the path below which the API lies; without a
	// path the kind's own ("/v1") is used.
	URL string `yaml:"url"`
	// Discover says where its addresses are found, instead of URL: the target then
	// stands for replicas, each of which has everything else from here.
	Discover discover.Config `yaml:"discover"`
	// Of is the target of the file whose replica it is; empty for one of the file.
	Of string `yaml:"-"`
	// Region and Project are where a cloud provider serves it and who pays.
	Region  string `yaml:"region"`
	Project string `yaml:"project"`
	// APIVersion asks Azure for its classic API of that date.
	APIVersion string `yaml:"api_version"`
	// Deployments says what the provider calls a model here: the name of an Azure
	// deployment, or the ARN of a Bedrock inference profile. Everything else
	// (routes, prices, quirks) goes by the model's own name.
	Deployments map[string]string `yaml:"deployments"`
	// Key refers to the credential: env:NAME, file:/path or a secret store's.
	Key secret.Ref `yaml:"key"`
	// NextKey takes over when Key is refused.
	NextKey secret.Ref `yaml:"next_key"`
	// Keys are a pool, instead of Key.
	Keys []credential.Slot `yaml:"keys"`
	// Auth is for whatever is no key: a cloud's identity, another header.
	Auth credential.Auth `yaml:"auth"`
	// Dialects are what the target speaks, best first for translation.
	Dialects []llm.Dialect `yaml:"dialects"`
	// Models are names that the target serves; clients may call them without
	// naming the target.
	Models []string `yaml:"models"`
	// KVEvents is where its engine publishes what it caches.
	KVEvents kvevents.Config `yaml:"kv_events"`
	// KVPort is where its engine's KV connector listens, for models whose prompts are
	// computed elsewhere by vLLM's P2pNcclConnector.
	KVPort int `yaml:"kv_port"`
	// Labels say what the target may be trusted with (eu, no-training): models,
	// rules and callers can require them.
	Labels []string `yaml:"labels"`
	// Headers are sent with every request. A value that is a reference, such as
	// env:NAME or file:/path, is read from there.
	Headers map[string]string `yaml:"headers"`
	// StreamUsage says whether a stream may be asked to end with its usage
	// ("ask", "never"); empty is the kind's own.
	StreamUsage string `yaml:"stream_usage"`
	Limits      Limits `yaml:"limits"`
	// Capacity is the provisioned throughput behind the target; requests go to
	// the next candidate before it is used up.
	Capacity fleet.Config `yaml:"capacity"`
	// Watch is how its engine is looked at while it serves.
	Watch fleet.Look `yaml:"watch"`
	// Drain keeps new requests off it; those in flight go on.
	Drain bool `yaml:"drain"`
	// Quirks are what models refuse here, beside what is known of the kind. A
	// later one wins.
	Quirks []Quirk `yaml:"quirks"`
	// Price overrides the list price.
	Price Price `yaml:"price"`
	// Egress is how the target is reached, where that is not as the file says.
	Egress egress.Override `yaml:"egress"`
}

// Limits bound what a target is given.
type Limits struct {
	InFlight int `yaml:"in_flight"` // requests at once; 0 = no limit
	// The others are what the target is given in a while.
	Requests     account.Rates `yaml:"requests"`
	Tokens       account.Rates `yaml:"tokens"`
	InputTokens  account.Rates `yaml:"input_tokens"`
	OutputTokens account.Rates `yaml:"output_tokens"`
}

// Rules are the limits in a while, as package account keeps them.
func (l Limits) Rules() account.Rules {
	return account.Rules{Limits: account.Limits{Requests: l.Requests, Tokens: l.Tokens, InputTokens: l.InputTokens, OutputTokens: l.OutputTokens}}
}

// Price is what a target charges, as decimal text so that it stays exact.
type Price = meter.Override

// Validate reports every problem of one target; path is where it stands.
func (c Config) Validate(path string, report func(path, wrong, right string)) {
	kind, ok := Find(c.Kind)
	switch {
	case c.Kind == "":
		report(path, "the target has no kind", "add `kind:` with one of "+strings.Join(Names(), ", "))
	case !ok:
		report(path+".kind", fmt.Sprintf("there is no kind %q", c.Kind),
			"use one of "+strings.Join(Names(), ", ")+suggest.Phrase(suggest.Nearest(c.Kind, Names())))
	default:
		c.validatePlace(path, kind, report)
		for i, d := range c.Dialects {
			if known(d) && !kind.mayServe(d) {
				report(fmt.Sprintf("%s.dialects[%d]", path, i), fmt.Sprintf("%s has no %s", kind.Title, d), "use one of "+join(kind.mayServeAll()))
			}
		}
	}
	c.validateDiscovery(path, report)
	if c.URL != "" {
		if _, err := parseURL(c.URL); err != nil {
			report(path+".url", err.Error(), "write http://HOST:PORT/PATH or https://...")
		}
	}
	c.Egress.Validate(path+".egress", report)
	c.credential().Validate(path, report)
	for i, q := range c.Quirks {
		q.validate(fmt.Sprintf("%s.quirks[%d]", path, i), report)
	}
	for i, d := range c.Dialects {
		if !known(d) {
			report(fmt.Sprintf("%s.dialects[%d]", path, i), fmt.Sprintf("there is no dialect %q", d), "use one of "+join(dialects[:]))
		}
	}
	if !slices.Contains([]string{"", "ask", "never"}, c.StreamUsage) {
		report(path+".stream_usage", fmt.Sprintf("%q is not a choice", c.StreamUsage), "use ask or never")
	}
	c.Limits.Rules().Validate(path, report)
	models.ValidateLabels(path+".labels", c.Labels, report)
	c.KVEvents.Validate(path+".kv_events", report)
	if c.KVPort < 0 || c.KVPort > 65535 {
		report(path+".kv_port", fmt.Sprintf("%d is no port", c.KVPort), "use 1 to 65535, or leave it out")
	}
	if c.Limits.InFlight < 0 {
		report(path+".limits.in_flight", "a limit cannot be negative", "use a whole number from 1, or leave it out")
	}
	c.Capacity.Validate(path+".capacity", report)
	c.Watch.Validate(path+".watch", c.Kind, report)
	for name, value := range c.Headers {
		if reserved[strings.ToLower(name)] {
			report(path+".headers."+name, "this header is set by Tailplane itself", "use `key:` for credentials, or leave it out")
		}
		if strings.ContainsAny(name+value, "\r\n\x00") {
			report(path+".headers."+name, "a header cannot hold line breaks", "write it on one line")
		}
	}
	c.Price.Validate(path+".price", report)
}

// Destinations are the hosts and ports that the target called name leads to;
// none for the simulator, which is in this process. Those of its credential are
// Identities.
func (c Config) Destinations(name string) []egress.Destination {
	kind, ok := Find(c.Kind)
	if !c.Discover.IsZero() {
		return c.Discover.Destinations(name)
	}
	if !ok || kind == &simulator && c.URL == "" {
		return nil
	}
	u, err := parseURL(c.address(kind))
	if err != nil {
		return nil
	}
	address, err := dialed(u, c.Egress)
	if err != nil {
		return nil
	}
	out := append([]egress.Destination{{Address: address, Why: "target " + name}}, c.watched(name)...)
	return append(out, c.CacheEvents(name)...)
}

// CacheEvents is where the engine of the target called name, which is at one
// address, publishes what it caches; nothing where it is not listened to.
func (c Config) CacheEvents(name string) (out []egress.Destination) {
	kind, ok := Find(c.Kind)
	if !ok {
		return nil
	}
	u, err := parseURL(c.address(kind))
	if err != nil {
		return nil
	}
	for _, at := range c.KVEvents.Addresses(u.Hostname()) {
		out = append(out, egress.Destination{Address: at, Why: "cache events of " + name})
	}
	return out
}

// Identities are the hosts and ports from which the credential of the target
// called name is had: token endpoints, metadata services, secret stores. They
// are reached as the file's egress section says, whatever the target's own.
func (c Config) Identities(name string) []egress.Destination {
	kind, ok := Find(c.Kind)
	if !ok {
		return nil
	}
	out := c.identified(kind).Destinations()
	for i := range out {
		out[i].Why += " for target " + name
	}
	return out
}

// address is the target's URL: the config's, else the kind's own.
func (c Config) address(kind *Kind) string {
	switch {
	case c.URL != "":
		return c.URL
	case kind.Locate != nil:
		return kind.Locate(&c)
	}
	return kind.URL
}

// dialed is host:port that a target is dialed at: its URL's, unless its egress
// section names another.
func dialed(u *url.URL, o egress.Override) (string, error) {
	address := hostPort(u)
	if o.Address == "" {
		return address, nil
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	return egress.WithPort(o.Address, port)
}

// credential is how the target is paid for.
func (c Config) credential() credential.Config {
	out := credential.Config{
		Slot: credential.Slot{Key: c.Key, NextKey: c.NextKey}, Keys: c.Keys,
		Header: c.Auth.Header, AWS: c.Auth.AWS, Azure: c.Auth.Azure, Google: c.Auth.Google,
		Headers: map[string]secret.Ref{},
	}
	for name, value := range c.Headers {
		if ref, err := secret.Parse(value); err == nil {
			out.Headers[name] = ref
		}
	}
	return out
}

// identified is credential, completed by what the kind knows: the region and the
// audience of an identity, and that a cloud's own address takes the cloud's
// identity where no key is configured.
func (c Config) identified(kind *Kind) credential.Config {
	out := c.credential()
	none := out.Key.IsZero() && len(out.Keys) == 0 && out.AWS == nil && out.Azure == nil && out.Google == nil
	switch {
	case out.AWS != nil || none && c.URL == "" && kind.Identity == IdentityAWS:
		aws := credential.AWS{}
		if out.AWS != nil {
			aws = *out.AWS
		}
		aws.Region, aws.Service = cmp.Or(aws.Region, c.Region), cmp.Or(aws.Service, kind.Audience)
		out.AWS = &aws
	case out.Google != nil || none && c.URL == "" && kind.Identity == IdentityGoogle:
		google := credential.Google{}
		if out.Google != nil {
			google = *out.Google
		}
		google.Scope = cmp.Or(google.Scope, kind.Audience)
		out.Google = &google
	case out.Azure != nil:
		azure := *out.Azure
		azure.Scope = cmp.Or(azure.Scope, kind.Audience)
		out.Azure = &azure
	}
	return out
}

// Refs are the secret references of the target, by their path below it.
func (c Config) Refs() map[string]secret.Ref { return c.credential().Refs() }

// reserved headers belong to the framing of a message.
var reserved = map[string]bool{
	"host": true, "content-length": true, "transfer-encoding": true, "connection": true, "content-type": true, "accept": true,
}

// isPort reports whether something can listen on a port.
func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

// parseURL accepts an absolute http or https address without credentials,
// query or fragment. Its errors do not repeat the text: it may hold a
// password.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return nil, fmt.Errorf("this is not an http or https address")
	case u.User != nil:
		return nil, fmt.Errorf("the address contains a user name or password")
	case u.Port() != "" && !isPort(u.Port()):
		return nil, fmt.Errorf("the port of the address is none of 1 to 65535")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("the address contains a query or fragment")
	}
	return u, nil
}
