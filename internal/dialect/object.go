package dialect

import (
	"bytes"
	"errors"
	"fmt"
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
//   - What is wrong in a body is noted, not returned: a reader gives the zero
//     value and reads on, and the first note, which all objects of the body
//     share, is the error that object.err gives its caller at the end. Who acts
//     on what it has read (emits an event) asks before.
//   - Keys and values alias the body. What a codec keeps of them it copies, but
//     for the texts of calls and answers (see quote.go).

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
	escaped    bool  // the key has escapes
	hash       uint8 // of its name
}

func newMember(key, value []byte) member {
	return member{key: key, value: value, escaped: bytes.IndexByte(key, '\\') >= 0}
}

// nameHash is a number below 64, the same one for equal names: most names that are
// asked for are not there, and that can be told without comparing them.
func nameHash[T string | []byte](name T) uint8 {
	if len(name) == 0 {
		return 0
	}
	return uint8(len(name)+7*int(name[0])+31*int(name[len(name)-1])) % 64
}

// add adds a member with the hash of its name.
func (o *object) add(m member, hash uint8) {
	m.hash = hash
	o.members = append(o.members, m)
	o.names |= 1 << hash
}

// rename gives member i another name.
func (o *object) rename(i int, name string) {
	m := &o.members[i]
	m.key, m.escaped, m.hash = stringJSON(name), false, nameHash(name)
	o.names |= 1 << m.hash
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
	s, _ := wire.Unquote(m.key)
	return s
}

// object is an object that is being read.
type object struct {
	where   where
	doc     *document // nil while the object is alone
	members []member
	names   uint64 // a bit for each hash of their names
}

// fewMembers is how many members most objects have at most.
const fewMembers = 8

// newObjectAlone is an object with memory of its own.
func newObjectAlone() *object {
	o := &struct {
		object
		few [fewMembers]member
	}{}
	o.members = o.few[:0]
	return &o.object
}

// parseObject validates a body that is one JSON object, mends it and opens it.
func parseObject(body []byte) (*object, error) {
	alone := &struct {
		document
		heard wire.Heard
		few   [fewMembers]wire.Member
	}{}
	alone.heard.Members = alone.few[:0]
	if err := validate(body, &alone.heard); err != nil {
		return nil, err
	}
	return alone.open(body, &alone.heard)
}

func validate(body []byte, heard *wire.Heard) error {
	var deaf *wire.Words
	if _, err := deaf.Scan(body, nil, nil, heard); err != nil {
		return where{}.wrong("%v", err)
	}
	return nil
}

// parseReply is parseObject in the memory of at, until result.
func parseReply(body []byte, at *At) (*object, error) {
	if err := validate(body, &at.Heard); err != nil {
		return nil, err
	}
	return at.document(body).open(body, &at.Heard)
}

// openCall opens a request that at has glanced at, in the memory of at, until
// result.
func openCall(body []byte, at *At) (*object, error) {
	return at.document(body).open(body, &at.Heard)
}

// openObject opens an object that has been validated and whose error is its own,
// whatever it stands in.
func openObject(raw []byte, at where) (*object, error) {
	o := newObjectAlone()
	o.where = at
	if err := o.fill(raw); err != nil {
		return nil, err
	}
	return o, nil
}

// open opens an object inside of o's body. One that cannot be opened, which is
// noted, has no members; nor has one behind something that is wrong, so that a
// body costs no more than up to there.
func (o *object) open(raw []byte, at where) *object {
	in := o.document().object(at)
	if in.err() != nil {
		return in
	}
	if err := in.fill(raw); err != nil {
		in.members = nil
		in.note(err)
	}
	return in
}

// openItem opens element i of the list that is member name.
func (o *object) openItem(name string, i int, raw []byte) *object {
	return o.open(raw, o.under(name).item(i))
}

// each opens the elements of list, which is member name, one after the other for read.
// Nothing of one, and of what is opened in it, is left when the next one comes.
func (o *object) each(name string, list [][]byte, read func(item *object, raw []byte)) {
	d := o.document()
	for i, raw := range list {
		before := d.taken()
		read(o.openItem(name, i, raw), raw)
		d.release(before)
	}
}

// none is a member of o without members of its own.
func (o *object) none(name string) *object {
	return o.document().object(o.under(name))
}

// document is what o shares with the objects around it and inside of it.
func (o *object) document() *document {
	if o.doc == nil {
		o.doc = &document{}
	}
	return o.doc
}

// note notes what is wrong, unless something was before.
func (o *object) note(err error) {
	if d := o.document(); d.wrong == nil {
		d.wrong = err
	}
}

// wrong notes what is wrong with a member.
func (o *object) wrong(name, format string, args ...any) {
	if o.err() == nil {
		o.note(o.under(name).wrong(format, args...))
	}
}

// err is the first thing that was wrong in o's body.
func (o *object) err() error {
	if o.doc == nil {
		return nil
	}
	return o.doc.wrong
}

// result is what was read of o's body, or what is wrong with it. The body's objects
// are gone then.
func result[T any](o *object, read *T) (*T, error) {
	err := o.err()
	if o.doc != nil {
		o.doc.clear()
	}
	if err != nil {
		return nil, err
	}
	return read, nil
}

// manyMembers is how many members are compared with each other one by one.
const manyMembers = 16

// fill takes raw apart.
func (o *object) fill(raw []byte) error {
	if len(raw) == 0 || raw[0] != '{' {
		return o.where.wrong("must be an object")
	}
	alone := o.begin()
	var seen map[string]bool
	var err error
	for w := o.walk(raw); err == nil && w.member(); {
		seen, err = o.addOnce(member{key: w.key, value: w.value, escaped: w.escaped}, seen)
	}
	o.end(alone)
	return err
}

// enter takes the members that the scan of body came by.
func (o *object) enter(body []byte, members []wire.Member) error {
	alone := o.begin()
	var seen map[string]bool
	var err error
	for i := 0; err == nil && i < len(members); i++ {
		key, value := members[i].Key, members[i].Value
		seen, err = o.addOnce(newMember(body[key.Start:key.End], body[value.Start:value.End]), seen)
	}
	o.end(alone)
	return err
}

// begin makes room for members, and end is told when they are complete; alone says
// that o has memory of its own.
func (o *object) begin() (alone bool) {
	if o.members != nil {
		return true
	}
	o.members = o.doc.members.begin(fewMembers)
	return false
}

func (o *object) end(alone bool) {
	if !alone {
		o.members = o.doc.members.end(o.members)
	}
}

// addOnce adds a member whose name no other has. seen has their names once they are
// many, and is handed on.
func (o *object) addOnce(m member, seen map[string]bool) (map[string]bool, error) {
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
		return seen, o.where.wrong("member %q appears twice: send it once", name)
	}
	if seen != nil {
		seen[string(name)] = true
	}
	o.add(m, nameHash(name))
	return seen, nil
}

// find returns the index of the member called name, -1 when there is none.
func (o *object) find(name string) int {
	hash := nameHash(name)
	if o.names>>hash&1 == 0 {
		return -1
	}
	for i := range o.members {
		if o.members[i].hash == hash && o.members[i].is(name) {
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
