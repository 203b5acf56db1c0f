package policy

import (
	"fmt"

	"tailplane/internal/queue"
)

// Turn is how a request of the key for a party stands beside others where they
// have to wait: the key's own words, else those of the nearest party that says
// something; normal and 1 where nobody does.
func (k *Key) Turn(p *Party) (band queue.Band, weight float64) {
	priority, weight := k.Priority, k.Weight
	for ; p != nil && (priority == "" || weight == 0); p = p.Parent {
		if priority == "" {
			priority = p.Config.Priority
		}
		if weight == 0 {
			weight = p.Config.Weight
		}
	}
	if weight == 0 {
		weight = 1
	}
	for _, known := range queue.Bands {
		if known.String() == priority {
			return known, weight
		}
	}
	return queue.Normal, weight
}

// The weights that can be given.
const (
	leastWeight = 0.01
	mostWeight  = 10_000
)

// checkTurn reports a priority that there is not, and a weight out of range.
func checkTurn(path, priority string, weight float64, report report) {
	var band queue.Band
	if err := band.UnmarshalText([]byte(priority)); priority != "" && err != nil {
		report(path+".priority", fmt.Sprintf("%q is no priority", priority), "use high, normal or low, or leave it out")
	}
	if weight != 0 && !(weight >= leastWeight && weight <= mostWeight) {
		report(path+".weight", fmt.Sprintf("%v is out of range", weight), "use 0.01 to 10000, or leave it out")
	}
}
