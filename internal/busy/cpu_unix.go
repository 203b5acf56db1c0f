//go:build unix

package busy

import (
	"syscall"
	"time"
)

// cpuTime is how much time of processors the process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // never busy
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
