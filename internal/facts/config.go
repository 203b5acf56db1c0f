package facts

import "tailplane/internal/secret"

// Config is the `store:` section of the file. Without it a gateway keeps
// everything in its state directory.
type Config struct {
	// Postgres is the address of the database, as a URL or as keywords and
	// values: the form that libpq takes.
	Postgres secret.Ref `yaml:"postgres"`
	// Gateway is this gateway's name among those that share the database; the
	// host's name where it is empty. Two gateways never have the same one.
	Gateway string `yaml:"gateway"`
}

// IsZero reports whether no database is named.
func (c Config) IsZero() bool { return c.Postgres.IsZero() }

// Validate reports every problem of the section.
func (c Config) Validate(report func(path, wrong, right string)) {
	if c.IsZero() && c.Gateway != "" {
		report("store", "the section names no database", "add `postgres: env:NAME`, or remove the section")
	}
	if len(c.Gateway) > 64 {
		report("store.gateway", "the name is longer than 64 characters", "use a short one, such as gw-1")
	}
}
