package wire

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

func TestScanFindsMembers(t *testing.T) {
	names := []string{"model", "stream", "user"}
	for _, c := range []struct {
		body string
		want [3]string // raw value of each name, "" when absent
	}{
		{`{}`, [3]string{}},
		{" \t\r\n{ } \n", [3]string{}},
		{`{"model":"a"}`, [3]string{`"a"`}},
		{`{"model" : "a" , "stream": true }`, [3]string{`"a"`, `true`}},
		{`{"x":{"model":"inner"},"stream":[{"user":1}]}`, [3]string{"", `[{"user":1}]`}},
		{`{"messages":[{"content":"\"model\":\"no\""}],"user":-1.5e+3,"model":null}`, [3]string{`null`, "", `-1.5e+3`}},
		{`{"\u006dodel":"escaped"}`, [3]string{`"escaped"`}},
		{`{"mode\u006C":{}}`, [3]string{`{}`}},
		{`{"x":1,"x":2,"models":3,"mode":4,"Model":5}`, [3]string{}},
		{"{\"user\":\"\u65e5\u672c \U0001F600 \\ud83d\"}", [3]string{"", "", "\"\u65e5\u672c \U0001F600 \\ud83d\""}},
		{`{"":0,"user":""}`, [3]string{"", "", `""`}},
	} {
		var found [3]Member
		found[1].Key.Start = 99 // what an earlier scan left behind
		o, err := Scan([]byte(c.body), names, found[:])
		if err != nil {
			t.Errorf("Scan(%s): %v", c.body, err)
			continue
		}
		if c.body[o.Open] != '{' || strings.TrimRight(c.body[o.Close:], " \n") != "}" {
			t.Errorf("Scan(%s) says the object is at %d..%d", c.body, o.Open, o.Close)
		}
		if empty := strings.TrimSpace(c.body[o.Open+1:o.Close]) == ""; o.Empty != empty {
			t.Errorf("Scan(%s) says empty is %v", c.body, o.Empty)
		}
		for i, m := range found {
			got := string(m.Value.Of([]byte(c.body)))
			if got != c.want[i] || m.IsZero() != (c.want[i] == "") {
				t.Errorf("Scan(%s) finds %s = %s, want %s", c.body, names[i], got, c.want[i])
			}
			if !m.IsZero() && !StringEquals(m.Key.Of([]byte(c.body)), names[i]) {
				t.Errorf("Scan(%s) finds %s under the key %s", c.body, names[i], m.Key.Of([]byte(c.body)))
			}
		}
	}
}

func TestScanRefusesWhatIsNotOneValidObject(t *testing.T) {
	for _, c := range []struct {
		body string
		at   int
		hint string // part of the message
	}{
		{"", 0, "too early"},
		{"  ", 2, "too early"},
		{"[]", 0, "object"},
		{"\xEF\xBB\xBF{}", 0, "object"},
		{"{", 1, "too early"},
		{`{"a"`, 4, "too early"},
		{`{"a":`, 5, "too early"},
		{`{"a":1`, 6, "too early"},
		{`{"a":1,`, 7, "too early"},
		{`{"a":"b`, 7, "too early"},
		{`{"a":1,}`, 7, "name"},
		{`{a:1}`, 1, "name"},
		{`{"a" 1}`, 5, "':'"},
		{`{"a":1 "b":2}`, 7, "','"},
		{`{"a":[1 2]}`, 8, "','"},
		{`{"a":[1,]}`, 8, "value"},
		{`{"a":[}}`, 6, "value"},
		{`{"a":[1}}`, 7, "','"},
		{`{"a":{"b":1]}`, 11, "','"},
		{`{"a":{]}`, 6, "name"},
		{`{"a":{"b"]}`, 9, "':'"},
		{`{"a":}`, 5, "value"},
		{`{"a":1}{}`, 7, "nothing"},
		{`{"a":1}x`, 7, "nothing"},
		{`{}}`, 2, "nothing"},
		{`{"a":tru}`, 8, "true"},
		{`{"a":nulL}`, 8, "null"},
		{`{"a":NaN}`, 5, "value"},
		{`{"a":+1}`, 5, "value"},
		{`{"a":01}`, 6, "start with 0"},
		{`{"a":-01}`, 7, "start with 0"},
		{`{"a":-}`, 6, "digit"},
		{`{"a":1.}`, 7, "digit"},
		{`{"a":.5}`, 5, "value"},
		{`{"a":1e}`, 7, "digit"},
		{`{"a":1e+}`, 8, "digit"},
		{`{"a":0x1}`, 6, "','"},
		{"{\"a\":\"\n\"}", 6, "control"},
		{"{\"a\":\"1234567\x00\"}", 13, "control"},
		{"{\"a\x1f\":1}", 3, "control"},
		{"{\"a\":\"\xff\"}", 6, "UTF-8"},
		{"{\"a\":\"\xed\xa0\x80\"}", 6, "UTF-8"},
		{"{\"a\":\"\xe6\x97\xa5\xed\xa0\x80abc\"}", 9, "UTF-8"},
		{"{\"a\":\"\xe0\x80\x80\xe6\x97\xa5abc\"}", 6, "UTF-8"},
		{"{\"a\":\"\xe6\x97\"}", 6, "UTF-8"},
		{`{"a":"\x"}`, 6, "escape"},
		{`{"a":"\u12g4"}`, 6, "escape"},
		{`{"a":"\u12"}`, 6, "escape"},
		{`{"a":"\`, 6, "escape"},
		{"{\"a\":1\v}", 6, "','"},
		{"{\"a\":1\u00a0}", 6, "','"},
	} {
		_, err := Scan([]byte(c.body), nil, nil)
		e, ok := errors.AsType[*SyntaxError](err)
		if !ok || e.Offset != c.at || !strings.Contains(err.Error(), c.hint) {
			t.Errorf("Scan(%q) = %v, want byte %d and %q", c.body, err, c.at, c.hint)
		}
	}
}

func TestScanRefusesAWantedMemberThatAppearsTwice(t *testing.T) {
	body := []byte(`{"model":"a","x":1,"x":2,"m\u006fdel":"b"}`)
	var found [1]Member
	_, err := Scan(body, []string{"model"}, found[:])
	e, ok := errors.AsType[*DuplicateError](err)
	if !ok || e.Name != "model" || e.Offset != strings.Index(string(body), `"m\u`) {
		t.Errorf("Scan = %v", err)
	}
	if _, err := Scan(body, []string{"stream"}, found[:]); err != nil {
		t.Errorf("duplicates nobody asked for: %v", err)
	}
}

func TestScanEndsAtMaxDepth(t *testing.T) {
	for _, c := range []struct{ open, core, end string }{{"[", "", "]"}, {`{"a":`, "1", "}"}, {`[{"a":`, "1", "}]"}} {
		per := strings.Count(c.open, "[") + strings.Count(c.open, "{")
		nest := func(levels int) []byte {
			return []byte(`{"x":` + strings.Repeat(c.open, levels/per) + c.core + strings.Repeat(c.end, levels/per) + `}`)
		}
		deepest := (MaxDepth - 1) / per * per
		if _, err := Scan(nest(deepest), nil, nil); err != nil {
			t.Errorf("%d levels of %s below the object: %v", deepest, c.open, err)
		}
		if _, err := Scan(nest(deepest+per), nil, nil); err == nil || !strings.Contains(err.Error(), fmt.Sprint(MaxDepth)) {
			t.Errorf("%d levels of %s below the object: %v", deepest+per, c.open, err)
		}
	}
}

func TestScanAtKeepsOffsetsRelativeToTheBody(t *testing.T) {
	body := []byte(`{"o":{"a":1,"b":{"a":2}},"p":{"a":`)
	var found [2]Member
	at := Span{strings.Index(string(body), `{"a":1`), strings.Index(string(body), `,"p"`)}
	o, err := ScanAt(body, at, []string{"b", "zz"}, found[:])
	if err != nil {
		t.Fatal(err)
	}
	if got := string(found[0].Value.Of(body)); got != `{"a":2}` || o.Open != at.Start || o.Close != at.End-1 || !found[1].IsZero() {
		t.Errorf("found %s in %+v, other %+v", got, o, found[1])
	}
	_, err = ScanAt(body, Span{29, len(body)}, nil, nil)
	if e, ok := errors.AsType[*SyntaxError](err); !ok || e.Offset != len(body) {
		t.Errorf("cut object: %v", err)
	}
}

func TestWalksYieldEveryChild(t *testing.T) {
	body := []byte(` [ 1 , "a]," , [ ] , {"k":[2]} ] { "a" : 1 , "b":{"c":[]},"a":"x" } [] {}`)
	list := func(at Span) (out []string) {
		for s := range Elements(body, at) {
			out = append(out, string(s.Of(body)))
		}
		for m := range Members(body, at) {
			out = append(out, string(m.Key.Of(body))+"="+string(m.Value.Of(body)))
		}
		return out
	}
	end := len(body)
	for _, c := range []struct {
		at   Span
		want string
	}{
		{Span{1, 32}, `1|"a],"|[ ]|{"k":[2]}`},
		{Span{33, 68}, `"a"=1|"b"={"c":[]}|"a"="x"`},
		{Span{end - 5, end - 3}, ""},
		{Span{end - 2, end}, ""},
		{Span{}, ""},
		{Span{3, 4}, ""},
	} {
		if got := strings.Join(list(c.at), "|"); got != c.want {
			t.Errorf("children of %q = %s, want %s", c.at.Of(body), got, c.want)
		}
	}
	for range Elements(body, Span{1, 32}) {
		break
	}
	for range Members(body, Span{33, 68}) {
		break
	}
}

func TestReadersDoNotAllocate(t *testing.T) {
	body := chatBody(4<<10, true)
	names := []string{"model", "stream", "user", "messages", "tools"}
	found := make([]Member, len(names))
	out := make([]byte, 0, len(body)+64)
	escaped := []byte(`"m\u006fdel\ud83d\ude00"`)
	sum := 0
	for name, run := range map[string]func(){
		"scan and splice": func() {
			_, err := Scan(body, names, found)
			if err != nil {
				t.Fatal(err)
			}
			out = Splice(out[:0], body, Edit{At: found[0].Value, With: []byte(`"other"`)})
		},
		"walk": func() {
			for s := range Elements(body, found[3].Value) {
				for m := range Members(body, s) {
					sum += m.Value.End
				}
			}
		},
		"compare": func() {
			if !StringEquals(escaped, "model\U0001F600") {
				t.Fatal("not equal")
			}
		},
		"number": func() { _, _ = Int([]byte("12.5e1")) },
	} {
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// valid is the reference for Scan: what jsontext accepts as an object, with duplicate names
// and lone surrogate escapes allowed (the option that allows the latter also lets invalid
// UTF-8 pass, hence the second check), no deeper than MaxDepth.
func valid(body []byte) bool {
	v := jsontext.Value(body)
	return v.IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) &&
		utf8.Valid(body) && v.Kind() == '{' && depth(body) <= MaxDepth
}

func depth(valid []byte) (deepest int) {
	level, text := 0, false
	for i := 0; i < len(valid); i++ {
		switch c := valid[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			level++
			deepest = max(deepest, level)
		case c == '}' || c == ']':
			level--
		}
	}
	return deepest
}

// members is the reference for what Scan finds: name and raw value, in order.
func members(t interface{ Fatal(...any) }, body []byte) (names, values []string) {
	d := jsontext.NewDecoder(strings.NewReader(string(body)), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := d.ReadToken(); err != nil {
		t.Fatal(err)
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name.String())
		value, err := d.ReadValue()
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, string(value))
	}
	return names, values
}

// checkScan compares Scan for the name want with the reference.
func checkScan(t interface {
	Fatal(...any)
	Fatalf(string, ...any)
}, body []byte, want string,
) {
	var found [1]Member
	o, err := Scan(body, []string{want}, found[:])
	_, twice := errors.AsType[*DuplicateError](err)
	if ok := valid(body); twice && ok {
		_, err = Scan(body, nil, nil)
		if err != nil {
			t.Fatalf("valid but for a duplicate: %v", err)
		}
	} else if !twice && ok != (err == nil) {
		t.Fatalf("Scan says %v, jsontext says valid is %v", err, ok)
	}
	if err != nil {
		return
	}
	names, values := members(t, body)
	count, value := 0, ""
	for i, name := range names {
		if name == want {
			count++
			value = values[i]
		}
	}
	if twice != (count > 1) || o.Empty != (len(names) == 0) {
		t.Fatalf("twice is %v with %d, empty is %v with %d", twice, count, o.Empty, len(names))
	}
	if got := string(found[0].Value.Of(body)); !twice && got != value {
		t.Fatalf("found %q, want %q", got, value)
	}
}

func TestScanAgreesWithReferenceOnDamagedBodies(t *testing.T) {
	base := chatBody(700, true)
	pieces := []string{"\"", "\\", "{", "}", "[", "]", ",", ":", "\n", "\x00", "\xff", "\xe6", "0", "-", "e", ".", "t", " ", "\\u", "\xed\xa0\x80", "\U0001F600"}
	rapid.Check(t, func(t *rapid.T) {
		body := append([]byte(nil), base...)
		for range rapid.IntRange(1, 2).Draw(t, "damages") {
			at := rapid.IntRange(0, len(body)).Draw(t, "at")
			end := min(len(body), at+rapid.IntRange(0, 2).Draw(t, "length"))
			piece := rapid.SampledFrom(append(pieces, "")).Draw(t, "piece")
			body = append(append(append([]byte(nil), body[:at]...), piece...), body[end:]...)
		}
		checkScan(t, body, "model")
	})
}

func FuzzScan(f *testing.F) {
	for _, s := range []string{
		`{}`, ` {"model":"a","stream":true} `, `{"model":1,"m\u006fdel":2}`, `{"a":[1,-0.5e-7,null,true,false,{"b":{}}]}`,
		"{\"a\":\"\u65e5\u672c\u8a9e\u65e5 \u00e9 \U0001F600\",\"model\":\"\\ud83d\\ude00 \\ud83d\"}", `{"a":"\"\\\/\b\f\n\r\t\u0000"}`,
		`{"model":`, `[1]`, `{"a":01}`, "{\"a\":\"\x01\"}", "{\"a\":\"\xc0\x80\"}", `{"a":[[[[[[[[{}]]]]]]]]}`, `{"\ud800":1}`,
	} {
		f.Add([]byte(s), "model")
	}
	f.Add([]byte(`{"x":`+strings.Repeat("[", 511)+strings.Repeat("]", 511)+`}`), "x")
	f.Add([]byte(`{"x":`+strings.Repeat("[", 512)+strings.Repeat("]", 512)+`}`), "x")
	f.Fuzz(func(t *testing.T, body []byte, want string) {
		checkScan(t, body, want)
	})
}
