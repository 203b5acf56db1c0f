package dialect

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// This file reads and writes the members of JSON objects for codecs that must
// give back every byte of meaning. Its rules:
//
//   - A reader takes the members that it knows. What it does not take ends in
//     Extra.Members; what it takes but would spell otherwise (null, "", 1.0)
//     ends in Extra.Spelled, under the member's own name.
//   - Members of a nested object end under that object's name, so one Extra
//     serves a node with all the wrappers around it.
//   - A writer is given the values of the canonical form. It prefers the kept
//     spelling while that still says the same, and adds what was not taken.
//   - A member may stand once in an object that is taken apart; values that
//     only pass through are not looked into.

// where is the path to a value, rendered only for an error.
type where struct {
	up    *where
	name  string
	index int // of an array element when name is empty
}

// String renders messages[3].content[0].
func (w *where) String() string {
	var b []byte
	for _, n := range w.chain() {
		switch {
		case n.name == "":
			b = append(strconv.AppendInt(append(b, '['), int64(n.index), 10), ']')
		case len(b) > 0:
			b = append(append(b, '.'), n.name...)
		default:
			b = append(b, n.name...)
		}
	}
	return string(b)
}

func (w *where) chain() []*where {
	var all []*where
	for ; w != nil; w = w.up {
		all = append(all, w)
	}
	slices.Reverse(all)
	return all
}

// wrong is the error that a client reads about one value of its request.
func (w *where) wrong(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if path := w.String(); path != "" {
		text = path + ": " + text
	}
	return errors.New(text)
}

// member is one member of an object: its key as it stands, and its value.
type member struct {
	name  string
	key   []byte
	value []byte
	taken bool
}

// object is an object that is being read.
type object struct {
	at      *where
	members []member
	spelled []int // members that are taken but keep their spelling
	subs    []*object
	subAt   []int // the members that subs stand in
}

// parseObject validates body as one JSON object and opens it.
func parseObject(body []byte, at *where) (*object, error) {
	if _, err := wire.Scan(body, nil, nil); err != nil {
		return nil, at.wrong("%v", err)
	}
	return openObject(bytes.TrimLeft(body, " \t\r\n"), at)
}

// openObject opens an object inside a body that has been validated.
func openObject(raw []byte, at *where) (*object, error) {
	if len(raw) == 0 || raw[0] != '{' {
		return nil, at.wrong("must be an object")
	}
	o := &object{at: at}
	var seen map[string]bool
	for m := range wire.Members(raw, wire.Span{Start: 0, End: len(raw)}) {
		key := m.Key.Of(raw)
		name, _ := wire.String(key)
		if len(o.members) == 16 {
			seen = make(map[string]bool)
			for i := range o.members {
				seen[o.members[i].name] = true
			}
		}
		if seen[name] || seen == nil && o.find(name) >= 0 {
			return nil, at.wrong("member %q appears twice: send it once", name)
		}
		if seen != nil {
			seen[name] = true
		}
		o.members = append(o.members, member{name: name, key: key, value: m.Value.Of(raw)})
	}
	return o, nil
}

func (o *object) find(name string) int {
	for i := range o.members {
		if o.members[i].name == name {
			return i
		}
	}
	return -1
}

// has reports whether the member is there, whatever its value.
func (o *object) has(name string) bool { return o.find(name) >= 0 }

// peek returns the member's value without taking it; nil when it is absent.
func (o *object) peek(name string) []byte {
	if i := o.find(name); i >= 0 {
		return o.members[i].value
	}
	return nil
}

// raw takes the member; nil when it is absent or null.
func (o *object) raw(name string) []byte {
	i := o.find(name)
	if i < 0 {
		return nil
	}
	o.members[i].taken = true
	if wire.IsNull(o.members[i].value) {
		o.spelled = append(o.spelled, i)
		return nil
	}
	return o.members[i].value
}

// keep takes the member for its spelling alone.
func (o *object) keep(name string) {
	if i := o.find(name); i >= 0 && !slices.Contains(o.spelled, i) {
		o.members[i].taken = true
		o.spelled = append(o.spelled, i)
	}
}

// release gives a taken member back, so that it ends in Extra.Members.
func (o *object) release(name string) {
	if i := o.find(name); i >= 0 {
		o.members[i].taken = false
	}
}

func (o *object) under(name string) *where { return &where{up: o.at, name: name} }

// str takes a string. An empty one keeps its spelling.
func (o *object) str(name string) (string, error) {
	raw := o.raw(name)
	if raw == nil {
		return "", nil
	}
	s, ok := wire.String(raw)
	if !ok {
		return "", o.under(name).wrong("must be a string")
	}
	if s == "" {
		o.keep(name)
	}
	return s, nil
}

// boolean takes true or false; nil when absent or null.
func (o *object) boolean(name string) (*bool, error) {
	raw := o.raw(name)
	if raw == nil {
		return nil, nil
	}
	b, ok := wire.Bool(raw)
	if !ok {
		return nil, o.under(name).wrong("must be true or false")
	}
	return &b, nil
}

// flag takes a boolean whose absence means false.
func (o *object) flag(name string) (bool, error) {
	b, err := o.boolean(name)
	if b == nil {
		return false, err
	}
	if !*b {
		o.keep(name)
	}
	return *b, nil
}

// float takes a number; nil when absent or null.
func (o *object) float(name string) (*float64, error) {
	raw := o.raw(name)
	if raw == nil {
		return nil, nil
	}
	f, ok := number(raw)
	if !ok {
		return nil, o.under(name).wrong("must be a number")
	}
	if string(floatJSON(f)) != string(raw) {
		o.keep(name)
	}
	return &f, nil
}

// integer takes a whole number; nil when absent or null.
func (o *object) integer(name string) (*int64, error) {
	raw := o.raw(name)
	if raw == nil {
		return nil, nil
	}
	n, ok := wire.Int(raw)
	if !ok {
		return nil, o.under(name).wrong("must be a whole number")
	}
	if strconv.FormatInt(n, 10) != string(raw) {
		o.keep(name)
	}
	return &n, nil
}

// count takes a whole number that is not negative; 0 when absent or null.
func (o *object) count(name string) (int, error) {
	n, err := o.integer(name)
	if n == nil {
		return 0, err
	}
	if *n < 0 || *n > math.MaxInt32 {
		return 0, o.under(name).wrong("must be between 0 and %d", math.MaxInt32)
	}
	if *n == 0 {
		o.keep(name)
	}
	return int(*n), nil
}

// list takes an array and returns its elements; nil when absent or null, and
// an empty list that is not nil when it is empty.
func (o *object) list(name string) ([][]byte, error) {
	raw := o.raw(name)
	if raw == nil {
		return nil, nil
	}
	if raw[0] != '[' {
		return nil, o.under(name).wrong("must be a list")
	}
	items := elements(raw)
	if len(items) == 0 {
		o.keep(name)
	}
	return items, nil
}

func elements(raw []byte) [][]byte {
	items := [][]byte{}
	for s := range wire.Elements(raw, wire.Span{Start: 0, End: len(raw)}) {
		items = append(items, s.Of(raw))
	}
	return items
}

// sub takes an object; nil when absent or null. What is not taken from it
// becomes part of o's Extra under name.
func (o *object) sub(name string) (*object, error) {
	raw := o.raw(name)
	if raw == nil {
		return nil, nil
	}
	child, err := openObject(raw, o.under(name))
	if err != nil {
		return nil, err
	}
	o.subs = append(o.subs, child)
	o.subAt = append(o.subAt, o.find(name))
	return child, nil
}

// constant takes a member that nearly always has the value want. It reports
// false when it is absent; another value keeps its spelling.
func (o *object) constant(name string, want []byte) bool {
	i := o.find(name)
	if i < 0 {
		return false
	}
	o.members[i].taken = true
	if !bytes.Equal(o.members[i].value, want) {
		o.spelled = append(o.spelled, i)
	}
	return true
}

// extra is all that was not taken, and the spellings that were kept.
func (o *object) extra(d llm.Dialect, form uint32) llm.Extra {
	members, spelled := o.rest()
	return llm.Extra{Dialect: d, Members: members, Spelled: spelled, Form: form}
}

func (o *object) rest() (members, spelled []byte) {
	for i := range o.members {
		m := &o.members[i]
		switch n := slices.Index(o.subAt, i); {
		case n >= 0:
			inner, quiet := o.subs[n].rest()
			if len(o.subs[n].members) == 0 {
				quiet = []byte("{}")
			}
			members = appendRaw(members, m.key, inner)
			spelled = appendRaw(spelled, m.key, quiet)
		case m.taken && !slices.Contains(o.spelled, i):
		case m.taken || wire.IsNull(m.value):
			spelled = appendRaw(spelled, m.key, m.value)
		default:
			members = appendRaw(members, m.key, m.value)
		}
	}
	return closeRaw(members), closeRaw(spelled)
}

func appendRaw(dst, key, value []byte) []byte {
	if value == nil {
		return dst
	}
	if dst == nil {
		dst = append(dst, '{')
	} else {
		dst = append(dst, ',')
	}
	return append(append(append(dst, key...), ':'), value...)
}

func closeRaw(dst []byte) []byte {
	if dst == nil {
		return nil
	}
	return append(dst, '}')
}

// writer builds one object.
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

// lossList gathers losses, each feature once.
type lossList struct{ all []llm.Loss }

func (l *lossList) add(feature, detail string) {
	for _, have := range l.all {
		if have.Feature == feature {
			return
		}
	}
	l.all = append(l.all, llm.Loss{Feature: feature, Detail: detail})
}

// extra declares the loss of each member that only another dialect than d
// knows.
func (l *lossList) extra(path string, e llm.Extra, d llm.Dialect) {
	if e.Dialect == d || len(e.Members) == 0 {
		return
	}
	o, err := parseObject(e.Members, nil)
	if err != nil {
		l.add(path, string(d)+" has no place for it")
		return
	}
	for i := range o.members {
		l.add(join(path, o.members[i].name), string(d)+" has no place for it")
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// dataURL splits data:TYPE;base64,DATA. It is false for every other address,
// and for spellings that could not be put together again.
func dataURL(url string) (mime, data string, ok bool) {
	rest, found := strings.CutPrefix(url, "data:")
	if !found {
		return "", "", false
	}
	mime, data, found = strings.Cut(rest, ";base64,")
	if !found || mime == "" || data == "" || strings.ContainsAny(mime, ";,") {
		return "", "", false
	}
	return mime, data, true
}

// isBase64 reports whether s is base64 in the standard alphabet.
func isBase64(s string) bool {
	_, err := base64.StdEncoding.DecodeString(s)
	return err == nil && s != ""
}

// errNoCodec says that a conversation cannot be read in a dialect.
var errNoCodec = errors.New("dialect: this conversation cannot be read")
