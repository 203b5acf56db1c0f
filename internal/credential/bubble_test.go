package credential

import (
	"testing"
	"testing/synctest"
)

// inBubble runs a test whose time is virtual.
func inBubble(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

// settle waits until every goroutine of the bubble waits.
func settle() { synctest.Wait() }
