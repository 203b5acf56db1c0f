//go:build race

package queue_test

// raceDetector says that everything takes ten times as long.
const raceDetector = true
