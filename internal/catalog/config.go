package catalog

import (
	"crypto/ed25519"
	"fmt"
	"time"
)

// Config is the section `catalog` of the file.
type Config struct {
	// File is a signed catalogue; empty uses the one that `tailplane catalog
	// update` put into the state directory, if any, else the built-in one.
	File string `yaml:"file"`
	// PublicKey and Keys are the makers' keys that are trusted, beside those
	// that `tailplane catalog trust` put into the state directory.
	PublicKey string   `yaml:"public_key"`
	Keys      []string `yaml:"keys"`
	// MaxAge is the age of a part from which the log and the status warn. It
	// never blocks anything.
	MaxAge time.Duration `yaml:"max_age"`
}

// Default is what holds where the file says nothing.
func Default() Config { return Config{MaxAge: 180 * 24 * time.Hour} }

// Validate reports every problem.
func (c Config) Validate(report func(path, wrong, right string)) {
	const right = "write the base64 text that `tailplane catalog keygen` printed"
	if c.PublicKey != "" {
		if _, err := ParseKey(c.PublicKey); err != nil {
			report("catalog.public_key", err.Error(), right)
		}
	}
	for i, k := range c.Keys {
		if _, err := ParseKey(k); err != nil {
			report(fmt.Sprintf("catalog.keys[%d]", i), err.Error(), right)
		}
	}
	if c.MaxAge < 0 {
		report("catalog.max_age", "an age cannot be negative", "use 1d to 10000d")
	}
}

// Trusted are the keys of a file that is valid.
func (c Config) Trusted() []ed25519.PublicKey {
	var out []ed25519.PublicKey
	for _, text := range append([]string{c.PublicKey}, c.Keys...) {
		if key, err := ParseKey(text); err == nil {
			out = append(out, key)
		}
	}
	return out
}
