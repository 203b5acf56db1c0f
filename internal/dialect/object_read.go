package dialect

import (
	"bytes"
	"math"

	"tailplane/internal/wire"
)

// The members of an object, read by their type. Each reader notes a value of
// another type (see object.go) and gives the zero value then.

// str takes a string. An empty one keeps its spelling.
func (o *object) str(name string) string {
	s, _ := o.text(name)
	if s == "" {
		o.keep(name)
	}
	return s
}

// text takes a string, be it empty; ok is false when it is absent or null.
func (o *object) text(name string) (s string, ok bool) {
	raw := o.raw(name)
	if raw == nil {
		return "", false
	}
	if s, ok = o.unquote(raw); !ok {
		o.wrong(name, "must be a string")
	}
	return s, ok
}

// need takes a string that must be there, be it empty.
func (o *object) need(name string) string {
	i := o.find(name)
	if i < 0 {
		o.wrong(name, "is missing")
		return ""
	}
	s, ok := o.unquote(o.members[i].value)
	if !ok {
		o.wrong(name, "must be a string")
	}
	o.members[i].use = useTaken
	return s
}

// boolean takes true or false; nil when absent or null.
func (o *object) boolean(name string) *bool {
	raw := o.raw(name)
	if raw == nil {
		return nil
	}
	b, ok := wire.Bool(raw)
	if !ok {
		o.wrong(name, "must be true or false")
	}
	return &b
}

// flag takes a boolean whose absence means false.
func (o *object) flag(name string) bool {
	b := o.boolean(name)
	if b == nil {
		return false
	}
	if !*b {
		o.keep(name)
	}
	return *b
}

// float takes a number; nil when absent or null.
func (o *object) float(name string) *float64 {
	raw := o.raw(name)
	if raw == nil {
		return nil
	}
	f, ok := number(raw)
	if !ok {
		o.wrong(name, "must be a number")
	}
	var b [32]byte
	if !isPlainNumber(raw) && string(appendFloat(b[:0], f)) != string(raw) {
		o.keep(name)
	}
	return &f
}

// whole takes a whole number; ok is false when it is absent or null.
func (o *object) whole(name string) (n int64, ok bool) {
	raw := o.raw(name)
	if raw == nil {
		return 0, false
	}
	if n, ok = wire.Int(raw); !ok {
		o.wrong(name, "must be a whole number")
	}
	if !isPlainInt(raw) {
		o.keep(name)
	}
	return n, ok
}

// integer is whole, with nil for absent or null.
func (o *object) integer(name string) *int64 {
	n, ok := o.whole(name)
	if !ok {
		return nil
	}
	return new(n)
}

// intPointer is integer as an int.
func (o *object) intPointer(name string) *int {
	n, ok := o.whole(name)
	if !ok {
		return nil
	}
	return new(int(n))
}

// place takes a whole number that must be there.
func (o *object) place(name string) int64 {
	n, ok := o.whole(name)
	if !ok {
		o.wrong(name, "is required")
	}
	return n
}

// count takes a whole number that is not negative; 0 when absent or null.
func (o *object) count(name string) int {
	n, ok := o.whole(name)
	if ok && (n < 0 || n > math.MaxInt32) {
		o.wrong(name, "must be between 0 and %d", math.MaxInt32)
	}
	if ok && n == 0 {
		o.keep(name)
	}
	return int(n)
}

// maxWhole bounds the whole numbers that bounded takes, so that sums of several
// cannot overflow.
const maxWhole = 1 << 53

// bounded takes a whole number that says nothing when it is 0.
func (o *object) bounded(name string) int {
	n, ok := o.whole(name)
	if n > maxWhole || n < -maxWhole {
		o.wrong(name, "must be a whole number below 2^53")
	}
	if ok && n == 0 {
		o.keep(name)
	}
	return int(n)
}

// figure takes a count that is spelled as it would be written; any other whole number
// stays, and so does null.
func (o *object) figure(name string) bool {
	i := o.find(name)
	if i < 0 {
		return false
	}
	m := &o.members[i]
	switch n, ok := wire.Int(m.value); {
	case !ok && !wire.IsNull(m.value):
		o.wrong(name, "must be a whole number")
	case n > maxWhole || n < -maxWhole:
		o.wrong(name, "must be a whole number below 2^53")
	case ok && n >= 0 && isPlainInt(m.value):
		m.use = useTaken
		return true
	}
	return false
}

// isPlainInt reports whether a whole number of JSON is spelled as strconv spells it:
// as digits alone.
func isPlainInt(raw []byte) bool {
	return string(raw) != "-0" && isDigits(bytes.TrimPrefix(raw, []byte("-")))
}

// isPlainNumber reports whether a number of JSON is spelled as appendFloat spells it,
// of those for which that shows at once: as digits of which no two of one value can
// be a float64, so few that no exponent is due, and without zeros at their end.
func isPlainNumber(raw []byte) bool {
	whole, fraction, has := bytes.Cut(bytes.TrimPrefix(raw, []byte("-")), []byte("."))
	few := len(whole)+len(fraction) <= 15 && len(fraction) <= 6
	return few && isDigits(whole) && isDigits(fraction) && (!has || !bytes.HasSuffix(fraction, []byte("0")))
}

func isDigits(raw []byte) bool {
	for _, c := range raw {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// list takes an array and returns its elements; nil when absent or null, and
// an empty list that is not nil when it is empty.
func (o *object) list(name string) [][]byte {
	raw := o.raw(name)
	if raw == nil {
		return nil
	}
	if raw[0] != '[' {
		o.wrong(name, "must be a list")
		return nil
	}
	items := o.elements(raw)
	if len(items) == 0 {
		o.keep(name)
	}
	return items
}

// strings reads items, the elements of the list name, which must be strings.
func (o *object) strings(name string, items [][]byte) []string {
	var all []string
	for i, item := range items {
		s, ok := wire.Unquote(item)
		if !ok {
			o.note(o.under(name).item(i).wrong("must be a string"))
			return nil
		}
		all = append(all, s)
	}
	return all
}

// sub takes an object; nil when absent or null. What is not taken from it
// becomes part of o's Extra under name.
func (o *object) sub(name string) *object {
	raw := o.raw(name)
	if raw == nil {
		return nil
	}
	child := o.open(raw, o.under(name))
	o.members[o.find(name)].sub = child
	return child
}

// schema takes an object as it stands; nil when absent or null.
func (o *object) schema(name string) []byte {
	raw := o.raw(name)
	if len(raw) > 0 && raw[0] != '{' {
		o.wrong(name, "must be an object")
	}
	return bytes.Clone(raw)
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
