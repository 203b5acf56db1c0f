package watch

import (
	"math"
	"slices"

	"tailplane/internal/engine"
)

// The rules of an engine's life, at whose end its cache is empty:
//
//   - A life is one start of the process, where the page says when that was, and
//     counters that only grow. A look that has another start, or a counter that is
//     lower, is none of that life.
//   - A single such look is doubted: it may be a slip of the page, or another server
//     at the same address. An engine that began anew stays so, so that it is believed
//     after some looks in a row; and at once where it could not be reached, or said
//     that it does not serve, since the look before.
//   - A life that comes back is no restart. Several servers answer then, of which
//     none has lost its cache.

// sighting is what a look shows beside those before it.
type sighting struct {
	anew    bool // the engine was started anew
	back    bool // a step back, however it ends
	several bool // a life has come back that was over: it is not one engine
}

const (
	believedLooks  = 3   // in a row that show the same beginning
	otherStart     = 1.0 // seconds by which two starts differ at least
	mostLives      = 4   // that are remembered
	memorable      = 1e6 // tokens, from which on a life without a start is told from another one
	fastestCounter = 1e6 // tokens each second that no engine comes to
)

// life is the part of a look that tells lives apart.
type life struct {
	started           float64 // 0 is not known
	prompt, generated float64 // negative is not known
}

func lifeOf(s *engine.Sample) life {
	l := life{started: s.Started, prompt: -1, generated: -1}
	if s.Known.Has(engine.SignalPrompt) {
		l.prompt = s.Prompt
	}
	if s.Known.Has(engine.SignalGenerated) {
		l.generated = s.Generated
	}
	return l
}

func (l life) known() bool { return l.started > 0 || l.prompt >= 0 || l.generated >= 0 }

func (l life) tokens() float64 { return max(0, l.prompt) + max(0, l.generated) }

// goesOn reports whether a look may be a later one of the same life. What is not
// known speaks against nothing.
func (l life) goesOn(look life) bool {
	fell := func(was, is float64) bool { return was >= 0 && is >= 0 && is < was }
	return !l.otherThan(look) && !fell(l.prompt, look.prompt) && !fell(l.generated, look.generated)
}

// otherThan reports that the two were started at different times.
func (l life) otherThan(look life) bool {
	return l.started > 0 && look.started > 0 && math.Abs(look.started-l.started) >= otherStart
}

// later is the life after that look.
func (l life) later(look life) life {
	if look.started > 0 {
		l.started = look.started
	}
	if look.prompt >= 0 {
		l.prompt = look.prompt
	}
	if look.generated >= 0 {
		l.generated = look.generated
	}
	return l
}

// lives tells an engine that begins anew from several behind one address. The zero
// value is ready; a scraper's goroutine owns it.
type lives struct {
	begun  bool
	is     life
	next   life   // that seems to have begun
	looks  int    // that have shown it in a row
	lost   bool   // it could not be reached since a look last showed something
	before []life // the latest that are over
}

// see takes a look, so many seconds after the one before. lost says that the engine
// could not be reached, or did not serve, in between.
func (l *lives) see(s *engine.Sample, passed float64, lost bool) (saw sighting) {
	look := lifeOf(s)
	if l.lost = l.lost || lost; !look.known() {
		return saw
	}
	lost, l.lost = l.lost, false
	if !l.begun {
		l.begun, l.is = true, look
		return saw
	}
	if i := slices.IndexFunc(l.before, func(old life) bool { return l.returns(old, look, passed) }); i >= 0 {
		is := l.before[i].later(look)
		l.before = slices.Delete(l.before, i, i+1)
		l.over()
		l.is = is
		return sighting{several: true}
	}
	switch {
	case l.is.goesOn(look):
		l.is, l.looks = l.is.later(look), 0
		return saw
	case l.looks > 0 && l.next.goesOn(look):
		l.next = l.next.later(look)
		l.looks++
	default:
		l.next, l.looks, saw.back = look, 1, true
	}
	if l.looks < believedLooks && !lost {
		return saw
	}
	l.over()
	l.is, saw.anew = l.next, true
	return saw
}

// over ends the life that is, and remembers it where it could be known again.
func (l *lives) over() {
	if l.is.started > 0 || l.is.tokens() >= memorable {
		l.before = append(l.before[max(0, len(l.before)-mostLives+1):], l.is)
	}
	l.looks = 0
}

// returns reports that a look is of an old life and not of the one that is. Without
// starts it shows by counters that are back where they were: far above those of
// now, or below them and yet not at their beginning.
func (l *lives) returns(old, look life, passed float64) bool {
	if !old.goesOn(look) {
		return false
	}
	if old.started > 0 && look.started > 0 {
		return l.is.otherThan(look)
	}
	return !l.is.goesOn(look) || look.tokens()-l.is.tokens() > fastestCounter*max(1, passed)
}
