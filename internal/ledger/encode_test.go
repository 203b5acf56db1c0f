package ledger

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// drawExchange fills every field of the record that JSON carries, by
// reflection, so that a new field is covered without a change here.
func drawExchange(t *rapid.T) *Exchange {
	ex := new(Exchange)
	fill(t, reflect.ValueOf(ex).Elem())
	ex.ID = "req_" + ex.ID
	ex.Admission = 0
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

func reflectionJSON(t interface{ Fatal(...any) }, v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func TestEncoderEqualsReflection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ex := drawExchange(t)
		got := appendExchange([]byte("x"), ex)[1:]
		if want := reflectionJSON(t, ex); !bytes.Equal(got, want) {
			t.Fatalf("encoder:    %s\nreflection: %s", got, want)
		}
	})
}

func TestEncoderReplacesInvalidUTF8LikeReflection(t *testing.T) {
	for _, s := range []string{"\xff", "a\xc3", "\xed\xa0\x80b", "ok\xf0\x9f\x99"} {
		ex := &Exchange{ID: s}
		if got, want := appendExchange(nil, ex), reflectionJSON(t, ex); !bytes.Equal(got, want) {
			t.Errorf("%q: encoder %s, reflection %s", s, got, want)
		}
	}
}

// longNumber matches the integers that the parser does not read.
var longNumber = regexp.MustCompile(`:-?[0-9]{19}`)

func TestRecordDecodesToWhatWasEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ex := drawExchange(t)
		payload := appendExchange(nil, ex)
		got, err := decodeExchange(payload)
		if err != nil {
			t.Fatal(err)
		}
		if len(ex.Losses) == 0 {
			ex.Losses = nil
		}
		if !parseInto(new(Exchange), string(payload)) && !longNumber.Match(payload) {
			t.Fatalf("the parser leaves this to encoding/json: %s", payload)
		}
		if d := cmp.Diff(ex, got); d != "" {
			t.Fatal(d)
		}
		if id, err := payloadID(payload); err != nil || id != ex.ID {
			t.Fatalf("payloadID = %q, %v; want %q", id, err, ex.ID)
		}
	})
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
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
	})
}

func TestRecordWithoutIDIsRefused(t *testing.T) {
	for _, text := range []string{`{}`, `{"id":""}`, `[]`, `{"id":"a"`, ``} {
		if _, err := decodeExchange([]byte(text)); err == nil {
			t.Errorf("%q was accepted", text)
		} else if !strings.HasPrefix(err.Error(), "decode exchange record: ") {
			t.Errorf("%q: error does not say where: %v", text, err)
		}
	}
}
