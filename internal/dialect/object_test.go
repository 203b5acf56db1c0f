package dialect

import (
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"tailplane/internal/wire"
)

// Whether a number keeps its spelling is told without writing it again where that
// shows at once.
func TestPlainNumbersAreSpelledAsTheyAreWritten(t *testing.T) {
	digits := rapid.StringMatching(`[09]{0,2}[0-9]{0,17}`)
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SampledFrom([]string{"", "-"}).Draw(t, "sign") + digits.Draw(t, "whole")
		if rapid.Bool().Draw(t, "point") {
			raw += "." + digits.Draw(t, "fraction")
		}
		raw += rapid.SampledFrom([]string{"", "", "e1", "E-7"}).Draw(t, "exponent")
		if !isJSON([]byte(raw)) {
			return
		}
		f, _ := number([]byte(raw))
		if again := string(appendFloat(nil, f)); isPlainNumber([]byte(raw)) && again != raw {
			t.Fatalf("%s is written %s", raw, again)
		}
		n, ok := wire.Int([]byte(raw))
		if again := strconv.FormatInt(n, 10); ok && isPlainInt([]byte(raw)) != (again == raw) {
			t.Fatalf("%s is written %s", raw, again)
		}
	})
	for _, raw := range []string{"0", "0.2", "-0.75", "1", "12.5", "0.000001", "999999999.999999"} {
		if !isPlainNumber([]byte(raw)) {
			t.Errorf("%s is written again to see its spelling", raw)
		}
	}
}
