package upstream

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// The splice lane's half of the quirks: a body of the target's own dialect gets
// the same treatment as a call, as edits of the members that are named and of
// nothing else.

// Chat's two names of the output cap.
const (
	oldCap = "max_tokens"
	newCap = "max_completion_tokens"
)

// capName is the output cap of the other dialects.
var capName = map[llm.Dialect]string{llm.Responses: "max_output_tokens", llm.Anthropic: oldCap, llm.Completions: oldCap}

// Edit appends a request body to dst with what the model does not take left out
// or spelled as it wants it, and says what was lost. Every other byte stays. The
// error says where body is no JSON object, or has a member twice that matters
// here.
func (q *Quirks) Edit(dst, body []byte) ([]byte, []llm.Loss, error) {
	e := editor{quirks: q, body: body}
	if err := e.look(); err != nil {
		return dst, nil, fmt.Errorf("the request cannot be fitted to %s: %w", q.who, err)
	}
	e.refuse()
	e.limits()
	e.tools()
	e.roles()
	for outer, changes := range e.changes {
		e.rewrite.Change(body, e.objects[outer], changes)
	}
	return e.rewrite.Append(dst, body), e.losses, nil
}

// editor is one Edit at work. Places are written as in [parameter].
type editor struct {
	quirks  *Quirks
	body    []byte
	found   map[string]wire.Member // by place
	objects map[string]wire.Object // by the name of the outer member; "" is the body
	changes map[string][]wire.Change
	rewrite wire.Rewrite
	losses  []llm.Loss
}

// look finds every member that may be edited.
func (e *editor) look() error {
	e.found, e.objects, e.changes = map[string]wire.Member{}, map[string]wire.Object{}, map[string][]wire.Change{}
	inner := map[string][]string{}
	for _, place := range e.quirks.watched() {
		outer, name := cutPlace(place)
		if !slices.Contains(inner[outer], name) {
			inner[outer] = append(inner[outer], name)
		}
		if outer != "" && !slices.Contains(inner[""], outer) {
			inner[""] = append(inner[""], outer)
		}
	}
	if err := e.scan("", wire.Span{End: len(e.body)}, inner[""]); err != nil {
		return err
	}
	for outer, names := range inner {
		at := e.found[outer].Value
		if outer == "" || at.IsZero() || e.body[at.Start] != '{' {
			continue
		}
		if err := e.scan(outer, at, names); err != nil {
			return err
		}
	}
	return nil
}

func (e *editor) scan(outer string, at wire.Span, names []string) error {
	members := make([]wire.Member, len(names))
	object, err := wire.ScanAt(e.body, at, names, members)
	if err != nil {
		return err
	}
	e.objects[outer] = object
	for i, name := range names {
		if !members[i].IsZero() {
			e.found[joinPlace(outer, name)] = members[i]
		}
	}
	return nil
}

// cutPlace takes a place apart.
func cutPlace(place string) (outer, name string) {
	if outer, name, ok := strings.Cut(place, "."); ok {
		return outer, name
	}
	return "", place
}

func joinPlace(outer, name string) string {
	if outer == "" {
		return name
	}
	return outer + "." + name
}

// watched are the places in which something may have to change.
func (q *Quirks) watched() (out []string) {
	d := q.dialect
	conditional := func(r refusal) bool { return r.when != "" }
	if len(q.efforts) > 0 || slices.ContainsFunc(q.refuses, conditional) {
		out = append(out, parameterOf("reasoning_effort").at[d]...)
	}
	for _, r := range q.refuses {
		out = append(out, r.at[d]...)
	}
	for _, name := range slices.Concat(q.oneOf...) {
		out = append(out, parameterOf(name).at[d]...)
	}
	if q.maxStops > 0 {
		out = append(out, parameterOf("stop").at[d]...)
	}
	if q.minTokens > 0 && capName[d] != "" {
		out = append(out, capName[d])
	}
	if len(q.schema) > 0 {
		out = append(out, "tools")
	}
	if d != llm.Chat {
		return out
	}
	if q.cap != "" || q.minTokens > 0 {
		out = append(out, oldCap, newCap)
	}
	if len(q.schema) > 0 {
		out = append(out, "response_format")
	}
	if q.required != "" {
		out = append(out, "tool_choice")
	}
	if q.instructions != "" {
		out = append(out, "messages")
	}
	return out
}

// mostNames is the most outermost members that the quirks of one model watch; a
// test holds the table to it.
const mostNames = 32

// prepare works out what [Quirks.Concern] looks for.
func (q *Quirks) prepare() {
	for _, place := range q.watched() {
		outer, name := cutPlace(place)
		if outer == "" {
			outer = name
		}
		if outer != "messages" && outer != q.cap && !slices.Contains(q.names, outer) {
			q.names = append(q.names, outer)
		}
	}
	q.names = q.names[:min(len(q.names), mostNames)]
	switch {
	case q.dialect != llm.Chat:
	case q.instructions == "system":
		q.role = []byte(`"developer"`)
	case q.instructions != "":
		q.role = []byte(`"system"`)
	}
}

// Concern reports whether a body has anything that may have to change. It costs
// one scan and allocates nothing; most requests need no more.
func (q *Quirks) Concern(body []byte) bool {
	if q.role != nil && bytes.Contains(body, q.role) {
		return true
	}
	if len(q.names) == 0 {
		return false
	}
	var found [mostNames]wire.Member
	if _, err := wire.Scan(body, q.names, found[:]); err != nil {
		return true // Edit says what is wrong
	}
	for i := range q.names {
		if !found[i].IsZero() && !wire.IsNull(found[i].Value.Of(body)) {
			return true
		}
	}
	return false
}

// value is the JSON of a member, nil when it is absent or null.
func (e *editor) value(place string) []byte {
	m := e.found[place]
	if m.IsZero() || wire.IsNull(m.Value.Of(e.body)) {
		return nil
	}
	return m.Value.Of(e.body)
}

// change notes what becomes of a member; a nil value drops it.
func (e *editor) change(place string, value []byte) {
	outer, name := cutPlace(place)
	m, ok := e.found[place]
	if !ok {
		return
	}
	e.changes[outer] = append(e.changes[outer], wire.Change{Name: name, Member: m, Value: value})
	delete(e.found, place) // nothing else may change it
}

func (e *editor) lose(l llm.Loss) { e.losses = append(e.losses, l) }

// stated reports whether a body says something by a parameter that does not hold
// anyway.
func (e *editor) stated(p *parameter) bool {
	return slices.ContainsFunc(p.at[e.quirks.dialect], func(place string) bool {
		v := e.value(place)
		return v != nil && !slices.Contains(p.neutral, string(v))
	})
}

// drop takes a parameter out of the body.
func (e *editor) drop(p *parameter) {
	for _, place := range p.at[e.quirks.dialect] {
		e.change(place, nil)
	}
}

// refuse drops what the model does not take.
func (e *editor) refuse() {
	q := e.quirks
	effort := e.effort()
	for i := range q.refuses {
		if r := &q.refuses[i]; r.holds(effort) && e.stated(r.parameter) {
			e.drop(r.parameter)
			if r.name != "stream_options" {
				e.lose(q.lost(r.in(q.dialect), "does not take it"))
			}
		}
	}
	for _, names := range q.oneOf {
		kept := ""
		for _, name := range names {
			p := parameterOf(name)
			switch {
			case !e.stated(p):
			case kept == "":
				kept = name
			default:
				e.drop(p)
				e.lose(q.lost(p.in(q.dialect), "does not take it beside "+kept))
			}
		}
	}
	if word := q.effort(effort); word != effort && e.effort() != "" {
		place := parameterOf("reasoning_effort").at[q.dialect][0]
		e.lose(q.lost(place, fmt.Sprintf("knows no %q; %q was asked for", effort, word)))
		e.change(place, wire.AppendString(nil, word))
	}
}

// effort is the word that the body asks for; empty when it asks for none, or in
// another form.
func (e *editor) effort() string {
	for _, place := range parameterOf("reasoning_effort").at[e.quirks.dialect] {
		if word, ok := wire.String(e.value(place)); ok {
			return word
		}
	}
	return ""
}

// limits spells and bounds the output cap, and bounds the stop sequences.
func (e *editor) limits() {
	q := e.quirks
	name := capName[q.dialect]
	if q.dialect == llm.Chat {
		name = e.cap()
	}
	if n, err := strconv.Atoi(string(e.value(name))); err == nil && n < q.minTokens {
		e.lose(q.lost(name, "takes no less than "+strconv.Itoa(q.minTokens)+"; so many were asked for"))
		e.change(name, strconv.AppendInt(nil, int64(q.minTokens), 10))
	}
	for _, place := range parameterOf("stop").at[q.dialect] {
		v := e.value(place)
		if q.maxStops == 0 || len(v) == 0 || v[0] != '[' {
			continue
		}
		at, n := e.found[place].Value, 0
		for item := range wire.Elements(e.body, at) {
			if n++; n == q.maxStops+1 {
				e.lose(q.lost(place, fmt.Sprintf("takes %d; the others were left out", q.maxStops)))
				e.change(place, cutList(e.body, at, item))
				break
			}
		}
	}
}

// cutList is the list at span at without its elements from item on.
func cutList(body []byte, at, item wire.Span) []byte {
	head := strings.TrimRight(string(body[at.Start:item.Start]), " \t\r\n,")
	return []byte(head + "]")
}

// cap gives chat's output cap the name that the model knows, and returns the one
// that it then has in the body.
func (e *editor) cap() string {
	want, other := e.quirks.cap, oldCap
	if want == "" {
		if e.value(newCap) != nil {
			return newCap
		}
		return oldCap
	}
	if want == oldCap {
		other = newCap
	}
	m, has := e.found[other]
	switch {
	case !has || e.value(other) == nil: // a null says nothing
		return want
	case e.value(want) != nil:
		e.change(other, nil)
		return want
	}
	e.change(want, nil) // a null
	e.rewrite.Add(wire.Edit{At: m.Key, With: wire.AppendString(nil, want)})
	return other
}

// tools spells the tool choice and strips schemas.
func (e *editor) tools() {
	q := e.quirks
	word, _ := wire.String(e.value("tool_choice"))
	if q.dialect == llm.Chat && q.required != "" && (word == "required" || word == "any") && word != q.required {
		if q.required == "auto" {
			e.lose(q.lost("tool_choice", "cannot be made to call a tool; auto was asked for"))
		}
		e.change("tool_choice", wire.AppendString(nil, q.required))
	}
	if len(q.schema) == 0 {
		return
	}
	s := stripper{body: e.body, keywords: q.schema, rewrite: &e.rewrite}
	if _, has := e.found["tools"]; has {
		i := 0
		for item := range wire.Elements(e.body, e.found["tools"].Value) {
			s.gone = nil
			s.schema(e.inside(item, "function", "parameters"))
			s.schema(e.inside(item, "parameters"))
			s.schema(e.inside(item, "input_schema"))
			e.loseSchema(fmt.Sprintf("tools[%d]", i), s.gone)
			i++
		}
	}
	s.gone = nil
	s.schema(e.inside(e.found["response_format"].Value, "json_schema", "schema"))
	e.loseSchema("response_format", s.gone)
}

func (e *editor) loseSchema(where string, gone []string) {
	if len(gone) > 0 {
		slices.Sort(gone)
		e.lose(e.quirks.stripped(where, slices.Compact(gone)))
	}
}

// inside is where the value at the end of a way of members stands; zero when
// there is none.
func (e *editor) inside(at wire.Span, way ...string) wire.Span {
	for _, name := range way {
		if at.IsZero() || e.body[at.Start] != '{' {
			return wire.Span{}
		}
		next := wire.Span{}
		for m := range wire.Members(e.body, at) {
			if wire.StringEquals(m.Key.Of(e.body), name) {
				next = m.Value
			}
		}
		at = next
	}
	return at
}

// roles gives the instructions of a chat the role that the model knows.
func (e *editor) roles() {
	q := e.quirks
	messages, has := e.found["messages"]
	if q.instructions == "" || q.dialect != llm.Chat || !has {
		return
	}
	moved := false
	for item := range wire.Elements(e.body, messages.Value) {
		at := e.inside(item, "role")
		word, _ := wire.String(at.Of(e.body))
		if (word == "system" || word == "developer") && word != q.instructions {
			e.rewrite.Add(wire.Edit{At: at, With: wire.AppendString(nil, q.instructions)})
			moved = true
		}
	}
	if moved && q.instructions == "user" {
		e.lose(q.lost("system", "knows no instructions; they were given as the user's words"))
	}
}
