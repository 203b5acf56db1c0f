package dialect

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tailplane/internal/wire"
)

// respTree is a JSON value of which only the order of members does not count:
// numbers keep their spelling.
func respTree(t *testing.T, raw []byte) any {
	t.Helper()
	if o, err := openObject(raw, nil); err == nil {
		tree := map[string]any{}
		for _, m := range o.members {
			tree[m.name] = respTree(t, m.value)
		}
		return tree
	}
	if len(raw) > 0 && raw[0] == '[' {
		list := []any{}
		for _, el := range elements(raw) {
			list = append(list, respTree(t, el))
		}
		return list
	}
	if s, ok := wire.String(raw); ok {
		return s
	}
	return "raw " + string(raw)
}

func respSame(t *testing.T, got, want []byte) {
	t.Helper()
	var none [1]wire.Member
	if _, err := wire.Scan(got, nil, none[:]); err != nil {
		t.Fatalf("what was written is not JSON: %v\n%s", err, got)
	}
	if diff := cmp.Diff(respTree(t, want), respTree(t, got)); diff != "" {
		t.Errorf("the round trip changed the JSON (-want +got):\n%s", diff)
	}
}
