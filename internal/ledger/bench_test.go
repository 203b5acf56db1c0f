package ledger

import (
	"context"
	"crypto/sha256"
	"testing"
)

// The bar: Admit and Settle together at most 4 us and no allocation.
func BenchmarkAdmitSettle(b *testing.B) {
	j, err := OpenJournal(JournalOptions{Dir: b.TempDir(), Store: discard{}, Retention: -1})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- j.Run(ctx) }()
	ex := typical(id(1))
	b.ReportAllocs()
	for b.Loop() {
		if err := j.Admit(ex); err != nil {
			b.Fatal(err)
		}
		if err := j.Settle(ex); err != nil {
			b.Fatal(err)
		}
	}
	stop()
	<-done
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkEncode(b *testing.B) {
	ex := typical(id(1))
	buf := appendExchange(nil, ex)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		buf = appendExchange(buf[:0], ex)
	}
}

func BenchmarkDecode(b *testing.B) {
	buf := appendExchange(nil, typical(id(1)))
	for b.Loop() {
		if _, err := decodeExchange(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	buf := appendExchange(make([]byte, frameSize), typical(id(1)))
	var l Link
	for b.Loop() {
		sum := sha256.Sum256(buf[frameSize:])
		l = sealRecord(buf, kindSettled, &sum, l)
	}
}

// BenchmarkSQLiteAppend is for one exchange, in batches as the drain makes them.
func BenchmarkSQLiteAppend(b *testing.B) {
	s, err := OpenSQLite(b.Context(), b.TempDir()+"/ledger.db")
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	n, seg := 0, uint64(0)
	var batch []*Exchange
	for b.Loop() {
		batch = append(batch, typical(id(n)))
		n++
		if len(batch) == drainBatch {
			seg++
			if err := s.Append(b.Context(), Position{Segment: seg}, batch); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
}

// discard is a store that takes everything.
type discard struct{}

func (discard) Append(context.Context, Position, []*Exchange) error { return nil }
func (discard) Position(context.Context) (Position, error)          { return Position{}, nil }
func (discard) Close() error                                        { return nil }
