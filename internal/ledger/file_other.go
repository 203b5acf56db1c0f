//go:build !linux

package ledger

import (
	"os"
	"path/filepath"
)

// Here a segment is plain memory and put writes through to the file. Nothing
// keeps two processes off the same directory. On Windows, which does not rename
// an open file, only a journal in memory works.

func allocate(f *os.File, size int) error { return writeZeros(f, size) }

func mapShared(_ *os.File, size int) ([]byte, bool, error) {
	return make([]byte, size), false, nil
}

func unmap([]byte) error { return nil }

func forget([]byte) {}

func lockDir(dir string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
}
