package kvevents

import "math"

// Kind is what happened to blocks.
type Kind uint8

// The kinds.
const (
	Stored Kind = iota + 1
	Removed
	Cleared // all blocks are gone
)

// Event is one change of an engine's prefix cache.
type Event struct {
	Kind   Kind
	Blocks int
	// Tokens are those in the blocks. Of Removed they are counted by the size of
	// the blocks that were stored before; 0 where none was.
	Tokens    int
	BlockSize int // of Stored
	// Hashes name the blocks: the engine's own, of which nothing but equality is
	// to be understood.
	Hashes    []uint64
	Parent    uint64 // the block before the first one, where HasParent
	HasParent bool
	// TokenIDs of all blocks, in order; nil where the engine's are no numbers.
	TokenIDs []uint32
	// Medium is the memory: empty or "GPU" for the accelerator's.
	Medium string
	// Group is the cache's group in a model with several; 0 is the first or only.
	Group int
	// Rank is the data-parallel rank.
	Rank int
}

const accelerator = "GPU"

// A batch is bounded in what it may make us hold.
const (
	mostEvents = 1 << 16
	mostHashes = 1 << 18
	mostTokens = 1 << 22
	mostMedium = 32
)

// Batches and events come in two forms: as maps with names, or as arrays in
// which the place is the name. Both leave out what is at its default, and both
// get new members at the end, which are passed over.
var (
	batchPlaces = []string{"ts", "events", "data_parallel_rank"}
	eventKinds  = map[string]Kind{"BlockStored": Stored, "BlockRemoved": Removed, "AllBlocksCleared": Cleared}
	eventPlaces = map[Kind][]string{
		Stored:  {"type", "block_hashes", "parent_block_hash", "token_ids", "block_size", "lora_id", "medium", "lora_name", "extra_keys", "group_idx"},
		Removed: {"type", "block_hashes", "medium", "group_idx"},
	}
)

// decoder reads batches. Its memory is used again for the next one.
type decoder struct {
	unpacker
	events    []Event
	hashes    []uint64
	tokens    []uint32
	blockSize int // of the last blocks that were stored
	unknown   int
}

// batch gives the events of a payload, and how many there were of kinds that are
// not known. The events are valid until the next call.
func (d *decoder) batch(b []byte) (events []Event, unknown int, err error) {
	d.unpacker = unpacker{rest: b}
	d.events, d.hashes, d.tokens, d.unknown = d.events[:0], d.hashes[:0], d.tokens[:0], 0
	rank := 0
	seen := false
	d.record(batchPlaces, func(name string) []string {
		switch name {
		case "events":
			d.list()
			seen = true
		case "data_parallel_rank":
			rank, _ = d.whole().integer()
		default:
			d.skip()
		}
		return batchPlaces
	})
	if d.bad || !seen || len(d.rest) > 0 {
		return nil, 0, errMalformed
	}
	for i := range d.events {
		d.events[i].Rank = rank
		d.events[i].count(&d.blockSize)
	}
	return d.events, d.unknown, nil
}

// count works out the tokens of blocks that are only named.
func (e *Event) count(blockSize *int) {
	switch {
	case e.Kind == Stored && e.Group == 0 && e.BlockSize > 0:
		*blockSize = e.BlockSize
	case e.Kind == Removed && e.Group == 0:
		e.Tokens = e.Blocks * *blockSize
	}
}

// record reads a map or an array. field reads the value of a member, whose name
// is empty where it is not known, and returns the names of the places from there
// on.
func (d *decoder) record(places []string, field func(name string) []string) {
	t := d.next()
	if t.kind != array && t.kind != mapping {
		d.fail()
		return
	}
	for i := range t.n {
		name := ""
		if t.kind == mapping {
			name = known(d.whole().data)
		} else if i < uint64(len(places)) {
			name = places[i]
		}
		if places = field(name); d.bad {
			return
		}
	}
}

// known is a member's name without memory of its own; empty where it means
// nothing here.
func known(b []byte) string {
	for _, places := range [][]string{batchPlaces, eventPlaces[Stored]} {
		for _, name := range places {
			if string(b) == name {
				return name
			}
		}
	}
	return ""
}

// list reads the events.
func (d *decoder) list() {
	t := d.next()
	if t.kind != array || len(d.events)+int(t.n) > mostEvents {
		d.fail()
	}
	for i := uint64(0); i < t.n && !d.bad; i++ {
		if e := d.event(); e.Kind != 0 {
			d.events = append(d.events, e)
		} else {
			d.unknown++
		}
	}
}

// event reads one; its kind is zero where it is not known.
func (d *decoder) event() (e Event) {
	d.record([]string{"type"}, func(name string) []string {
		switch name {
		case "type":
			e.Kind = eventKinds[string(d.whole().data)]
		case "block_hashes":
			e.Hashes = d.hashList()
			e.Blocks = len(e.Hashes)
		case "parent_block_hash":
			e.Parent, e.HasParent = d.whole().hash()
		case "token_ids":
			e.TokenIDs, e.Tokens = d.tokenList()
		case "block_size":
			e.BlockSize, _ = d.whole().integer()
		case "medium":
			e.Medium = medium(d.whole().data)
		case "group_idx":
			e.Group, _ = d.whole().integer()
		default:
			d.skip()
		}
		return eventPlaces[e.Kind]
	})
	if e.BlockSize > mostTokens {
		d.fail()
	}
	return e
}

func (d *decoder) hashList() []uint64 {
	t := d.next()
	if t.kind != array || t.n > uint64(mostHashes-len(d.hashes)) {
		d.fail()
		return nil
	}
	from := len(d.hashes)
	for range t.n {
		h, ok := d.whole().hash()
		if !ok {
			d.fail()
			return nil
		}
		d.hashes = append(d.hashes, h)
	}
	return d.hashes[from:len(d.hashes):len(d.hashes)]
}

// tokenList reads tokens. Some engines give pairs where others give numbers:
// those are counted only.
func (d *decoder) tokenList() (ids []uint32, n int) {
	t := d.next()
	if t.kind != array || t.n > uint64(mostTokens-len(d.tokens)) {
		d.fail()
		return nil, 0
	}
	from, plain := len(d.tokens), true
	for i := uint64(0); i < t.n && !d.bad; i++ {
		id := d.whole()
		plain = plain && id.kind == unsigned && id.n <= math.MaxUint32
		d.tokens = append(d.tokens, uint32(id.n))
	}
	if !plain {
		return nil, int(t.n)
	}
	return d.tokens[from:len(d.tokens):len(d.tokens)], int(t.n)
}

// whole reads a value and passes over what is inside of it.
func (d *decoder) whole() token {
	t := d.next()
	d.skipInside(t)
	return t
}

// medium keeps the usual one without taking memory for it.
func medium(b []byte) string {
	if string(b) == accelerator {
		return accelerator
	}
	return string(b[:min(len(b), mostMedium)])
}
