package prefix

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"
)

// A picture of a megabyte in base64 costs an engine about as many tokens as a
// page of text. So that the length of the stream stays a measure of work, a long
// string in base64 is in it as its hash, as often as makes a page.
const (
	leastMedia = 8 << 10
	mediaBytes = 4 << 10
)

// isMedia reports whether a string is base64, by a look at three places: prose
// and code have blanks, quotes or line ends there, and other scripts other bytes.
func isMedia(text []byte) bool {
	if len(text) < leastMedia {
		return false
	}
	for quarter := 1; quarter < 4; quarter++ {
		at := len(text) / 4 * quarter
		for _, c := range text[at : at+96] {
			letter := c|0x20 >= 'a' && c|0x20 <= 'z'
			digit := c >= '0' && c <= '9'
			if !letter && !digit && c != '+' && c != '/' && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// media writes what stands for such a string.
func (w *writer) media(text []byte) {
	w.flush()
	var page [fine]byte
	hash := xxh3.Hash(text)
	for i := 0; i < len(page); i += 8 {
		binary.LittleEndian.PutUint64(page[i:], hash)
	}
	for range mediaBytes / len(page) {
		w.add(page[:])
	}
}
