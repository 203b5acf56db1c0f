package upstream

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/meter"
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
	// Region and Project are where a cloud provider serves it and who pays.
	Region  string `yaml:"region"`
	Project string `yaml:"project"`
	// APIVersion asks Azure for its classic API of that date.
	APIVersion string `yaml:"api_version"`
	// Deployments says what the provider calls a model here: the name of an Azure
	// deployment, or the ARN of a Bedrock inference profile. Everything else
	// (routes, prices, quirks) goes by the model's own name.
	Deployments map[string]string `yaml:"deployments"`
	// Key refers to the credential: env:NAME or file:/path.
	Key secret.Ref `yaml:"key"`
	// Dialects are what the target speaks, best first for translation.
	Dialects []llm.Dialect `yaml:"dialects"`
	// Models are names that the target serves; clients may call them without
	// naming the target.
	Models []string `yaml:"models"`
	// Headers are sent with every request. A value of the form env:NAME or
	// file:/path is read from there.
	Headers map[string]string `yaml:"headers"`
	// StreamUsage says whether a stream may be asked to end with its usage
	// ("ask", "never"); empty is the kind's own.
	StreamUsage string `yaml:"stream_usage"`
	Limits      Limits `yaml:"limits"`
	// Quirks are what models refuse here, beside what is known of the kind. A
	// later one wins.
	Quirks []Quirk `yaml:"quirks"`
	// Price overrides the list price, in dollars per million tokens.
	Price Price `yaml:"price"`
}

// Limits bound what a target is given.
type Limits struct {
	InFlight int `yaml:"in_flight"` // requests at once; 0 = no limit
}

// Price is what a target charges, in dollars per million tokens, as decimal
// text so that it stays exact. Empty fields of a price that states input and
// output fall back to those.
type Price struct {
	Input      string `yaml:"input"`
	Output     string `yaml:"output"`
	CacheRead  string `yaml:"cache_read"`
	CacheWrite string `yaml:"cache_write"`
}

// IsZero reports whether the file states no price.
func (p Price) IsZero() bool { return p == Price{} }

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
	if c.URL != "" {
		if _, err := parseURL(c.URL); err != nil {
			report(path+".url", err.Error(), "write http://HOST:PORT/PATH or https://...")
		}
	}
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
	if c.Limits.InFlight < 0 {
		report(path+".limits.in_flight", "a limit cannot be negative", "use a whole number from 1, or leave it out")
	}
	for name, value := range c.Headers {
		if reserved[strings.ToLower(name)] {
			report(path+".headers."+name, "this header is set by Tailplane itself", "use `key:` for credentials, or leave it out")
		}
		if strings.ContainsAny(name+value, "\r\n\x00") {
			report(path+".headers."+name, "a header cannot hold line breaks", "write it on one line")
		}
	}
	for _, f := range []struct{ name, text string }{
		{"input", c.Price.Input}, {"output", c.Price.Output}, {"cache_read", c.Price.CacheRead}, {"cache_write", c.Price.CacheWrite},
	} {
		if f.text == "" {
			continue
		}
		if _, err := meter.ParsePrice(f.text); err != nil {
			report(path+".price."+f.name, err.Error(), "write dollars per million tokens, such as 0.25")
		}
	}
	if !c.Price.IsZero() && (c.Price.Input == "" || c.Price.Output == "") {
		report(path+".price", "a price needs both input and output", "add the missing one, in dollars per million tokens")
	}
}

// reserved headers belong to the framing of a message.
var reserved = map[string]bool{
	"host": true, "content-length": true, "transfer-encoding": true, "connection": true, "content-type": true, "accept": true,
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
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("the address contains a query or fragment")
	}
	return u, nil
}
