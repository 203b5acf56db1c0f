package engine

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Reader reads the pages of one engine. It keeps buffers and nothing of what it
// read; it is for one goroutine.
type Reader struct {
	engine *Engine
	page   *page
	wants  map[string][]*tally
	moves  map[string]bool
	order  []Signal
	tops   map[Signal][]*tally
	seed   maphash.Seed
	starts int // of processes that a page names
	twins  map[uint64]bool
}

// ErrNoMetrics says that a page has no line of metrics in it: it is something
// else, such as a web page.
var ErrNoMetrics = errors.New("this is no page of metrics")

// tally is what a page said about one source so far.
type tally struct {
	source     *Source
	per, times *tally
	average    bool
	// Of the series that carry the model's name, and of all.
	own, all sums
}

// sums are series added up.
type sums struct {
	sum, newest float64
	n, most     int
	names       []string
}

// NewReader makes a reader of an engine's pages.
func NewReader(e *Engine) *Reader {
	r := &Reader{
		engine: e, page: newPage(nil), wants: map[string][]*tally{}, moves: map[string]bool{}, tops: map[Signal][]*tally{},
		seed: maphash.MakeSeed(), twins: map[uint64]bool{},
	}
	for signal, sources := range e.Signals {
		r.order = append(r.order, signal)
		for i := range sources {
			t := r.tally(&sources[i])
			t.average = signal == SignalKVUsage || signal == SignalAwake
			r.tops[signal] = append(r.tops[signal], t)
		}
	}
	slices.Sort(r.order)
	for _, name := range e.Moves {
		r.moves[name] = true
		r.moves[bare(name)] = true
	}
	return r
}

// tally registers a source and those that it is divided or multiplied by.
func (r *Reader) tally(s *Source) *tally {
	t := &tally{source: s}
	r.wants[s.Name] = append(r.wants[s.Name], t)
	if b := bare(s.Name); b != s.Name {
		r.wants[b] = append(r.wants[b], t)
	}
	if s.Per != nil {
		t.per = r.tally(s.Per)
	}
	if s.Times != nil {
		t.times = r.tally(s.Times)
		t.times.average = true // a constant that each part repeats
	}
	return t
}

// bare is the name of a counter as some clients write it.
func bare(name string) string { return strings.TrimSuffix(name, "_total") }

// Read reads one page. Where some series carry the model's name, the others do
// not count; an empty model is all of them. The error is one of the way there,
// or [ErrNoMetrics]; a page that lacks a signal, or lies about one, is none.
func (r *Reader) Read(from io.Reader, model string) (Sample, error) {
	r.reset()
	var s Sample
	p := r.page
	p.reset(from)
	wanted := func(name []byte) bool {
		return len(r.wants[string(name)]) > 0 || r.moves[string(name)] || string(name) == startName
	}
	for {
		err := p.next(wanted)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Sample{}, fmt.Errorf("read a page of metrics: %w", err)
		}
		r.take(&s, &p.series, model)
	}
	if p.lines == 0 || p.bad > p.lines/2 {
		return Sample{}, ErrNoMetrics
	}
	for _, signal := range r.order {
		r.settle(&s, signal)
	}
	return s, nil
}

// startName is the metric by which clients of Prometheus say when a process began.
const startName = "process_start_time_seconds"

// start takes in when the process of a page was started. A page of several says
// nothing.
func (r *Reader) start(s *Sample, at float64) {
	if r.starts++; r.starts > 1 || !(at > 0 && at < mostCounted) {
		at = 0
	}
	s.Started = at
}

func (r *Reader) reset() {
	r.starts = 0
	clear(r.twins)
	for _, list := range r.wants {
		for _, t := range list {
			t.own.reset()
			t.all.reset()
		}
	}
}

func (s *sums) reset() { *s = sums{names: s.names[:0]} }

// take adds one series to what it counts for.
func (r *Reader) take(s *Sample, one *series, model string) {
	if r.moves[string(one.name)] {
		s.Moving = true
		s.Motion += r.fingerprint(one, nil) ^ maphash.Bytes(r.seed, one.raw)
	}
	if string(one.name) == startName {
		r.start(s, one.value)
	}
	tallies := r.wants[string(one.name)]
	if len(tallies) == 0 || r.twin(one) {
		return
	}
	key := r.engine.Model
	if key == "" {
		key = "model_name"
	}
	own := model != "" && string(one.label(key)) == model
	for _, t := range tallies {
		if t.source.Label != "" && string(one.label(t.source.Label)) != t.source.Value {
			continue
		}
		t.all.add(t.source, one)
		if own {
			t.own.add(t.source, one)
		}
	}
}

// twin reports a series that says again what one before it has said.
func (r *Reader) twin(one *series) bool {
	if !slices.ContainsFunc(r.engine.Twins, func(name string) bool { return one.label(name) != nil }) {
		return false
	}
	id := r.fingerprint(one, r.engine.Twins)
	if r.twins[id] {
		return true
	}
	r.twins[id] = true
	return false
}

// fingerprint tells series apart by name and labels, but for those named. What
// order the labels stand in does not matter.
func (r *Reader) fingerprint(one *series, without []string) uint64 {
	sum := maphash.Bytes(r.seed, one.name)
	for i := range one.labels {
		l := &one.labels[i]
		if slices.Contains(without, string(l.name)) {
			continue
		}
		var h maphash.Hash
		h.SetSeed(r.seed)
		_, _ = h.Write(l.name)
		_ = h.WriteByte('=')
		_, _ = h.Write(l.value)
		sum += h.Sum64()
	}
	return sum
}

// add counts one series for a source.
func (s *sums) add(source *Source, one *series) {
	switch {
	case len(source.Lists) > 0:
		if s.n > 0 && one.value < s.newest {
			break
		}
		s.newest, s.names = one.value, s.names[:0]
		s.most, _ = strconv.Atoi(string(one.label(source.Most))) // 0 where it does not say
		for _, name := range source.Lists {
			s.names = appendNames(s.names, one.label(name))
		}
	case len(source.Product) > 0:
		product := 1.0
		for _, name := range source.Product {
			v, err := strconv.ParseFloat(string(one.label(name)), 64)
			if err != nil {
				return // "None" until it is known
			}
			product *= v
		}
		s.sum += product
	case one.value < 0:
		s.sum = math.NaN() // however much the others are
	default:
		s.sum += one.value
	}
	s.n++
}

// mostAdapters bounds the adapters that are taken from one page.
const mostAdapters = 1000

// appendNames adds the names of a list that are not there yet.
func appendNames(names []string, list []byte) []string {
	for name := range bytes.SplitSeq(list, []byte(",")) {
		name = bytes.TrimSpace(name)
		if len(name) == 0 || len(names) >= mostAdapters || slices.Contains(names, string(name)) {
			continue
		}
		names = append(names, string(name))
	}
	return names
}

// settle takes over what the page said of one signal.
func (r *Reader) settle(s *Sample, signal Signal) {
	for _, t := range r.tops[signal] {
		use := &t.all
		if t.own.n > 0 {
			use = &t.own
		}
		if use.n == 0 {
			continue
		}
		if len(t.source.Lists) > 0 {
			s.Adapters, s.Known = slices.Clone(use.names), s.Known|signal
			s.MostAdapters = min(mostAdapters, max(0, use.most))
			return
		}
		if v, ok := t.figure(use == &t.own); ok {
			s.set(signal, v)
			return
		}
	}
}

// figure is what a source amounts to; false when it, or what it is divided by,
// says nothing.
func (t *tally) figure(own bool) (float64, bool) {
	use := &t.all
	if own && t.own.n > 0 {
		use = &t.own
	}
	if use.n == 0 {
		return 0, false
	}
	v := use.sum
	if t.average && t.per == nil {
		v /= float64(use.n)
	}
	if v >= 0 && v < t.source.Least {
		return 0, false
	}
	if t.per != nil {
		by, ok := t.per.figure(own)
		if !ok || by == 0 {
			return 0, false
		}
		v /= by
	}
	if t.times != nil {
		by, ok := t.times.figure(own)
		if !ok {
			return 0, false
		}
		v *= by
	}
	return v, true
}
