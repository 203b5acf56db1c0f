package ledger

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
	"strings"
	"time"

	"tailplane/internal/llm"
)

// A rollup holds sums over exchanges by everything that a query can filter or
// group by, in hours of Start. It has one cell for each hour, target and
// combination of the other members; an exchange without attempts is in the
// cell of the empty target.
//
// As bytes a rollup of one hour is, all numbers as in encoding/binary:
//
//	3                                   version
//	uvarint n, n times (uvarint, text)  the strings
//	until the end, for each cell:
//	  11 times uvarint                  number of a string, in the order of cell
//	  uvarint                           bit i: value i is not zero
//	  varint for each such bit          value i; see sums.values
//
// In versions 1 and 2 a cell has the first 7 strings, and the first 27 and 39
// values.

// cell is the key of one sum.
type cell struct {
	hour     int64 // of Start, in hours since 1970
	model    string
	target   string
	key      string
	name     string
	customer string
	outcome  string
	fault    string

	team, organisation string
	provider           string // the kind of the target
	tags               string // of the caller, joined by commas; see tagSets
}

// oldTexts are those of the earlier versions.
const oldTexts = 7

func (c *cell) texts() [11]*string {
	return [11]*string{
		&c.model, &c.target, &c.key, &c.name, &c.customer, &c.outcome, &c.fault,
		&c.team, &c.organisation, &c.provider, &c.tags,
	}
}

// mostTagSets bounds how many different sets of tags the sums of one batch tell
// apart, and as many names of models that nobody serves, so that callers who make up
// tags or names cannot make the sums as large as the records. What is beyond is summed
// under otherTags; records keep what was said.
const (
	mostTagSets = 512
	otherTags   = "_other"
)

// tally is the counters of a UsageRow.
type tally struct {
	requests, failed, unpriced                            int64
	input, cacheRead, cacheWrite, output, reasoning, cost int64
	images, audio, characters, searches                   int64
	unknown, held, capacity                               int64
}

// values are the counters of the first version; units and ends are the later ones.
func (t *tally) values() [9]*int64 {
	return [9]*int64{&t.requests, &t.failed, &t.unpriced, &t.input, &t.cacheRead, &t.cacheWrite, &t.output, &t.reasoning, &t.cost}
}

func (t *tally) units() [4]*int64 {
	return [4]*int64{&t.images, &t.audio, &t.characters, &t.searches}
}

func (t *tally) ends() [3]*int64 { return [3]*int64{&t.unknown, &t.held, &t.capacity} }

// use counts what was consumed.
func (t *tally) use(u *llm.Usage, cost int64) {
	t.input, t.cacheRead, t.cacheWrite = u.Input, u.CacheRead, u.CacheWrite
	t.output, t.reasoning, t.cost = u.Output, u.Reasoning, cost
	t.images, t.audio, t.characters, t.searches = u.Images, u.AudioMillis, u.Characters, u.SearchUnits
	t.capacity = u.CapacityNanos
}

func (t *tally) add(o *tally) {
	t.requests += o.requests
	t.failed += o.failed
	t.unpriced += o.unpriced
	t.input += o.input
	t.cacheRead += o.cacheRead
	t.cacheWrite += o.cacheWrite
	t.output += o.output
	t.reasoning += o.reasoning
	t.cost += o.cost
	t.images += o.images
	t.audio += o.audio
	t.characters += o.characters
	t.searches += o.searches
	t.unknown += o.unknown
	t.held += o.held
	t.capacity += o.capacity
}

// sums is what a cell holds. Over all targets, first counts each exchange
// once; first and also together count it once at each of its targets.
type sums struct {
	first tally // exchanges whose first attempt went to the target
	also  tally // exchanges of which a later attempt went there, and not the first
	tries tally // attempts at the target; exchanges without any, under the empty one
}

const (
	firstValues = 27 // of version 1
	unitValues  = 39 // of version 2
	allValues   = 48
)

func (s *sums) values() (out [allValues]*int64) {
	for i, t := range [...]*tally{&s.first, &s.also, &s.tries} {
		v, u, e := t.values(), t.units(), t.ends()
		copy(out[9*i:], v[:])
		copy(out[firstValues+4*i:], u[:])
		copy(out[unitValues+3*i:], e[:])
	}
	return out
}

func (s *sums) add(o *sums) {
	s.first.add(&o.first)
	s.also.add(&o.also)
	s.tries.add(&o.tries)
}

// rollup is a set of cells, in the order in which they first came. The zero
// rollup is empty.
type rollup struct {
	index map[cell]int
	cells []cell
	sums  []sums
	last  int                 // the cell that at returned, which most often comes again
	tags  map[string]struct{} // the sets of tags that there are
	names map[string]struct{} // of models that nobody serves
}

func (r *rollup) reset() {
	clear(r.index)
	clear(r.tags)
	clear(r.names)
	clear(r.cells)
	r.cells, r.sums, r.last = r.cells[:0], r.sums[:0], 0
}

// at returns the sums of a cell, until the next call of at.
func (r *rollup) at(c cell) *sums {
	if r.last < len(r.cells) && r.cells[r.last] == c {
		return &r.sums[r.last]
	}
	i, ok := r.index[c]
	if !ok {
		if r.index == nil {
			r.index = map[cell]int{}
		}
		i = len(r.cells)
		r.index[c] = i
		r.cells, r.sums = append(r.cells, c), append(r.sums, sums{})
	}
	r.last = i
	return &r.sums[i]
}

// hourOf is the hour of a time in Unix microseconds.
func hourOf(micros int64) int64 { return floorDiv(micros, microsPerHour) }

const microsPerHour = int64(time.Hour / time.Microsecond)

// add counts an exchange.
func (r *rollup) add(ex *Exchange) {
	whole := tally{requests: 1, failed: count(failed(ex.Outcome)), unpriced: count(ex.PriceStatus == Unpriced)}
	whole.use(&ex.Usage, ex.Cost)
	if ex.Outcome == OutcomeUnknown {
		whole.unknown, whole.held = 1, ex.Held
	}
	c := cell{
		hour: hourOf(micro(ex.Start)), model: ex.Model, key: ex.Key, name: ex.Name, customer: ex.Customer,
		outcome: string(ex.Outcome), fault: string(ex.Fault), team: ex.Team, organisation: ex.Organisation, tags: r.tagSet(strings.Join(ex.Tags, ",")),
	}
	if len(ex.Attempts) == 0 {
		c.model = r.modelOf(&c)
		s := r.at(c)
		s.first.add(&whole)
		s.tries.add(&tally{requests: 1, failed: whole.failed, unpriced: whole.unpriced, unknown: whole.unknown, held: whole.held})
		return
	}
	for i := range ex.Attempts {
		a := &ex.Attempts[i]
		c.target, c.provider = a.Target, a.Kind
		s := r.at(c)
		switch {
		case i == 0:
			s.first.add(&whole)
		case !slices.ContainsFunc(ex.Attempts[:i], func(b Attempt) bool { return b.Target == a.Target }):
			s.also.add(&whole)
		}
		try := tally{requests: 1, failed: count(a.Fault != ""), unpriced: count(a.Priced == Unpriced)}
		try.use(&a.Usage, a.Cost)
		s.tries.add(&try)
	}
}

// tagSet is the set of tags under which the rollup counts a set.
func (r *rollup) tagSet(set string) string { return bounded(&r.tags, set) }

// modelOf is the model under which the rollup counts a cell.
func (r *rollup) modelOf(c *cell) string {
	if !c.strange() {
		return c.model
	}
	return bounded(&r.names, c.model)
}

// strange reports whether the cell's model is a name that nobody serves.
func (c *cell) strange() bool { return c.target == "" && c.fault == string(llm.FaultUnknownModel) }

// bounded is a text that is among some, or may still be; otherTags where they are too
// many.
func bounded(among *map[string]struct{}, text string) string {
	if text == "" || text == otherTags {
		return text
	}
	if _, known := (*among)[text]; known {
		return text
	}
	if len(*among) >= mostTagSets {
		return otherTags
	}
	if *among == nil {
		*among = map[string]struct{}{}
	}
	(*among)[text] = struct{}{}
	return text
}

// hours lists the hours that have cells, in order.
func (r *rollup) hours() []int64 {
	var out []int64
	for i := range r.cells {
		if h := r.cells[i].hour; len(out) == 0 || h != out[len(out)-1] {
			out = append(out, h)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// The versions; see the top.
const (
	rollupFirst   = 1
	rollupUnits   = 2
	rollupParties = 3
)

// encode appends the cells of an hour.
func (r *rollup) encode(b []byte, hour int64) []byte {
	numbers := map[string]uint64{}
	var texts []string
	var body []byte
	for i := range r.cells {
		if r.cells[i].hour != hour {
			continue
		}
		for _, s := range r.cells[i].texts() {
			n, ok := numbers[*s]
			if !ok {
				n = uint64(len(texts))
				numbers[*s] = n
				texts = append(texts, *s)
			}
			body = binary.AppendUvarint(body, n)
		}
		body = appendSums(body, &r.sums[i])
	}
	b = append(b, rollupParties)
	b = binary.AppendUvarint(b, uint64(len(texts)))
	for _, s := range texts {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return append(b, body...)
}

func appendSums(b []byte, s *sums) []byte {
	values, mask := s.values(), uint64(0)
	for i, v := range values {
		if *v != 0 {
			mask |= 1 << i
		}
	}
	b = binary.AppendUvarint(b, mask)
	for _, v := range values {
		if *v != 0 {
			b = binary.AppendVarint(b, *v)
		}
	}
	return b
}

var errRollup = errors.New("a rollup is damaged")

// decodeRollup calls each for every cell of an hour's bytes; the cell and its
// sums are valid during the call. Those before the damage have been given out
// when it returns an error.
func decodeRollup(data []byte, hour int64, each func(*cell, *sums)) error {
	if len(data) == 0 {
		return errRollup
	}
	var c cell
	var s sums
	all, values := c.texts(), s.values()
	names, known := all[:], uint64(1)<<allValues
	switch data[0] {
	case rollupFirst:
		names, known = all[:oldTexts], 1<<firstValues
	case rollupUnits:
		names, known = all[:oldTexts], 1<<unitValues
	case rollupParties:
	default:
		return errRollup
	}
	d := decoder{data: data[1:]}
	texts := d.texts()
	for !d.bad && len(d.data) > 0 {
		c.hour, s = hour, sums{}
		for _, to := range names {
			n := d.uvarint()
			if n >= uint64(len(texts)) {
				return errRollup
			}
			*to = texts[n]
		}
		mask := d.uvarint()
		if mask >= known {
			return errRollup
		}
		for ; mask != 0; mask &= mask - 1 {
			*values[bits.TrailingZeros64(mask)] = d.varint()
		}
		if !d.bad {
			each(&c, &s)
		}
	}
	if d.bad {
		return errRollup
	}
	return nil
}

// decoder is what is left of a rollup's bytes; bad is sticky.
type decoder struct {
	data []byte
	bad  bool
}

func (d *decoder) take(n int) {
	if n <= 0 {
		d.bad, d.data = true, nil
		return
	}
	d.data = d.data[n:]
}

func (d *decoder) uvarint() uint64 {
	if len(d.data) > 0 && d.data[0] < 0x80 { // most are small
		v := d.data[0]
		d.data = d.data[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(d.data)
	d.take(n)
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.data)
	d.take(n)
	return v
}

func (d *decoder) texts() []string {
	n := d.uvarint()
	if n > uint64(len(d.data)) {
		d.bad = true
		return nil
	}
	out := make([]string, 0, n)
	for range n {
		size := d.uvarint()
		if size > uint64(len(d.data)) {
			d.bad = true
			return nil
		}
		out = append(out, string(d.data[:size]))
		d.data = d.data[size:]
	}
	return out
}
