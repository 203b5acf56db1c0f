package ledger

import "context"

// recordStore is a Store that takes records as the journal has them, instead
// of decoded ones; the journal prefers it. The contract is that of
// [Store.Append].
type recordStore interface {
	appendRecords(ctx context.Context, pos Position, b *recordBatch) error
}

// recordBatch is settled exchanges on their way into a store.
type recordBatch struct {
	entries []entry
	sums    rollup // over the entries
	scratch Exchange
}

// entry is one record; its texts may be parts of a longer one.
type entry struct {
	id     string
	record string // JSON as appendExchange writes it
	stray  bool   // see isStray
	start  int64  // Unix microseconds
}

func (b *recordBatch) reset() {
	clear(b.entries)
	b.entries = b.entries[:0]
	b.sums.reset()
	b.scratch = Exchange{Attempts: b.scratch.Attempts[:0]}
}

// addRecord takes a record that is still to be decoded.
func (b *recordBatch) addRecord(record string) error {
	ex := &b.scratch
	if err := decodeInto(ex, record); err != nil {
		return err
	}
	b.add(ex, record)
	return nil
}

func (b *recordBatch) add(ex *Exchange, record string) {
	b.entries = append(b.entries, entry{id: ex.ID, record: record, stray: isStray(ex.ID, ex.Start), start: micro(ex.Start)})
	b.sums.add(ex)
}
