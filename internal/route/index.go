package route

// policies are all there are, by the name that the config says.
var policies = map[string]func() Policy{
	"auto":          func() Policy { return newAuto() },
	"least_request": func() Policy { return leastRequest{} },
	"round_robin":   func() Policy { return &roundRobin{} },
}

// NewPolicy returns the policy of that name; nil when there is none.
func NewPolicy(name string) Policy {
	if make, ok := policies[name]; ok {
		return make()
	}
	return nil
}
