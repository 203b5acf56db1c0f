package ledger

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// JournalOptions is how a journal is opened. Zero members take the default.
type JournalOptions struct {
	// Dir holds the segment files; it is created. Empty keeps the journal in
	// memory: it then holds what the store has not taken yet and nothing else.
	Dir string
	// SegmentBytes is the size of a segment file; default 8 MiB (1 MiB in
	// memory), which is read in about 20 ms at the next start. It also bounds a
	// single record.
	SegmentBytes int64
	// MaxBytes bounds all segments together; default 4 GiB (64 MiB in memory).
	// Drained segments are removed before their retention to stay under it;
	// when the rest alone exceeds it, new records are refused.
	MaxBytes int64
	// Sync is how often Run makes records durable against a loss of power and
	// drains them into the store; default 1 s. It drains sooner when a batch of
	// 4096 exchanges is waiting, and takes its time over more.
	Sync time.Duration
	// Retention is how long a drained segment is kept; default 7 days. Zero
	// takes the default, a negative one removes it at once.
	Retention time.Duration
	// Strict makes Admit and Settle return when the record is safe from the loss
	// of power, too: those who wait at the same time share one sync. It costs each
	// of them the time that the disk takes for one.
	Strict bool
	// Store takes the settled exchanges. Nil is a Memory of the default size.
	Store Store
	// Told is called by Run with the error when it begins to fail, and with nil when
	// all goes well again. It must not wait. Nil is nobody.
	Told func(error)
}

func (o JournalOptions) withDefaults() JournalOptions {
	segment, limit := int64(8<<20), int64(4<<30)
	if o.Dir == "" {
		segment, limit = 1<<20, 64<<20
		o.Retention = -1
	}
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = segment
	}
	o.SegmentBytes = max(o.SegmentBytes, 4<<10)
	if o.MaxBytes <= 0 {
		o.MaxBytes = limit
	}
	o.MaxBytes = max(o.MaxBytes, 3*o.SegmentBytes)
	if o.Sync <= 0 {
		o.Sync = time.Second
	}
	if o.Retention == 0 {
		o.Retention = 7 * 24 * time.Hour
	}
	if o.Store == nil {
		o.Store = NewMemory(0)
	}
	return o
}

// The errors of Admit and Settle. A record that met one of them is not in the
// journal, but for ErrNotSynced: the exchange goes on, and [Stats.Lost] counts it.
var (
	ErrClosed   = errors.New("the journal is closed")
	ErrFull     = errors.New("the journal has reached its max_bytes because the store does not keep up: mend the store or raise ledger.max_bytes")
	ErrTooLarge = errors.New("the record is larger than a journal segment")
	// ErrNotSynced is of a strict journal: the record is there, as it would be in
	// one that is not strict. [Stats.Unsynced] counts it.
	ErrNotSynced = errors.New("the disk did not take the journal's record for good: look for what is wrong with it")
)

// segment is one file of the journal and what is known about it. Its fields are
// guarded by Journal.mu; data up to used never changes again.
type segment struct {
	seq     uint64
	path    string // empty in memory
	created time.Time
	used    int // bytes that hold the header and records
	open    int // exchanges admitted here and not settled
	mem     *segmentFile
	sealed  bool // cut, durable and closed
}

// spare is an allocated segment that has no number and no header yet.
type spare struct {
	mem  *segmentFile
	path string // empty in memory
}

// remove gives memory and file back; the file may be gone already.
func (s *spare) remove() error {
	errs := []error{s.mem.seal(0), s.mem.release()}
	if s.path != "" {
		if err := os.Remove(s.path); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Journal is the durable list of what was admitted and settled. Admit, Settle,
// Flush and Stats are safe for concurrent use; Run is called once.
type Journal struct {
	opt       JournalOptions
	recovered Recovery
	lock      *os.File
	bufs      sync.Pool     // *[]byte, for encoding outside the lock
	records   recordStore   // opt.Store, where it takes records; else nil
	drain     chan struct{} // holds one token; its holder owns pos
	pos       Position      // up to where the store has everything
	batch     recordBatch   // used again by each drain; so is what follows
	loaded    loaded
	synced    time.Time     // last sync; Run's own
	nextTidy  time.Time     // when the store may tidy up; Run's own
	failing   bool          // Told knows; Run's own
	dirty     atomic.Bool   // records were appended since Run last looked
	wake      chan struct{} // size 1: dirty became true
	rotated   chan struct{} // size 1: the spare segment was used
	full      chan struct{} // size 1: a batch for the store is waiting
	commits   commits       // of a strict journal

	// create makes the memory of a segment; a test replaces it.
	create func(path string, size int) (*segmentFile, error)

	mu     sync.Mutex
	link   Link
	cur    *segment
	spare  *spare     // what becomes the next segment
	old    []*segment // before cur, oldest first
	drains Position   // copy of pos for those who do not hold the token
	broken error      // why there is no segment to write to; Run tries again
	named  bool       // a segment got its name since the directory was synced
	made   int        // spares so far, for their names
	closed bool
	stats  Stats
	fresh  stretches // only for a store that takes records
}

// Stats counts what the journal did since it was opened.
type Stats struct {
	Admitted uint64 // admissions recorded
	Settled  uint64 // settlements recorded, the recovered ones included
	Lost     uint64 // admissions and settlements that could not be recorded
	Unsynced uint64 // those that were recorded, and may not survive the loss of power though the journal is strict
	Drained  uint64 // settlements that the store has
	Unread   uint64 // settlements that were passed over because they do not decode
	Open     int    // admitted and not settled
	Lag      uint64 // settled and not yet in the store
	Segments int    // kept, the current one included
	Bytes    int64  // that they take
	Err      error  // of the last write, sync or drain; nil when it went well
}

// Admit records that an exchange began, and notes in ex where. When it returns
// nil, the record survives the death of the process, and the loss of power where
// the journal is strict. Every admitted exchange must be settled once.
func (j *Journal) Admit(ex *Exchange) error {
	seq, err := j.append(kindOpen, ex)
	ex.Admission = seq
	return err
}

// Settle records the whole exchange; the journal keeps no reference to it. When
// it returns nil, the record survives what an admission does, and will be in the
// store exactly once.
func (j *Journal) Settle(ex *Exchange) error {
	_, err := j.append(kindSettled, ex)
	return err
}

// append returns the segment that the record is in; zero when it is in none.
func (j *Journal) append(kind byte, ex *Exchange) (uint64, error) {
	pos, err := j.record(kind, ex)
	if err == nil && j.opt.Strict {
		err = j.commit(pos)
	}
	return pos.Segment, err
}

// record appends a record and returns where it ends.
func (j *Journal) record(kind byte, ex *Exchange) (Position, error) {
	buf := j.bufs.Get().(*[]byte)
	rec := (*buf)[:frameSize]
	var sum [sha256.Size]byte
	if kind == kindOpen {
		rec = appendOpen(rec, ex)
	} else {
		rec = appendExchange(rec, ex)
		sum = sha256.Sum256(rec[frameSize:])
	}
	pos, err := j.write(kind, rec, &sum, ex)
	*buf = rec
	j.bufs.Put(buf)
	if !j.dirty.Load() && j.dirty.CompareAndSwap(false, true) {
		notify(j.wake)
	}
	return pos, err
}

// write appends a record, and returns where it ends. The hash is that of a settled
// record's payload.
func (j *Journal) write(kind byte, rec []byte, sum *[sha256.Size]byte, ex *Exchange) (Position, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.room(len(rec)); err != nil {
		j.stats.Lost++
		j.stats.Err = err
		return Position{}, err
	}
	link := sealRecord(rec, kind, sum, j.link)
	// The payload first, the frame last: a process killed in between leaves a
	// frame of zeros, which is a clean end.
	off := j.cur.used
	err := j.cur.mem.put(off+frameSize, rec[frameSize:])
	if err == nil {
		err = j.cur.mem.put(off, rec[:frameSize])
	}
	if err != nil {
		j.stats.Lost++
		j.stats.Err = err
		return Position{}, err
	}
	j.link = link
	j.cur.used = off + align(len(rec))
	j.count(kind, off, digest(sum[:]), ex)
	return Position{Segment: j.cur.seq, Offset: int64(j.cur.used)}, nil
}

func (j *Journal) count(kind byte, off int, d digest, ex *Exchange) {
	if kind == kindOpen {
		j.fresh.wrote(j.cur.seq, int64(j.cur.used))
		j.stats.Admitted++
		j.stats.Open++
		j.cur.open++
		return
	}
	if j.records != nil {
		j.fresh.add(j.cur.seq, int64(off), d, ex)
		j.fresh.wrote(j.cur.seq, int64(j.cur.used))
	}
	j.stats.Settled++
	if j.lag()%drainBatch == 0 {
		notify(j.full)
	}
	if s := j.segment(ex.Admission); s != nil && s.open > 0 {
		s.open--
		j.stats.Open--
	}
}

// segment finds a segment by number; nil when it is gone.
func (j *Journal) segment(seq uint64) *segment {
	if seq == j.cur.seq {
		return j.cur
	}
	i, ok := slices.BinarySearchFunc(j.old, seq, func(s *segment, seq uint64) int {
		return int(int64(s.seq) - int64(seq))
	})
	if !ok {
		return nil
	}
	return j.old[i]
}

// room makes sure that the current segment has space for n bytes.
func (j *Journal) room(n int) error {
	switch {
	case j.closed:
		return ErrClosed
	case align(n) > int(j.opt.SegmentBytes)-headerSize:
		return ErrTooLarge
	case j.cur.used+align(n) <= len(j.cur.mem.data):
		return nil
	case j.broken != nil:
		return j.broken
	}
	if err := j.rotate(time.Now()); err != nil {
		j.broken = err
		return err
	}
	notify(j.rotated)
	return nil
}

// rotate makes the spare segment the current one, and the spare first where Run
// has not done that yet.
func (j *Journal) rotate(now time.Time) error {
	if j.spare == nil {
		path, err := j.planSpare()
		if err != nil {
			return err
		}
		if j.spare, err = j.makeSpare(path); err != nil {
			return err
		}
	}
	next := &segment{seq: j.cur.seq + 1, created: now, used: headerSize, mem: j.spare.mem, path: j.path(j.cur.seq + 1)}
	h := header{seq: next.seq, floor: j.floor(), created: now, link: j.link}
	var b [headerSize]byte
	h.put(b[:])
	if err := next.mem.put(0, b[:]); err != nil {
		return err
	}
	if next.path != "" {
		if err := os.Rename(j.spare.path, next.path); err != nil {
			return fmt.Errorf("name journal segment: %w", err)
		}
		j.named = true
	}
	j.old = append(j.old, j.cur)
	j.spare, j.cur = nil, next
	return nil
}

// floor is the oldest segment that a recovery has to read, as seen when the
// segment after the current one begins.
func (j *Journal) floor() uint64 {
	for _, s := range j.old {
		if s.open > 0 || !j.isDrained(s) {
			return s.seq
		}
	}
	if j.cur.open > 0 || !j.isDrained(j.cur) {
		return j.cur.seq
	}
	return j.cur.seq + 1
}

func (j *Journal) isDrained(s *segment) bool {
	return j.drains.Segment > s.seq || j.drains.Segment == s.seq && j.drains.Offset >= int64(s.used)
}

// planSpare makes sure that MaxBytes allows for another segment, and names it.
func (j *Journal) planSpare() (string, error) {
	for j.bytes()+2*j.opt.SegmentBytes > j.opt.MaxBytes {
		if !j.removeOldest() {
			return "", ErrFull
		}
	}
	if j.opt.Dir == "" {
		return "", nil
	}
	j.made++
	return filepath.Join(j.opt.Dir, fmt.Sprintf("spare-%d.tmp", j.made)), nil
}

// makeSpare allocates a segment under a name of its own. It needs no lock.
func (j *Journal) makeSpare(path string) (*spare, error) {
	mem, err := j.create(path, int(j.opt.SegmentBytes))
	if err != nil {
		return nil, err
	}
	return &spare{mem: mem, path: path}, nil
}

// bytes is what the segments before the current one take.
func (j *Journal) bytes() int64 {
	n := int64(0)
	for _, s := range j.old {
		n += int64(s.used)
	}
	return n
}

// removeOldest removes the oldest segment if nothing needs it any more.
func (j *Journal) removeOldest() bool {
	if len(j.old) == 0 || j.old[0].open > 0 || !j.isDrained(j.old[0]) || j.old[0].mem != nil {
		return false
	}
	if j.old[0].path != "" {
		if err := os.Remove(j.old[0].path); err != nil && !errors.Is(err, os.ErrNotExist) {
			j.stats.Err = fmt.Errorf("remove journal segment: %w", err)
			return false
		}
	}
	j.old = slices.Delete(j.old, 0, 1)
	return true
}

func (j *Journal) path(seq uint64) string {
	if j.opt.Dir == "" {
		return ""
	}
	return filepath.Join(j.opt.Dir, segmentName(seq))
}

// Recovered tells what OpenJournal found.
func (j *Journal) Recovered() Recovery { return j.recovered }

// Stats returns the counters now.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.stats
	s.Segments = len(j.old) + 1
	s.Bytes = j.bytes() + int64(j.cur.used)
	s.Lag = j.lag()
	return s
}

// lag is how many settled records the store does not have.
func (j *Journal) lag() uint64 {
	return j.stats.Settled + j.recovered.Undrained - j.stats.Drained - j.stats.Unread
}

// Close seals the journal; it does not drain. Call it after Run has returned.
// Admit and Settle fail with ErrClosed from then on. The store stays open.
func (j *Journal) Close() error {
	j.drain <- struct{}{}
	defer func() { <-j.drain }()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil
	}
	j.closed = true
	var errs []error
	for _, s := range append(slices.Clone(j.old), j.cur) {
		if s.mem != nil {
			errs = append(errs, s.mem.seal(s.used), s.mem.release())
			s.mem = nil
		}
	}
	if j.spare != nil {
		errs = append(errs, j.spare.remove())
	}
	if j.lock != nil {
		errs = append(errs, j.lock.Close())
	}
	return errors.Join(errs...)
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
