package account

import "fmt"

// Level is what kind of thing an account belongs to.
type Level uint8

// The levels, from the widest.
const (
	Organisation Level = iota
	Team
	Customer
	Key
	Model
	Target
	levels int = iota
)

var levelNames = [levels]string{"organisation", "team", "customer", "key", "model", "target"}

// String is the level's name, as in the file and in messages.
func (l Level) String() string {
	if int(l) < levels {
		return levelNames[l]
	}
	return fmt.Sprintf("level(%d)", uint8(l))
}

// MarshalText is String.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads a level's name.
func (l *Level) UnmarshalText(text []byte) error {
	for i, name := range levelNames {
		if name == string(text) {
			*l = Level(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no level: write organisation, team, customer, key, model or target", text)
}
