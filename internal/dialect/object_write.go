package dialect

import (
	"bytes"
	"math"
	"slices"
	"strconv"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// This file writes what object.go reads. Its rules:
//
//   - A writer is given the values of the canonical form. It prefers the kept
//     spelling while that still says the same, and adds at the end what the
//     reader did not take.
//   - Nested objects and lists are written into the buffer of the object around
//     them, one after the other: an inner one is finished before the outer one
//     goes on.

// jsonWriter appends JSON values to one buffer and puts the commas.
type jsonWriter struct {
	buf  []byte
	from int // where the first value stands
}

// comma is called before each member and element.
func (j *jsonWriter) comma() {
	if n := len(j.buf); n > j.from {
		switch j.buf[n-1] {
		case '{', '[', ':', ',':
		default:
			j.buf = append(j.buf, ',')
		}
	}
}

// key begins a member; its value comes next.
func (j *jsonWriter) key(name string) {
	j.comma()
	j.buf = append(append(append(j.buf, '"'), name...), '"', ':')
}

// value appends JSON as the next value.
func (j *jsonWriter) value(raw []byte) {
	j.comma()
	j.buf = append(j.buf, raw...)
}

// string appends s as the next value.
func (j *jsonWriter) string(s string) {
	j.comma()
	j.buf = wire.AppendString(j.buf, s)
}

// openList begins a list as the next value.
func (j *jsonWriter) openList() {
	j.comma()
	j.buf = append(j.buf, '[')
}

// closeList ends it.
func (j *jsonWriter) closeList() { j.buf = append(j.buf, ']') }

// object begins an object as the next value. It shall hold what e keeps; e is
// the Extra of the dialect that is written (see llm.Extra.In).
func (j *jsonWriter) object(e llm.Extra) objectWriter {
	j.comma()
	w := objectWriter{jsonWriter: j, start: len(j.buf), before: len(j.buf)}
	w.members, w.spelled = kept(e.Members), kept(e.Spelled)
	j.buf = append(j.buf, '{')
	return w
}

// kept opens what an Extra keeps; nil when that is nothing.
func kept(raw []byte) *object {
	if len(raw) == 0 {
		return nil
	}
	o, _ := openObject(raw, where{})
	return o
}

// objectWriter writes one object.
type objectWriter struct {
	*jsonWriter
	start   int     // where its '{' stands
	before  int     // where the buffer ended before its key
	members *object // what Extra.Members keeps, nil when there is nothing
	spelled *object // the same of Extra.Spelled
	blank   []byte  // what stands in place of the object when it has no members
}

// newObject is an object in a buffer of its own.
func newObject(e llm.Extra) *objectWriter { return newObjectOf(e, 128) }

// newObjectOf is newObject with memory for size bytes.
func newObjectOf(e llm.Extra, size int) *objectWriter { return appendObject(nil, e, size) }

// appendObject is an object behind what dst holds, about size bytes long.
func appendObject(dst []byte, e llm.Extra, size int) *objectWriter {
	alone := &struct {
		json   jsonWriter
		object objectWriter
	}{json: writerOf(dst, size)}
	alone.object = alone.json.object(e)
	return &alone.object
}

// writerOf appends to dst, in which there shall be room for size bytes more.
func writerOf(dst []byte, size int) jsonWriter {
	return jsonWriter{buf: slices.Grow(dst, size), from: len(dst)}
}

// put writes a member as it is, in place of what was kept of it; nil does
// nothing.
func (w *objectWriter) put(name string, value []byte) {
	if value != nil {
		w.drop(name)
		w.key(name)
		w.buf = append(w.buf, value...)
	}
}

// text writes a string, be it empty. What was kept of it is dropped.
func (w *objectWriter) text(name, s string) {
	w.drop(name)
	w.key(name)
	w.buf = wire.AppendString(w.buf, s)
}

// null writes null.
func (w *objectWriter) null(name string) { w.put(name, []byte("null")) }

// nullable writes a string, null when it is empty.
func (w *objectWriter) nullable(name, s string) {
	if s == "" {
		w.null(name)
		return
	}
	w.text(name, s)
}

// list begins a list as a member; closeList ends it.
func (w *objectWriter) list(name string) {
	w.drop(name)
	w.key(name)
	w.openList()
}

func (w *objectWriter) drop(name string) {
	if w.members != nil || w.spelled != nil {
		w.takeKept(name)
	}
}

// takeKept takes the member out of what was kept.
func (w *objectWriter) takeKept(name string) (members, spelled []byte) {
	return keptIn(w.members, name), keptIn(w.spelled, name)
}

func keptIn(o *object, name string) []byte {
	if o == nil {
		return nil
	}
	i := o.find(name)
	if i < 0 || o.members[i].use != useLeft {
		return nil
	}
	o.members[i].use = useTaken
	return o.members[i].value
}

// set writes a member whose canonical value is value, nil for none. A kept
// spelling that says the same is written instead. A member that was not taken
// by the reader stands when the canonical form has nothing to say.
func (w *objectWriter) set(name string, value []byte) {
	if w.members != nil || w.spelled != nil {
		member, spelled := w.takeKept(name)
		switch {
		case value == nil && member != nil:
			value = member
		case value == nil && spelled != nil && saysNothing(spelled):
			value = spelled
		case value != nil && spelled != nil && sameNumber(value, spelled):
			value = spelled
		}
	}
	if value != nil {
		w.key(name)
		w.buf = append(w.buf, value...)
	}
}

// constant writes a member that nearly always has this value, which is JSON,
// unless another was kept; absent says that the original had none.
func (w *objectWriter) constant(name, value string, absent bool) {
	switch _, spelled := w.takeKept(name); {
	case spelled != nil:
		w.put(name, spelled)
	case !absent:
		w.key(name)
		w.buf = append(w.buf, value...)
	}
}

// str writes a string unless it is empty.
func (w *objectWriter) str(name, s string) {
	if s == "" {
		w.set(name, nil)
		return
	}
	w.text(name, s)
}

// boolean writes *b unless b is nil.
func (w *objectWriter) boolean(name string, b *bool) {
	if b == nil {
		w.set(name, nil)
		return
	}
	w.bool(name, *b)
}

// bool writes true or false.
func (w *objectWriter) bool(name string, b bool) {
	var text [5]byte
	w.set(name, strconv.AppendBool(text[:0], b))
}

// flag writes true, or nothing for false.
func (w *objectWriter) flag(name string, b bool) {
	if b {
		w.bool(name, true)
		return
	}
	w.set(name, nil)
}

// integer writes a number.
func (w *objectWriter) integer(name string, n int64) {
	var text [20]byte
	w.set(name, strconv.AppendInt(text[:0], n, 10))
}

// count writes a number unless it is 0.
func (w *objectWriter) count(name string, n int) {
	if n == 0 {
		w.set(name, nil)
		return
	}
	w.integer(name, int64(n))
}

// intPointer writes *n unless n is nil.
func (w *objectWriter) intPointer(name string, n *int) {
	if n == nil {
		w.set(name, nil)
		return
	}
	w.integer(name, int64(*n))
}

// float writes *f unless f is nil.
func (w *objectWriter) float(name string, f *float64) {
	if f == nil {
		w.set(name, nil)
		return
	}
	var text [32]byte
	w.set(name, appendFloat(text[:0], *f))
}

// items writes a list of values that are JSON already. An empty one has the
// spelling that was kept (null).
func (w *objectWriter) items(name string, items [][]byte) {
	if _, spelled := w.takeKept(name); len(items) == 0 && spelled != nil {
		w.put(name, spelled)
		return
	}
	w.list(name)
	for _, item := range items {
		w.value(item)
	}
	w.closeList()
}

// strings writes a list of strings.
func (w *objectWriter) strings(name string, list []string) {
	w.list(name)
	for _, s := range list {
		w.string(s)
	}
	w.closeList()
}

// sub starts the object that is member name, with what was kept of it; finish
// it with endSub before anything else is written.
func (w *objectWriter) sub(name string) objectWriter {
	members, spelled := w.takeKept(name)
	before := len(w.buf)
	w.key(name)
	s := w.object(llm.Extra{})
	s.before = before
	if len(members) > 0 && members[0] == '{' {
		s.members = kept(members)
	}
	if len(spelled) > 0 && spelled[0] == '{' {
		s.spelled = kept(spelled)
		if len(s.spelled.members) == 0 {
			s.blank = []byte("{}")
		}
	} else if spelled != nil {
		s.blank = spelled
	}
	return s
}

// endSub finishes the nested object. One without members is written only when
// the original had it.
func (w *objectWriter) endSub() {
	w.end()
	switch {
	case len(w.buf) > w.start+len("{}"):
	case w.blank != nil:
		w.buf = append(w.buf[:w.start], w.blank...)
	default:
		w.buf = w.buf[:w.before]
	}
}

// end adds what was kept and not yet written, closes the object and returns it.
func (w *objectWriter) end() []byte {
	w.rest(w.members)
	w.rest(w.spelled)
	w.buf = append(w.buf, '}')
	return w.buf[w.start:]
}

func (w *objectWriter) rest(o *object) {
	if o == nil {
		return
	}
	for i := range o.members {
		m := &o.members[i]
		if m.use != useLeft {
			continue
		}
		m.use = useTaken
		w.comma()
		w.buf = append(append(append(w.buf, m.key...), ':'), m.value...)
	}
}

// isEmpty reports whether a value is null, an empty text or list, or an object
// of such: its absence says no less.
func isEmpty(raw []byte) bool {
	switch string(raw) {
	case "null", `""`, "[]", "{}":
		return true
	}
	return ofSuch(raw, isEmpty)
}

// saysNothing is isEmpty, but false and zero say nothing too.
func saysNothing(raw []byte) bool {
	if isEmpty(raw) || string(raw) == "false" {
		return true
	}
	f, ok := number(raw)
	return ok && f == 0 || ofSuch(raw, saysNothing)
}

// ofSuch reports whether raw is an object of which every value is such, or a
// list without elements.
func ofSuch(raw []byte, such func([]byte) bool) bool {
	if len(raw) == 0 || raw[0] != '{' && raw[0] != '[' {
		return false
	}
	w := walkInto(raw)
	if raw[0] == '[' {
		return !w.element()
	}
	for w.member() {
		if !such(w.value) {
			return false
		}
	}
	return true
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

func appendFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, 64)
}

func stringJSON(s string) []byte { return wire.AppendString(nil, s) }

// arrayJSON joins values that are JSON already.
func arrayJSON(items [][]byte) []byte {
	size := 2
	for _, item := range items {
		size += len(item) + 1
	}
	j := jsonWriter{buf: make([]byte, 0, size)}
	j.openList()
	for _, item := range items {
		j.value(item)
	}
	j.closeList()
	return j.buf
}

// isJSON reports whether raw is one JSON value. Values that come from another
// dialect's text (tool arguments) are asked.
func isJSON(raw []byte) bool {
	wrapped := slices.Concat([]byte(`{"v":`), raw, []byte{'}'})
	var at [1]wire.Member
	_, err := wire.Scan(wrapped, []string{"v"}, at[:])
	return err == nil && len(at[0].Value.Of(wrapped)) == len(bytes.TrimSpace(raw))
}
