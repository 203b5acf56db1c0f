//go:build race

package policy

// raceDetector says that everything takes ten times as long.
const raceDetector = true
