package route

import "tailplane/internal/models"

// policies are all that rank replicas, by the name that the config says.
var policies = map[string]func(models.Policy) Policy{
	models.PolicyAuto: func(models.Policy) Policy { return newAuto() },
	"least_request":   func(models.Policy) Policy { return leastRequest{} },
	"round_robin":     func(models.Policy) Policy { return &roundRobin{} },
}

// NewPolicy returns the policy that a valid config asks for; nil where groups are
// not ranked: by weight, or in the order of the route.
func NewPolicy(p models.Policy) Policy {
	if make, ok := policies[p.Name]; ok {
		return make(p)
	}
	return nil
}
