// Package upstream knows who is called: providers and engines by kind, their
// addresses, credentials, paths, headers, fault tables and quota headers.
//
// It owns [Kind] (what all targets of a provider have in common, as data),
// [Target] (one configured address) and the classification of everything that
// can go wrong there. It never reads a conversation (package dialect does) and
// never decides whether to try again (package route does).
//
// Start reading at [Kind], then index.go, the table of contents.
package upstream

import (
	"slices"
	"time"

	"tailplane/internal/h1"
	"tailplane/internal/llm"
)

// Kind is what the targets of one provider or engine have in common. A kind is
// data with a few pure functions: adding one is a value in a file of this
// package and a line in index.go.
type Kind struct {
	Name  string
	Title string // as people call it
	// URL is the address when the target states none; empty means that it must,
	// unless Locate finds it.
	URL string
	// Locate makes the address out of the region; nil for kinds with one address
	// or none. It is asked about valid configs only.
	Locate func(c *Config) string
	// Needs are the members of the config that such a target cannot do without.
	Needs Members
	// Takes are those that mean something to it.
	Takes Members
	// Prefix is put before every path when the target's URL has no path of
	// its own: "/v1" nearly everywhere.
	Prefix string
	// KeyEnv are environment variables in which people keep the key.
	KeyEnv []string
	// URLEnv and RegionEnv are those for the address or the region, where there is
	// no target without.
	URLEnv, RegionEnv []string
	// BaseEnv is the variable in which its SDK is told that the key is for another
	// address. The SDK puts the version after it where BaseBare says so.
	BaseEnv  string
	BaseBare bool
	// Auth is how a key is presented, Identity how requests without a key are
	// paid for; Audience is what the identity's tokens or signatures are for.
	Auth     Auth
	Identity Identity
	Audience string
	// Dialects are what such a target speaks unless its config says otherwise,
	// in order of preference for translated requests. Others are those that it
	// speaks only where the config says so.
	Dialects, Others []llm.Dialect
	// Serves says which models are served in which of the dialects; nil means all
	// in each.
	Serves func(op llm.Op, d llm.Dialect, model string) bool
	// Path makes the request target; nil is the table of paths below Prefix.
	Path func(t *Target, c Call) string
	// Asks are the questions of a live check; nil is the list of models below the
	// prefix.
	Asks func(t *Target) []Question
	// Envelopes are how a dialect's bodies are put on the wire where that is not
	// as they stand.
	Envelopes map[llm.Dialect]*Envelope
	// Owns are patterns of model names that mean this provider when a client
	// calls them without naming a target.
	Owns []string
	// Header is sent with every request.
	Header []h1.Field
	// Mark makes headers of a request that depend on its model; nil is none.
	Mark func(t *Target, c Call) []h1.Field
	// Engine says that it runs on somebody's own hardware: its use has no list
	// price.
	Engine bool
	// NewCap: it wants the chat dialect's output cap under the name
	// max_completion_tokens; all others are sent max_tokens, which they all know.
	NewCap bool
	// NoStreamUsage: it refuses or ignores stream_options.include_usage.
	NoStreamUsage bool
	// LeastWait is the shortest wait after a refusal for rate or load, whatever
	// the answer demands; 0 where the provider states none.
	LeastWait time.Duration
	// Rules are this kind's own faults; they are consulted before the common
	// ones.
	Rules []Rule
	// Quirks are what its models refuse of their dialect; those of the config
	// come on top.
	Quirks []Quirk
}

// Members is a set of members of a target's config.
type Members uint8

// The members that not every kind has.
const (
	MemberURL Members = 1 << iota
	MemberRegion
	MemberProject
	MemberAPIVersion
	MemberDeployments
)

// Has reports whether the set contains all of n.
func (m Members) Has(n Members) bool { return m&n == n }

// Auth is the way a key is presented.
type Auth uint8

// The ways.
const (
	AuthBearer  Auth = iota // Authorization: Bearer KEY
	AuthXAPIKey             // x-api-key: KEY
	AuthAPIKey              // api-key: KEY (Azure)
	AuthGoogle              // x-goog-api-key: KEY
)

// header is the one in which a key travels.
func (a Auth) header() string {
	switch a {
	case AuthXAPIKey:
		return "x-api-key"
	case AuthAPIKey:
		return "api-key"
	case AuthGoogle:
		return "x-goog-api-key"
	}
	return "authorization"
}

// Identity is the cloud's way of saying who calls where no key is configured.
type Identity uint8

// The identities.
const (
	IdentityNone   Identity = iota
	IdentityAWS             // SigV4 over the finished request; Audience is the service
	IdentityEntra           // a bearer token; Audience is its scope
	IdentityGoogle          // a bearer token; Audience is its scope
)

// Find returns the kind with that name.
func Find(name string) (*Kind, bool) {
	kinds := Kinds()
	i := slices.IndexFunc(kinds, func(k *Kind) bool { return k.Name == name })
	if i < 0 {
		return nil, false
	}
	return kinds[i], true
}

// Names lists the names of all kinds.
func Names() []string {
	var out []string
	for _, k := range Kinds() {
		out = append(out, k.Name)
	}
	return out
}
