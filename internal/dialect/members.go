package dialect

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

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

// errNoCodec says that a conversation cannot be read in a dialect.
var errNoCodec = errors.New("dialect: this conversation cannot be read")
