package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A segment file is a header and records, each at a multiple of 8 bytes, then
// zeros. Integers are little endian.
//
//	header  0  magic "TPLEDG04"
//	        8  sequence number of the segment, from 1
//	       16  floor: the oldest segment that held an open exchange, or one that
//	           the store had not drained, when this segment began
//	       24  time of creation, Unix nanoseconds
//	       32  link before the first record
//	       64  CRC-32C of bytes 0 to 63
//	       68  zeros up to 72
//
//	record  0  CRC-32C of the record from byte 4 to the end of its payload
//	        4  length of the payload
//	        8  kind: 1 open, 2 settled
//	        9  zeros
//	       12  link: of an open record, the SHA-256 over bytes 8 to 11, the link before,
//	           the payload; of a settled one, over the link before, byte 8, and the
//	           first 22 bytes of the payload's SHA-256
//	       44  payload: an Exchange, see record.proto
//
// With 22 bytes a link is over one block of SHA-256. The hash of a settled payload is
// made before the journal's lock is taken, and is the one that a store seals the record
// with; nothing else wants that of an open one. In version 02 every link is as that of an
// open record, in version 03 as that of a settled one.
//
// The checksum finds damage. The chain of links finds what a checksum cannot:
// records that were exchanged, left out or written again by somebody else. The
// first record that does not hold ends the segment.
const (
	segmentMagic = "TPLEDG0" // and a digit
	headerSize   = 72
	frameSize    = 44
	frameKind    = 8
	frameLink    = 12
	linkedBytes  = 22 // of a payload's hash, in a link
)

// The versions, which the magic ends with. All are read, the last one is written.
const (
	versionWhole  = '2'
	versionHashed = '3'
	versionMixed  = '4'
)

// The kinds of record.
const (
	kindOpen    byte = 1
	kindSettled byte = 2
)

// Link is a place in the hash chain; it stands for everything before it.
type Link [sha256.Size]byte

// String is the link in hexadecimal.
func (l Link) String() string { return fmt.Sprintf("%x", l[:]) }

// castagnoli is the table of CRC-32C; it is never written to.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type header struct {
	version byte // that was read; put writes the last one
	seq     uint64
	floor   uint64
	created time.Time
	link    Link
}

// put writes the header to the first bytes of a segment.
func (h header) put(dst []byte) {
	copy(dst, segmentMagic)
	dst[len(segmentMagic)] = versionMixed
	binary.LittleEndian.PutUint64(dst[8:], h.seq)
	binary.LittleEndian.PutUint64(dst[16:], h.floor)
	binary.LittleEndian.PutUint64(dst[24:], uint64(h.created.UnixNano()))
	copy(dst[32:64], h.link[:])
	binary.LittleEndian.PutUint32(dst[64:], crc32.Checksum(dst[:64], castagnoli))
}

var errHeader = errors.New("segment header is damaged")

func readHeader(data []byte) (header, error) {
	if len(data) < headerSize || string(data[:len(segmentMagic)]) != segmentMagic ||
		binary.LittleEndian.Uint32(data[64:]) != crc32.Checksum(data[:64], castagnoli) {
		return header{}, errHeader
	}
	h := header{
		version: data[len(segmentMagic)],
		seq:     binary.LittleEndian.Uint64(data[8:]),
		floor:   binary.LittleEndian.Uint64(data[16:]),
		created: time.Unix(0, int64(binary.LittleEndian.Uint64(data[24:]))),
	}
	if h.version < versionWhole || h.version > versionMixed {
		return header{}, errHeader
	}
	copy(h.link[:], data[32:64])
	return h, nil
}

// sealRecord completes a record whose first frameSize bytes are free and whose
// payload follows, and returns its link. Of a settled record, sum is the SHA-256 of the
// payload; else it is not looked at. It writes only to rec.
func sealRecord(rec []byte, kind byte, sum *[sha256.Size]byte, before Link) Link {
	binary.LittleEndian.PutUint32(rec[4:], uint32(len(rec)-frameSize))
	binary.LittleEndian.PutUint32(rec[frameKind:], uint32(kind))
	var link Link
	if kind == kindOpen {
		copy(rec[frameLink:], before[:])
		link = sha256.Sum256(rec[frameKind:])
	} else {
		link = before.next(kind, sum)
	}
	copy(rec[frameLink:frameSize], link[:])
	binary.LittleEndian.PutUint32(rec, crc32.Checksum(rec[4:], castagnoli))
	return link
}

// next is the link of a settled record behind this one.
func (l Link) next(kind byte, sum *[sha256.Size]byte) Link {
	var b [len(l) + 1 + linkedBytes]byte
	copy(b[:], l[:])
	b[len(l)] = kind
	copy(b[len(l)+1:], sum[:linkedBytes])
	return sha256.Sum256(b[:])
}

func align(n int) int { return (n + 7) &^ 7 }

// record is one record as it lies in its segment; payload aliases the segment.
type record struct {
	kind    byte
	payload []byte
	end     int // offset of the next record
}

// scanner walks the records of a segment.
type scanner struct {
	data    []byte
	off     int
	link    Link
	verify  bool // check crc and chain; off only for bytes this process wrote itself
	version byte // of the segment
	hashed  []byte
}

// scan walks the records of a segment with this header, and checks them.
func (h header) scan(data []byte) scanner {
	return scanner{data: data, off: headerSize, link: h.link, verify: true, version: h.version}
}

// Tear is where a segment stops being readable.
type Tear struct {
	Segment uint64 `json:"segment"`
	Offset  int    `json:"offset"`
	Bytes   int    `json:"bytes"` // from Offset up to the last byte that is not zero
	Reason  string `json:"reason"`
}

// Error says where and why.
func (t *Tear) Error() string {
	return fmt.Sprintf("journal segment %d is torn at byte %d (%s); %d bytes after it are not read", t.Segment, t.Offset, t.Reason, t.Bytes)
}

// next returns the next record, io.EOF at the clean end, or a *Tear, which
// leaves the scanner where it is.
func (s *scanner) next() (record, error) {
	rest := s.data[min(s.off, len(s.data)):]
	if len(rest) < frameSize {
		if allZero(rest) {
			return record{}, io.EOF
		}
		return record{}, s.tear("cut in a record's frame")
	}
	n := int(binary.LittleEndian.Uint32(rest[4:]))
	if n == 0 && allZero(rest[:frameSize]) {
		return record{}, io.EOF
	}
	if n > len(rest)-frameSize {
		return record{}, s.tear("length beyond the segment")
	}
	rec := rest[:frameSize+n]
	kind := rec[frameKind]
	if s.verify {
		if binary.LittleEndian.Uint32(rec) != crc32.Checksum(rec[4:], castagnoli) {
			return record{}, s.tear("checksum")
		}
		if k := binary.LittleEndian.Uint32(rec[frameKind:]); k != uint32(kindOpen) && k != uint32(kindSettled) {
			return record{}, s.tear("kind")
		}
		link := s.linkOf(rec)
		if !bytes.Equal(link[:], rec[frameLink:frameSize]) {
			return record{}, s.tear("hash chain")
		}
		s.link = link
	}
	s.off += align(len(rec))
	return record{kind: kind, payload: rec[frameSize:], end: s.off}, nil
}

func (s *scanner) linkOf(rec []byte) Link {
	if s.version != versionWhole && (s.version == versionHashed || rec[frameKind] == kindSettled) {
		sum := sha256.Sum256(rec[frameSize:])
		return s.link.next(rec[frameKind], &sum)
	}
	s.hashed = append(append(append(s.hashed[:0], rec[frameKind:frameLink]...), s.link[:]...), rec[frameSize:]...)
	return sha256.Sum256(s.hashed)
}

func (s *scanner) tear(reason string) *Tear {
	rest := bytes.TrimRight(s.data[s.off:], "\x00")
	return &Tear{Offset: s.off, Bytes: len(rest), Reason: reason}
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func segmentName(seq uint64) string { return fmt.Sprintf("segment-%016d.tpl", seq) }

// segmentSeq returns the sequence number in a file name of the journal.
func segmentSeq(path string) (uint64, bool) {
	name, ok := strings.CutPrefix(filepath.Base(path), "segment-")
	if !ok {
		return 0, false
	}
	digits, ok := strings.CutSuffix(name, ".tpl")
	if !ok || len(digits) != 16 {
		return 0, false
	}
	seq, err := strconv.ParseUint(digits, 10, 64)
	return seq, err == nil && seq > 0
}
