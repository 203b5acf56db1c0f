package dialect

import (
	"bytes"
	"reflect"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

func FuzzChatEvents(f *testing.F) {
	for _, c := range chatStreamCases() {
		f.Add([]byte(c))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		want, werr := eventsOf(bytes.NewReader(in), ChatCodec{})
		got, gerr := eventsOf(iotest.OneByteReader(bytes.NewReader(in)), ChatCodec{})
		if !reflect.DeepEqual(want, got) || (werr == nil) != (gerr == nil) || werr != nil && werr.Error() != gerr.Error() {
			t.Fatalf("%v %v\n%s", werr, gerr, cmp.Diff(want, got))
		}
		first, err := Collect(ChatCodec{}.Events(bytes.NewReader(in)))
		if err != nil {
			return
		}
		var tap Tap
		var er wire.EventReader
		er.Reset(bytes.NewReader(in), 0)
	all:
		for er.Fill() == nil {
			for ev, ok := er.Next(); ok; ev, ok = er.Next() {
				if (ChatCodec{}).TapEvent(&tap, ev).Has(SightEnd) {
					break all
				}
			}
		}
		if tap.Usage != first.Usage {
			t.Fatalf("tap %+v, decoding %+v", tap.Usage, first.Usage)
		}
		var out bytes.Buffer
		w := ChatCodec{}.Writer(&out, nil)
		for _, ev := range want {
			if err := w.Write(ev); err != nil {
				t.Fatal(err)
			}
		}
		again, err := Collect(ChatCodec{}.Events(&out))
		if err != nil {
			t.Fatalf("%v", err)
		}
		if !sameAnswer(first, again) {
			t.Fatalf("%s", cmp.Diff(first, again))
		}
	})
}

// sameAnswer compares what a client reads of two answers.
func sameAnswer(a, b *llm.Reply) bool {
	if a.ID != b.ID || a.Model != b.Model || a.Created != b.Created || a.Usage != b.Usage || len(a.Choices) != len(b.Choices) {
		return false
	}
	for i := range a.Choices {
		x, y := &a.Choices[i], &b.Choices[i]
		if x.Stop.Reason != y.Stop.Reason || len(x.Parts) != len(y.Parts) {
			return false
		}
		for k := range x.Parts {
			p, q := &x.Parts[k], &y.Parts[k]
			if p.Kind != q.Kind || !sameText(p.Text, q.Text) || p.Signature != q.Signature || !reflect.DeepEqual(p.Tool, q.Tool) {
				return false
			}
		}
	}
	return true
}
