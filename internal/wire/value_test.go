package wire

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

func TestStringDecodes(t *testing.T) {
	for raw, want := range map[string]string{
		`""`:                            "",
		`"plain"`:                       "plain",
		`"a\"\\\/\b\f\n\r\tz"`:          "a\"\\/\b\f\n\r\tz",
		`"\u0041\u00e9\u20AC"`:          "A\u00e9\u20ac",
		`"x\ud83d\ude00y"`:              "x\U0001F600y",
		`"\ud83d"`:                      "\uFFFD",
		`"\ud83dx"`:                     "\uFFFDx",
		`"\ud83d\u0041"`:                "\uFFFDA",
		`"\ude00\ud83d\ude00"`:          "\uFFFD\U0001F600",
		`"\u0000"`:                      "\x00",
		"\"\u65e5\\n\u672c\U0001F600\"": "\u65e5\n\u672c\U0001F600",
	} {
		got, ok := String([]byte(raw))
		if !ok || got != want {
			t.Errorf("String(%s) = %q, %v, want %q", raw, got, ok, want)
		}
		if !StringEquals([]byte(raw), want) || StringEquals([]byte(raw), want+"x") {
			t.Errorf("StringEquals(%s) does not agree with %q", raw, want)
		}
		if want != "" && (StringEquals([]byte(raw), want[1:]) || StringEquals([]byte(raw), want[:len(want)-1])) {
			t.Errorf("StringEquals(%s) takes a part of %q", raw, want)
		}
	}
	for _, raw := range []string{"", `"`, `"a`, `a"`, `1`, `null`, `"a""`, `"a" `, `"\x"`, `"\u12"`, `"\`, "\"\n\"", "\"\xff\"", `"\"`} {
		if s, ok := String([]byte(raw)); ok || StringEquals([]byte(raw), s) {
			t.Errorf("String(%q) = %q", raw, s)
		}
	}
}

func TestAppendStringRoundTrips(t *testing.T) {
	for s, want := range map[string]string{
		"":                   `""`,
		"a<b>&c/\u2028":      "\"a<b>&c/\u2028\"",
		"\"\\\b\t\n\f\r":     `"\"\\\b\t\n\f\r"`,
		"\x00\x1f\x7f":       `"\u0000\u001f` + "\x7f\"",
		"a\xffb\xe6\x97c":    "\"a\uFFFDb\uFFFD\uFFFDc\"",
		"\xed\xa0\x80\uFFFD": "\"\uFFFD\uFFFD\uFFFD\uFFFD\"",
		"\u00e9\U0001F600":   "\"\u00e9\U0001F600\"",
	} {
		if got := string(AppendString([]byte("x:"), s)); got != "x:"+want {
			t.Errorf("AppendString(%q) = %s, want %s", s, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "s"))
		raw := AppendString(nil, s)
		got, ok := String(raw)
		// Converting to runes and back replaces each invalid byte, like AppendString.
		if want := string([]rune(s)); !ok || got != want || !StringEquals(raw, want) || !jsontext.Value(raw).IsValid() {
			t.Fatalf("%q becomes %s and comes back as %q", s, raw, got)
		}
	})
}

func TestStringAgreesWithReference(t *testing.T) {
	pieces := rapid.SampledFrom([]string{"a", `\n`, `\"`, `\\`, `\/`, `\u0041`, `\ud83d`, `\ude00`, `\u`, `\`, `"`, "\u65e5", "\u00e9", "\U0001F600", "\xe6", "\x01", "0123456789"})
	rapid.Check(t, func(t *rapid.T) {
		raw := []byte(`"` + strings.Join(rapid.SliceOf(pieces).Draw(t, "pieces"), "") + `"`)
		got, ok := String(raw)
		want := jsontext.Value(raw).IsValid(jsontext.AllowInvalidUTF8(true)) && utf8.Valid(raw)
		if ok != want {
			t.Fatalf("String(%q) is %v, the reference %v", raw, ok, want)
		}
		if !ok {
			return
		}
		ref, _ := jsontext.AppendUnquote(nil, raw)
		if got != string(ref) || !StringEquals(raw, got) {
			t.Fatalf("String(%q) = %q, the reference %q", raw, got, ref)
		}
	})
}

func TestIntReadsWholeNumbers(t *testing.T) {
	for raw, want := range map[string]int64{
		"0": 0, "-0": 0, "7": 7, "-12": -12, "9223372036854775807": math.MaxInt64, "-9223372036854775808": math.MinInt64,
		"1e3": 1000, "2.0": 2, "-1.5e1": -15, "9007199254740991.0": 1<<53 - 1, "0e9": 0,
	} {
		if got, ok := Int([]byte(raw)); !ok || got != want {
			t.Errorf("Int(%s) = %d, %v", raw, got, ok)
		}
	}
	for _, raw := range []string{
		"", "-", "+1", "01", "1.5", "1e-1", "1e400", "9223372036854775808", "-9223372036854775809", "18446744073709551616",
		"99999999999999999999999", "9007199254740992.0", `"1"`, "null", "1 ", " 1", "1x", "1.", "0x1", "1_0",
	} {
		if got, ok := Int([]byte(raw)); ok {
			t.Errorf("Int(%q) = %d", raw, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64().Draw(t, "n")
		if got, ok := Int(strconv.AppendInt(nil, n, 10)); !ok || got != n {
			t.Fatalf("Int(%d) = %d, %v", n, got, ok)
		}
	})
}

func TestLiteralsAreRead(t *testing.T) {
	for raw, want := range map[string][3]bool{ // value, ok, null
		"true": {true, true, false}, "false": {false, true, false}, "null": {false, false, true},
		"": {}, "True": {}, `"true"`: {}, "0": {}, "nul": {}, "truex": {},
	} {
		value, ok := Bool([]byte(raw))
		if got := [3]bool{value, ok, IsNull([]byte(raw))}; got != want {
			t.Errorf("%q reads as %v, want %v", raw, got, want)
		}
	}
}
