package facts

import (
	"fmt"
	"time"

	"tailplane/internal/secret"
)

// Config is the `store:` section of the file. Without it a gateway keeps
// everything in its state directory.
type Config struct {
	// Postgres is the address of the database, as a URL or as keywords and
	// values: the form that libpq takes.
	Postgres secret.Ref `yaml:"postgres"`
	// Gateway is this gateway's name among those that share the database; the
	// host's name where it is empty. Two gateways never have the same one.
	Gateway string `yaml:"gateway"`
	// Term is for how long a gateway that is not heard of keeps what it leased.
	Term time.Duration `yaml:"term"`
}

// DefaultTerm is the Term of an empty section.
const DefaultTerm = 10 * time.Second

// IsZero reports whether no database is named.
func (c Config) IsZero() bool { return c.Postgres.IsZero() }

// Validate reports every problem of the section.
func (c Config) Validate(report func(path, wrong, right string)) {
	if c.IsZero() && (c.Gateway != "" || c.Term != 0) {
		report("store", "the section names no database", "add `postgres: env:NAME`, or remove the section")
	}
	if c.Term != 0 && (c.Term < 2*time.Second || c.Term > 10*time.Minute) {
		report("store.term", fmt.Sprintf("%v is not a useful term", c.Term), "2s to 10m; 10s is the default")
	}
	if len(c.Gateway) > 64 {
		report("store.gateway", "the name is longer than 64 characters", "use a short one, such as gw-1")
	}
}
