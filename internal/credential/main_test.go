package credential

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain sees that no fetch outlives its time.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
