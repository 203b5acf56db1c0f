//go:build race

package prefix_test

// raceDetector says that everything takes ten times as long.
const raceDetector = true
