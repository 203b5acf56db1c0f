//go:build linux

// Command spin is the known cost of the benchmark's control: for every byte
// that comes on standard input it burns -burn of its own CPU time, no more and
// no less, on the core it was pinned to. It does nothing else.
package main

import (
	"flag"
	"os"
	"runtime"
	"time"

	"tailplane/bench/internal/sock"
)

func main() {
	burn := flag.Duration("burn", 500*time.Microsecond, "CPU time to spend for each byte")
	flag.Parse()
	runtime.LockOSThread()
	runtime.GOMAXPROCS(1)
	in := make([]byte, 256)
	paid, owed := sock.ThreadCPU(), int64(0)
	for {
		n, err := os.Stdin.Read(in)
		if err != nil || n == 0 {
			return
		}
		// What reading costs is part of the sum, so that it is exact.
		owed += int64(n) * int64(*burn)
		for sock.ThreadCPU()-paid < owed {
		}
	}
}
