package dialect

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"

	"tailplane/internal/wire"
)

// This file reads the members of JSON objects for codecs that must give back
// every byte of meaning; object_write.go writes them. Its rules:
//
//   - A reader takes the members that it knows. What it does not take ends in
//     Extra.Members; what it takes but would spell otherwise (null, "", 1.0)
//     ends in Extra.Spelled, under the member's own name. So does what is not
//     taken and says nothing: null, an empty text, list or object.
//   - Members of a nested object end under that object's name, so one Extra
//     serves a node with all the wrappers around it.
//   - A member may stand once in an object that is taken apart; values that
//     only pass through are not looked into.
//   - Keys and values alias the body. What a codec keeps of them it copies, so
//     that nothing which it returns holds on to the body.

// where is the path to a value, rendered only for an error.
type where struct {
	up    *where
	name  string
	place int // 1 + the index of an element of the list called name; 0 for the member itself
}

// item is the path to element i of the list at w.
func (w where) item(i int) where {
	w.place = i + 1
	return w
}

// String renders messages[3].content[0].
func (w where) String() string {
	text := w.name
	if w.place > 0 {
		text += "[" + strconv.Itoa(w.place-1) + "]"
	}
	if w.up == nil {
		return text
	}
	switch above := w.up.String(); {
	case above == "":
		return text
	case text == "":
		return above
	default:
		return above + "." + text
	}
}

// wrong is the error that a client reads about one value of its request.
func (w where) wrong(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if path := w.String(); path != "" {
		text = path + ": " + text
	}
	return errors.New(text)
}

// use says what became of a member.
type use uint8

const (
	useLeft    use = iota // nobody took it
	useTaken              // the canonical form says it
	useSpelled            // the same, but its spelling is kept
)

// member is one member of an object: its key as it stands, and its value.
type member struct {
	key, value []byte
	sub        *object // the value, when it was opened by object.sub
	use        use
	escaped    bool // the key has escapes
}

func newMember(key, value []byte) member {
	return member{key: key, value: value, escaped: bytes.IndexByte(key, '\\') >= 0}
}

// is reports whether the member is called name.
func (m *member) is(name string) bool {
	if m.escaped {
		return wire.StringEquals(m.key, name)
	}
	return len(m.key) == len(name)+2 && string(m.key[1:len(m.key)-1]) == name
}

// name is the member's name without quotes and escapes.
func (m *member) name() string {
	s, _ := wire.String(m.key)
	return s
}

// object is an object that is being read.
type object struct {
	where   where
	members []member
	few     [6]member // the memory of most objects
}

// parseObject validates body as one JSON object and opens it.
func parseObject(body []byte) (*object, error) {
	if _, err := wire.Scan(body, nil, nil); err != nil {
		return nil, where{}.wrong("%v", err)
	}
	return openObject(bytes.TrimLeft(body, " \t\r\n"), where{})
}

// manyMembers is how many members are compared with each other one by one.
const manyMembers = 16

// openObject opens an object inside a body that has been validated.
func openObject(raw []byte, at where) (*object, error) {
	if len(raw) == 0 || raw[0] != '{' {
		return nil, at.wrong("must be an object")
	}
	o := &object{where: at}
	o.members = o.few[:0]
	var seen map[string]bool
	for w := walkInto(raw); w.member(); {
		m := newMember(w.key, w.value)
		name := m.key[1 : len(m.key)-1]
		if m.escaped {
			name = []byte(m.name())
		}
		if len(o.members) == manyMembers {
			seen = make(map[string]bool, 2*manyMembers)
			for i := range o.members {
				seen[o.members[i].name()] = true
			}
		}
		if seen != nil && seen[string(name)] || seen == nil && o.find(string(name)) >= 0 {
			return nil, at.wrong("member %q appears twice: send it once", name)
		}
		if seen != nil {
			seen[string(name)] = true
		}
		o.members = append(o.members, m)
	}
	return o, nil
}

// find returns the index of the member called name, -1 when there is none.
func (o *object) find(name string) int {
	for i := range o.members {
		if o.members[i].is(name) {
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

// get is peek, but nil for null too.
func (o *object) get(name string) []byte {
	if raw := o.peek(name); !wire.IsNull(raw) {
		return raw
	}
	return nil
}

// raw takes the member; nil when it is absent or null.
func (o *object) raw(name string) []byte {
	i := o.find(name)
	if i < 0 {
		return nil
	}
	m := &o.members[i]
	m.use = max(m.use, useTaken)
	if wire.IsNull(m.value) {
		m.use = useSpelled
		return nil
	}
	return m.value
}

// take takes the member whatever its value; nil when it is absent.
func (o *object) take(name string) []byte {
	if i := o.find(name); i >= 0 {
		o.members[i].use = useTaken
		return o.members[i].value
	}
	return nil
}

// keep takes the member for its spelling alone.
func (o *object) keep(name string) {
	if i := o.find(name); i >= 0 {
		o.members[i].use = useSpelled
	}
}

// release gives a taken member back, so that it ends in Extra.Members.
func (o *object) release(name string) {
	if i := o.find(name); i >= 0 {
		o.members[i].use, o.members[i].sub = useLeft, nil
	}
}

// releaseAll gives all members back.
func (o *object) releaseAll() {
	for i := range o.members {
		o.members[i].use, o.members[i].sub = useLeft, nil
	}
}

// under is the path to a member.
func (o *object) under(name string) where { return where{up: &o.where, name: name} }

// str takes a string. An empty one keeps its spelling.
func (o *object) str(name string) (string, error) {
	s, _, err := o.text(name)
	if s == "" && err == nil {
		o.keep(name)
	}
	return s, err
}

// text takes a string, be it empty; ok is false when it is absent or null.
func (o *object) text(name string) (s string, ok bool, err error) {
	raw := o.raw(name)
	if raw == nil {
		return "", false, nil
	}
	if s, ok = wire.String(raw); !ok {
		return "", false, o.under(name).wrong("must be a string")
	}
	return s, true, nil
}

// need takes a string that must be there, be it empty.
func (o *object) need(name string) (string, error) {
	i := o.find(name)
	if i < 0 {
		return "", o.under(name).wrong("is missing")
	}
	s, ok := wire.String(o.members[i].value)
	if !ok {
		return "", o.under(name).wrong("must be a string")
	}
	o.members[i].use = useTaken
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
	var b [32]byte
	if string(appendFloat(b[:0], f)) != string(raw) {
		o.keep(name)
	}
	return &f, nil
}

// whole takes a whole number; ok is false when it is absent or null.
func (o *object) whole(name string) (n int64, ok bool, err error) {
	raw := o.raw(name)
	if raw == nil {
		return 0, false, nil
	}
	if n, ok = wire.Int(raw); !ok {
		return 0, false, o.under(name).wrong("must be a whole number")
	}
	var b [20]byte
	if string(strconv.AppendInt(b[:0], n, 10)) != string(raw) {
		o.keep(name)
	}
	return n, true, nil
}

// integer is whole, with nil for absent or null.
func (o *object) integer(name string) (*int64, error) {
	n, ok, err := o.whole(name)
	if !ok {
		return nil, err
	}
	return new(n), nil
}

// intPointer is integer as an int.
func (o *object) intPointer(name string) (*int, error) {
	n, ok, err := o.whole(name)
	if !ok {
		return nil, err
	}
	return new(int(n)), nil
}

// count takes a whole number that is not negative; 0 when absent or null.
func (o *object) count(name string) (int, error) {
	n, ok, err := o.whole(name)
	if !ok {
		return 0, err
	}
	if n < 0 || n > math.MaxInt32 {
		return 0, o.under(name).wrong("must be between 0 and %d", math.MaxInt32)
	}
	if n == 0 {
		o.keep(name)
	}
	return int(n), nil
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
	o.members[o.find(name)].sub = child
	return child, nil
}

// takeSchema takes an object as it stands; nil when absent or null.
func takeSchema(o *object, name string) ([]byte, error) {
	raw := o.raw(name)
	if len(raw) > 0 && raw[0] != '{' {
		return nil, o.under(name).wrong("must be an object")
	}
	return bytes.Clone(raw), nil
}

// takeStrings reads elements that must be strings.
func takeStrings(items [][]byte, at where) ([]string, error) {
	var all []string
	for i, item := range items {
		s, ok := wire.String(item)
		if !ok {
			return nil, at.item(i).wrong("must be a string")
		}
		all = append(all, s)
	}
	return all, nil
}

// constant takes a member that nearly always has the value want, which is
// JSON. It reports false when it is absent; another value keeps its spelling.
func (o *object) constant(name, want string) bool {
	i := o.find(name)
	if i < 0 {
		return false
	}
	o.members[i].use = useTaken
	if string(o.members[i].value) != want {
		o.members[i].use = useSpelled
	}
	return true
}
