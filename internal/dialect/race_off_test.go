//go:build !race

package dialect_test

const corpusShare = 1
