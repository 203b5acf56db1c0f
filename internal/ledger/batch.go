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
	sums    rollup   // over the entries that were added to it
	known   *rollup  // over all entries, where somebody has counted them before
	digests []digest // of the records that known has, those which are still to come
	scratch Exchange
}

// entry is one record. The record lies where its owner has it, until the batch
// is reset.
type entry struct {
	id     string
	record []byte // as appendExchange writes it
	digest digest
	stray  bool  // see isStray
	start  int64 // Unix microseconds
}

func (b *recordBatch) reset() {
	clear(b.entries)
	b.entries = b.entries[:0]
	b.sums.reset()
	b.known, b.digests = nil, nil
	b.scratch = Exchange{Attempts: b.scratch.Attempts[:0], Choice: b.scratch.Choice[:0]}
}

// addRecord takes a record that is still to be decoded.
func (b *recordBatch) addRecord(record []byte) error {
	ex := &b.scratch
	if err := decodeInto(ex, string(record)); err != nil {
		return err
	}
	b.add(ex, record)
	return nil
}

func (b *recordBatch) add(ex *Exchange, record []byte) {
	b.entries = append(b.entries, entry{id: ex.ID, record: record, digest: digestOf(record), stray: isStray(ex.ID, ex.Start), start: micro(ex.Start)})
	b.sums.add(ex)
}

// total is the sums over all entries.
func (b *recordBatch) total() *rollup {
	if b.known != nil {
		return b.known
	}
	return &b.sums
}

// addCounted takes the next record that known has. Its id must tell when it began.
func (b *recordBatch) addCounted(record []byte) error {
	d := b.digests[0]
	b.digests = b.digests[1:]
	id, err := payloadID(record)
	if err != nil {
		return err
	}
	b.entries = append(b.entries, entry{id: id, record: record, digest: d})
	return nil
}
