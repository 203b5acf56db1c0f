package watch

import (
	"strings"
	"testing"

	"tailplane/internal/engine"
)

// look is one page of a story: a start, prompt and generated tokens.
type look struct {
	start, prompt, generated float64
	lost                     bool
}

func sampleOf(l look) *engine.Sample {
	s := &engine.Sample{Started: l.start, Prompt: l.prompt, Generated: l.generated}
	if l.prompt >= 0 {
		s.Known |= engine.SignalPrompt
	}
	if l.generated >= 0 {
		s.Known |= engine.SignalGenerated
	}
	return s
}

// TestWhatIsARestart tells stories of half a second a look. In what they are seen
// to be, A is a restart, b a step back that is not believed, S several servers.
func TestWhatIsARestart(t *testing.T) {
	const none = -1
	old, young := look{100, 9e6, 1e6, false}, look{500, 10, 1, false}
	oldBare, youngBare := look{0, 9e6, 1e6, false}, look{0, 10, 1, false}
	cases := map[string]struct {
		looks []look
		want  string
	}{
		"it goes on":                           {[]look{old, old, {100, 9.1e6, 1.1e6, false}}, "..."},
		"a start anew, by its start":           {[]look{old, young, young, young, young}, ".b.A."},
		"and by its counters alone":            {[]look{oldBare, youngBare, {0, 20, 2, false}, {0, 30, 3, false}, {0, 40, 4, false}}, ".b.A."},
		"by one counter":                       {[]look{{0, none, 500, false}, {0, none, 3, false}, {0, none, 4, false}, {0, none, 5, false}}, ".b.A"},
		"by a start without counters":          {[]look{{100, none, none, false}, {500, none, none, false}, {500, none, none, false}, {500, none, none, false}}, ".b.A"},
		"it could not be reached":              {[]look{old, {500, 10, 1, true}, young}, ".A."},
		"and came back as it was":              {[]look{old, {100, 9e6, 1e6, true}, old}, "..."},
		"it passes its former self at once":    {[]look{{100, 50, 5, false}, {500, 80, 9, true}, {500, 90, 9, false}}, ".A."},
		"twice":                                {[]look{old, {500, 10, 1, true}, {700, 0, 0, true}, {700, 5, 0, false}}, ".AA."},
		"a slip of one look":                   {[]look{oldBare, {0, 0, 0, false}, oldBare, oldBare, {0, 0, 0, false}, oldBare}, ".b..b."},
		"a slip of two":                        {[]look{oldBare, {0, 0, 0, false}, {0, 0, 0, false}, oldBare}, ".b.."},
		"counters that are not on the page":    {[]look{old, {0, none, none, false}, {100, none, none, false}, old}, "...."},
		"and are so when it has begun anew":    {[]look{oldBare, {0, none, none, false}, youngBare, {0, none, none, false}, youngBare, youngBare}, "..b..A"},
		"a start that is a little off":         {[]look{old, {100.3, 9e6, 1e6, false}, {99.8, 9e6, 1e6, false}}, "..."},
		"two that alternate":                   {[]look{old, young, old, young, old, young}, ".b.b.b"},
		"two of which each answers for a time": {[]look{old, young, young, young, old, old, young, young, old}, ".b.AS.S.S"},
		"and without their starts":             {[]look{oldBare, {0, 2e6, 1, false}, {0, 2e6, 1, false}, {0, 2e6, 1, false}, {0, 9.1e6, 1e6, false}, {0, 2.1e6, 1, false}}, ".b.ASS"},
		"a page that fails and shows nothing":  {[]look{oldBare, {0, 0, 0, true}, {0, 9e6, 1e6, true}, {0, 0, 0, true}, {0, 9e6, 1e6, true}}, ".ASAS"},
	}
	for name, c := range cases {
		var l lives
		var saw strings.Builder
		for _, one := range c.looks {
			switch s := l.see(sampleOf(one), 0.5, one.lost); {
			case s.anew:
				saw.WriteByte('A')
			case s.several:
				saw.WriteByte('S')
			case s.back:
				saw.WriteByte('b')
			default:
				saw.WriteByte('.')
			}
		}
		if saw.String() != c.want {
			t.Errorf("%s: %s, want %s", name, &saw, c.want)
		}
	}
}
