package upstream

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"tailplane/internal/llm"
)

// Where a target lies, as the config says it: an address, or what a cloud
// provider makes one of.

// dialects are all that a target can be said to speak.
var dialects = [...]llm.Dialect{
	llm.Chat, llm.Responses, llm.Anthropic, llm.Gemini, llm.Converse, llm.Completions, llm.Embeddings,
}

func known(d llm.Dialect) bool { return slices.Contains(dialects[:], d) }

func join(list []llm.Dialect) string {
	var out []string
	for _, d := range list {
		out = append(out, string(d))
	}
	return strings.Join(out, ", ")
}

// mayServe reports whether the kind has a path for a dialect.
func (k *Kind) mayServe(d llm.Dialect) bool {
	_, common := paths[d]
	return k.Path == nil && common || slices.Contains(k.Dialects, d) || slices.Contains(k.Others, d)
}

func (k *Kind) mayServeAll() []llm.Dialect {
	return slices.DeleteFunc(slices.Clone(dialects[:]), func(d llm.Dialect) bool { return !k.mayServe(d) })
}

// member is one of the config's members that not every kind has.
type member struct {
	bit   Members
	name  string
	value string
	right string // how to add it
}

func (c *Config) members() []member {
	deployments := ""
	if len(c.Deployments) > 0 {
		deployments = "some"
	}
	return []member{
		{MemberURL, "url", c.URL, "`url: http://HOST:PORT`"},
		{MemberRegion, "region", c.Region, "`region: NAME`, such as us-east-1 at AWS, europe-west4 or global at Google"},
		{MemberProject, "project", c.Project, "`project: ID` of the Google Cloud project that pays"},
		{MemberAPIVersion, "api_version", c.APIVersion, "`api_version: 2024-10-21`"},
		{MemberDeployments, "deployments", deployments, "`deployments: {MODEL: NAME}`"},
	}
}

// plain are the values that may become part of a host name or a path.
var plain = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.:_-]*[A-Za-z0-9])?$`)

// hostPart are those that may become part of a host name.
var hostPart = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// validatePlace reports what is wrong with the members of which the address
// and the paths are made.
func (c *Config) validatePlace(path string, kind *Kind, report func(path, wrong, right string)) {
	needs := kind.Needs
	if kind.URL == "" && kind.Locate == nil {
		needs |= MemberURL
	}
	if !c.Discover.IsZero() {
		needs &^= MemberURL
	}
	for _, m := range c.members() {
		at := path + "." + m.name
		switch {
		case m.value == "" && needs.Has(m.bit):
			report(path, fmt.Sprintf("a target of kind %s needs a %s", kind.Name, m.words()), "add "+m.right)
		case m.value == "" || m.bit == MemberURL:
		case !(kind.Needs | kind.Takes).Has(m.bit):
			report(at, fmt.Sprintf("a target of kind %s has no %s", kind.Name, m.name), "remove it")
		case m.bit == MemberRegion && !hostPart.MatchString(m.value):
			report(at, fmt.Sprintf("%q is not the name of a region", m.value), "write it as the provider does, such as us-east-1")
		case m.bit != MemberDeployments && !plain.MatchString(m.value):
			report(at, fmt.Sprintf("%q cannot be part of an address", m.value), "write it as the provider does: letters, digits, dots and dashes")
		}
	}
	for _, model := range slices.Sorted(maps.Keys(c.Deployments)) {
		if name := c.Deployments[model]; name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
			report(path+".deployments."+model, fmt.Sprintf("%q is not the name of a deployment", name), "write it as the provider shows it")
		}
	}
}

// words is the member as a sentence calls it.
func (m *member) words() string {
	if m.bit == MemberURL {
		return "url: its address"
	}
	return m.name
}
