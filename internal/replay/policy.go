package replay

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tailplane/internal/models"
	"tailplane/internal/route"
	"tailplane/internal/suggest"
)

// settings are what a policy can be told, by the words of the config.
var settings = map[string]func(p *models.Policy, v string) error{
	"replication":     func(p *models.Policy, v string) error { return whole(&p.Replication, v) },
	"load_factor":     func(p *models.Policy, v string) error { return whole(&p.LoadFactor, v) },
	"cache_threshold": func(p *models.Policy, v string) error { return share(&p.CacheThreshold, v) },
	"imbalance_abs":   func(p *models.Policy, v string) error { return whole(&p.ImbalanceAbs, v) },
	"imbalance_rel":   func(p *models.Policy, v string) error { return share(&p.ImbalanceRel, v) },
	"form":            func(p *models.Policy, v string) error { p.Form = v; return nil },
	"ttft": func(p *models.Policy, v string) (err error) {
		p.TTFT, err = time.ParseDuration(v)
		return err
	},
}

func whole(to *int, v string) (err error) {
	if *to, err = strconv.Atoi(v); err == nil && *to < 1 {
		err = errors.New("want at least 1")
	}
	return err
}

func share(to *float64, v string) (err error) {
	if *to, err = strconv.ParseFloat(v, 64); err == nil && !(*to > 0) {
		err = errors.New("want more than 0")
	}
	return err
}

// ParsePolicy reads a policy as it is written for the bench: a name, and where
// its defaults are not meant what the config calls them, as in
// cache_aware:imbalance_abs=32:imbalance_rel=1.1.
func ParsePolicy(text string) (models.Policy, error) {
	name, rest, more := strings.Cut(text, ":")
	p := models.Policy{Name: name}
	if !slices.Contains(models.Policies(), name) {
		return p, fmt.Errorf("there is no policy %q%s", name, suggest.Phrase(suggest.Nearest(name, models.Policies())))
	}
	if route.NewPolicy(p) == nil {
		return p, fmt.Errorf("the policy %s ranks no replicas", name)
	}
	for more {
		var setting string
		setting, rest, more = strings.Cut(rest, ":")
		key, value, _ := strings.Cut(setting, "=")
		set, ok := settings[key]
		if !ok {
			return p, fmt.Errorf("%s: a policy cannot be told %q", text, key)
		}
		if err := set(&p, value); err != nil {
			return p, fmt.Errorf("%s: %s: %w", text, key, err)
		}
	}
	return p, nil
}
