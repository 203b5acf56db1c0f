package ledger

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// SQLite's work for a row is most of what storing a small record costs, so records
// whose ids are close in time share one: a block, which is a Block of record.proto.
// The blocks of a store may overlap, since exchanges settle in another order than
// they begin; that none is longer than blockSpan bounds how many can hold an id.
const (
	blockSpan  = 10_000   // milliseconds; less than that are between its ids
	blockBytes = 64 << 10 // from here on it takes no more
	leastBlock = 8        // records; fewer are rows
)

// entryMilli is an entry of a gateway's id, and when that was made. It is small,
// because it is sorted.
type entryMilli struct {
	*entry
	milli int64
}

// cutBlocks sorts entries by id and cuts them into blocks, each of which it gives to
// put; what is left over goes to rows. errConflict: an id is there twice.
func cutBlocks(entries []entryMilli, put func(block []entryMilli) error, rows func(entry)) error {
	byID := func(a, b entryMilli) int { return cmp.Compare(a.id, b.id) }
	if !slices.IsSortedFunc(entries, byID) {
		slices.SortStableFunc(entries, byID)
	}
	for begin := 0; begin < len(entries); {
		end, size := begin, 0
		for end < len(entries) && size < blockBytes && entries[end].milli-entries[begin].milli < blockSpan {
			if end > 0 && entries[end-1].id == entries[end].id {
				return errConflict
			}
			size += len(entries[end].record)
			end++
		}
		block := entries[begin:end]
		begin = end
		if len(block) >= leastBlock {
			if err := put(block); err != nil {
				return err
			}
			continue
		}
		for i := range block {
			rows(*block[i].entry)
		}
	}
	return nil
}

// appendRecord adds a record to the bytes of a block.
func appendRecord[T string | []byte](b []byte, record T) []byte {
	b = binary.AppendUvarint(putTag(b, 1, wireBytes), uint64(len(record)))
	return append(b, record...)
}

// stored is a record and its id.
type stored struct{ id, record string }

// errBlock is errRecord for at least one record of a block.
var errBlock = fmt.Errorf("a block of records is damaged: %w", errRecord)

// decodeBlock reads the records of a block that have an id in [from, to). With errBlock
// it returns those that could be read.
func decodeBlock(data []byte, from, to string) ([]stored, error) {
	var out []stored
	var err error
	m := message{rest: string(data)}
	for m.next() {
		id, bad := recordID(m.text)
		switch {
		case m.field != 1 || bad != nil:
			err = errBlock
		case id >= from && id < to:
			out = append(out, stored{id, m.text})
		}
	}
	if m.bad {
		err = errBlock
	}
	return out, err
}

// blocksFrom is a text that is not greater than the first id of any block which has
// an id at or behind from.
func blocksFrom(from string) string {
	if !strings.HasPrefix(from, idPrefix) {
		return from
	}
	return idFrom(idBound(from, idAlphabet[0]) - blockSpan)
}

// blocksTo is a text that is greater than the last id of any block which has an id
// before to.
func blocksTo(to string) string {
	if !strings.HasPrefix(to, idPrefix) {
		return to
	}
	return idFrom(idBound(to, idAlphabet[len(idAlphabet)-1]) + blockSpan + 1)
}

// idBound is the time of an id that begins with as much of a text as an id can, and
// goes on with a digit.
func idBound(text string, digit byte) int64 {
	b := []byte(idFrom(0))
	for i := len(idPrefix); i < len(b); i++ {
		if i >= len(text) || idValue(text[i]) > 31 {
			for ; i < len(b); i++ {
				b[i] = digit
			}
			break
		}
		b[i] = text[i]
	}
	milli, _ := idMilli(string(b) + idRandom)
	return milli
}

// idRandom is as long as what an id has behind its time.
const idRandom = "0000000000000000"
