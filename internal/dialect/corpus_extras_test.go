package dialect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"tailplane/internal/llm"
)

// extras finds, anywhere below v, the members that only another dialect knows.
func (inv *inventory) extras(v reflect.Value, to llm.Dialect) {
	if e, ok := v.Interface().(llm.Extra); ok {
		inv.extra(e, to)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			inv.extras(field, to)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			inv.extras(v.Elem(), to)
		}
	case reflect.Slice:
		if k := v.Type().Elem().Kind(); k == reflect.Struct || k == reflect.Pointer {
			for i := range v.Len() {
				inv.extras(v.Index(i), to)
			}
		}
	}
}

func (inv *inventory) extra(e llm.Extra, to llm.Dialect) {
	if e.Dialect == to || len(e.Members) == 0 {
		return
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(e.Members, &members) != nil {
		inv.add(fmt.Sprintf("unreadable extra %.80q", e.Members), func(*said) bool { return false })
		return
	}
	for name, value := range members {
		if saysNothing(value) {
			continue
		}
		names := append(memberNames(value), name)
		inv.add(fmt.Sprintf("member %s: %.60s", name, value), func(s *said) bool {
			return bytes.Contains(s.raw, fmt.Appendf(nil, "%q:", name))
		}, names...)
	}
}

// saysNothing reports whether leaving a value out changes nothing.
func saysNothing(value json.RawMessage) bool {
	switch string(value) {
	case "null", `""`, "[]", "{}":
		return true
	}
	return false
}

// memberNames are the names inside an object: a Loss may name the inner member.
func memberNames(value json.RawMessage) []string {
	var inner map[string]json.RawMessage
	if json.Unmarshal(value, &inner) != nil {
		return nil
	}
	var names []string
	for n := range inner {
		names = append(names, n)
	}
	return names
}
