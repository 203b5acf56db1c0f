package secret

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// Ref is a reference to a secret. It is safe to print: it names the place and
// not the secret. The zero Ref refers to nothing.
type Ref struct{ scheme, name, field string }

// The schemes.
const (
	SchemeEnv   = "env"
	SchemeFile  = "file"
	SchemeVault = "vault"
	SchemeAWS   = "aws-sm"
	SchemeGCP   = "gcp-sm"
	SchemeAzure = "azure-kv"
)

// syntax says how a reference of each scheme is written.
var syntax = map[string]struct {
	form    string
	name    *regexp.Regexp
	field   bool // may have #FIELD
	demands bool // must have it
}{
	SchemeEnv:   {"env:NAME", regexp.MustCompile(`^.+$`), false, false},
	SchemeFile:  {"file:/path", regexp.MustCompile(`^.+$`), false, false},
	SchemeVault: {"vault:MOUNT/PATH#FIELD", regexp.MustCompile(`^[\w.-]+(/[\w. @+-]+)+$`), true, true},
	SchemeAWS:   {"aws-sm:NAME or aws-sm:NAME#FIELD", regexp.MustCompile(`^[\w/+=.@:-]+$`), true, false},
	SchemeGCP:   {"gcp-sm:projects/P/secrets/S, with /versions/V and #FIELD if wanted", regexp.MustCompile(`^projects/[\w.:-]+/secrets/[\w-]+(/versions/\w+)?$`), true, false},
	SchemeAzure: {"azure-kv:VAULT/SECRET", regexp.MustCompile(`^[\w.-]+/[\w-]+$`), false, false},
}

// Parse reads a reference. Its errors never contain the text, which may be the
// secret itself.
func Parse(text string) (Ref, error) {
	scheme, name, _ := strings.Cut(text, ":")
	s, known := syntax[scheme]
	if !known {
		return Ref{}, errors.New("a secret must be a reference, never the secret itself; write env:NAME or file:/path, or vault:, aws-sm:, gcp-sm:, azure-kv: with its place there")
	}
	r := Ref{scheme: scheme, name: name}
	hasField := false
	if s.field {
		r.name, r.field, hasField = strings.Cut(name, "#")
	}
	switch {
	case name == "":
		return Ref{}, fmt.Errorf("%s: names nothing; write %s", scheme, s.form)
	case !s.name.MatchString(r.name) || s.field && strings.Contains(r.name+"/", "/../") || hasField && r.field == "" || s.demands && !hasField:
		return Ref{}, fmt.Errorf("this is no place of %s:; write %s", scheme, s.form)
	}
	return r, nil
}

// Env is the reference to an environment variable.
func Env(name string) Ref { return Ref{scheme: SchemeEnv, name: name} }

// IsZero reports whether r refers to nothing.
func (r Ref) IsZero() bool { return r.scheme == "" }

// Remote reports whether the secret is read over the network, by a [Resolver].
func (r Ref) Remote() bool { return !r.IsZero() && r.scheme != SchemeEnv && r.scheme != SchemeFile }

// Scheme says where the secret is; empty of the zero Ref.
func (r Ref) Scheme() string { return r.scheme }

// Place is the name within the scheme, without the field.
func (r Ref) Place() string { return r.name }

// String gives the reference as it is written in the config.
func (r Ref) String() string {
	if r.IsZero() {
		return ""
	}
	if r.field != "" {
		return r.scheme + ":" + r.name + "#" + r.field
	}
	return r.scheme + ":" + r.name
}

// UnmarshalText parses a reference.
func (r *Ref) UnmarshalText(text []byte) error {
	ref, err := Parse(string(text))
	*r = ref
	return err
}

// MarshalText gives the reference.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// A Resolver reads a remote secret now. Its errors name the place and the
// store's own words, and nothing secret.
type Resolver func(ctx context.Context, r Ref) (Value, error)

// Resolvers are those of the remote schemes, by scheme.
type Resolvers map[string]Resolver

// Read reads the secret wherever it is, without the white space around it:
// editors and `echo` add a newline to files. It may have many lines, as a JSON
// key has.
func (r Ref) Read(ctx context.Context, with Resolvers) (Value, error) {
	if !r.Remote() {
		return r.local()
	}
	resolve, ok := with[r.scheme]
	if !ok {
		return Value{}, fmt.Errorf("%s: secrets of %s: cannot be read here; use env: or file: instead", r, r.scheme)
	}
	v, err := resolve(ctx, r)
	if err != nil {
		return Value{}, fmt.Errorf("%s: %w", r, err)
	}
	return r.trimmed(v.text)
}

// Resolve reads a local secret of one line now.
func (r Ref) Resolve() (Value, error) {
	v, err := r.local()
	if err != nil {
		return Value{}, err
	}
	return r.OneLine(v)
}

// OneLine is v if it is fit for a header: a secret that r refers to, of one line.
func (r Ref) OneLine(v Value) (Value, error) {
	if strings.ContainsAny(v.text, "\r\n\x00") {
		return Value{}, fmt.Errorf("%s holds more than one line; a secret is one line", r)
	}
	return v, nil
}

func (r Ref) local() (Value, error) {
	switch r.scheme {
	case SchemeEnv:
		text := os.Getenv(r.name)
		if text == "" {
			return Value{}, fmt.Errorf("environment variable %s is not set", r.name)
		}
		return r.trimmed(text)
	case SchemeFile:
		raw, err := os.ReadFile(r.name)
		if err != nil {
			return Value{}, err
		}
		return r.trimmed(string(raw))
	case "":
		return Value{}, errors.New("no secret is referred to")
	}
	return Value{}, fmt.Errorf("%s is read over the network, which is not possible here; use env: or file: instead", r)
}

func (r Ref) trimmed(text string) (Value, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return Value{}, fmt.Errorf("%s is empty", r)
	}
	return Value{text}, nil
}

// Pick is what r refers to in a document that its store gave: the whole, or the
// field of a JSON object.
func (r Ref) Pick(document []byte) (Value, error) {
	if r.field == "" {
		return Value{string(document)}, nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(document, &members) != nil {
		return Value{}, fmt.Errorf("the secret is no JSON object, so it has no field %q", r.field)
	}
	raw, ok := members[r.field]
	if !ok {
		return Value{}, fmt.Errorf("the secret has no field %q", r.field)
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return Value{string(raw)}, nil // a number, or a JSON key kept as an object
	}
	return Value{text}, nil
}
