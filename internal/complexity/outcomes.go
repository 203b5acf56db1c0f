package complexity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Outcomes is the log of outcomes: a directory of files that are only appended
// to. It is bounded by removing the oldest file. It is safe for concurrent use
// by one process; a line that a crash cut off is removed when it is opened, and
// what the system had not written by then is lost: outcomes are no money.
type Outcomes struct {
	set  Bounds
	seed uint64

	mu      sync.Mutex
	root    *os.Root
	file    *os.File
	numbers []int // of the files, oldest first
	size    int64 // of the newest
	stats   Stats
}

// Bounds are how large a log gets.
type Bounds struct {
	FileBytes int64 // after which a new file is begun
	Files     int   // that are kept
}

// DefaultBounds hold about half a million outcomes of prompts of 500 bytes.
func DefaultBounds() Bounds { return Bounds{FileBytes: 32 << 20, Files: 16} }

// Stats is what became of outcomes since the log was opened.
type Stats struct {
	Added   int64 // outcomes
	Failed  int64 // outcomes that could not be written
	Removed int64 // files that made room
	Torn    int64 // bytes of a line that a crash cut off
}

const (
	logPrefix = "outcomes-"
	logSuffix = ".jsonl"
)

// OpenOutcomes opens a log, or makes one: seed is then that of its hashes, a
// secret number by chance. A log that is there keeps its own.
func OpenOutcomes(dir string, set Bounds, seed uint64) (*Outcomes, error) {
	fail := func(err error) (*Outcomes, error) { return nil, fmt.Errorf("outcomes in %s: %w", dir, err) }
	if set.FileBytes <= 0 || set.Files <= 0 {
		return fail(errors.New("a log holds at least one byte and one file"))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fail(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fail(err)
	}
	o := &Outcomes{set: set, root: root, seed: seed}
	if err := o.find(); err != nil {
		return fail(errors.Join(err, root.Close()))
	}
	return o, nil
}

// find looks for files, and goes on with the newest.
func (o *Outcomes) find() error {
	names, err := fs.Glob(o.root.FS(), logPrefix+"*"+logSuffix)
	if err != nil {
		return err
	}
	for _, name := range names {
		if n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(name, logPrefix), logSuffix)); err == nil && n > 0 {
			o.numbers = append(o.numbers, n)
		}
	}
	slices.Sort(o.numbers)
	if len(o.numbers) == 0 {
		return o.begin(1)
	}
	newest := o.numbers[len(o.numbers)-1]
	if o.file, err = o.root.OpenFile(logName(newest), os.O_RDWR, 0o600); err != nil {
		return err
	}
	whole, head, err := wholeLines(o.file)
	if err != nil {
		return errors.Join(err, o.file.Close())
	}
	if head == nil { // the crash came before the first line was there
		o.numbers = o.numbers[:len(o.numbers)-1]
		return errors.Join(o.file.Close(), o.inherit(), o.begin(newest))
	}
	if o.seed, err = parseHead(head); err != nil {
		return errors.Join(err, o.file.Close())
	}
	return o.mend(whole)
}

// inherit takes the seed of the newest file that has a first line.
func (o *Outcomes) inherit() error {
	if len(o.numbers) == 0 {
		return nil
	}
	f, err := o.root.Open(logName(o.numbers[len(o.numbers)-1]))
	if err != nil {
		return err
	}
	defer f.Close()
	_, head, err := wholeLines(f)
	if err != nil {
		return err
	}
	o.seed, err = parseHead(head)
	return err
}

// mend cuts off what follows the last whole line.
func (o *Outcomes) mend(whole int64) error {
	end, err := o.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	o.stats.Torn, o.size = end-whole, whole
	if err := o.file.Truncate(whole); err != nil {
		return err
	}
	_, err = o.file.Seek(whole, io.SeekStart)
	return err
}

// wholeLines is how many bytes of a file are whole lines, and the first of them.
func wholeLines(f *os.File) (whole int64, head []byte, err error) {
	at := int64(0)
	buf := make([]byte, mostLine)
	for {
		n, err := f.ReadAt(buf, at)
		if i := bytes.IndexByte(buf[:n], '\n'); at == 0 && i >= 0 {
			head = slices.Clone(buf[:i])
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			whole = at + int64(i) + 1
		}
		at += int64(n)
		if errors.Is(err, io.EOF) {
			return whole, head, nil
		}
		if err != nil {
			return 0, nil, err
		}
	}
}

func logName(n int) string { return fmt.Sprintf("%s%08d%s", logPrefix, n, logSuffix) }

// begin makes a file and removes those that are too many.
func (o *Outcomes) begin(n int) error {
	f, err := o.root.OpenFile(logName(n), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	head, err := json.Marshal(logHead{logVersion, strconv.FormatUint(o.seed, 16)})
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if _, err := f.Write(append(head, '\n')); err != nil {
		return errors.Join(err, f.Close(), o.root.Remove(logName(n)))
	}
	o.file, o.size = f, int64(len(head)+1)
	o.numbers = append(o.numbers, n)
	for len(o.numbers) > o.set.Files {
		if err := o.root.Remove(logName(o.numbers[0])); err != nil && !errors.Is(err, fs.ErrNotExist) {
			break // the next file tries again
		}
		o.numbers = o.numbers[1:]
		o.stats.Removed++
	}
	return nil
}

// Seed is that of the hashes: vectors of outcomes are made under it.
func (o *Outcomes) Seed() uint64 { return o.seed }

// Add appends an outcome. After an error the log is as it was before.
func (o *Outcomes) Add(out Outcome) error {
	if err := out.Valid(); err != nil {
		return fmt.Errorf("outcome: %w", err)
	}
	line, err := out.line()
	if err != nil {
		return fmt.Errorf("outcome: %w", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.write(line); err != nil {
		o.stats.Failed++
		return fmt.Errorf("outcome: %w", err)
	}
	o.stats.Added++
	return nil
}

func (o *Outcomes) write(line []byte) error {
	if o.size+int64(len(line)) > o.set.FileBytes {
		old := o.file
		if err := o.begin(o.numbers[len(o.numbers)-1] + 1); err != nil {
			return err
		}
		_ = old.Close() // what was written is read from the disk, or is not there
	}
	if _, err := o.file.WriteAt(line, o.size); err != nil {
		return errors.Join(err, o.file.Truncate(o.size))
	}
	o.size += int64(len(line))
	return nil
}

// Stats tells what became of outcomes.
func (o *Outcomes) Stats() Stats {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.stats
}

// Close writes everything to the disk.
func (o *Outcomes) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return errors.Join(o.file.Sync(), o.file.Close(), o.root.Close())
}
