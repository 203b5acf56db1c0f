package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Recovery is what OpenJournal found in the directory.
type Recovery struct {
	Segments  int      // that were read; older ones hold nothing that is still needed
	Records   int      // in them
	Undrained uint64   // settled records that the store does not have yet
	Unknown   []string // ids that were admitted and never settled as far as is known, now settled as unknown
	Torn      []*Tear  // where reading had to stop; at the very end after a power loss
	Breaks    []string // other places where the chain does not hold
}

// Damage says, of each place where the journal is not as it was written, where and
// how.
func (r Recovery) Damage() []string {
	var out []string
	for _, t := range r.Torn {
		out = append(out, t.Error())
	}
	return append(out, r.Breaks...)
}

// OpenJournal opens the journal in o.Dir, or makes one, and recovers it: what a
// dead process left open is settled with OutcomeUnknown before it returns. It
// never changes a record that is there; what follows a tear is moved into a file
// beside its segment, since there may be records in it, and reported in
// [Journal.Recovered]. Records are made durable and drained once Run runs.
func OpenJournal(o JournalOptions) (*Journal, error) {
	j := &Journal{
		opt:     o.withDefaults(),
		drain:   make(chan struct{}, 1),
		wake:    make(chan struct{}, 1),
		rotated: make(chan struct{}, 1),
		full:    make(chan struct{}, 1),
		create:  createSegmentFile,
	}
	j.records, _ = j.opt.Store.(recordStore)
	j.bufs.New = func() any { return new(make([]byte, frameSize, 4<<10)) }
	if err := j.open(); err != nil {
		if j.lock != nil {
			err = errors.Join(err, j.lock.Close())
		}
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return j, nil
}

// Free says, by its error, whether another process has the journal in dir open. It is for
// who has something to do before [OpenJournal] that a running one would not bear.
func Free(dir string) error {
	lock, err := lockDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	return lock.Close()
}

// open reads the directory and begins a new segment after what it found.
func (j *Journal) open() error {
	var r recoverer
	if j.opt.Dir != "" {
		if err := os.MkdirAll(j.opt.Dir, 0o700); err != nil {
			return err
		}
		var err error
		if j.lock, err = lockDir(j.opt.Dir); err != nil {
			return err
		}
		if err := removeSpares(j.opt.Dir); err != nil {
			return err
		}
	}
	// Behind the lock: who had it before may have drained until it gave it up.
	pos, err := j.opt.Store.Position(context.Background())
	if err != nil {
		return fmt.Errorf("read the store's position: %w", err)
	}
	j.pos, j.drains = pos, pos
	if j.opt.Dir != "" {
		if r, err = recoverDir(j.opt.Dir, j.pos); err != nil {
			return err
		}
	}
	j.old, j.link, j.recovered = r.segments, r.link, r.found
	if err := j.begin(max(r.last, j.pos.Segment)); err != nil {
		return err
	}
	for _, ex := range r.unknown() {
		if _, err := j.record(kindSettled, ex); err != nil { // they are synced together
			return errors.Join(fmt.Errorf("settle recovered exchange %s: %w", ex.ID, err), j.abandon())
		}
		if !j.stored(ex.ID) {
			j.recovered.Unknown = append(j.recovered.Unknown, ex.ID)
		}
	}
	if err := j.sync(); err != nil {
		return errors.Join(err, j.abandon())
	}
	return nil
}

// stored reports whether the store has an exchange already. What a tear took away may
// have been drained before; the store then keeps what it has.
func (j *Journal) stored(id string) bool {
	r, ok := j.opt.Store.(Reader)
	if !ok || len(j.recovered.Torn) == 0 {
		return false
	}
	_, err := r.Get(context.Background(), id)
	return err == nil
}

// begin makes the segment after last the current one, whatever MaxBytes says: a
// journal that is full of what the store has not taken must still open.
func (j *Journal) begin(last uint64) error {
	path := ""
	if j.opt.Dir != "" {
		path = filepath.Join(j.opt.Dir, "spare-0.tmp")
	}
	var err error
	if j.spare, err = j.makeSpare(path); err != nil {
		return err
	}
	// rotate puts the current segment at the end of old; here there is none.
	j.cur = &segment{seq: last}
	if err := j.rotate(time.Now()); err != nil {
		return err
	}
	j.old = j.old[:len(j.old)-1]
	return nil
}

// abandon gives back the memory of an opening that failed.
func (j *Journal) abandon() error {
	return errors.Join(j.cur.mem.seal(j.cur.used), j.cur.mem.release())
}

// removeSpares removes segments that were prepared and never used.
func removeSpares(dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "spare-*.tmp"))
	for _, p := range paths {
		err = errors.Join(err, os.Remove(p))
	}
	return err
}

// recoverer collects what the segments of a directory hold.
type recoverer struct {
	found    Recovery
	segments []*segment
	link     Link // after the last record
	chained  bool // link is known
	last     uint64
	open     map[string]opened
	next     int // order of admission
}

type opened struct {
	order   int
	segment uint64
	payload []byte
}

// recoverDir reads the segments that may hold an open exchange or a settled one
// that the store, being at pos, does not have.
func recoverDir(dir string, pos Position) (recoverer, error) {
	r := recoverer{open: map[string]opened{}}
	paths, err := segmentPaths(dir)
	if err != nil {
		return r, err
	}
	from := firstNeeded(paths, pos)
	for i, path := range paths {
		seq, _ := segmentSeq(path)
		r.missing(max(r.last, pos.Segment), seq)
		r.last = seq
		if seq < from && i < len(paths)-1 {
			if err := r.keep(path, seq); err != nil {
				return r, err
			}
			continue
		}
		if err := r.read(path, seq, pos); err != nil {
			return r, err
		}
	}
	for _, s := range r.segments {
		for _, o := range r.open {
			if o.segment == s.seq {
				s.open++
			}
		}
	}
	return r, nil
}

// missing tells of segments between one that was there, or that the store has come to,
// and the next: the journal removes none that the store has not had.
func (r *recoverer) missing(before, next uint64) {
	if before == 0 || next <= before+1 {
		return
	}
	which := fmt.Sprintf("segments %d to %d are", before+1, next-1)
	if next == before+2 {
		which = fmt.Sprintf("segment %d is", before+1)
	}
	r.found.Breaks = append(r.found.Breaks, which+" missing, and the store does not have what was in there")
	r.chained = false // the next one follows one that is not there
}

// firstNeeded is the oldest segment whose records matter: the last segment's
// floor, or the one at the store's position if that has more.
func firstNeeded(paths []string, pos Position) uint64 {
	if len(paths) == 0 || pos.Segment == 0 {
		return 0
	}
	h, err := headerOf(paths[len(paths)-1])
	if err != nil {
		return 0
	}
	next := pos.Segment
	at := filepath.Join(filepath.Dir(paths[0]), segmentName(pos.Segment))
	if info, err := os.Stat(at); err == nil && info.Size() <= pos.Offset {
		next++
	}
	return min(h.floor, next)
}

// keep lists a segment without reading its records.
func (r *recoverer) keep(path string, seq uint64) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	r.segments = append(r.segments, &segment{seq: seq, path: path, created: info.ModTime(), used: int(info.Size()), sealed: true})
	return nil
}

// read reads a segment, and cuts off what is not a record and what follows a tear.
func (r *recoverer) read(path string, seq uint64, pos Position) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	r.found.Segments++
	h, err := readHeader(data)
	if err != nil || h.seq != seq {
		// The file stays as it is, for a person to look at.
		r.found.Torn = append(r.found.Torn, &Tear{Segment: seq, Bytes: len(data), Reason: "header"})
		r.chained = false
		return nil
	}
	if r.chained && h.link != r.link {
		r.found.Breaks = append(r.found.Breaks, fmt.Sprintf("segment %d does not follow the segment before it", seq))
	}
	sc := h.scan(data)
	if torn := r.records(&sc, seq, pos); torn {
		if err := setAside(path, data, sc.off); err != nil {
			return err
		}
	}
	r.link, r.chained = sc.link, true
	r.segments = append(r.segments, &segment{seq: seq, path: path, created: h.created, used: sc.off, sealed: true})
	if sc.off >= len(data) {
		return nil
	}
	if err := os.Truncate(path, int64(sc.off)); err != nil {
		return fmt.Errorf("cut the end off a journal segment: %w", err)
	}
	return nil
}

// setAside keeps what a segment has from off on in a file of its own, for a person to
// look at. Its name is none of a segment.
func setAside(path string, data []byte, off int) error {
	rest := bytes.TrimRight(data[off:], "\x00")
	if err := os.WriteFile(fmt.Sprintf("%s.%d.torn", path, off), rest, 0o600); err != nil {
		return fmt.Errorf("set the torn end of a journal segment aside: %w", err)
	}
	return nil
}

// records takes in the records of a segment, and says whether a tear ended them.
func (r *recoverer) records(sc *scanner, seq uint64, pos Position) (torn bool) {
	for {
		rec, err := sc.next()
		if err == io.EOF {
			return false
		}
		if tear, ok := errors.AsType[*Tear](err); ok {
			tear.Segment = seq
			r.found.Torn = append(r.found.Torn, tear)
			return true
		}
		r.found.Records++
		id, err := payloadID(rec.payload)
		if err != nil {
			r.found.Breaks = append(r.found.Breaks, fmt.Sprintf("segment %d, record before byte %d: %v", seq, rec.end, err))
		} else if rec.kind == kindOpen {
			r.next++
			r.open[id] = opened{order: r.next, segment: seq, payload: slices.Clone(rec.payload)}
		}
		if rec.kind != kindSettled {
			continue
		}
		delete(r.open, id)
		if pos.Before(Position{Segment: seq, Offset: int64(rec.end)}) {
			r.found.Undrained++
		}
	}
}

// unknown returns the exchanges that were never settled, in order of admission.
func (r *recoverer) unknown() []*Exchange {
	left := make([]opened, 0, len(r.open))
	for _, o := range r.open {
		left = append(left, o)
	}
	slices.SortFunc(left, func(a, b opened) int { return a.order - b.order })
	var out []*Exchange
	for _, o := range left {
		ex, err := decodeExchange(o.payload)
		if err != nil {
			continue // payloadID has read it; only its id is known
		}
		ex.Admission = o.segment
		ex.Outcome, ex.PriceStatus = OutcomeUnknown, Unpriced
		ex.Message = "the gateway's process ended before this exchange did; what it cost is not known"
		out = append(out, ex)
	}
	return out
}

// segmentPaths lists the segments of a directory, oldest first.
func segmentPaths(dir string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "segment-*.tpl"))
	if err != nil {
		return nil, err
	}
	paths = slices.DeleteFunc(paths, func(p string) bool {
		_, ok := segmentSeq(p)
		return !ok
	})
	slices.Sort(paths)
	return paths, nil
}

func headerOf(path string) (header, error) {
	f, err := os.Open(path)
	if err != nil {
		return header{}, err
	}
	defer f.Close()
	var b [headerSize]byte
	if _, err := io.ReadFull(f, b[:]); err != nil {
		return header{}, errHeader
	}
	return readHeader(b[:])
}
