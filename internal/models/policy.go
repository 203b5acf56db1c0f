package models

import (
	"fmt"
	"slices"
	"strings"

	"tailplane/internal/suggest"
)

// Policy is the `policy:` of a model: how one of the candidates that share its
// traffic is chosen. In the file it is a bare name, or a block with the name and
// what the policy can be told; what is left out has the default of its policy.
type Policy struct {
	Name string `yaml:"name"`
}

// UnmarshalText reads the bare form.
func (p *Policy) UnmarshalText(text []byte) error {
	p.Name = string(text)
	return nil
}

// IsZero reports whether the file says nothing.
func (p Policy) IsZero() bool { return p == Policy{} }

// The policies that mean something to names, and not only to the group that
// ranks replicas.
const (
	PolicyAuto     = "auto"     // of a pool, where nothing is said
	PolicyWeighted = "weighted" // of neighbours with weights, where nothing is said
	PolicyPriority = "priority" // in the order of the route, where nothing is said
)

// Policies are the names of all policies, in the order in which they are told.
func Policies() []string {
	return []string{PolicyAuto, "round_robin", "least_request", PolicyWeighted, PolicyPriority}
}

func (p Policy) validate(path string, report func(path, wrong, right string)) {
	if !p.IsZero() && !slices.Contains(Policies(), p.Name) {
		report(path, fmt.Sprintf("there is no policy %q", p.Name), "use one of "+strings.Join(Policies(), ", ")+suggest.Phrase(suggest.Nearest(p.Name, Policies())))
	}
}
