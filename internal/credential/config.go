package credential

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"tailplane/internal/secret"
)

// Config is how a target is paid for, as a target of the file says it. At most
// one of Key, Keys, AWS, Azure and Google is set; none means that the target
// asks for no credential.
type Config struct {
	Slot
	Keys []Slot
	// Header is the one in which a key or token travels: "authorization" (as
	// Bearer), "x-api-key", "api-key", "x-goog-api-key" or any other.
	Header string
	AWS    *AWS
	Azure  *Azure
	Google *Google
	// Headers are further secret headers.
	Headers map[string]secret.Ref
}

// Slot is one key with its successor.
type Slot struct {
	// Name is how the key is called in states, logs and metrics; empty is its
	// place in the list.
	Name string     `yaml:"name"`
	Key  secret.Ref `yaml:"key"`
	// NextKey takes over when Key is refused.
	NextKey secret.Ref `yaml:"next_key"`
	// Weight is its share of the requests; 0 is 1.
	Weight Weight `yaml:"weight"`
}

// Weight is a key's share of the requests. What the file says begins at 1: a zero
// that counted as not said would use a key that was to rest.
type Weight int

// mostWeight bounds weights so that their sum does not overflow.
const mostWeight = 1_000_000

// UnmarshalText reads a weight of the file.
func (w *Weight) UnmarshalText(text []byte) error {
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 || n > mostWeight {
		return fmt.Errorf("%q is not a weight; use a whole number from 1 to %d, leave it out, or remove the key that is to rest", text, mostWeight)
	}
	*w = Weight(n)
	return nil
}

// Auth is the `auth` block of a target.
type Auth struct {
	// Header is the one in which the key travels; empty is the kind's own.
	Header string  `yaml:"header"`
	AWS    *AWS    `yaml:"aws"`
	Azure  *Azure  `yaml:"azure"`
	Google *Google `yaml:"google"`
}

// AWS says with whose identity requests are signed. Without SecretKey and
// Profile it is the SDK's own chain: environment, web identity (IRSA), shared
// files, pod identity and container endpoints, instance metadata.
type AWS struct {
	Region string `yaml:"region"` // empty: AWS_REGION, the profile's
	// Service is the one that is signed for; empty is bedrock.
	Service      string     `yaml:"service"`
	Profile      string     `yaml:"profile"`
	AccessKey    secret.Ref `yaml:"access_key"` // the id
	SecretKey    secret.Ref `yaml:"secret_key"`
	SessionToken secret.Ref `yaml:"session_token"`
	// RoleARN is assumed with that identity.
	RoleARN     string `yaml:"role_arn"`
	ExternalID  string `yaml:"external_id"`
	SessionName string `yaml:"session_name"` // empty is tailplane
	// TagCustomer tags each session with customer=NAME of the caller, so that
	// AWS's bill can be split. A call without a customer is refused.
	TagCustomer bool `yaml:"tag_customer"`
	// Sessions bounds how many customers' sessions are kept; 0 is 256.
	Sessions int `yaml:"sessions"`
	// STSURL and IMDSURL are other addresses of these endpoints.
	STSURL  string `yaml:"sts_url"`
	IMDSURL string `yaml:"imds_url"`
}

// Azure says with which Entra identity tokens are had: with ClientSecret an
// application's, with TokenFile (or AZURE_FEDERATED_TOKEN_FILE) a federated
// workload's, else the machine's managed identity.
type Azure struct {
	Tenant       string     `yaml:"tenant"`
	Client       string     `yaml:"client"` // also the id of a managed identity that the user assigned
	ClientSecret secret.Ref `yaml:"client_secret"`
	TokenFile    string     `yaml:"token_file"`
	// Scope is what the token is for; empty is Azure OpenAI's.
	Scope string `yaml:"scope"`
	// Authority is Entra's address; empty is the public cloud's.
	Authority string `yaml:"authority"`
}

// Google says with which identity tokens are had: Credentials is a JSON key or
// federation config; without it the application default ones.
type Google struct {
	Credentials secret.Ref `yaml:"credentials"`
	Scope       string     `yaml:"scope"` // empty is cloud-platform
	// MetadataURL is another address of the metadata server.
	MetadataURL string `yaml:"metadata_url"`
}

var (
	headerName = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+.^_|~-]+$`)
	roleARN    = regexp.MustCompile(`^arn:[\w-]+:iam::\d{12}:role/[\w+=,.@/-]+$`)
	sessionID  = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
)

// Validate reports every problem; path is that of the target.
func (c Config) Validate(path string, report func(path, wrong, right string)) {
	var ways []string
	for _, w := range []struct {
		name string
		set  bool
	}{{"key", !c.Key.IsZero()}, {"keys", len(c.Keys) > 0}, {"auth.aws", c.AWS != nil}, {"auth.azure", c.Azure != nil}, {"auth.google", c.Google != nil}} {
		if w.set {
			ways = append(ways, w.name)
		}
	}
	if len(ways) > 1 {
		report(path+"."+ways[1], "the target has more than one credential: "+strings.Join(ways, ", "), "keep one of them; several keys stand in `keys:`")
	}
	if c.Key.IsZero() && !c.NextKey.IsZero() {
		report(path+".next_key", "there is a next key but no key", "write the key that is in use under `key:`")
	}
	c.validateKeys(path+".keys", report)
	if c.Header != "" && !headerName.MatchString(c.Header) {
		report(path+".auth.header", "this is no name of a header", "use authorization, x-api-key, api-key, x-goog-api-key or another name")
	}
	if c.AWS != nil {
		c.AWS.validate(path+".auth.aws", report)
	}
	if c.Azure != nil {
		c.Azure.validate(path+".auth.azure", report)
	}
	if c.Google != nil {
		address(path+".auth.google.metadata_url", c.Google.MetadataURL, report)
	}
}

func (c Config) validateKeys(path string, report func(path, wrong, right string)) {
	names := map[string]bool{}
	for i, k := range c.Keys {
		at := fmt.Sprintf("%s[%d]", path, i)
		if k.Key.IsZero() {
			report(at, "the entry has no key", "add `key:` with a reference")
		}
		if k.Weight < 0 {
			report(at+".weight", "a weight cannot be negative", "use a whole number from 1, or leave it out")
		}
		if k.Name != "" && names[k.Name] {
			report(at+".name", fmt.Sprintf("there are two keys with the name %q", k.Name), "give each its own")
		}
		names[k.Name] = true
	}
}

func (a *AWS) validate(path string, report func(path, wrong, right string)) {
	switch {
	case a.AccessKey.IsZero() != a.SecretKey.IsZero():
		report(path, "a fixed key needs both access_key and secret_key", "add the missing one, or leave both out for the SDK's own chain")
	case !a.SecretKey.IsZero() && a.Profile != "":
		report(path+".profile", "there are a fixed key and a profile", "keep one of them")
	}
	if a.RoleARN == "" && (a.ExternalID != "" || a.TagCustomer) {
		report(path, "external_id and tag_customer need a role", "add role_arn: the role that is assumed")
	}
	if a.RoleARN != "" && !roleARN.MatchString(a.RoleARN) {
		report(path+".role_arn", "this is no ARN of a role", "write arn:aws:iam::ACCOUNT:role/NAME")
	}
	if a.SessionName != "" && !sessionID.MatchString(a.SessionName) {
		report(path+".session_name", "this is no name of a session", "use 2 to 64 letters, digits and any of _+=,.@-")
	}
	if a.Sessions < 0 || a.Sessions > mostSessions {
		report(path+".sessions", fmt.Sprintf("%d is no number of sessions to keep", a.Sessions), fmt.Sprintf("use 1 to %d, or leave it out", mostSessions))
	}
	address(path+".sts_url", a.STSURL, report)
	address(path+".imds_url", a.IMDSURL, report)
}

func (a *Azure) validate(path string, report func(path, wrong, right string)) {
	if !a.ClientSecret.IsZero() && (a.Tenant == "" || a.Client == "") {
		report(path, "a client secret needs tenant and client", "add the ids of the tenant and of the application")
	}
	if !a.ClientSecret.IsZero() && a.TokenFile != "" {
		report(path+".token_file", "there are a client secret and a token file", "keep one of them")
	}
	address(path+".authority", a.Authority, report)
}

// address reports one that is neither empty nor of http or https. It does not
// repeat it: it may hold a password.
func address(path, text string, report func(path, wrong, right string)) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		report(path, "this is not an http or https address", "write http://HOST:PORT or https://HOST")
	}
}

// Refs are the references of the config, each with its path below the target's.
func (c Config) Refs() map[string]secret.Ref {
	out := map[string]secret.Ref{}
	add := func(path string, r secret.Ref) {
		if !r.IsZero() {
			out[path] = r
		}
	}
	add("key", c.Key)
	add("next_key", c.NextKey)
	for i, k := range c.Keys {
		add(fmt.Sprintf("keys[%d].key", i), k.Key)
		add(fmt.Sprintf("keys[%d].next_key", i), k.NextKey)
	}
	if c.AWS != nil {
		add("auth.aws.access_key", c.AWS.AccessKey)
		add("auth.aws.secret_key", c.AWS.SecretKey)
		add("auth.aws.session_token", c.AWS.SessionToken)
	}
	if c.Azure != nil {
		add("auth.azure.client_secret", c.Azure.ClientSecret)
	}
	if c.Google != nil {
		add("auth.google.credentials", c.Google.Credentials)
	}
	for name, r := range c.Headers {
		add("headers."+name, r)
	}
	return out
}
