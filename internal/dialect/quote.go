package dialect

import (
	"bytes"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Texts stay the JSON strings that they are on their way from one body into
// another (see llm.Text). Those of calls and answers are the bytes of the body;
// those of a stream's events, whose bytes are soon overwritten, are copies.

// quoted is s as a text.
func quoted(s string) llm.Text {
	if s == "" {
		return nil
	}
	return stringJSON(s)
}

// unquoted is what a text says.
func unquoted(t llm.Text) string {
	s, _ := wire.Unquote(t)
	return s
}

// quoteOf is a value as a text; ok is false when it is not a string.
func quoteOf(raw []byte) (t llm.Text, ok bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return nil, false
	}
	return raw, true
}

// joinQuotes is the texts behind each other, the separator, which needs no
// escapes, between them.
func joinQuotes(texts []llm.Text, separator string) llm.Text {
	switch len(texts) {
	case 0:
		return nil
	case 1:
		return texts[0]
	}
	size := 2
	for _, t := range texts {
		size += len(t) + len(separator)
	}
	all := append(make([]byte, 0, size), '"')
	for i, t := range texts {
		if i > 0 {
			all = append(all, separator...)
		}
		all = append(all, inside(t)...)
	}
	return append(all, '"')
}

// inside is a text without its quotes.
func inside(t llm.Text) []byte {
	if t.Empty() {
		return nil
	}
	return t[1 : len(t)-1]
}

// sameText reports whether two texts say the same, however they are spelled.
func sameText(a, b llm.Text) bool { return bytes.Equal(a, b) || unquoted(a) == unquoted(b) }

// isBlank reports whether a text has nothing but white space.
func isBlank(t llm.Text) bool {
	in := inside(t)
	if len(in) > 0 && in[0] > ' ' && in[0] < 0x80 && in[0] != '\\' {
		return false
	}
	return len(bytes.TrimSpace([]byte(unquoted(t)))) == 0
}

// ownTexts gives the texts of a part memory of their own.
func ownTexts(p *llm.Part) {
	p.Text = bytes.Clone(p.Text)
	if p.Result == nil {
		return
	}
	for i := range p.Result.Parts {
		ownTexts(&p.Result.Parts[i])
	}
}

// quote takes a string as it stands. An empty one keeps its spelling; it is nil when
// it is absent or null.
func (o *object) quote(name string) llm.Text {
	raw := o.raw(name)
	if raw == nil {
		return nil
	}
	t, ok := quoteOf(raw)
	if !ok {
		o.wrong(name, "must be a string")
	}
	if t.Empty() {
		o.keep(name)
	}
	return t
}

// needQuote takes a string that must be there, be it empty, as it stands.
func (o *object) needQuote(name string) llm.Text {
	i := o.find(name)
	if i < 0 {
		o.wrong(name, "is missing")
		return nil
	}
	o.members[i].use = useTaken
	t, ok := quoteOf(o.members[i].value)
	if !ok {
		o.wrong(name, "must be a string")
	}
	return t
}

// quoteJSON is the value that a text is, which may be the text's own bytes.
func quoteJSON(t llm.Text) []byte {
	if len(t) == 0 {
		return []byte(`""`)
	}
	return t
}

// quote writes a text, be it empty. What was kept of it is dropped.
func (w *objectWriter) quote(name string, t llm.Text) {
	w.drop(name)
	w.key(name)
	w.buf = append(w.buf, quoteJSON(t)...)
}

// quoteOrNone writes a text unless it is empty.
func (w *objectWriter) quoteOrNone(name string, t llm.Text) {
	if t.Empty() {
		w.set(name, nil)
		return
	}
	w.quote(name, t)
}
