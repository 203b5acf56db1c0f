package upstream

import (
	"slices"
	"strings"

	"tailplane/internal/secret"
)

// FromEnv makes a config of this kind out of what get finds in the environment:
// a key, and the address or the region where there is no target without. It also
// returns the variable that holds the key; false when something is missing.
func (k *Kind) FromEnv(get func(name string) string) (c Config, key string, ok bool) {
	key = firstSet(k.KeyEnv, get)
	if key == "" {
		return Config{}, "", false
	}
	c = Config{Kind: k.Name, Key: secret.Env(key)}
	if len(k.URLEnv) > 0 {
		c.URL = get(firstSet(k.URLEnv, get))
		if _, err := parseURL(c.URL); err != nil {
			return Config{}, "", false
		}
	}
	if k.BaseEnv != "" {
		c.URL = k.based(get(k.BaseEnv))
	}
	if len(k.RegionEnv) > 0 {
		c.Region = get(firstSet(k.RegionEnv, get))
	}
	c.Validate("", func(string, string, string) { key = "" })
	return c, key, key != ""
}

// Unusable names a key that get finds, and the variable beside it that makes no target
// of it: what it holds is no address, or no region. Both are empty where there is none.
func (k *Kind) Unusable(get func(name string) string) (key, variable string) {
	key = firstSet(k.KeyEnv, get)
	if _, _, ok := k.FromEnv(get); ok || key == "" {
		return "", ""
	}
	beside := slices.Concat(k.URLEnv, k.RegionEnv)
	if k.BaseEnv != "" {
		beside = append(beside, k.BaseEnv)
	}
	if variable = firstSet(beside, get); variable == "" {
		return "", ""
	}
	return key, variable
}

// based is the address of a target that an SDK's base address amounts to; empty
// without one. A key that is for another address is never sent to the kind's own.
func (k *Kind) based(at string) string {
	u, err := parseURL(at)
	if at == "" || err != nil || !k.BaseBare || strings.Trim(u.Path, "/") == "" {
		return at
	}
	return strings.TrimRight(at, "/") + k.Prefix
}

// firstSet is the first of the variables that holds something; empty when none
// does.
func firstSet(names []string, get func(name string) string) string {
	for _, name := range names {
		if get(name) != "" {
			return name
		}
	}
	return ""
}
