package wire

import (
	"bytes"
	"fmt"
	"mime"
	"strings"
)

// Rules of reading multipart/form-data, after RFC 7578 and RFC 2046 5.1:
//
//   - Nothing is decoded or copied: a form is spans of its body, and is edited with
//     Splice like a JSON object, so bytes outside of an edited value stay as they are.
//   - A delimiter is CRLF, "--", the boundary, and at once a CRLF or the closing "--" (with
//     blanks before the CRLF, as the grammar allows). A boundary that is only the beginning
//     of a line is data.
//   - A form without its closing delimiter was cut and is an error.
//   - A wanted field that stands twice is an error: readers disagree which one counts.

// Field is one field of a form: its name and where its head and its value stand. The zero
// Field is an absent one.
type Field struct {
	Name string
	File bool // it has a file name
	Type string
	// Head is the lines of the field's header, Value its content.
	Head, Value Span
}

// IsZero reports whether the field is absent.
func (f Field) IsZero() bool { return f.Value == Span{} }

// FormError says why a body is not the form that its content type announces.
type FormError struct {
	Offset int
	Reason string
}

func (e *FormError) Error() string {
	return fmt.Sprintf("invalid multipart form at byte %d: %s", e.Offset, e.Reason)
}

// Boundary is the boundary of a form from its content type; false for anything else.
func Boundary(contentType string) (string, bool) {
	kind, params, err := mime.ParseMediaType(contentType)
	b := params["boundary"]
	if err != nil || kind != "multipart/form-data" || b == "" || len(b) > 70 || strings.ContainsAny(b, "\r\n") {
		return "", false
	}
	return b, true
}

// Form finds the fields of a form called names: found[i] is the field names[i], or zero
// when it is absent. len(found) >= len(names). end is where another field can be inserted
// (see InsertField). The error is a *FormError; found then holds nothing of use.
func Form(body []byte, boundary string, names []string, found []Field) (end int, err error) {
	clear(found[:len(names)])
	s := formScan{body: body, delimiter: "\r\n--" + boundary}
	at, last, err := s.first()
	for err == nil && !last {
		var f Field
		begin := at
		if f, at, last, err = s.field(at); err != nil {
			break
		}
		end = f.Value.End
		for i, name := range names {
			if name != f.Name {
				continue
			}
			if !found[i].IsZero() {
				return 0, &FormError{begin, fmt.Sprintf("field %q stands twice: send it once", name)}
			}
			found[i] = f
		}
	}
	if err == nil && end == 0 {
		err = &FormError{at, "it has no field"}
	}
	return end, err
}

// InsertField returns the edit that adds a text field at the end of a form, where Form said.
// value must not contain the boundary, and name no quote.
func InsertField(end int, boundary, name, value string) Edit {
	text := "\r\n--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value
	return Edit{At: Span{end, end}, With: []byte(text)}
}

// formScan walks a form.
type formScan struct {
	body      []byte
	delimiter string // CRLF, dashes, boundary
}

// first finds the first delimiter, which may stand at the very beginning.
func (s *formScan) first() (at int, last bool, err error) {
	if bytes.HasPrefix(s.body, []byte(s.delimiter[2:])) {
		if at, last, ok := s.behind(len(s.delimiter) - 2); ok {
			return at, last, nil
		}
	}
	_, at, last, ok := s.next(0)
	if !ok {
		return 0, false, &FormError{0, "the boundary of the content type is not in the body"}
	}
	return at, last, nil
}

// next finds the delimiter from offset from on: where the data before it ends, and where
// what follows it begins.
func (s *formScan) next(from int) (end, at int, last, ok bool) {
	for {
		i := bytes.Index(s.body[from:], []byte(s.delimiter))
		if i < 0 {
			return 0, 0, false, false
		}
		end = from + i
		if at, last, ok := s.behind(end + len(s.delimiter)); ok {
			return end, at, last, true
		}
		from = end + 2
	}
}

// behind reads what follows a boundary: the end of its line, or the dashes that close the
// form. ok is false when the boundary was only the beginning of something longer.
func (s *formScan) behind(i int) (at int, last, ok bool) {
	rest := s.body[i:]
	if bytes.HasPrefix(rest, []byte("--")) {
		return i + 2, true, true
	}
	blanks := len(rest) - len(bytes.TrimLeft(rest, " \t"))
	if bytes.HasPrefix(rest[blanks:], []byte("\r\n")) {
		return i + blanks + 2, false, true
	}
	return 0, false, false
}

// field reads the field whose head begins at offset at.
func (s *formScan) field(at int) (f Field, next int, last bool, err error) {
	f.Head.Start, f.Head.End = at, at
	for {
		i := bytes.Index(s.body[f.Head.End:], []byte("\r\n"))
		if i < 0 {
			return f, 0, false, &FormError{at, "the head of a field does not end"}
		}
		line := s.body[f.Head.End : f.Head.End+i]
		f.Head.End += i + 2
		if len(line) == 0 {
			break
		}
		if err := f.note(string(line)); err != nil {
			return f, 0, false, &FormError{f.Head.End - i - 2, err.Error()}
		}
	}
	// The delimiter may follow the head's empty line at once, whose CRLF is then its own.
	end, next, last, ok := s.next(f.Head.End - 2)
	if !ok {
		return f, 0, false, &FormError{len(s.body), "it ends without its closing boundary"}
	}
	f.Value = Span{f.Head.End, max(end, f.Head.End)}
	if end < f.Head.End {
		return f, 0, false, &FormError{end, "a field has no empty line behind its head"}
	}
	return f, next, last, nil
}

// note takes in one line of a field's head.
func (f *Field) note(line string) error {
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return fmt.Errorf("%q is no header line", line[:min(len(line), 40)])
	}
	switch strings.ToLower(name) {
	case "content-disposition":
		_, params, err := mime.ParseMediaType(value)
		if err != nil {
			return fmt.Errorf("Content-Disposition cannot be read: %w", err)
		}
		f.Name = params["name"]
		_, f.File = params["filename"]
	case "content-type":
		f.Type = strings.TrimSpace(value)
	}
	return nil
}
