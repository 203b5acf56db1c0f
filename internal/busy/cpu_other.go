//go:build !unix

package busy

import "time"

// cpuTime is not known here: the process is never busy.
func cpuTime() time.Duration { return 0 }
