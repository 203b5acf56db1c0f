package app

import (
	"math"
	"os"
	"strconv"
	"strings"
)

// MemoryLimit is the soft limit for the garbage collector: nine tenths of what
// the container may use, unless GOMEMLIMIT says otherwise; none where nothing
// limits us. In bytes, as debug.SetMemoryLimit takes it; negative keeps what is
// set.
func MemoryLimit() int64 {
	if os.Getenv("GOMEMLIMIT") != "" {
		return -1
	}
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64); err == nil && n > 0 && n < 1<<50 {
			return n / 10 * 9
		}
	}
	return math.MaxInt64
}

// ballastSize is what the heap may grow by, in garbage, between two collections
// even when little of it lives.
const ballastSize = 16 << 20

// Ballast is a piece of heap that is never touched, so it takes no memory, but
// the garbage collector counts it. A gateway that is not holding much lives in
// one or two megabytes: without ballast it would collect at every four, which
// under load is twenty times a second, and each time what is pooled is lost as
// well. The caller keeps it alive for as long as the program runs.
func Ballast() []byte { return make([]byte, ballastSize) }
