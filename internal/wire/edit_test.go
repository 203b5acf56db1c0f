package wire

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

func TestSpliceMakesEditsInOrder(t *testing.T) {
	for _, c := range []struct {
		body  string
		edits []Edit
		want  string
	}{
		{"abc", nil, "abc"},
		{"", []Edit{{Span{0, 0}, []byte("x")}}, "x"},
		{"abcdef", []Edit{{Span{1, 3}, []byte("XYZ")}, {Span{5, 6}, nil}}, "aXYZde"},
		{"abc", []Edit{{Span{0, 0}, []byte("1")}, {Span{0, 0}, []byte("2")}, {Span{0, 1}, nil}, {Span{1, 1}, []byte("3")}, {Span{3, 3}, []byte("4")}}, "123bc4"},
		{"abc", []Edit{{Span{2, 3}, []byte("C")}, {}, {Span{1, 1}, nil}}, "abC"},
	} {
		if got := string(Splice([]byte("dst:"), []byte(c.body), c.edits...)); got != "dst:"+c.want {
			t.Errorf("Splice(%q, %v) = %q, want %q", c.body, c.edits, got, c.want)
		}
	}
}

func TestSpliceRefusesEditsOutOfOrder(t *testing.T) {
	for _, edits := range [][]Edit{
		{{Span{2, 3}, nil}, {Span{0, 1}, nil}},
		{{Span{0, 2}, nil}, {Span{1, 3}, nil}},
		{{Span{0, 2}, nil}, {Span{1, 1}, []byte("x")}},
		{{Span{2, 4}, nil}},
		{{Span{2, 1}, nil}},
		{{Span{-1, 1}, nil}},
	} {
		func() {
			defer func() {
				if r, _ := recover().(string); !strings.HasPrefix(r, "wire: edit at") {
					t.Errorf("Splice with %v: %v", edits, r)
				}
			}()
			Splice(nil, []byte("abc"), edits...)
		}()
	}
}

// scanOne scans body for name.
func scanOne(t interface{ Fatal(...any) }, body, name string) (Object, Member) {
	var found [1]Member
	o, err := Scan([]byte(body), []string{name}, found[:])
	if err != nil {
		t.Fatal(err)
	}
	return o, found[0]
}

func TestSetMemberReplacesOrInserts(t *testing.T) {
	for body, want := range map[string]string{
		`{}`:                           `{"m":9}`,
		` { } `:                        ` { "m":9} `,
		`{"a":1}`:                      `{"a":1,"m":9}`,
		`{"a":1 }`:                     `{"a":1 ,"m":9}`,
		`{"m":1}`:                      `{"m":9}`,
		`{"a":{"m":1}, "m" : [1,2] }`:  `{"a":{"m":1}, "m" : 9 }`,
		`{"\u006d":"x","b":"\"m\":1"}`: `{"\u006d":9,"b":"\"m\":1"}`,
	} {
		o, m := scanOne(t, body, "m")
		e, buf := SetMember([]byte("kept"), o, m, "m", []byte("9"))
		if got := string(Splice(nil, []byte(body), e)); got != want || !bytes.HasPrefix(buf, []byte("kept")) {
			t.Errorf("setting m in %s gives %s, want %s", body, got, want)
		}
	}
	o, m := scanOne(t, `{}`, "x")
	e, _ := SetMember(nil, o, m, "a\"b", []byte("1"))
	if got := string(e.With); got != `"a\"b":1` {
		t.Errorf("inserted %s", got)
	}
}

func TestDropMemberTakesOneComma(t *testing.T) {
	for body, want := range map[string]string{
		`{"m":1}`:                       `{}`,
		`{ "m" : 1 }`:                   `{  }`,
		`{"m":1,"b":2}`:                 `{"b":2}`,
		`{ "m":1 , "b":2 }`:             `{ "b":2 }`,
		`{"a":1,"m":2,"c":3}`:           `{"a":1,"c":3}`,
		`{"a":1 , "m":{"x":[]} ,"c":3}`: `{"a":1  ,"c":3}`,
		`{"a":",","m":2}`:               `{"a":","}`,
		"{\n \"a\": 1,\n \"m\": 2\n}":   "{\n \"a\": 1\n}",
		`{"a":1}`:                       `{"a":1}`,
	} {
		o, m := scanOne(t, body, "m")
		if got := string(Splice(nil, []byte(body), DropMember([]byte(body), o, m))); got != want {
			t.Errorf("dropping m from %s gives %s, want %s", body, got, want)
		}
	}
}

// anyObject draws the text of an object whose members have distinct names, and its members.
func anyObject(t *rapid.T) (body string, names, values []string) {
	blank := rapid.SampledFrom([]string{"", "", " ", "\n\t"})
	value := rapid.SampledFrom([]string{`1`, `"x,}"`, `null`, `{"a":[1,{}],"b":","}`, `[]`, `"\"a\":1"`, `-0.5`, "\"\u65e5\""})
	names = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e", ""}), 0, 5, rapid.ID[string]).Draw(t, "names")
	sp := func() string { return blank.Draw(t, "space") }
	var b strings.Builder
	b.WriteString(sp() + "{" + sp())
	for i, name := range names {
		v := value.Draw(t, "value")
		values = append(values, v)
		if i > 0 {
			b.WriteString("," + sp())
		}
		b.WriteString(`"` + name + `"` + sp() + ":" + sp() + v + sp())
	}
	b.WriteString("}" + sp())
	return b.String(), names, values
}

// asMap reads an object with the reference.
func asMap(t *rapid.T, body []byte) map[string]string {
	if !jsontext.Value(body).IsValid() {
		t.Fatalf("not valid, or with a duplicate: %s", body)
	}
	names, values := members(t, body)
	out := map[string]string{}
	for i, name := range names {
		out[name] = values[i]
	}
	return out
}

func TestOneChangeEqualsTheChangeOfAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body, _, _ := anyObject(t)
		name := rapid.SampledFrom([]string{"a", "b", "c", "f", ""}).Draw(t, "name")
		o, m := scanOne(t, body, name)
		want := asMap(t, []byte(body))
		var e Edit
		if rapid.Bool().Draw(t, "drop") {
			e = DropMember([]byte(body), o, m)
			delete(want, name)
		} else {
			e, _ = SetMember(nil, o, m, name, []byte(`{"new":0}`))
			want[name] = `{"new":0}`
		}
		if got := asMap(t, Splice(nil, []byte(body), e)); !maps.Equal(got, want) {
			t.Fatalf("%s becomes %v, want %v", body, got, want)
		}
	})
}

func TestRewriteEqualsTheChangesOfAMap(t *testing.T) {
	var r Rewrite
	rapid.Check(t, func(t *rapid.T) {
		body, _, _ := anyObject(t)
		names := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g", ""}), rapid.ID[string]).Draw(t, "changed")
		found := make([]Member, len(names))
		o, err := Scan([]byte(body), names, found)
		if err != nil {
			t.Fatal(err)
		}
		want := asMap(t, []byte(body))
		var changes []Change
		for i, name := range names {
			c := Change{Name: name, Member: found[i]}
			if delete(want, name); rapid.Bool().Draw(t, "set") {
				c.Value = []byte(`[9]`)
				want[name] = `[9]`
			}
			changes = append(changes, c)
		}
		r.Reset()
		r.Change([]byte(body), o, changes)
		whole := r.Append(nil, []byte(body))
		if got := asMap(t, whole); !maps.Equal(got, want) {
			t.Fatalf("%s with %v becomes %v, want %v", body, names, got, want)
		}
		s := r.Splice([]byte("before"), []byte(body))
		inPieces := string(s.Front) + strings.TrimPrefix(string(s.New), "before") + string(s.Back)
		if inPieces != string(whole) || s.Len() != len("before")+len(whole) {
			t.Fatalf("%s in pieces is %q, want %s", body, s, whole)
		}
		if s.New = s.New[len("before"):]; string(s.Append([]byte("x"))) != "x"+string(whole) {
			t.Fatalf("%s in one is %s, want %s", body, s.Append([]byte("x")), whole)
		}
	})
}

func TestRewriteEditsNestedObjectsTogether(t *testing.T) {
	body := []byte(`{"model":"a","stream_options":{"x":1,"y":2},"user":"u","n":1}`)
	var top [4]Member
	o, err := Scan(body, []string{"user", "model", "n", "seed"}, top[:])
	if err != nil {
		t.Fatal(err)
	}
	_, options := scanOne(t, string(body), "stream_options")
	var in [2]Member
	inner, err := ScanAt(body, options.Value, []string{"x", "y"}, in[:])
	if err != nil {
		t.Fatal(err)
	}
	var r Rewrite
	dst := make([]byte, 0, 256)
	inside, outside := make([]Change, 3), make([]Change, 4)
	b, seven, yes := []byte(`"b"`), []byte("7"), []byte("true")
	rewrite := func() {
		copy(outside, []Change{{"user", top[0], nil}, {"model", top[1], b}, {"n", top[2], nil}, {"seed", top[3], seven}})
		copy(inside, []Change{{"include_usage", Member{}, yes}, {"x", in[0], nil}, {"y", in[1], nil}})
		r.Reset()
		r.Change(body, o, outside)
		r.Change(body, inner, inside)
		dst = r.Append(dst[:0], body)
	}
	rewrite()
	if got, want := string(dst), `{"model":"b","stream_options":{"include_usage":true},"seed":7}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if n := testing.AllocsPerRun(100, rewrite); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestEditingDoesNotAllocateWithAWarmBuffer(t *testing.T) {
	body := []byte(`{"a":1,"b":2}`)
	o, m := scanOne(t, string(body), "b")
	buf, dst := make([]byte, 0, 64), make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		var set Edit
		set, buf = SetMember(buf[:0], o, Member{}, "model", []byte(`"x"`))
		dst = Splice(dst[:0], body, DropMember(body, o, m), set)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if string(dst) != `{"a":1,"model":"x"}` {
		t.Errorf("got %s", dst)
	}
}

// checkSplice compares Splice with edits made one by one from the back.
func checkSplice(t interface{ Fatalf(string, ...any) }, body []byte, cuts []int, with []byte) {
	for i := range cuts {
		cuts[i] = min(cuts[i], len(body))
	}
	slices.Sort(cuts)
	var edits []Edit
	want := bytes.Clone(body)
	for i := 0; i+1 < len(cuts); i += 2 {
		edits = append(edits, Edit{At: Span{cuts[i], cuts[i+1]}, With: with[:min(len(with), i)]})
	}
	for _, e := range slices.Backward(edits) {
		want = slices.Replace(want, e.At.Start, e.At.End, e.With...)
	}
	before := bytes.Clone(body)
	if got := Splice(nil, body, edits...); !bytes.Equal(got, want) || !bytes.Equal(body, before) {
		t.Fatalf("Splice(%q, %v) = %q, want %q", before, edits, got, want)
	}
}

func TestSpliceTouchesOnlyNamedSpans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		checkSplice(t, body, rapid.SliceOfN(rapid.IntRange(0, 40), 0, 8).Draw(t, "cuts"), rapid.SliceOf(rapid.Byte()).Draw(t, "with"))
	})
}

// FuzzSplice sets and drops a member of any object that Scan accepts, and makes raw edits.
func FuzzSplice(f *testing.F) {
	f.Add([]byte(`{"a":1,"model":"x" , "b":[]}`), "model", []byte{1, 4, 6, 9})
	f.Add([]byte(`{}`), "m", []byte{0, 0})
	f.Add([]byte("{ \"m\" : {} }\n"), "m", []byte{3, 200})
	f.Add([]byte(`{"m":1,"m":2}`), "x\"\n\xff", []byte{})
	f.Fuzz(func(t *testing.T, body []byte, name string, at []byte) {
		cuts := make([]int, len(at))
		for i, c := range at {
			cuts[i] = int(c)
		}
		checkSplice(t, body, cuts, at)
		name = string([]rune(name)) // what AppendString makes of it
		var found [1]Member
		o, err := Scan(body, []string{name}, found[:])
		if err != nil {
			return
		}
		names, _ := members(t, body)
		set, _ := SetMember(nil, o, found[0], name, []byte(`0.5`))
		out := Splice(nil, body, set)
		checkScan(t, out, name)
		_, m := scanOne(t, string(out), name)
		if got := string(m.Value.Of(out)); got != "0.5" {
			t.Fatalf("set %q in %q: now %s in %q", name, body, got, out)
		}
		out = Splice(nil, body, DropMember(body, o, found[0]))
		if _, m := scanOne(t, string(out), name); !m.IsZero() {
			t.Fatalf("dropped %q from %q: still in %q", name, body, out)
		}
		left, _ := members(t, out)
		if want := slices.DeleteFunc(names, func(s string) bool { return s == name }); !slices.Equal(left, want) {
			t.Fatalf("dropped %q from %q: left %q", name, body, left)
		}
	})
}
