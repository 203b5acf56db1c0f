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
// data: adding one is a value in a file of this package and a line in
// index.go.
type Kind struct {
	Name  string
	Title string // as people call it
	// URL is the address when the target states none; empty means that it must.
	URL string
	// Prefix is put before every path when the target's URL has no path of
	// its own: "/v1" nearly everywhere.
	Prefix string
	// KeyEnv are environment variables in which people keep the key.
	KeyEnv []string
	Auth   Auth
	// Dialects are what such a target speaks unless its config says otherwise,
	// in order of preference for translated requests.
	Dialects []llm.Dialect
	// Owns are patterns of model names that mean this provider when a client
	// calls them without naming a target.
	Owns []string
	// Header is sent with every request.
	Header []h1.Field
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
}

// Auth is the way a key is presented.
type Auth uint8

// The ways.
const (
	AuthBearer  Auth = iota // Authorization: Bearer KEY
	AuthXAPIKey             // x-api-key: KEY
)

// header is the one in which a key is presented.
func (a Auth) header() string {
	if a == AuthXAPIKey {
		return "x-api-key"
	}
	return "authorization"
}

// paths are the operations of the dialects below the prefix.
var paths = map[llm.Dialect]string{
	llm.Chat:        "/chat/completions",
	llm.Completions: "/completions",
	llm.Embeddings:  "/embeddings",
	llm.Responses:   "/responses",
	llm.Anthropic:   "/messages",
}

const countPath = "/messages/count_tokens"

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
