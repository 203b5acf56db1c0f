package ledger

import (
	"bytes"
	"errors"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"tailplane/internal/llm"
)

// drawExchange fills every field of the record, by
// reflection, so that a new field is covered without a change here.
func drawExchange(t *rapid.T) *Exchange {
	ex := new(Exchange)
	fill(t, reflect.ValueOf(ex).Elem())
	ex.ID = "req_" + ex.ID
	ex.Admission = 0
	if len(ex.Attempts) > 0 && rapid.Bool().Draw(t, "sole") {
		a := &ex.Attempts[0]
		ex.Usage, ex.Cost, ex.PriceStatus = a.Usage, a.Cost, a.Priced
	}
	return ex
}

func fill(t *rapid.T, v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		sec := rapid.Int64Range(0, 4e9).Draw(t, "sec")
		v.Set(reflect.ValueOf(time.Unix(sec, rapid.Int64Range(0, 999_999_999).Draw(t, "nsec")).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(t, field)
		}
	case reflect.Slice:
		n := rapid.IntRange(-1, 3).Draw(t, "len")
		if n < 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(t, v.Index(i))
		}
	case reflect.String:
		v.SetString(rapid.OneOf(rapid.Just(""), rapid.String(), rapid.SampledFrom([]string{"<a&b>", "\u2028\u2029", "\x00\x1f\x7f\"\\/\b\f\n\r\t", "äß漢🙂"})).Draw(t, "text"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.OneOf(rapid.Just(int64(0)), rapid.Int64()).Draw(t, "int"))
	case reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, "uint"))
	default:
		t.Fatalf("the record has a field of kind %v that the test cannot fill", v.Kind())
	}
}

func TestRecordDecodesToWhatWasEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ex := drawExchange(t)
		payload := appendExchange(nil, ex)
		got, err := decodeExchange(payload)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(ex, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
		if id, err := payloadID(payload); err != nil || id != ex.ID {
			t.Fatalf("payloadID = %q, %v; want %q", id, err, ex.ID)
		}
	})
}

func TestWhatTheOnlyAttemptUsedIsSaidOnce(t *testing.T) {
	once := len(appendExchange(nil, typical("req_1")))
	for name, change := range map[string]func(*Exchange){
		"another usage":   func(ex *Exchange) { ex.Usage.Output++ },
		"another source":  func(ex *Exchange) { ex.Usage.Source = llm.UsageTapped },
		"another cost":    func(ex *Exchange) { ex.Cost++ },
		"another pricing": func(ex *Exchange) { ex.PriceStatus = Unpriced },
		"two attempts":    func(ex *Exchange) { ex.Attempts = append(ex.Attempts, ex.Attempts[0]) },
	} {
		ex := typical("req_1")
		change(ex)
		payload := appendExchange(nil, ex)
		got, err := decodeExchange(payload)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(ex, got); d != "" || len(payload) < once+30 {
			t.Errorf("%s: %d bytes, where a sole attempt makes %d: %s", name, len(payload), once, d)
		}
	}
	for _, text := range []string{"\x0a\x01a\xf0\x02\x01", "\x0a\x01a\x82\x01\x00\x82\x01\x00\xf0\x02\x01"} {
		if ex, err := decodeExchange([]byte(text)); !errors.Is(err, errRecord) {
			t.Errorf("%q, sole without one attempt: %+v, %v", text, ex, err)
		}
	}
}

func TestRecordReplacesInvalidUTF8(t *testing.T) {
	for text, want := range map[string]string{"\xff": "\uFFFD", "a\xc3": "a\uFFFD", "\xed\xa0\x80b": "\uFFFDb", "ok\xf0\x9f\x99": "ok\uFFFD"} {
		got, err := decodeExchange(appendExchange(nil, &Exchange{ID: "x", Client: text}))
		if err != nil || got.Client != want {
			t.Errorf("%q became %q, %v; want %q", text, got.Client, err, want)
		}
	}
}

// What record.proto says of each message is what the encoder writes: the same
// members under the names that JSON has, with their numbers and wire types.
func TestRecordIsAsTheProtoFileSays(t *testing.T) {
	text, err := os.ReadFile("record.proto")
	if err != nil {
		t.Fatal(err)
	}
	described := protoMessages(string(text))
	sole := protoField{46, wireVarint}
	if got := tagsOf(appendExchange(nil, typical("req_1"))); described["Exchange"]["sole"] != sole || !slices.Contains(got, sole) {
		t.Errorf("Exchange.sole is written as one of %v; record.proto says %v", got, described["Exchange"]["sole"])
	}
	delete(described["Exchange"], "sole") // which is no member of JSON
	for name, encode := range map[string]struct {
		zero   any
		encode func(v reflect.Value) []byte
	}{
		"Exchange": {Exchange{}, func(v reflect.Value) []byte { return appendExchange(nil, v.Addr().Interface().(*Exchange)) }},
		"Attempt":  {Attempt{}, func(v reflect.Value) []byte { return appendAttempt(nil, v.Addr().Interface().(*Attempt)) }},
		"Choice":   {Choice{}, func(v reflect.Value) []byte { return appendChoice(nil, v.Addr().Interface().(*Choice)) }},
		"Loss": {llm.Loss{}, func(v reflect.Value) []byte {
			m := message{rest: string(appendExchange(nil, &Exchange{Losses: []llm.Loss{v.Interface().(llm.Loss)}}))}
			for m.next() && m.field != 17 {
			}
			return []byte(m.text)
		}},
		"Usage": {llm.Usage{}, func(v reflect.Value) []byte {
			m := message{rest: string(putUsage(nil, 1, v.Addr().Interface().(*llm.Usage)))}
			m.next()
			return []byte(m.text)
		}},
	} {
		fields := described[name]
		kind := reflect.TypeOf(encode.zero)
		for i := range kind.NumField() {
			member, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
			if member == "-" {
				continue
			}
			want, ok := fields[member]
			if !ok {
				t.Errorf("record.proto: %s has no %s", name, member)
				continue
			}
			delete(fields, member)
			v := reflect.New(kind).Elem()
			setSome(v.Field(i))
			if got := tagsOf(encode.encode(v)); !slices.Contains(got, want) {
				t.Errorf("%s.%s is written as %v; record.proto says %v", name, member, got, want)
			}
		}
		for member := range fields {
			t.Errorf("record.proto: %s.%s is not in the record", name, member)
		}
	}
}

type protoField struct {
	number uint64
	kind   uint64 // wire type
}

// protoMessages reads the fields of each message.
func protoMessages(text string) map[string]map[string]protoField {
	out := map[string]map[string]protoField{}
	name := ""
	for line := range strings.Lines(text) {
		if m := regexp.MustCompile(`^message (\w+)`).FindStringSubmatch(line); m != nil {
			name = m[1]
			out[name] = map[string]protoField{}
		}
		if m := regexp.MustCompile(`^  (?:repeated )?(\w+) (\w+) = (\d+);`).FindStringSubmatch(line); m != nil {
			number, _ := strconv.ParseUint(m[3], 10, 64)
			kind := map[string]uint64{"int64": wireVarint, "bool": wireVarint, "sfixed64": wireFixed}
			f := protoField{number, wireBytes}
			if k, ok := kind[m[1]]; ok {
				f.kind = k
			}
			out[name][m[2]] = f
		}
	}
	return out
}

// setSome gives a field a value that is not zero.
func setSome(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(300)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1, 0)))
			return
		}
		setSome(v.Field(0))
	}
}

func tagsOf(payload []byte) []protoField {
	var out []protoField
	for m := (message{rest: string(payload)}); m.rest != ""; {
		kind := uint64(m.rest[0] & 7)
		if !m.next() {
			return nil
		}
		out = append(out, protoField{m.field, kind})
	}
	return out
}

func TestAdmissionRecordsWhoAsksForWhat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ex := drawExchange(t)
		got, err := decodeExchange(appendOpen(nil, ex))
		if err != nil {
			t.Fatal(err)
		}
		want := &Exchange{
			ID: ex.ID, Start: ex.Start, Config: ex.Config, Key: ex.Key, Name: ex.Name, Customer: ex.Customer,
			Op: ex.Op, Dialect: ex.Dialect, Model: ex.Model, Stream: ex.Stream, Bytes: ex.Bytes,
			Team: ex.Team, Organisation: ex.Organisation, Attributed: ex.Attributed, Tags: ex.Tags, Held: ex.Held,
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
	})
}

func TestRecordWithoutIDIsRefused(t *testing.T) {
	for _, text := range []string{"", "\x0a\x00", "\x0a\x05abc", "\x12\x00", "{}", "\x68\x01"} {
		if _, err := decodeExchange([]byte(text)); err == nil {
			t.Errorf("%q was accepted", text)
		} else if !strings.HasPrefix(err.Error(), "decode exchange record: ") {
			t.Errorf("%q: error does not say where: %v", text, err)
		}
	}
}

func TestASCIIIsWhatHasNoHighBit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.ByteRange(0, 0x7f), 0, 40).Draw(t, "text")
		dst := make([]byte, len(b))
		if !copyASCII(dst, string(b)) || !bytes.Equal(dst, b) {
			t.Fatalf("%q is none, or copied as %q", b, dst)
		}
		if len(b) == 0 {
			return
		}
		b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] |= 0x80
		if copyASCII(dst, string(b)) {
			t.Fatalf("%q is one", b)
		}
	})
}

// TestATextIsWrittenAlikeWhateverRoomThereIs: the short way writes what the other does.
func TestATextIsWrittenAlikeWhateverRoomThereIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringN(0, 200, 200), rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 20), func(b []byte) string { return string(b) })).Draw(t, "text")
		field := rapid.Uint64Range(1, 45).Draw(t, "field")
		b := append(make([]byte, 0, rapid.IntRange(1, 240).Draw(t, "room")), 'x')
		want := []byte("x")
		if text != "" {
			want = putAnyText(want, field, text)
		}
		if got := putText(b, field, text); !bytes.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}
