package config

import (
	"errors"
	"reflect"

	"tailplane/internal/discover"
)

// Replicas decodes the file of a discovered target, YAML or JSON, with the same
// strictness as the config. Its error tells every problem with its place.
func Replicas(name string, text []byte) ([]discover.Item, error) {
	d := newDecoder(name, text)
	var items []discover.Item
	switch {
	case d.broken:
	case d.root == nil || d.root.Tag == "!!null":
		d.add(Problem{File: name, Line: 1, Col: 1, Wrong: "there is no list", Right: "write [] when there is no replica"})
	default:
		d.value(d.root, reflect.ValueOf(&items).Elem(), "")
	}
	var problems []error
	for _, p := range d.sorted() {
		problems = append(problems, errors.New(p.String()))
	}
	return items, errors.Join(problems...)
}
