package http1

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAValueHasNoControlCharacterButTheTab(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOfN(rapid.RuneFrom([]rune("ab \t~é\u0080")), 0, 40, -1).Draw(t, "text")
		if !IsValue(s) {
			t.Fatalf("%q is refused", s)
		}
		bad := rapid.SampledFrom([]string{"\x00", "\r", "\n", "\x1f", "\x7f"}).Draw(t, "control character")
		at := rapid.IntRange(0, len(s)).Draw(t, "at")
		if s = s[:at] + bad + s[at:]; IsValue(s) {
			t.Fatalf("%q is taken", s)
		}
	})
	for c := range 256 {
		for _, at := range []int{0, 3, 7, 8, 15, 20} {
			s := strings.Repeat("\xff", at) + string([]byte{byte(c)}) + strings.Repeat("x", 20-at)
			if want := c >= ' ' && c != 0x7f || c == '\t'; IsValue(s) != want {
				t.Errorf("%q: %v", s, !want)
			}
		}
	}
}
