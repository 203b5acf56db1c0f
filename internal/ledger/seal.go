package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
)

// The journal's chain goes with its segments. What a store has taken from it is
// sealed, so that it can be checked for as long as the store is there: one seal for
// each batch, over the ids and digests of the records that were inserted, chained to
// the seal before. Pruning removes records and keeps seals.
//
// As bytes a batch is, for each record, all numbers as in encoding/binary:
//
//	uvarint  2 times the length of the id, plus 1 for a stray
//	text     the id
//	8 bytes  the first of the record's SHA-256
//	varint   of a stray: Unix microseconds of its start, which its id does not tell

// digest is the beginning of a record's SHA-256.
type digest [8]byte

func digestOf(record []byte) digest {
	sum := sha256.Sum256(record)
	return digest(sum[:len(digest{})])
}

// appendSeal adds the bytes of a batch.
func appendSeal(b []byte, entries []entry) []byte {
	for i := range entries {
		e := &entries[i]
		size := uint64(len(e.id)) << 1
		if e.stray {
			size |= 1
		}
		b = append(binary.AppendUvarint(b, size), e.id...)
		b = append(b, e.digest[:]...)
		if e.stray {
			b = binary.AppendVarint(b, e.start)
		}
	}
	return b
}

// sealedRecord is what a seal says of a record.
type sealedRecord struct {
	id     string
	digest digest
	micros int64 // when it began, in Unix microseconds, within the slack of its id
}

var errSeal = errors.New("its bytes are damaged")

// decodeSeal reads the bytes of a batch.
func decodeSeal(data []byte) ([]sealedRecord, error) {
	var out []sealedRecord
	d := decoder{data: data}
	for len(d.data) > 0 && !d.bad {
		size := d.uvarint()
		n := size >> 1
		if n > uint64(len(d.data)) || len(d.data)-int(n) < len(digest{}) {
			return nil, errSeal
		}
		r := sealedRecord{id: string(d.data[:n])}
		r.digest = digest(d.data[n:])
		d.data = d.data[int(n)+len(digest{}):]
		if size&1 != 0 {
			r.micros = d.varint()
		} else {
			milli, ok := idMilli(r.id)
			d.bad = d.bad || !ok
			r.micros = milli * 1000
		}
		out = append(out, r)
	}
	if d.bad {
		return nil, errSeal
	}
	return out, nil
}

// nextLink is the link over a batch and the link before.
func nextLink(before, batch []byte) []byte {
	h := sha256.New()
	h.Write(before)
	h.Write(batch)
	return h.Sum(nil)
}

// chain is where the seals of one gateway end.
type chain struct {
	name   string // of the gateway; empty in SQLite
	seals  int64
	sealed int64 // records
	head   []byte
}

// seal puts a batch behind the chain, whose end it moves.
func (c *chain) seal(entries []entry, buf []byte) storedSeal {
	batch := appendSeal(buf, entries)
	c.seals++
	c.sealed += int64(len(entries))
	c.head = nextLink(c.head, batch)
	return storedSeal{seq: c.seals, count: int64(len(entries)), batch: batch, link: c.head}
}

func (c *chain) text() string { return hex.EncodeToString(c.head) }

// storedSeal is a row of seals.
type storedSeal struct {
	seq, count  int64
	batch, link []byte
}
