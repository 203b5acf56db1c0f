package dialect

import (
	"bytes"
	"math"
	"strconv"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// objectWriter builds one object.
type objectWriter struct {
	buf     []byte
	members *object // Extra.Members, nil when there are none
	spelled *object // Extra.Spelled, the same
}

// newObject starts an object that shall hold what e keeps; e is the Extra of
// the dialect that is written (see llm.Extra.In).
func newObject(e llm.Extra) *objectWriter {
	return openWriter(e.Members, e.Spelled)
}

func openWriter(members, spelled []byte) *objectWriter {
	w := &objectWriter{}
	if len(members) > 0 {
		w.members, _ = parseObject(members, nil)
	}
	if len(spelled) > 0 {
		w.spelled, _ = parseObject(spelled, nil)
	}
	return w
}

// put writes value without asking what was kept.
func (w *objectWriter) put(name string, value []byte) {
	if value == nil {
		return
	}
	if w.buf == nil {
		w.buf = append(w.buf, '{')
	} else {
		w.buf = append(w.buf, ',')
	}
	w.buf = append(wire.AppendString(w.buf, name), ':')
	w.buf = append(w.buf, value...)
}

// kept takes the member out of what was kept.
func (w *objectWriter) kept(name string) (members, spelled []byte) {
	return keptIn(w.members, name), keptIn(w.spelled, name)
}

func keptIn(o *object, name string) []byte {
	if o == nil {
		return nil
	}
	i := o.find(name)
	if i < 0 || o.members[i].taken {
		return nil
	}
	o.members[i].taken = true
	return o.members[i].value
}

// set writes a member whose canonical value is value, nil for none. A kept
// spelling that says the same is written instead. A member that was not taken
// by the reader stands when the canonical form has nothing to say.
func (w *objectWriter) set(name string, value []byte) {
	member, spelled := w.kept(name)
	switch {
	case value == nil && member != nil:
		value = member
	case value == nil && spelled != nil && saysNothing(spelled):
		value = spelled
	case value != nil && spelled != nil && sameNumber(value, spelled):
		value = spelled
	}
	w.put(name, value)
}

// constant writes a member that nearly always has this value, unless another
// was kept; absent says that the original had none.
func (w *objectWriter) constant(name string, value []byte, absent bool) {
	switch _, spelled := w.kept(name); {
	case spelled != nil:
		w.put(name, spelled)
	case !absent:
		w.put(name, value)
	}
}

func (w *objectWriter) str(name, s string) {
	if s == "" {
		w.set(name, nil)
		return
	}
	w.set(name, stringJSON(s))
}

func (w *objectWriter) boolean(name string, b *bool) {
	if b == nil {
		w.set(name, nil)
		return
	}
	w.set(name, boolJSON(*b))
}

func (w *objectWriter) flag(name string, b bool) {
	if b {
		w.set(name, []byte("true"))
		return
	}
	w.set(name, nil)
}

func (w *objectWriter) count(name string, n int) {
	if n == 0 {
		w.set(name, nil)
		return
	}
	w.set(name, intJSON(int64(n)))
}

func (w *objectWriter) float(name string, f *float64) {
	if f == nil {
		w.set(name, nil)
		return
	}
	w.set(name, floatJSON(*f))
}

// sub starts the object that will be member name; finish it with setSub.
func (w *objectWriter) sub(name string) *objectWriter {
	members, spelled := w.kept(name)
	if len(members) > 0 && members[0] != '{' {
		members = nil
	}
	s := openWriter(members, nil)
	if len(spelled) > 0 && spelled[0] == '{' {
		s.spelled, _ = parseObject(spelled, nil)
	} else if spelled != nil {
		s.spelled = &object{members: []member{{value: spelled}}} // null in place of the object
	}
	return s
}

// setSub writes a nested object. One without members is written only when
// the original had it.
func (w *objectWriter) setSub(name string, s *objectWriter) {
	was := s.spelled
	if was != nil && len(was.members) == 1 && was.members[0].name == "" && was.members[0].key == nil {
		null := was.members[0].value
		s.spelled = nil
		if w.put(name, s.nonEmpty()); len(s.buf) == 0 {
			w.put(name, null)
		}
		return
	}
	value := s.nonEmpty()
	if value == nil && was != nil && len(was.members) == 0 {
		value = []byte("{}")
	}
	w.put(name, value)
}

// nonEmpty is end, or nil when there is no member.
func (w *objectWriter) nonEmpty() []byte {
	w.rest(w.members)
	w.rest(w.spelled)
	if w.buf == nil {
		return nil
	}
	return append(w.buf, '}')
}

// end adds what was kept and not yet written, and closes the object.
func (w *objectWriter) end() []byte {
	if b := w.nonEmpty(); b != nil {
		return b
	}
	return []byte("{}")
}

func (w *objectWriter) rest(o *object) {
	if o == nil {
		return
	}
	for i := range o.members {
		if m := &o.members[i]; !m.taken {
			m.taken = true
			w.put(m.name, m.value)
		}
	}
}

// saysNothing reports whether a value is null, empty, false or zero.
func saysNothing(raw []byte) bool {
	switch string(raw) {
	case "null", `""`, "false":
		return true
	}
	if raw[0] == '[' || raw[0] == '{' {
		return len(bytes.TrimSpace(raw[1:len(raw)-1])) == 0
	}
	f, ok := number(raw)
	return ok && f == 0
}

// sameNumber reports whether a and b are numbers of one value.
func sameNumber(a, b []byte) bool {
	if m, ok := wire.Int(a); ok {
		if n, ok := wire.Int(b); ok {
			return m == n
		}
	}
	f, ok := number(a)
	if !ok {
		return false
	}
	g, ok := number(b)
	return ok && f == g
}

// number reads a JSON number that a float64 can hold.
func number(raw []byte) (float64, bool) {
	if len(raw) == 0 || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	return f, err == nil
}

func floatJSON(f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return []byte("null")
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(nil, f, format, -1, 64)
}

func intJSON(n int64) []byte { return strconv.AppendInt(nil, n, 10) }

func boolJSON(b bool) []byte { return strconv.AppendBool(nil, b) }

func stringJSON(s string) []byte { return wire.AppendString(nil, s) }

// arrayJSON joins values that are JSON already.
func arrayJSON(items [][]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(items, []byte{','})...), ']')
}

func stringsJSON(list []string) []byte {
	items := make([][]byte, len(list))
	for i, s := range list {
		items[i] = stringJSON(s)
	}
	return arrayJSON(items)
}

// validJSON returns raw when it is one JSON value, else nil. Values that come
// from another dialect's text (tool arguments) pass through here.
func validJSON(raw []byte) []byte {
	wrapped := append(append([]byte(`{"v":`), raw...), '}')
	var at [1]wire.Member
	if _, err := wire.Scan(wrapped, []string{"v"}, at[:]); err != nil {
		return nil
	}
	return raw
}
