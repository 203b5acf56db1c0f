package replay

import (
	"math/bits"
	"slices"
	"strings"
	"time"

	"tailplane/internal/ledger"
)

// mostNames bounds what is kept by name: clients make up models.
const mostNames = 4096

// pace is how long a candidate took, by the records.
type pace struct {
	first [24]took // until the first token, by the size of the prompt
	all   took     // of any size
	token took     // for each further token
}

// took is a mean.
type took struct {
	n   int64
	sum time.Duration
}

func (t *took) add(d time.Duration, n int64) { t.n, t.sum = t.n+n, t.sum+d }

func (t *took) mean() time.Duration { return t.sum / time.Duration(max(1, t.n)) }

// size is the class of a prompt: sizes of one differ by a factor of two at most.
func size(tokens int64) int { return min(bits.Len64(uint64(max(0, tokens))), 23) }

// firstToken is what a prompt is expected to wait for; false when no record
// tells. A size that was not seen there waits as long as the others.
func (p *pace) firstToken(tokens int64) (time.Duration, bool) {
	if p == nil || p.all.n == 0 {
		return 0, false
	}
	if of := &p.first[size(tokens)]; of.n > 0 {
		return of.mean(), true
	}
	return p.all.mean(), true
}

// perToken is the time for a further token; 0 is not known.
func (p *pace) perToken() time.Duration {
	if p == nil {
		return 0
	}
	return p.token.mean()
}

// Learn takes in how long the targets of an exchange took, and where such requests
// go.
func (a *Again) Learn(ex *ledger.Exchange) {
	for i := range ex.Tries() {
		at := &ex.Tries()[i]
		a.meet(at.Target)
		if ex.Stream && !at.Leg() && at.Fault == "" && at.FirstToken > 0 {
			a.learn(at)
		}
	}
	for i := range ex.Choice {
		a.meet(ex.Choice[i].Target)
	}
	if undecidable(ex) != "" {
		return
	}
	w := way{a.ruled(ex), ex.Model}
	to := a.went[w]
	if to == nil {
		if len(a.went) >= mostNames {
			return
		}
		to = map[string]int{}
		a.went[w] = to
	}
	if name := first(ex); to[name] > 0 || len(to) < mostNames {
		to[name]++
	}
}

func (a *Again) learn(at *ledger.Attempt) {
	name := at.Target + "/" + at.Model
	p := a.paces[name]
	if p == nil {
		if len(a.paces) >= mostNames {
			return
		}
		p = &pace{}
		a.paces[name] = p
	}
	p.first[size(at.Usage.Input)].add(at.FirstToken, 1)
	p.all.add(at.FirstToken, 1)
	if n := at.Usage.Output - 1; n > 0 && at.Took > at.FirstToken {
		p.token.add(at.Took-at.FirstToken, n)
	}
}

// meet notes a replica of a discovered target.
func (a *Again) meet(target string) {
	for i := range a.config.Targets {
		t := &a.config.Targets[i]
		if t.Discovered && strings.HasPrefix(target, t.Name+"/") && !slices.Contains(a.replicas[t.Name], target) && len(a.replicas[t.Name]) < mostNames {
			a.replicas[t.Name] = append(a.replicas[t.Name], target)
		}
	}
}

// first is the candidate that an exchange asked first, and last the attempt that
// has answered it, or was the last to fail.
func first(ex *ledger.Exchange) string { return asked(ex).Target + "/" + asked(ex).Model }

// asked is the first attempt that was to answer; nil without one.
func asked(ex *ledger.Exchange) *ledger.Attempt {
	tries := ex.Tries()
	for i := range tries {
		if !tries[i].Leg() {
			return &tries[i]
		}
	}
	return nil
}

func last(ex *ledger.Exchange) *ledger.Attempt { return &ex.Attempts[len(ex.Attempts)-1] }
