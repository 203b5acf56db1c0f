package dialect

import (
	"tailplane/internal/wire"
)

// Figures and words of usage objects, read without allocating.

// nested scans the object that is the value of m; false when there is none.
func nested(raw []byte, m wire.Member, names []string, at []wire.Member) bool {
	if m.IsZero() || raw[m.Value.Start] != '{' {
		return false
	}
	_, err := wire.ScanAt(raw, m.Value, names, at)
	return err == nil
}

// figure reads a token count; anything that is none counts as 0.
func figure(raw []byte, m wire.Member) int64 {
	if m.IsZero() {
		return 0
	}
	n, ok := wire.Int(m.Value.Of(raw))
	if !ok || n < 0 {
		return 0
	}
	return n
}

// longestTier bounds the words that are taken for a service tier.
const longestTier = 32

// tierWord reads the service tier that an answer names beside its usage; empty
// when it names none. The words that there are cost no memory.
func tierWord(raw []byte) string {
	if len(raw) < 3 || len(raw) > longestTier || raw[0] != '"' {
		return ""
	}
	switch string(raw[1 : len(raw)-1]) {
	case "default":
		return "default"
	case "standard":
		return "standard"
	case "auto":
		return "auto"
	case "flex":
		return "flex"
	case "priority":
		return "priority"
	case "batch":
		return "batch"
	case "scale":
		return "scale"
	case "on_demand":
		return "on_demand"
	case "ON_DEMAND":
		return "ON_DEMAND"
	case "PROVISIONED_THROUGHPUT":
		return "PROVISIONED_THROUGHPUT"
	}
	word, _ := wire.Unquote(raw)
	return word
}

// tokenCount reads a count of tokens; anything else is none.
func tokenCount(raw []byte) (int64, bool) {
	v, ok := wire.Int(raw)
	if !ok || v > maxWhole {
		return 0, false
	}
	return max(v, 0), true
}
