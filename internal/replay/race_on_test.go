//go:build race

package replay

// raceDetector says that everything takes ten times as long.
const raceDetector = true
