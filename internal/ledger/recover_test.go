package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tailplane/internal/llm"
)

// written makes a closed journal of n settled exchanges and one that is open,
// and returns its only segment.
func written(t testing.TB, n int) (path string, data []byte) {
	t.Helper()
	dir := t.TempDir()
	j, err := OpenJournal(JournalOptions{Dir: dir, SegmentBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		ex := typical(id(i))
		if err := errors.Join(j.Admit(ex), j.Settle(ex)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(j.Admit(typical("req_open")), j.Close()); err != nil {
		t.Fatal(err)
	}
	path = j.path(1)
	if data, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return path, data
}

// lastRecord returns where the last record begins, and how many there are.
func lastRecord(t testing.TB, data []byte) (off, n int) {
	t.Helper()
	h, err := readHeader(data)
	if err != nil {
		t.Fatal(err)
	}
	sc := h.scan(data)
	for {
		at := sc.off
		if _, err := sc.next(); err == io.EOF {
			return off, n
		} else if err != nil {
			t.Fatal(err)
		}
		off, n = at, n+1
	}
}

// count returns the records before the end or the first tear.
func countRecords(data []byte) (int, error) {
	h, err := readHeader(data)
	if err != nil {
		return 0, err
	}
	sc := h.scan(data)
	for n := 0; ; n++ {
		if _, err := sc.next(); err == io.EOF {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
}

func TestDamageAtAnyByteOfTheLastRecordIsFound(t *testing.T) {
	_, data := written(t, 3)
	off, n := lastRecord(t, data)
	end := len(bytes.TrimRight(data, "\x00"))
	sc := scanner{data: data, off: headerSize, verify: true}
	sc.link = Link(data[32:64])
	for range n - 1 {
		if _, err := sc.next(); err != nil {
			t.Fatal(err)
		}
	}
	if sc.off != off {
		t.Fatalf("the last record is at %d, not at %d", sc.off, off)
	}
	for at := off; at < end; at++ {
		for bit := range 8 {
			data[at] ^= 1 << bit
			if _, err := sc.next(); err == nil || err == io.EOF || sc.off != off {
				t.Fatalf("byte %d bit %d: %v; want a tear", at, bit, err)
			}
			data[at] ^= 1 << bit
		}
	}
	if _, err := sc.next(); err != nil {
		t.Fatalf("without damage: %v", err)
	}
}

func TestCutAtAnyByteLosesTheLastRecordOnly(t *testing.T) {
	_, data := written(t, 3)
	off, n := lastRecord(t, data)
	end := len(bytes.TrimRight(data, "\x00"))
	for cut := off; cut < end; cut++ {
		got, err := countRecords(data[:cut])
		if got != n-1 || (err == nil) != (cut == off) {
			t.Fatalf("cut at %d: %d records, %v; want %d, and a tear unless between records", cut, got, err, n-1)
		}
		// The same with the preallocated zeros behind the cut.
		padded := append(bytes.Clone(data[:cut]), make([]byte, end-cut)...)
		if got, _ := countRecords(padded); got != n-1 {
			t.Fatalf("zeros from %d: %d records, want %d", cut, got, n-1)
		}
	}
}

func TestTornTailIsCutOffAndReported(t *testing.T) {
	path, data := written(t, 3)
	off, _ := lastRecord(t, data)
	data[off+frameSize+5] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	m := NewMemory(0)
	j := openTest(t, JournalOptions{Dir: filepath.Dir(path), Store: m})
	r := j.Recovered()
	if len(r.Torn) != 1 || r.Torn[0].Segment != 1 || r.Torn[0].Offset != off || r.Torn[0].Reason != "checksum" || r.Records != 6 {
		t.Errorf("recovery %+v", r)
	}
	if err := errors.Join(j.Settle(typical("req_next")), j.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	if len(m.list) != 4 {
		t.Errorf("the store has %d exchanges, want 3 and the next", len(m.list))
	}
	if v, err := Verify(filepath.Dir(path)); err != nil || !v.OK() || v.Segments != 2 {
		t.Errorf("after recovery the chain is %+v, %v", v, err)
	}
	want := bytes.TrimRight(data[off:], "\x00")
	if kept, err := os.ReadFile(fmt.Sprintf("%s.%d.torn", path, off)); err != nil || !bytes.Equal(kept, want) {
		t.Errorf("%d bytes of the torn end are kept, want %d, %v", len(kept), len(want), err)
	}
}

// What the store had taken before its record was damaged is not told as unknown.
func TestASettlementThatTheStoreHasIsNotUnknown(t *testing.T) {
	dir, m := t.TempDir(), NewMemory(0)
	j, err := OpenJournal(JournalOptions{Dir: dir, Store: m})
	if err != nil {
		t.Fatal(err)
	}
	ex := typical("req_drained")
	if err := errors.Join(j.Admit(typical("req_open")), j.Admit(ex), j.Settle(ex), j.Flush(t.Context()), j.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, segmentName(1))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	off, _ := lastRecord(t, data)
	data[off+frameSize+5] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	j = openTest(t, JournalOptions{Dir: dir, Store: m})
	if r := j.Recovered(); len(r.Torn) != 1 || !slices.Equal(r.Unknown, []string{"req_open"}) {
		t.Errorf("recovery %+v", r)
	}
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := m.Get(t.Context(), "req_drained"); err != nil || got.Outcome != OutcomeOK {
		t.Errorf("the store has %+v, %v", got, err)
	}
}

// lockedStore wants the journal's lock to be held when its position is read.
type lockedStore struct {
	*Memory
	t   *testing.T
	dir string
}

func (s lockedStore) Position(ctx context.Context) (Position, error) {
	if f, err := lockDir(s.dir); err == nil {
		s.t.Error("the position is read while another process may move it")
		_ = f.Close()
	}
	return s.Memory.Position(ctx)
}

func TestThePositionIsReadBehindTheLock(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no lock")
	}
	dir := t.TempDir()
	openTest(t, JournalOptions{Dir: dir, Store: lockedStore{NewMemory(0), t, dir}})
}

func TestOpenExchangeReappearsAsUnknown(t *testing.T) {
	path, _ := written(t, 3)
	m := NewMemory(0)
	for range 3 { // opening again finds nothing more
		j, err := OpenJournal(JournalOptions{Dir: filepath.Dir(path), Store: m})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(j.Flush(t.Context()), j.Close()); err != nil {
			t.Fatal(err)
		}
	}
	got, err := m.Get(t.Context(), "req_open")
	if err != nil {
		t.Fatal(err)
	}
	admitted := typical("req_open")
	want := &Exchange{
		ID: admitted.ID, Start: admitted.Start, Config: admitted.Config, Key: admitted.Key, Name: admitted.Name,
		Customer: admitted.Customer, Op: admitted.Op, Dialect: admitted.Dialect, Model: admitted.Model, Stream: true, Bytes: admitted.Bytes,
		Attempts: []Attempt{}, Outcome: OutcomeUnknown, PriceStatus: Unpriced, Message: got.Message,
	}
	if d := cmp.Diff(want, got); d != "" || got.Message == "" {
		t.Error(d)
	}
	if len(m.list) != 4 {
		t.Errorf("the store has %d exchanges, want 4", len(m.list))
	}
}

// An exchange may stay open while the store has taken everything around it.
func TestOpenExchangeIsFoundBehindTheDrainedPosition(t *testing.T) {
	dir, m := t.TempDir(), NewMemory(0)
	o := JournalOptions{Dir: dir, SegmentBytes: 4 << 10, Store: m}
	j, err := OpenJournal(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Admit(typical("req_long")); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		if err := errors.Join(j.Settle(typical(id(i))), j.Flush(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openTest(t, o)
	if got := j.Recovered().Unknown; len(got) != 1 || got[0] != "req_long" {
		t.Errorf("unknown: %v", got)
	}
}

func TestOldDrainedSegmentsAreNotReadAtOpen(t *testing.T) {
	dir, m := t.TempDir(), NewMemory(0)
	o := JournalOptions{Dir: dir, SegmentBytes: 4 << 10, Store: m}
	j, err := OpenJournal(o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 120 {
		ex := typical(id(i))
		if err := errors.Join(j.Settle(ex), j.Flush(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openTest(t, o)
	if r := j.Recovered(); r.Segments > 1 || len(r.Breaks) > 0 || j.Stats().Segments < 10 {
		t.Errorf("%d of %d segments were read, %v", r.Segments, j.Stats().Segments, r.Breaks)
	}
	if r, err := Verify(dir); err != nil || !r.OK() {
		t.Errorf("Verify: %+v, %v", r, err)
	}
}

func TestDamagedHeaderIsReportedAndLeftAlone(t *testing.T) {
	path, data := written(t, 1)
	data[9] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	j := openTest(t, JournalOptions{Dir: filepath.Dir(path)})
	if r := j.Recovered(); len(r.Torn) != 1 || r.Torn[0].Reason != "header" {
		t.Errorf("recovery %+v", r)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, data) {
		t.Errorf("the damaged segment was changed: %v", err)
	}
}

func TestVerifyFindsWhatAChecksumCannot(t *testing.T) {
	build := func(t *testing.T) (string, []string) {
		dir := t.TempDir()
		j, err := OpenJournal(JournalOptions{Dir: dir, SegmentBytes: 4 << 10})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 36 {
			if err := j.Settle(typical(id(i))); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		paths, err := segmentPaths(dir)
		if err != nil || len(paths) < 4 {
			t.Fatal(paths, err)
		}
		return dir, paths
	}
	tests := map[string]struct {
		damage func(t *testing.T, paths []string)
		want   string
	}{
		"nothing": {func(*testing.T, []string) {}, ""},
		"a record rewritten with a right checksum and its own link": {func(t *testing.T, paths []string) {
			data, err := os.ReadFile(paths[1])
			if err != nil {
				t.Fatal(err)
			}
			h, _ := readHeader(data)
			n := int(data[headerSize+4]) | int(data[headerSize+5])<<8
			rec := data[headerSize : headerSize+frameSize+n]
			rec[len(rec)-3] ^= 1
			sum := sha256.Sum256(rec[frameSize:])
			sealRecord(rec, kindSettled, &sum, h.link)
			if err := os.WriteFile(paths[1], data, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "hash chain"},
		"a segment removed": {func(t *testing.T, paths []string) {
			if err := os.Remove(paths[1]); err != nil {
				t.Fatal(err)
			}
		}, "segment 3 does not follow segment 1"},
		"two segments exchanged": {func(t *testing.T, paths []string) {
			swap := paths[1] + ".x"
			if err := errors.Join(os.Rename(paths[1], swap), os.Rename(paths[2], paths[1]), os.Rename(swap, paths[2])); err != nil {
				t.Fatal(err)
			}
		}, "says that it is segment"},
		"a segment's tail cut": {func(t *testing.T, paths []string) {
			data, err := os.ReadFile(paths[1])
			if err != nil {
				t.Fatal(err)
			}
			off, _ := lastRecord(t, data)
			if err := os.Truncate(paths[1], int64(off)); err != nil {
				t.Fatal(err)
			}
		}, "segment 3 does not follow segment 2"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir, paths := build(t)
			tc.damage(t, paths)
			r, err := Verify(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(r.Problems, "; "); r.OK() != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("problems: %q, want %q", got, tc.want)
			}
		})
	}
}

// FuzzJournalDecode gives a segment of any content to the reader: it must end,
// stay inside, and accept only records whose chain holds.
func FuzzJournalDecode(f *testing.F) {
	_, data := written(f, 2)
	off, _ := lastRecord(f, data)
	f.Add(data)
	f.Add(data[:off+3])
	f.Add(data[:headerSize])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := readHeader(data)
		if err != nil {
			h = header{} // the records are still tried
		}
		sc := h.scan(data)
		for {
			before, link := sc.off, sc.link
			rec, err := sc.next()
			if err != nil {
				if tear, ok := errors.AsType[*Tear](err); err != io.EOF && (!ok || sc.off != before || tear.Bytes > len(data)) {
					t.Fatalf("ended with %v at %d, began at %d", err, sc.off, before)
				}
				return
			}
			again := append(make([]byte, frameSize), rec.payload...)
			sum := sha256.Sum256(rec.payload)
			if got := sealRecord(again, rec.kind, &sum, link); got != sc.link || !bytes.Equal(again, data[before:before+len(again)]) {
				t.Fatalf("the record at %d is not the one that would be written", before)
			}
			if ex, err := decodeExchange(rec.payload); err == nil && ex.ID == "" {
				t.Fatal("an exchange without an id was accepted")
			}
			if rec.end <= before {
				t.Fatal("no progress")
			}
		}
	})
}

// FuzzPayloadID compares the short way to an id with the full decoder.
func FuzzPayloadID(f *testing.F) {
	f.Add(appendExchange(nil, typical(`req_"\`)))
	f.Add(appendExchange(nil, typical("req_1")))
	f.Add([]byte("\x0a\x01a\x0a\x01b"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		ex, err := decodeExchange(payload)
		if err != nil || !bytes.Equal(payload, appendExchange(nil, ex)) {
			return // not something that the encoder writes
		}
		if got, err := payloadID(payload); err != nil || got != ex.ID {
			t.Fatalf("payloadID = %q, %v; the record's id is %q", got, err, ex.ID)
		}
	})
}

// FuzzDecode: whatever decodes is written and decoded to the same again.
func FuzzDecode(f *testing.F) {
	ex := typical(`req_"\\`)
	ex.Losses = []llm.Loss{{Feature: "logit_bias"}, {Feature: "n", Detail: "one answer only"}}
	ex.Attempts = append(ex.Attempts, ex.Attempts[0])
	f.Add(appendExchange(nil, ex))
	f.Add(appendExchange(nil, typical("req_1")))
	f.Add(appendOpen(nil, &Exchange{ID: "x"}))
	f.Fuzz(func(t *testing.T, payload []byte) {
		got := &Exchange{Attempts: make([]Attempt, 3)} // what is there does not matter
		if decodeInto(got, string(payload)) != nil {
			return
		}
		written := appendExchange(nil, got)
		again, err := decodeExchange(written)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(appendExchange(nil, again), written) {
			t.Fatal(cmp.Diff(got, again))
		}
	})
}
