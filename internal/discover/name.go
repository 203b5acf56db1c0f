package discover

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Replica is an endpoint under the name by which it is a target.
type Replica struct {
	Endpoint
	Target string // of the config, whose replica it is
	Called string // Target/NAME
	// Usable replicas take new requests; the others end what they have.
	Usable bool
}

// longestName bounds names of replicas like those of the config.
const longestName = 128

// replicas gives endpoints their names and says which of them are to be used.
// Names are what the source calls an endpoint, else its address: they stay the
// same as long as it does. Where two would be called the same, both have their
// addresses, with a hash of what they lost of them.
func replicas(target string, list []Endpoint) []Replica {
	times := map[string]int{}
	for _, e := range list {
		times[calledBy(target, e.Name, e.Address)]++
	}
	use := usable(list)
	out := make([]Replica, len(list))
	for i, e := range list {
		called := calledBy(target, e.Name, e.Address)
		if times[called] > 1 {
			called = calledBy(target, e.Address+"-"+short(e.Address), "")
		}
		out[i] = Replica{e, target, called, use[i]}
	}
	return out
}

// calledBy is TARGET/NAME, from the address when there is no name.
func calledBy(target, name, address string) string {
	text := name
	if text == "" {
		text = strings.NewReplacer(".", "-", "[", "", "]", "").Replace(address)
	}
	plain := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}, text)
	if room := longestName - len(target) - 1; len(plain) > room {
		plain = plain[:max(0, room-9)] + "-" + short(text)
	}
	return target + "/" + plain
}

func short(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}
