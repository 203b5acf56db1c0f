package sigv4

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
)

// canonical is the canonical request over the given fields, whose names are in
// lower case, and the list of their names.
func (r Request) canonical(fields []Field, query string) (text []byte, names string) {
	slices.SortStableFunc(fields, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	b := make([]byte, 0, 2048)
	b = append(append(b, r.Method...), '\n')
	b = append(r.appendPath(b), '\n')
	b = append(appendQuery(b, query), '\n')
	list := make([]byte, 0, 128)
	for i, f := range fields {
		if i > 0 && fields[i-1].Name == f.Name {
			b[len(b)-1] = ',' // the values of a name stand on one line
		} else {
			if i > 0 {
				list = append(list, ';')
			}
			list = append(list, f.Name...)
			b = append(append(b, f.Name...), ':')
		}
		b = append(appendFolded(b, f.Value), '\n')
	}
	b = append(append(append(b, '\n'), list...), '\n')
	return append(b, r.Payload...), string(list)
}

// appendFolded writes a value without the blanks around it and with every run of
// them inside as one space.
func appendFolded(b []byte, value string) []byte {
	value = strings.Trim(value, " \t")
	if strings.IndexByte(value, '\t') >= 0 {
		value = strings.ReplaceAll(value, "\t", " ")
	}
	for {
		i := strings.IndexByte(value, ' ')
		if i < 0 {
			return append(b, value...)
		}
		b = append(b, value[:i+1]...)
		value = strings.TrimLeft(value[i:], " ")
	}
}

func (r Request) appendPath(b []byte) []byte {
	path := r.Path
	if path == "" {
		path = "/"
	}
	switch r.Paths {
	case PathVerbatim:
		return append(b, path...)
	case PathNormal:
		path = normal(path)
	}
	return appendEscaped(b, path, true)
}

// normal resolves the dots and empty segments of a path. A slash at its end
// stays.
func normal(path string) string {
	if !strings.Contains(path, "//") && !strings.Contains(path, "/.") {
		return path
	}
	var out []string
	for segment := range strings.SplitSeq(path, "/") {
		switch segment {
		case "", ".":
		case "..":
			out = out[:max(0, len(out)-1)]
		default:
			out = append(out, segment)
		}
	}
	clean := "/" + strings.Join(out, "/")
	if strings.HasSuffix(path, "/") && len(out) > 0 {
		clean += "/"
	}
	return clean
}

// appendQuery writes the parameters in the order of their escaped names, then
// values. A plus is read as a space, as servers do.
func appendQuery(b []byte, query string) []byte {
	if query == "" {
		return b
	}
	var pairs []Field
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		pairs = append(pairs, Field{escaped(unescape(name)), escaped(unescape(value))})
	}
	slices.SortFunc(pairs, func(a, b Field) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Value, b.Value))
	})
	for i, p := range pairs {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(append(append(b, p.Name...), '='), p.Value...)
	}
	return b
}

// unescape undoes the escapes of a query; a text with a broken escape stands
// for itself.
func unescape(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}

func escaped(text string) string { return string(appendEscaped(nil, text, false)) }

// appendEscaped writes every byte but the unreserved ones of RFC 3986 (and the
// slashes of a path) as %XX.
func appendEscaped(b []byte, text string, path bool) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(text) {
		c := text[i]
		if unreserved(c) || path && c == '/' {
			b = append(b, c)
			continue
		}
		b = append(b, '%', digits[c>>4], digits[c&15])
	}
	return b
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}
