package ledger

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Report is what Verify found.
type Report struct {
	Segments int      `json:"segments"`
	Records  int      `json:"records"`
	Open     int      `json:"open"`     // admitted and not settled
	Anchor   Link     `json:"-"`        // before the first record; zero when the journal is whole from its beginning
	Head     Link     `json:"-"`        // after the last record: keep it elsewhere and the chain can be checked against it
	Problems []string `json:"problems"` // empty when every record is as it was written
}

// OK says whether the journal is as it was written.
func (r Report) OK() bool { return len(r.Problems) == 0 }

// Verify walks the hash chain over all segments in dir, without changing
// anything. It proves that nothing between Anchor and Head was changed, removed
// or put in; a cut behind the last record shows only against a Head that was
// kept elsewhere. It may run while a gateway writes, and then sees the journal
// as it is at some moment. The error is about reading, not about the content.
func Verify(dir string) (Report, error) {
	paths, err := segmentPaths(dir)
	if err != nil {
		return Report{}, fmt.Errorf("verify journal: %w", err)
	}
	v := verifier{open: map[string]struct{}{}}
	for _, path := range paths {
		if err := v.segment(path); err != nil {
			return v.Report, fmt.Errorf("verify journal: %w", err)
		}
	}
	v.Open = len(v.open)
	return v.Report, nil
}

type verifier struct {
	Report
	last uint64
	open map[string]struct{}
}

func (v *verifier) problem(format string, args ...any) {
	v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
}

func (v *verifier) segment(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	seq, _ := segmentSeq(path)
	h, err := readHeader(data)
	if err != nil {
		v.problem("segment %d: %v", seq, err)
		return nil
	}
	switch {
	case h.seq != seq:
		v.problem("segment %d says that it is segment %d", seq, h.seq)
	case v.Segments == 0:
		v.Anchor = h.link
	case h.link != v.Head:
		v.problem("segment %d does not follow segment %d: records between them are missing or changed", seq, v.last)
	}
	v.Segments++
	v.last = seq
	sc := h.scan(data)
	v.records(&sc, seq)
	v.Head = sc.link
	return nil
}

func (v *verifier) records(sc *scanner, seq uint64) {
	for {
		rec, err := sc.next()
		if err == io.EOF {
			return
		}
		if tear, ok := errors.AsType[*Tear](err); ok {
			tear.Segment = seq
			v.problem("%v", tear)
			return
		}
		v.Records++
		id, err := payloadID(rec.payload)
		switch {
		case err != nil:
			v.problem("segment %d, record before byte %d: %v", seq, rec.end, err)
		case rec.kind == kindOpen:
			v.open[id] = struct{}{}
		default:
			delete(v.open, id)
		}
	}
}
