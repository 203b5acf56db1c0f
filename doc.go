// Package tailplane holds nothing but the tests of the house itself: see
// floors_test.go. The program is in cmd/tailplane, its parts in internal.
package tailplane
