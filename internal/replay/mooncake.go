package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// errEnough ends the reading of a trace before its end.
var errEnough = errors.New("enough")

// readMooncake reads lines of {timestamp, input_length, output_length,
// hash_ids}: milliseconds, tokens, and one id for each block of the prompt, the
// last of which need not be full. Block 0 is the same for all in the published
// traces, so that two blocks are needed to tell requests apart.
func readMooncake(l *lines, first []byte, o ReadOptions) (*Trace, error) {
	t := &Trace{Format: "mooncake", Block: o.Block, Lane: 2}
	err := l.each(first, func(line []byte) error {
		var m struct {
			Timestamp    *float64 `json:"timestamp"`
			InputLength  int      `json:"input_length"`
			OutputLength int      `json:"output_length"`
			HashIDs      []int64  `json:"hash_ids"`
		}
		if err := json.Unmarshal(line, &m); err != nil {
			return err
		}
		if m.Timestamp == nil {
			return errors.New("no timestamp")
		}
		if most := (m.InputLength + o.Block - 1) / o.Block; len(m.HashIDs) > most {
			return fmt.Errorf("%d hash_ids for %d tokens: more than blocks of %d tokens have", len(m.HashIDs), m.InputLength, o.Block)
		}
		at, err := offset(*m.Timestamp, time.Millisecond)
		if err != nil {
			return err
		}
		return t.add(Request{At: at, Input: m.InputLength, Output: m.OutputLength, Runs: pack(m.HashIDs)}, o)
	})
	return t.opened(err)
}

// offset is a time of a trace as a duration.
func offset(v float64, unit time.Duration) (time.Duration, error) {
	d := v * float64(unit)
	if d != d || d < -1<<62 || d > 1<<62 {
		return 0, fmt.Errorf("%g is no time", v)
	}
	return time.Duration(d), nil
}

// add appends a request of an open trace. One without a prompt is left out, and
// one without an answer gets one token: an engine's first token ends it.
func (t *Trace) add(r Request, o ReadOptions) error {
	if err := r.check(); err != nil {
		return err
	}
	if r.Input == 0 {
		return nil
	}
	r.Output = max(1, r.Output)
	t.Requests = append(t.Requests, r)
	switch {
	case len(t.Requests) >= o.Requests:
		return errEnough
	case len(t.Requests) > mostRequests:
		return fmt.Errorf("more than %d requests", mostRequests)
	}
	return nil
}

func (r *Request) check() error {
	switch {
	case r.Input < 0 || r.Output < 0:
		return fmt.Errorf("%d tokens in and %d out", r.Input, r.Output)
	case r.Input > mostTokens || r.Output > mostTokens:
		return fmt.Errorf("%d tokens in and %d out: more than %d", r.Input, r.Output, mostTokens)
	}
	return nil
}

// opened puts the requests of an open trace in order, from time zero on.
func (t *Trace) opened(err error) (*Trace, error) {
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	slices.SortStableFunc(t.Requests, func(a, b Request) int { return int(max(-1, min(1, a.At-b.At))) })
	for i := len(t.Requests) - 1; i >= 0; i-- {
		t.Requests[i].At -= t.Requests[0].At
	}
	return t, nil
}

// pack turns ids into runs.
func pack(ids []int64) []Span {
	var runs []Span
	for _, id := range ids {
		if n := len(runs); n > 0 && runs[n-1].Start+int64(runs[n-1].Count) == id {
			runs[n-1].Count++
			continue
		}
		runs = append(runs, Span{id, 1})
	}
	return slices.Clip(runs)
}
