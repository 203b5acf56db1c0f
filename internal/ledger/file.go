package ledger

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// segmentFile is the memory of a segment that is being written, and the file
// under it. Where the platform can map files (file_linux.go) a store to the
// memory is a store to the file: it is in the page cache at once, without a
// system call, and stays there when the process is killed. Elsewhere
// (file_other.go) put also writes to the file. A segment of an ephemeral
// journal has no file.
//
// All blocks are allocated when the file is made: a full disk is an error then,
// and never the SIGBUS that a store to an unallocated page would be.
type segmentFile struct {
	data   []byte
	mapped bool

	mu   sync.Mutex // held while the file is synced or closed
	file *os.File
	left int   // bytes whose pages were left; see leave
	bad  error // of seal
}

// createSegmentFile makes a new file of size bytes, all zero and allocated.
// With an empty path it is memory only.
func createSegmentFile(path string, size int) (*segmentFile, error) {
	if path == "" {
		return &segmentFile{data: make([]byte, size)}, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create journal segment: %w", err)
	}
	s := &segmentFile{file: f}
	if err = allocate(f, size); err == nil {
		s.data, s.mapped, err = mapShared(f, size)
	}
	if err == nil {
		// The first touch makes the kernel read the file ahead, for milliseconds.
		// Here nobody waits for it who holds the journal's lock.
		s.data[0] = 0
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("allocate %d bytes for journal segment %s: %w", size, path, err), f.Close(), os.Remove(path))
	}
	return s, nil
}

// put stores b at off. The bytes survive the death of the process when it
// returns.
func (s *segmentFile) put(off int, b []byte) error {
	if s.file != nil && !s.mapped {
		if _, err := s.file.WriteAt(b, int64(off)); err != nil {
			return fmt.Errorf("write journal segment: %w", err)
		}
	}
	copy(s.data[off:], b)
	return nil
}

// sync makes what was put so far survive a loss of power.
func (s *segmentFile) sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return s.bad
	}
	return s.file.Sync()
}

// leave says that nothing before used will be put again. The whole pages there leave the
// page table in one go; else the next sync protects them against writing, one by one and
// each with an interrupt to the other processors. Who reads them maps many at a time.
func (s *segmentFile) leave(used int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := used &^ (os.Getpagesize() - 1)
	if s.mapped && end > s.left {
		forget(s.data[s.left:end])
		s.left = end
	}
}

// seal cuts the file to used bytes, makes it durable and closes it. The memory
// stays readable up to used, and only up to there, until release. One that failed
// fails again: nobody knows what is on the disk.
func (s *segmentFile) seal(used int) error {
	s.leave(used)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return s.bad
	}
	s.bad = errors.Join(s.file.Truncate(int64(used)), s.file.Sync(), s.file.Close())
	s.file = nil
	return s.bad
}

// release gives the memory back; the segment's bytes must not be touched after.
func (s *segmentFile) release() error {
	data := s.data
	s.data = nil
	if data == nil || !s.mapped {
		return nil
	}
	return unmap(data)
}

// writeZeros allocates by writing where the file system cannot reserve blocks.
func writeZeros(f *os.File, size int) error {
	zeros := make([]byte, 1<<16)
	for off := 0; off < size; off += len(zeros) {
		if _, err := f.WriteAt(zeros[:min(len(zeros), size-off)], int64(off)); err != nil {
			return err
		}
	}
	return nil
}

// syncDir makes the names in a directory survive a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
