package dialect

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// The Anthropic codec reads each JSON object as its list of members, takes the
// ones whose value the canonical form can say again exactly, and leaves the
// others (unknown names, nulls, odd spellings) as they are for llm.Extra. That
// is what makes the round trip exact: nothing needs to be known to survive.

// antError is a fault of a request or an answer, with the path of the member
// that is wrong.
type antError struct{ path, reason string }

func (e *antError) Error() string {
	if e.path == "" {
		return e.reason
	}
	return e.path + ": " + e.reason
}

// antBad is an antError at member name.
func antBad(name, reason string) error { return &antError{name, reason} }

// antIn puts the name of the enclosing member before the path of err; nil
// stays nil.
func antIn(name string, err error) error {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*antError](err)
	switch {
	case !ok:
		return fmt.Errorf("%s: %w", name, err)
	case e.path == "":
		return &antError{name, e.reason}
	case strings.HasPrefix(e.path, "["):
		return &antError{name + e.path, e.reason}
	}
	return &antError{name + "." + e.path, e.reason}
}

func antIndex(i int) string { return "[" + strconv.Itoa(i) + "]" }

type antMember struct {
	name     string
	key, raw []byte
	taken    bool
	echo     bool // its value is taken; only the spelling is kept
}

// antObject is a JSON object of which members are taken one by one.
type antObject struct{ members []antMember }

// antBody validates body as one JSON object in UTF-8 and returns its members.
func antBody(body []byte) (antObject, error) {
	if !utf8.Valid(body) {
		return antObject{}, antBad("", "the body is not valid UTF-8")
	}
	if _, err := wire.Scan(body, nil, nil); err != nil {
		return antObject{}, antBad("", "the body is not a JSON object: "+err.Error())
	}
	return antParse(bytes.TrimSpace(body))
}

// antParse returns the members of raw, a value from inside a validated body.
func antParse(raw []byte) (antObject, error) {
	if len(raw) == 0 || raw[0] != '{' {
		return antObject{}, antBad("", "must be an object")
	}
	o := antObject{members: make([]antMember, 0, 8)}
	var seen map[string]bool
	for m := range wire.Members(raw, wire.Span{Start: 0, End: len(raw)}) {
		name, _ := wire.String(m.Key.Of(raw))
		if o.duplicate(name, seen) {
			return antObject{}, antBad(name, "stands twice in one object")
		}
		o.members = append(o.members, antMember{name: name, key: m.Key.Of(raw), raw: m.Value.Of(raw)})
		if len(o.members) == 16 {
			seen = make(map[string]bool)
			for _, m := range o.members {
				seen[m.name] = true
			}
		} else if seen != nil {
			seen[name] = true
		}
	}
	return o, nil
}

func (o *antObject) duplicate(name string, seen map[string]bool) bool {
	if seen != nil {
		return seen[name]
	}
	return o.find(name) != nil
}

func (o *antObject) find(name string) *antMember {
	for i := range o.members {
		if o.members[i].name == name {
			return &o.members[i]
		}
	}
	return nil
}

// get returns the member's value without taking it; nil when it is absent or null.
func (o *antObject) get(name string) []byte {
	if m := o.find(name); m != nil && !wire.IsNull(m.raw) {
		return m.raw
	}
	return nil
}

// has reports whether the member is there, null included.
func (o *antObject) has(name string) bool { return o.find(name) != nil }

func (o *antObject) take(name string) {
	if m := o.find(name); m != nil {
		m.taken = true
	}
}

// text takes a string. ok is false when the member is absent or null.
func (o *antObject) text(name string) (s string, ok bool, err error) {
	raw := o.get(name)
	if raw == nil {
		return "", false, nil
	}
	s, ok = wire.String(raw)
	if !ok {
		return "", false, antBad(name, "must be a string")
	}
	o.take(name)
	return s, true, nil
}

// label takes a string that is not empty; an empty one stays for Extra.
func (o *antObject) label(name string) (string, error) {
	s, ok, err := o.text(name)
	if ok && s == "" {
		o.find(name).taken = false
	}
	return s, err
}

// need takes a string that must be there.
func (o *antObject) need(name string) (string, error) {
	s, ok, err := o.text(name)
	if err == nil && !ok {
		err = antBad(name, "is required and must be a string")
	}
	return s, err
}

// boolean takes true or false.
func (o *antObject) boolean(name string) (v, ok bool, err error) {
	raw := o.get(name)
	if raw == nil {
		return false, false, nil
	}
	v, ok = wire.Bool(raw)
	if !ok {
		return false, false, antBad(name, "must be true or false")
	}
	o.take(name)
	return v, true, nil
}

// antMaxInt bounds the integers that the codec takes, so that sums of several
// cannot overflow.
const antMaxInt = 1 << 53

// integer reads a whole number. When it has another spelling than the one the
// codec writes, that stays in Extra.Spelled (see antEnc.count).
func (o *antObject) integer(name string) (v int64, ok bool, err error) {
	raw := o.get(name)
	if raw == nil {
		return 0, false, nil
	}
	v, ok = wire.Int(raw)
	if !ok || v > antMaxInt || v < -antMaxInt {
		return 0, false, antBad(name, "must be an integer")
	}
	m := o.find(name)
	m.taken = strconv.FormatInt(v, 10) == string(raw)
	m.echo = !m.taken
	return v, true, nil
}

// float reads a number; like integer it keeps another spelling.
func (o *antObject) float(name string) (*float64, error) {
	raw := o.get(name)
	if raw == nil {
		return nil, nil
	}
	v, ok := antFloat(raw)
	if !ok {
		return nil, antBad(name, "must be a number")
	}
	m := o.find(name)
	m.taken = antFormatFloat(v) == string(raw)
	m.echo = !m.taken
	return &v, nil
}

func antFloat(raw []byte) (float64, bool) {
	if len(raw) == 0 || (raw[0] != '-' && (raw[0] < '0' || raw[0] > '9')) {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(raw), 64)
	return v, err == nil
}

func antFormatFloat(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// elements returns the values of an array.
func antElements(raw []byte) ([][]byte, bool) {
	if len(raw) == 0 || raw[0] != '[' {
		return nil, false
	}
	out := make([][]byte, 0, 4)
	for at := range wire.Elements(raw, wire.Span{Start: 0, End: len(raw)}) {
		out = append(out, at.Of(raw))
	}
	return out, true
}

// extra returns what was not taken: Spelled has what says nothing more than
// the canonical form, Members the rest.
func (o *antObject) extra(form uint32) llm.Extra {
	e := llm.Extra{Dialect: llm.Anthropic, Form: form}
	for _, m := range o.members {
		into := &e.Members
		switch {
		case m.taken:
			continue
		case m.echo || antSaysNothing(m.raw) || antIsDefault(m.name, m.raw):
			into = &e.Spelled
		}
		if *into == nil {
			*into = append(*into, '{')
		} else {
			*into = append(*into, ',')
		}
		*into = append(append(append(*into, m.key...), ':'), m.raw...)
	}
	if e.Members != nil {
		e.Members = append(e.Members, '}')
	}
	if e.Spelled != nil {
		e.Spelled = append(e.Spelled, '}')
	}
	return e
}

// antDefaults are members that Anthropic's newer models and clients always
// send, with the values that say no more than their absence.
var antDefaults = []struct{ name, value string }{
	{"service_tier", `"standard"`},
	{"inference_geo", `"not_available"`},
	{"inference_geo", `"global"`},
	{"defer_loading", "false"},
}

func antIsDefault(name string, raw []byte) bool {
	for _, d := range antDefaults {
		if d.name == name && d.value == string(raw) {
			return true
		}
	}
	return name == "caller" && antIsDirect(raw)
}

// antIsDirect reports whether raw is {"type":"direct"}: the model itself, and
// not a program that it wrote, calls the tool.
func antIsDirect(raw []byte) bool {
	o, err := antParse(raw)
	return err == nil && len(o.members) == 1 && wire.StringEquals(o.get("type"), "direct")
}

// antSaysNothing reports whether raw is null, empty or an object of such.
func antSaysNothing(raw []byte) bool {
	switch string(raw) {
	case "null", `""`, "[]", "{}":
		return true
	}
	if len(raw) == 0 || raw[0] != '{' {
		return false
	}
	o, err := antParse(raw)
	for _, m := range o.members {
		if !antSaysNothing(m.raw) {
			return false
		}
	}
	return err == nil
}

// left returns what was not taken as one object; nil when all was.
func (o *antObject) left() []byte {
	var out []byte
	for _, m := range o.members {
		if m.taken {
			continue
		}
		if out == nil {
			out = append(out, '{')
		} else {
			out = append(out, ',')
		}
		out = append(append(append(out, m.key...), ':'), m.raw...)
	}
	if out != nil {
		out = append(out, '}')
	}
	return out
}

// replaceRest leaves member name for Extra with only what inner did not take
// of it, or takes it when nothing is left. wasEmpty objects stay.
func (o *antObject) replaceRest(name string, inner *antObject) {
	m := o.find(name)
	if m == nil || len(inner.members) == 0 {
		return
	}
	rest := inner.left()
	m.taken = rest == nil
	if rest != nil {
		m.raw = rest
	}
}

// antFields returns the members of an Extra that came from this dialect.
func antFields(e llm.Extra) antObject {
	var all antObject
	if e.Dialect != llm.Anthropic {
		return all
	}
	for _, raw := range [][]byte{e.Members, e.Spelled} {
		if len(raw) == 0 {
			continue
		}
		if o, err := antParse(raw); err == nil {
			all.members = append(all.members, o.members...)
		}
	}
	return all
}

// antEnc appends JSON. Objects are written member by member between open and
// shut, and shut adds what the Extra has beyond the members written.
type antEnc struct {
	b      []byte
	names  []string
	starts []int
}

func (e *antEnc) open() {
	e.b = append(e.b, '{')
	e.starts = append(e.starts, len(e.names))
}

// shut closes the object; rest are the members to add, unless a member of
// the name was written.
func (e *antEnc) shut(rest antObject) {
	start := e.starts[len(e.starts)-1]
	for _, m := range rest.members {
		if !slices.Contains(e.names[start:], m.name) {
			e.comma()
			e.b = append(append(append(e.b, m.key...), ':'), m.raw...)
		}
	}
	e.b = append(e.b, '}')
	e.names = e.names[:start]
	e.starts = e.starts[:len(e.starts)-1]
}

// comma separates members and elements.
func (e *antEnc) comma() {
	if n := len(e.b); n > 0 && e.b[n-1] != '{' && e.b[n-1] != '[' && e.b[n-1] != ',' {
		e.b = append(e.b, ',')
	}
}

func (e *antEnc) key(name string) {
	e.comma()
	e.b = append(wire.AppendString(e.b, name), ':')
	e.names = append(e.names, name)
}

func (e *antEnc) text(name, value string) {
	e.key(name)
	e.b = wire.AppendString(e.b, value)
}

func (e *antEnc) str(value string) { e.b = wire.AppendString(e.b, value) }

// label writes a string unless it is empty.
func (e *antEnc) label(name, value string) {
	if value != "" {
		e.text(name, value)
	}
}

func (e *antEnc) raw(name string, value []byte) {
	e.key(name)
	e.b = append(e.b, value...)
}

func (e *antEnc) boolean(name string, v bool) {
	e.key(name)
	e.b = strconv.AppendBool(e.b, v)
}

func (e *antEnc) integer(name string, v int64) {
	e.key(name)
	e.b = strconv.AppendInt(e.b, v, 10)
}

// count writes an integer that may have a witness of another spelling in rest.
func (e *antEnc) count(name string, v int64, rest *antObject) {
	if w := rest.get(name); w != nil {
		if n, ok := wire.Int(w); ok && n == v {
			e.raw(name, w)
			return
		}
	}
	e.integer(name, v)
}

// number writes a float that may have a witness of another spelling in rest.
func (e *antEnc) number(name string, v *float64, rest *antObject) {
	if v == nil || math.IsNaN(*v) || math.IsInf(*v, 0) {
		return
	}
	if w := rest.get(name); w != nil {
		if n, ok := antFloat(w); ok && n == *v {
			e.raw(name, w)
			return
		}
	}
	e.key(name)
	e.b = append(e.b, antFormatFloat(*v)...)
}

// antLosses gathers losses, each once.
type antLosses struct{ list []llm.Loss }

func (l *antLosses) add(feature, detail string) {
	for _, x := range l.list {
		if x.Feature == feature && x.Detail == detail {
			return
		}
	}
	l.list = append(l.list, llm.Loss{Feature: feature, Detail: detail})
}

const antNoEquivalent = "anthropic has no equivalent"

// extra declares what another dialect's Extra says. Members that say nothing
// (null, empty) are no loss.
func (l *antLosses) extra(prefix string, e llm.Extra) {
	if e.Dialect == llm.Anthropic || e.Dialect == "" || len(e.Members) == 0 {
		return
	}
	if _, err := wire.Scan(e.Members, nil, nil); err != nil {
		l.add(prefix+"*", antNoEquivalent)
		return
	}
	o, err := antParse(bytes.TrimSpace(e.Members))
	if err != nil {
		l.add(prefix+"*", antNoEquivalent)
		return
	}
	for _, m := range o.members {
		switch string(m.raw) {
		case "null", `""`, "[]", "{}":
			continue
		}
		l.add(prefix+m.name, antNoEquivalent)
	}
}
