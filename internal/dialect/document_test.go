package dialect

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tailplane/internal/wire"
)

// walked is everything that walking over a value comes by, in order.
func walked(o *object, raw []byte, all [][]byte) [][]byte {
	all = append(all, raw)
	switch raw[0] {
	case '{':
		for w := o.walk(raw); w.member(); {
			all = walked(o, w.value, append(all, w.key))
		}
	case '[':
		for _, e := range o.elements(raw) {
			all = walked(o, e, all)
		}
	}
	return all
}

// A body whose members the scan has noted is taken apart as one that is walked over.
func TestNotedMembersAreTheMembers(t *testing.T) {
	piece := rapid.SampledFrom([]string{`"a":1`, `"b": [ {"c" : "x"} ]`, `"\u0061" :"\ud83d"`, `"":{}`, `"d":"é"`})
	rapid.Check(t, func(t *rapid.T) {
		body := []byte(" {" + strings.Join(rapid.SliceOfN(piece, 0, 4).Draw(t, "members"), " , ") + "} ")
		var at At
		if err := validate(body, &at.Heard); err != nil {
			t.Fatal(err)
		}
		got, gotErr := openCall(body, &at)
		want, wantErr := openObject(bytes.TrimSpace(wire.Mend(body)), where{})
		if (gotErr == nil) != (wantErr == nil) || gotErr != nil && gotErr.Error() != wantErr.Error() {
			t.Fatalf("%s: %v, want %v", body, gotErr, wantErr)
		}
		if gotErr == nil && !reflect.DeepEqual(got.members, want.members) && len(got.members)+len(want.members) > 0 {
			t.Fatalf("%s: %v, want %v", body, got.members, want.members)
		}
	})
}

// A walk that knows where long strings end comes by what one that reads them
// comes by.
func TestKnownEndsAreTheEnds(t *testing.T) {
	text := rapid.Custom(func(t *rapid.T) string {
		n := rapid.SampledFrom([]int{0, 3, wire.LongString - 1, wire.LongString, 2 * wire.LongString}).Draw(t, "n")
		return strings.Repeat(rapid.SampledFrom([]string{`"`, `\`, `a"`, "é", "\n", `]}"`}).Draw(t, "piece"), n)
	})
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		return rapid.Custom(func(t *rapid.T) any {
			switch kind := rapid.IntRange(0, 3).Draw(t, "kind"); {
			case kind == 0 && depth > 0:
				return rapid.SliceOfN(value(depth-1), 0, 3).Draw(t, "list")
			case kind == 1 && depth > 0:
				return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", `"c`, strings.Repeat(`\"`, wire.LongString)}), value(depth-1), 0, 3).Draw(t, "object")
			case kind == 2:
				return 1.5
			}
			return text.Draw(t, "text")
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		raw, err := json.Marshal(map[string]any{"m": value(3).Draw(t, "value"), "x": text.Draw(t, "last")})
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "half") {
			raw = bytes.Replace(raw, []byte(`a\"`), []byte(`\ud83d\"`), 2)
		}
		body := append([]byte("  "), raw...)
		var at At
		if err := validate(body, &at.Heard); err != nil {
			t.Fatal(err)
		}
		o, err := openCall(body, &at)
		if err != nil {
			t.Fatal(err)
		}
		got := walked(o, bytes.TrimSpace(o.doc.body), nil)
		want := walked(new(object), bytes.TrimSpace(wire.Mend(body)), nil)
		if len(got) != len(want) {
			t.Fatalf("%d values, want %d", len(got), len(want))
		}
		for i := range want {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("%d: %.80s, want %.80s", i, got[i], want[i])
			}
		}
		if len(at.Heard.Long) > 0 && at.Heard.Long[0].End-at.Heard.Long[0].Start <= wire.LongString {
			t.Fatalf("%v is not long", at.Heard.Long[0])
		}
	})
}
