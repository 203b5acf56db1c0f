package ledger

import (
	"fmt"
	"time"
)

// Config is the block `ledger` of the configuration file.
type Config struct {
	// Dir is the state directory of the ledger: journal segments and the
	// database. Empty keeps everything in memory until the process ends.
	Dir string `yaml:"dir"`
	// Sync bounds what a loss of power may take; a killed process loses nothing.
	// It is also how soon a record reaches the database, unless many wait.
	Sync time.Duration `yaml:"sync"`
	// Durability says when a request is answered: normal, when its record is safe
	// from the death of the process; strict, when it is safe from the loss of
	// power. Empty is normal.
	Durability string `yaml:"durability"`
	// Retention is how long journal segments are kept that the database has.
	Retention time.Duration `yaml:"retention"`
	// Records is how long the database keeps the record of each exchange. The
	// sums that Usage gives stay.
	Records time.Duration `yaml:"records"`
	// MaxBytes bounds the journal when the database does not keep up.
	MaxBytes int64 `yaml:"max_bytes"`
}

// The values of Config.Durability.
const (
	normal = "normal"
	strict = "strict"
)

// Default is the configuration of an empty block.
func Default() Config {
	return Config{Dir: "", Sync: time.Second, Durability: normal, Retention: 7 * 24 * time.Hour, Records: 400 * 24 * time.Hour, MaxBytes: 4 << 30}
}

// Validate reports each problem with the path of the member below `ledger`,
// what is wrong and what would be right.
func (c Config) Validate(report func(path, wrong, right string)) {
	if c.Sync < 10*time.Millisecond || c.Sync > time.Minute {
		report("sync", fmt.Sprintf("%v is not a useful interval", c.Sync), "10ms to 1m; 1s is the default")
	}
	if c.Durability != "" && c.Durability != normal && c.Durability != strict {
		report("durability", fmt.Sprintf("there is no durability %q", c.Durability), "normal or strict; normal is the default")
	}
	if c.Retention < time.Minute {
		report("retention", fmt.Sprintf("%v is too short", c.Retention), "1m or more; 168h is the default")
	}
	if c.Records < time.Hour {
		report("records", fmt.Sprintf("%v is too short", c.Records), "1h or more; 9600h is the default")
	}
	if c.MaxBytes < 64<<20 {
		report("max_bytes", fmt.Sprintf("%d bytes do not hold eight segments of 8 MiB", c.MaxBytes), "67108864 or more; 4294967296 is the default")
	}
}

// Options are the journal's options for this configuration and a store.
func (c Config) Options(s Store) JournalOptions {
	return JournalOptions{Dir: c.Dir, MaxBytes: c.MaxBytes, Sync: c.Sync, Retention: c.Retention, Strict: c.Durability == strict, Store: s}
}
