//go:build race

package dialect_test

// corpusShare: one in so many recordings is looked at. Codecs share nothing, so the race detector learns little from the
// recordings, and takes ten times as long over them.
const corpusShare = 8
