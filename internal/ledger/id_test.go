package ledger

import (
	"strings"
	"testing"
)

func TestIDValueIsThePlaceInTheAlphabet(t *testing.T) {
	for c := range 256 {
		want := strings.IndexByte(idAlphabet, byte(c))
		if got := idValue(byte(c)); int(got) != want && (want >= 0 || got != 255) {
			t.Errorf("%q is %d, want %d", byte(c), got, want)
		}
	}
}
