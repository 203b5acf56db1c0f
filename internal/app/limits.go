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
