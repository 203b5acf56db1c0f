package wire

import "encoding/binary"

// hitsInWords is nextHits for every processor.
func hitsInWords(b []byte, i int) (at int, hits uint64) {
	for ; len(b)-i >= 64; i += 64 {
		block := (*[64]byte)(b[i:])
		some := uint64(0)
		for n := 0; n < 64; n += 8 {
			some |= special(binary.LittleEndian.Uint64(block[n:]))
		}
		if some&tops == 0 {
			continue
		}
		for n := 0; n < 64; n += 8 {
			hits |= exactly(binary.LittleEndian.Uint64(block[n:])) << n
		}
		return i, hits
	}
	return i, 0
}

// exactly has a bit for each of eight bytes that is special. Addition to the lower seven
// bits of a byte never carries into the next one. The product gathers the top bits.
func exactly(w uint64) uint64 {
	const most = ones * 0x7F
	above := (w^0x02*ones)&most + (0x7F-0x20)*ones // has the top bit where neither '"' nor a control character is
	other := (w^'\\'*ones)&most + most             // has it where no '\' is
	found := (^(above & other) | w) & tops
	return found >> 7 * 0x0102040810204080 >> 56
}
