package complexity

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// Source is who judged an answer.
type Source string

const (
	Feedback Source = "feedback" // the product or its user said so
	Judge    Source = "judge"    // another model, or a test, did
	Retry    Source = "retry"    // the user asked again, or the answer was escalated: it was not good
)

// Outcome is how good a model's answer to a prompt was. It holds no text.
type Outcome struct {
	Request  string // its id; a later outcome of the same request and model replaces an earlier one
	Time     time.Time
	Customer string
	Model    string  // who answered
	Good     float32 // from 0 to 1
	Source   Source
	Vector   Vector
}

// Valid says what is wrong with an outcome that cannot be kept.
func (o *Outcome) Valid() error {
	switch {
	case !(o.Good >= 0 && o.Good <= 1):
		return fmt.Errorf("a score of %v is not between 0 and 1", o.Good)
	case o.Model == "" || len(o.Model) > mostName || len(o.Customer) > mostName || len(o.Request) > mostName:
		return fmt.Errorf("an outcome names its model; no name is longer than %d bytes", mostName)
	case o.Source != Feedback && o.Source != Judge && o.Source != Retry:
		return fmt.Errorf("%q is no source; there are %s, %s and %s", o.Source, Feedback, Judge, Retry)
	case len(o.Vector.Words) > mostWords || len(o.Vector.Pairs) > mostWords:
		return errors.New("a vector has more words than there can be")
	case len(o.Vector.Meaning) > tables || len(o.Vector.Embedding) > mostName || (len(o.Vector.Meaning) > 0) != (o.Vector.Embedding != ""):
		return fmt.Errorf("an embedding has a model and at most %d buckets", tables)
	}
	for i, x := range o.Vector.Shape {
		if !(x >= -mostShape && x <= mostShape) {
			return fmt.Errorf("the %s of a text is never %v", shapeNames[i], x)
		}
	}
	return nil
}

// outcomeLine is an outcome as a line of JSON. Buckets are the differences of
// their ascending order, as varints in base64.
type outcomeLine struct {
	Request  string    `json:"request,omitempty"`
	Time     time.Time `json:"time"`
	Customer string    `json:"customer,omitempty"`
	Model    string    `json:"model"`
	Good     float32   `json:"good"`
	Source   Source    `json:"source"`
	Words    string    `json:"words"`
	Pairs    string    `json:"pairs"`
	Shape    Shape     `json:"shape"`
	// Of the embedding, where there is one.
	Meaning   string `json:"meaning,omitempty"`
	Embedding string `json:"embedding,omitempty"`
}

// logHead is the first line of a file of outcomes.
type logHead struct {
	Outcomes int    `json:"tailplane_outcomes"` // version
	Seed     string `json:"seed"`
}

const logVersion = 1

func (o *Outcome) line() ([]byte, error) {
	b, err := json.Marshal(outcomeLine{
		Request: o.Request, Time: o.Time.UTC().Truncate(time.Second), Customer: o.Customer, Model: o.Model, Good: o.Good, Source: o.Source,
		Words: packBuckets(o.Vector.Words), Pairs: packBuckets(o.Vector.Pairs), Shape: o.Vector.Shape,
		Meaning: packBuckets(o.Vector.Meaning), Embedding: o.Vector.Embedding,
	})
	return append(b, '\n'), err
}

func packBuckets(list []uint32) string {
	list = slices.Clone(list)
	slices.Sort(list)
	var b []byte
	last := uint32(0)
	for _, x := range list {
		b = binary.AppendUvarint(b, uint64(x-last))
		last = x
	}
	return base64.RawStdEncoding.EncodeToString(b)
}

var errBuckets = errors.New("the buckets of an outcome are no ascending list")

func unpackBuckets(text string) ([]uint32, error) {
	b, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, errBuckets
	}
	var out []uint32
	last := uint64(0)
	for len(b) > 0 {
		step, n := binary.Uvarint(b)
		if n <= 0 || step >= Buckets || last+step >= Buckets || (step == 0 && len(out) > 0) || len(out) == mostWords {
			return nil, errBuckets
		}
		last += step
		out, b = append(out, uint32(last)), b[n:]
	}
	return out, nil
}

func parseOutcome(line []byte) (o Outcome, err error) {
	var l outcomeLine
	if err := json.Unmarshal(line, &l); err != nil {
		return o, err
	}
	o = Outcome{Request: l.Request, Time: l.Time, Customer: l.Customer, Model: l.Model, Good: l.Good, Source: l.Source, Vector: Vector{Shape: l.Shape, Embedding: l.Embedding}}
	if o.Vector.Words, err = unpackBuckets(l.Words); err != nil {
		return o, err
	}
	if o.Vector.Pairs, err = unpackBuckets(l.Pairs); err != nil {
		return o, err
	}
	if o.Vector.Meaning, err = unpackBuckets(l.Meaning); err != nil {
		return o, err
	}
	return o, o.Valid()
}

// mostLine bounds a line of outcomes: two lists of at most four bytes a word in
// base64, the shape, an embedding, and names.
const mostLine = 64 << 10

// ErrNoOutcomes: the file is not one of outcomes.
var ErrNoOutcomes = errors.New("not a file of outcomes")

// ReadOutcomes reads a file of outcomes. The seed is that of their hashes. Lines
// that cannot be read, such as one that a crash cut off, are left out and
// counted.
func ReadOutcomes(r io.Reader) (seed uint64, list []Outcome, bad int, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, mostLine)
	if !lines.Scan() {
		return 0, nil, 0, errors.Join(ErrNoOutcomes, lines.Err())
	}
	if seed, err = parseHead(lines.Bytes()); err != nil {
		return 0, nil, 0, err
	}
	for lines.Scan() {
		o, err := parseOutcome(lines.Bytes())
		if err != nil {
			bad++
			continue
		}
		list = append(list, o)
	}
	return seed, list, bad, lines.Err()
}

func parseHead(line []byte) (seed uint64, err error) {
	var h logHead
	if json.Unmarshal(line, &h) != nil || h.Outcomes == 0 {
		return 0, ErrNoOutcomes
	}
	if h.Outcomes != logVersion {
		return 0, fmt.Errorf("%w: of version %d, and this program reads %d", ErrNoOutcomes, h.Outcomes, logVersion)
	}
	if seed, err = strconv.ParseUint(h.Seed, 16, 64); err != nil {
		return 0, fmt.Errorf("%w: its seed is no number", ErrNoOutcomes)
	}
	return seed, nil
}

// Gather makes samples of outcomes: what both models did with one prompt is
// joined, the latest of a request counts, and several of one prompt and model
// are averaged. Of a prompt that was embedded more than once, the latest counts.
// Outcomes of other models are left out.
func Gather(list []Outcome, weak, strong string) []Sample {
	latest := map[[2]string]int{}
	for i, o := range list {
		if o.Request != "" {
			latest[[2]string{o.Request, o.Model}] = i
		}
	}
	type sums struct {
		sum, n [heads]float32
		vector Vector
	}
	var order []int
	of := map[string]*sums{}
	for i, o := range list {
		if at, named := latest[[2]string{o.Request, o.Model}]; (named && at != i) || (o.Model != weak && o.Model != strong) {
			continue
		}
		key := o.Customer + "\x00" + strconv.FormatUint(o.Vector.Key(), 16)
		s, known := of[key]
		if !known {
			s = &sums{vector: o.Vector}
			of[key] = s
			order = append(order, i)
		}
		if o.Vector.Embedding != "" {
			s.vector = o.Vector
		}
		head := strongly
		if o.Model == weak {
			head = weakly
		}
		s.sum[head], s.n[head] = s.sum[head]+o.Good, s.n[head]+1
	}
	var out []Sample
	for _, i := range order {
		s := of[list[i].Customer+"\x00"+strconv.FormatUint(list[i].Vector.Key(), 16)]
		// Nothing over nothing is NaN: not asked.
		out = append(out, Sample{
			Vector: s.vector, Customer: list[i].Customer, Group: list[i].Customer,
			Weak: s.sum[weakly] / s.n[weakly], Strong: s.sum[strongly] / s.n[strongly],
		})
	}
	return out
}
