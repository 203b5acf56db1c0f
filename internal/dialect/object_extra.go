package dialect

import (
	"bytes"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// What is left of an object when a codec has taken its members, and objects
// that are put together of members as they stand.

// keepDefaults keeps for their spelling alone the members that have a value
// which says no more than their absence.
func (o *object) keepDefaults(defaults []defaultValue) {
	for i := range o.members {
		m := &o.members[i]
		if m.use != useLeft {
			continue
		}
		for _, d := range defaults {
			if d.value == string(m.value) && m.is(d.name) {
				m.use = useSpelled
			}
		}
	}
}

// defaultValue is a member with the value, as JSON, that it has when unsaid.
type defaultValue struct{ name, value string }

// extra is all that was not taken, and the spellings that were kept.
func (o *object) extra(d llm.Dialect, form uint32) llm.Extra {
	return llm.Extra{Dialect: d, Members: o.unsaid(), Spelled: o.spelled(), Form: form}
}

// unsaid is Extra.Members: what was not taken and says something.
func (o *object) unsaid() (members []byte) {
	for i := range o.members {
		m := &o.members[i]
		switch {
		case m.sub != nil:
			members = appendRaw(members, m.key, m.sub.unsaid())
		case m.use == useLeft && !isEmpty(m.value):
			members = appendRaw(members, m.key, m.value)
		}
	}
	return closeRaw(members)
}

// spelled is Extra.Spelled: what was kept for its spelling or says nothing.
func (o *object) spelled() (members []byte) {
	for i := range o.members {
		m := &o.members[i]
		switch {
		case m.sub != nil && len(m.sub.members) == 0:
			members = appendRaw(members, m.key, []byte("{}"))
		case m.sub != nil:
			members = appendRaw(members, m.key, m.sub.spelled())
		case m.use == useSpelled, m.use == useLeft && isEmpty(m.value):
			members = appendRaw(members, m.key, m.value)
		}
	}
	return closeRaw(members)
}

// put makes value the value of the member whose key is key. Both are copied.
func (o *object) put(key, value []byte) {
	name, _ := wire.Unquote(key)
	if i := o.find(name); i >= 0 {
		o.members[i].value = bytes.Clone(value)
		return
	}
	o.add(newMember(bytes.Clone(key), bytes.Clone(value)), nameHash(name))
}

// left is the object of the members that were not taken; nil when all were.
func (o *object) left() []byte {
	var out []byte
	for i := range o.members {
		if m := &o.members[i]; m.use == useLeft {
			out = appendRaw(out, m.key, m.value)
		}
	}
	return closeRaw(out)
}

// appendRaw adds a member to an object that closeRaw ends; nil is none.
func appendRaw(dst, key, value []byte) []byte {
	if value == nil {
		return dst
	}
	if dst == nil {
		dst = append(make([]byte, 0, len(key)+len(value)+3), '{')
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

// mergeMembers joins two objects; b's members replace a's, and objects under
// one name are merged.
func mergeMembers(a, b []byte) []byte {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	x, err := openObject(a, where{})
	if err != nil {
		return b
	}
	y, err := openObject(b, where{})
	if err != nil {
		return a
	}
	for i := range y.members {
		m := &y.members[i]
		value := m.value
		if old := x.peek(m.name()); len(old) > 0 && old[0] == '{' && value[0] == '{' {
			value = mergeMembers(old, value)
		}
		x.put(m.key, value)
	}
	if len(x.members) == 0 {
		return []byte("{}")
	}
	return x.left()
}

// clone is the object with memory of its own.
func (o *object) clone() *object {
	out := &object{where: o.where}
	for i := range o.members {
		out.put(o.members[i].key, o.members[i].value)
	}
	return out
}
