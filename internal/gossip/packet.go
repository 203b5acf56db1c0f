package gossip

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

// A packet is a version, the sender's epoch, a sequence number and deltas up to
// its end. An epoch is a random number that a gateway draws when it starts and
// announces as a member, so that a packet names its sender and its sender's
// life in one. Numbers are big-endian; var is an unsigned varint.
//
//	version 1 | epoch 8 | sequence 8 | delta ...
//
//	delta = tag 1 | index 1, or group 8 and replica 8 | work var | tokens var |
//	        lane 8 | head 8 and end var
//
// The tag says the kind and which of the members follow; the others are zero.
// Most deltas of a packet are about the same few replicas, so a pair of group
// and replica is written once and counted from there.
const (
	version    = 1
	headerSize = 1 + 8 + 8

	// mostPayload leaves room in a packet of 1,400 bytes for what memberlist
	// adds: label, version of encryption, nonce, tag, checksum and type.
	mostPayload = mostPacket - (2 + len(label)) - (1 + 12 + 16) - 5 - 1
	mostPacket  = 1400

	// deltaSize is the longest delta.
	deltaSize = 1 + 16 + 5 + 5 + 8 + 8 + 5
	// mostDeltas is what fits into a packet of shortest deltas.
	mostDeltas = (mostPayload - headerSize) / 2
)

// The bits of a tag. The lowest two are the kind; the highest is zero.
const (
	kindBits  = 3
	hasPair   = 1 << 2
	hasWork   = 1 << 3
	hasTokens = 1 << 4
	hasLane   = 1 << 5
	hasHead   = 1 << 6
	unknown   = 1 << 7
)

// pair is a replica within its group.
type pair struct{ group, replica uint64 }

// packet is being written. It is used again for the next one.
type packet struct {
	buf   []byte
	pairs []pair
}

func (p *packet) reset(epoch, sequence uint64) {
	p.pairs = p.pairs[:0]
	p.buf = append(p.buf[:0], version)
	p.buf = binary.BigEndian.AppendUint64(p.buf, epoch)
	p.buf = binary.BigEndian.AppendUint64(p.buf, sequence)
}

// add writes a delta, or reports that the packet is full.
func (p *packet) add(d Delta) bool {
	if len(p.buf)+deltaSize > mostPayload {
		return false
	}
	tag := d.Kind&kindBits | has(d.Work > 0, hasWork) | has(d.Tokens > 0, hasTokens) |
		has(d.Lane != 0, hasLane) | has(d.Head != 0 || d.End > 0, hasHead)
	of := pair{d.Group, d.Replica}
	if i := slices.Index(p.pairs, of); i >= 0 {
		p.buf = append(p.buf, tag, byte(i))
	} else {
		p.pairs = append(p.pairs, of)
		p.buf = append(p.buf, tag|hasPair)
		p.buf = binary.BigEndian.AppendUint64(p.buf, of.group)
		p.buf = binary.BigEndian.AppendUint64(p.buf, of.replica)
	}
	if tag&hasWork != 0 {
		p.buf = binary.AppendUvarint(p.buf, uint64(d.Work))
	}
	if tag&hasTokens != 0 {
		p.buf = binary.AppendUvarint(p.buf, uint64(d.Tokens))
	}
	if tag&hasLane != 0 {
		p.buf = binary.BigEndian.AppendUint64(p.buf, d.Lane)
	}
	if tag&hasHead != 0 {
		p.buf = binary.BigEndian.AppendUint64(p.buf, d.Head)
		p.buf = binary.AppendUvarint(p.buf, uint64(max(d.End, 0)))
	}
	return true
}

func has(yes bool, bit uint8) uint8 {
	if yes {
		return bit
	}
	return 0
}

var errMalformed = errors.New("this is no packet of deltas")

// header reads who sends and which packet it is.
func header(b []byte) (epoch, sequence uint64, err error) {
	if len(b) < headerSize || b[0] != version {
		return 0, 0, errMalformed
	}
	return binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:]), nil
}

// reader reads a packet's deltas. Its error is final and everything is zero
// after it; its memory is used again for the next packet.
type reader struct {
	rest   []byte
	bad    bool
	pairs  []pair
	deltas []Delta
}

// read gives the deltas of a packet whose header was read. They are valid until
// the next call.
func (r *reader) read(b []byte) ([]Delta, error) {
	r.rest, r.bad, r.pairs, r.deltas = b[headerSize:], false, r.pairs[:0], r.deltas[:0]
	for len(r.rest) > 0 && !r.bad {
		r.deltas = append(r.deltas, r.delta())
	}
	if r.bad {
		return nil, errMalformed
	}
	return r.deltas, nil
}

func (r *reader) delta() (d Delta) {
	tag := r.byte()
	d.Kind = tag & kindBits
	if tag&unknown != 0 || d.Kind > Done {
		r.bad = true
		return Delta{}
	}
	if tag&hasPair != 0 {
		r.pairs = append(r.pairs, pair{r.hash(), r.hash()})
		d.Group, d.Replica = r.pairs[len(r.pairs)-1].group, r.pairs[len(r.pairs)-1].replica
	} else if i := int(r.byte()); i < len(r.pairs) {
		d.Group, d.Replica = r.pairs[i].group, r.pairs[i].replica
	} else {
		r.bad = true
	}
	if tag&hasWork != 0 {
		d.Work = r.number()
	}
	if tag&hasTokens != 0 {
		d.Tokens = r.number()
	}
	if tag&hasLane != 0 {
		d.Lane = r.hash()
	}
	if tag&hasHead != 0 {
		d.Head, d.End = r.hash(), r.number()
	}
	return d
}

func (r *reader) byte() (b byte) {
	if len(r.rest) < 1 {
		r.bad = true
		return 0
	}
	b, r.rest = r.rest[0], r.rest[1:]
	return b
}

func (r *reader) hash() uint64 {
	if len(r.rest) < 8 {
		r.bad, r.rest = true, nil
		return 0
	}
	n := binary.BigEndian.Uint64(r.rest)
	r.rest = r.rest[8:]
	return n
}

func (r *reader) number() int32 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 || n > math.MaxInt32 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return int32(n)
}
