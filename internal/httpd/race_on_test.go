//go:build race

package httpd

// raceEnabled says that sync.Pool drops items at random, as it does under the
// race detector, so that allocations cannot be counted.
const raceEnabled = true
