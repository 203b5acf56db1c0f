package dialect

import (
	"bytes"
	"slices"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// arena hands out memory for values that are all let go of at once. Lists for which
// it has none left get memory of their own; the zero arena never has any.
type arena[T any] struct {
	all  []T
	used int
}

func newArena[T any](n int) arena[T] { return arena[T]{all: make([]T, n)} }

// one is a zero value, nil when there is no memory left.
func (a *arena[T]) one() *T {
	if a.used == len(a.all) {
		return nil
	}
	a.used++
	return &a.all[a.used-1]
}

// list is an empty list with room for n values.
func (a *arena[T]) list(n int) []T {
	if n > len(a.all)-a.used {
		return make([]T, 0, n)
	}
	a.used += n
	return a.all[a.used-n : a.used-n : a.used]
}

// begin is an empty list of a length that shows when it is complete: nothing else is
// taken before end is given what has become of it. most is the room of one that has
// memory of its own.
func (a *arena[T]) begin(most int) []T {
	if a.used == len(a.all) {
		return make([]T, 0, most)
	}
	return a.all[a.used:a.used]
}

// end is the list, which nobody can append to without moving it.
func (a *arena[T]) end(list []T) []T {
	if free := a.all[a.used:]; len(list) <= len(free) {
		a.used += len(list)
	} else {
		clear(free) // it has moved to memory of its own
	}
	return slices.Clip(list)
}

// release lets go of all but the first used values.
func (a *arena[T]) release(used int) {
	clear(a.all[used:a.used])
	a.used = used
}

// lent is memory of an At for what is read of a body: the call or answer itself, its
// turns and their parts. What points to more than that (tools, media) is not lent.
type lent struct {
	calls   arena[llm.Call]
	replies arena[llm.Reply]
	turns   arena[llm.Turn]
	parts   arena[llm.Part]
	choices arena[llm.Choice]
}

// clear takes the memory back.
func (l *lent) clear() {
	l.calls.release(0)
	l.replies.release(0)
	l.turns.release(0)
	l.parts.release(0)
	l.choices.release(0)
}

// lent is where what is read of o's body may stand, nil when that gets memory of its
// own.
func (o *object) lent() *lent {
	if o.doc == nil {
		return nil
	}
	return o.doc.lent
}

// newCall is the call that o's body is.
func (o *object) newCall() *llm.Call {
	if l := o.lent(); l != nil && l.calls.used == 0 {
		return l.calls.one()
	}
	return new(llm.Call)
}

// newReply is the answer that o's body is.
func (o *object) newReply() *llm.Reply {
	if l := o.lent(); l != nil && l.replies.used == 0 {
		return l.replies.one()
	}
	return new(llm.Reply)
}

// turns, parts and choices are empty lists with room for n.
func (o *object) turns(n int) []llm.Turn {
	if l := o.lent(); l != nil {
		return l.turns.list(n)
	}
	return make([]llm.Turn, 0, n)
}

func (o *object) parts(n int) []llm.Part {
	if l := o.lent(); l != nil {
		return l.parts.list(n)
	}
	return make([]llm.Part, 0, n)
}

func (o *object) choices(n int) []llm.Choice {
	if l := o.lent(); l != nil {
		return l.choices.list(n)
	}
	return make([]llm.Choice, 0, n)
}

// words remembers short strings, since those of one body (models, roles, kinds) stand
// in the next one too.
type words [64]string

// longestWord is how many bytes a string has at most that is remembered.
const longestWord = 48

// of is wire.Unquote.
func (w *words) of(raw []byte) (string, bool) {
	if w == nil || len(raw) < 2 || len(raw) > longestWord+2 || raw[0] != '"' || bytes.IndexByte(raw, '\\') >= 0 {
		return wire.Unquote(raw)
	}
	text := raw[1 : len(raw)-1]
	word := &w[nameHash(text)]
	if *word != string(text) {
		*word = string(text)
	}
	return *word, true
}

// unquote is wire.Unquote for a value of o's body.
func (o *object) unquote(raw []byte) (string, bool) {
	if o.doc == nil {
		return wire.Unquote(raw)
	}
	return o.doc.words.of(raw)
}
