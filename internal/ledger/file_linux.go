package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

func allocate(f *os.File, size int) error {
	err := syscall.Fallocate(int(f.Fd()), 0, 0, int64(size))
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		return writeZeros(f, size)
	}
	return err
}

func mapShared(f *os.File, size int) ([]byte, bool, error) {
	data, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	return data, true, err
}

func unmap(data []byte) error { return syscall.Munmap(data) }

// forget takes pages of a mapped file out of the page table. What was stored to them
// is in the page cache. It only saves time, so its failure is none.
func forget(pages []byte) { _ = syscall.Madvise(pages, syscall.MADV_DONTNEED) }

// lockDir takes the journal's directory for this process; closing the file, or
// the death of the process, gives it back.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("journal %s is in use by another process: stop it or choose another ledger.dir: %w", dir, err), f.Close())
	}
	return f, nil
}
