package watch

import (
	"log/slog"
	"maps"
	"time"

	"tailplane/internal/fleet"
)

// teller logs how targets stand when that has changed.
type teller struct {
	log  *slog.Logger
	told map[string]fleet.State
}

// tell looks at all of them. What is well from the first is not told, and
// neither is a trial: how it ends is.
func (l *teller) tell(now time.Time, targets []Target) {
	named := map[string]bool{}
	for i := range targets {
		t := &targets[i]
		named[t.Name] = true
		s := t.State.Standing(now)
		before, known := l.told[t.Name]
		if s.State == before && known || s.State == fleet.HalfOpen {
			continue
		}
		l.told[t.Name] = s.State
		switch {
		case s.State == fleet.Ejected:
			l.log.Warn("a target is left alone", "target", t.Name, "why", string(s.Cause), "for", s.Left.Round(time.Millisecond).String())
		case s.State == fleet.Warming, s.State == fleet.Degraded, s.State == fleet.Drained:
			l.log.Warn("a target is asked less, or not", "target", t.Name, "state", s.State.String())
		case known && before != fleet.Unknown:
			l.log.Info("a target serves again", "target", t.Name, "state", s.State.String())
		}
	}
	maps.DeleteFunc(l.told, func(name string, _ fleet.State) bool { return !named[name] })
}
