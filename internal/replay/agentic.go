package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// readAgentic reads one session of a coding agent a line. A session ends with
// the turns that the options allow, or before the first prompt that is too
// long; one that begins with such a prompt is left out.
//
// A sub group is an agent of its own, started by the turn before it: its
// requests follow each other by their own think times, groups that stand beside
// each other run at the same time, and the session goes on when all are done. It
// counts as one turn.
func readAgentic(l *lines, first []byte, o ReadOptions) (*Trace, error) {
	t := &Trace{Format: "agentic"}
	seen, total := map[string]bool{}, 0
	err := l.each(first, func(line []byte) error {
		var raw rawSession
		if err := json.Unmarshal(line, &raw); err != nil {
			return err
		}
		switch {
		case raw.ID == "" || seen[raw.ID]:
			return fmt.Errorf("the session's id %q is empty or stands twice", raw.ID)
		case raw.Block < 1 || raw.Block > mostBlock:
			return fmt.Errorf("a block of %d tokens", raw.Block)
		case t.Block != 0 && raw.Block != t.Block:
			return fmt.Errorf("blocks of %d tokens after blocks of %d", raw.Block, t.Block)
		}
		seen[raw.ID], t.Block = true, raw.Block
		s, err := raw.session(o)
		if err != nil {
			return err
		}
		if n := s.size(); n > 0 {
			t.Sessions = append(t.Sessions, s)
			total += n
		}
		if total > mostRequests {
			return fmt.Errorf("more than %d requests", mostRequests)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

type rawSession struct {
	ID       string     `json:"id"`
	Block    int        `json:"block_size"`
	Tools    int        `json:"tool_tokens"`
	System   int        `json:"system_tokens"`
	Requests []rawEntry `json:"requests"`
}

type rawEntry struct {
	rawRequest
	Sub []rawRequest `json:"sub"`
}

type rawRequest struct {
	In    int     `json:"in"`
	Out   int     `json:"out"`
	Runs  []int64 `json:"runs"`
	Think float64 `json:"think_time"`
}

func (raw *rawSession) session(o ReadOptions) (Session, error) {
	shared := max(0, raw.Tools+raw.System)
	s := Session{ID: raw.ID, Lane: (shared+raw.Block-1)/raw.Block + 1}
	var main []*Request // for what each prompt goes on with
	beside := false     // the last step is of sub groups
	for i := range raw.Requests {
		e := &raw.Requests[i]
		if o.Turns > 0 && len(s.Steps) == o.Turns {
			break
		}
		if len(e.Sub) > 0 {
			branch, err := raw.branch(e.Sub, o)
			if err != nil {
				return s, err
			}
			switch {
			case len(branch) == 0:
			case beside:
				s.Steps[len(s.Steps)-1] = append(s.Steps[len(s.Steps)-1], branch)
			default:
				s.Steps, beside = append(s.Steps, Step{branch}), true
			}
			continue
		}
		if o.MaxInput > 0 && e.In > o.MaxInput {
			break
		}
		r, err := e.request(raw.Block, o)
		if err != nil {
			return s, err
		}
		if r.Input == 0 {
			continue
		}
		branch := []Request{r}
		s.Steps, beside = append(s.Steps, Step{branch}), false
		main = append(main, &branch[0])
	}
	for i := range max(0, len(main)-1) {
		main[i].goesOn(main[i+1])
	}
	return s, nil
}

func (raw *rawSession) branch(sub []rawRequest, o ReadOptions) ([]Request, error) {
	var branch []Request
	for i := range sub {
		if o.MaxInput > 0 && sub[i].In > o.MaxInput {
			break
		}
		r, err := sub[i].request(raw.Block, o)
		if err != nil {
			return nil, err
		}
		if r.Input > 0 {
			branch = append(branch, r)
		}
	}
	for i := range max(0, len(branch)-1) {
		branch[i].goesOn(&branch[i+1])
	}
	return branch, nil
}

func (raw *rawRequest) request(block int, o ReadOptions) (Request, error) {
	if raw.Think < 0 {
		return Request{}, fmt.Errorf("a think time of %g s", raw.Think)
	}
	think := min(raw.Think, o.MaxThink.Seconds())
	r := Request{Think: time.Duration(think * float64(time.Second)), Input: raw.In, Output: max(1, raw.Out)}
	if err := r.check(); err != nil {
		return r, err
	}
	if len(raw.Runs)%2 != 0 {
		return r, errors.New("runs has a start without a length")
	}
	left := (raw.In + block - 1) / block
	for i := 0; i < len(raw.Runs); i += 2 {
		start, n := raw.Runs[i], raw.Runs[i+1]
		if n < 1 || n > int64(left) {
			return r, fmt.Errorf("runs name more blocks than %d tokens have, or less than one", raw.In)
		}
		left -= int(n)
		r.Runs = append(r.Runs, Span{start, int(n)})
	}
	return r, nil
}

// goesOn notes what the next prompt adds, if it begins with all of this one.
func (r *Request) goesOn(next *Request) {
	if begins(r.Runs, next.Runs) {
		r.Goes = next.Runs
	}
}

// begins reports whether the ids of a are the first ones of b.
func begins(a, b []Span) bool {
	if len(a) == 0 || len(a) > len(b) {
		return false
	}
	last := len(a) - 1
	for i := range last {
		if a[i] != b[i] {
			return false
		}
	}
	return a[last].Start == b[last].Start && a[last].Count <= b[last].Count
}
