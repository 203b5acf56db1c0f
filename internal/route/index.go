package route

import "tailplane/internal/models"

// policies are all that rank replicas, by the name that the config says.
var policies = map[string]func(models.Policy) Policy{
	models.PolicyAuto:    func(models.Policy) Policy { return auto{} },
	"cache_aware":        newCacheAware,
	"chwbl":              newCHWBL,
	models.PolicyLeastKV: func(models.Policy) Policy { return leastKV{} },
	"least_request":      func(models.Policy) Policy { return leastRequest{} },
	"llmd":               func(models.Policy) Policy { return llmd{} },
	"lmetric":            newLMetric,
	"lowest_cost":        func(models.Policy) Policy { return lowestCost{} },
	"lowest_latency":     func(models.Policy) Policy { return lowestLatency{} },
	"p2c":                func(models.Policy) Policy { return p2c{} },
	"random":             func(models.Policy) Policy { return random{} },
	"round_robin":        func(models.Policy) Policy { return &roundRobin{} },
	"session":            func(models.Policy) Policy { return session{} },
	"smetric":            newSMetric,
}

// Ranks reports whether what the config asks for ranks replicas.
func Ranks(p models.Policy) bool { return policies[p.Name] != nil }

// NewPolicy returns the policy that a valid config asks for; nil where groups are
// not ranked: by weight, or in the order of the route.
func NewPolicy(p models.Policy) Policy {
	if make, ok := policies[p.Name]; ok {
		return make(p.OrDefaults())
	}
	return nil
}
