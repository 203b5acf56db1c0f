package upstream

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"tailplane/internal/h1"
	"tailplane/internal/llm"
)

// TestAConnectionThatFailsSaysWhatToDo: what an operator reads depends on how far
// the connection came.
func TestAConnectionThatFailsSaysWhatToDo(t *testing.T) {
	for want, err := range map[string]error{
		"nothing listens at a:1":      &h1.Error{Phase: h1.PhaseDial, Address: "a:1", Err: syscall.ECONNREFUSED},
		"a firewall, a route":         &h1.Error{Phase: h1.PhaseDial, Address: "a:1", Err: os.ErrDeadlineExceeded},
		"a:1 takes connections and":   &h1.Error{Phase: h1.PhaseTLS, Address: "a:1", Err: os.ErrDeadlineExceeded},
		"larger than 65536 bytes":     &h1.Error{Phase: h1.PhaseHead, Address: "a:1", Err: errTooLarge{}},
		"a:1: network is unreachable": &h1.Error{Phase: h1.PhaseDial, Address: "a:1", Err: syscall.ENETUNREACH},
	} {
		if f := Broken(err, llm.FaultFirstToken); !strings.Contains(f.Detail, want) {
			t.Errorf("%v: %q, want %q in it", err, f.Detail, want)
		}
	}
}

type errTooLarge struct{}

func (errTooLarge) Error() string { return "response head is larger than 65536 bytes" }
