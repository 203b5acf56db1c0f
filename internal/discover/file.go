package discover

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

// largestFile bounds a watched file.
const largestFile = 1 << 20

// watched looks at a file again and again. Content and not time is compared:
// editors and config maps replace files in many ways. A content counts when two
// looks have seen it, so that a file that is being written is not read half; the
// first look of all counts alone. An empty file is one that somebody has just
// begun to write: a list without replicas is [].
type watched struct {
	config File
	read   func(path string) ([]byte, error)
	decode func(name string, text []byte) ([]Item, error)

	looked bool
	before [sha256.Size]byte // what the last look saw
	taken  [sha256.Size]byte // what answer was made of
	answer Answer
}

func (w *watched) Run(ctx context.Context, up chan<- Answer) error {
	tick := time.NewTicker(cmp.Or(w.config.Interval, defaultFileInterval))
	defer tick.Stop()
	for {
		if !send(ctx, up, w.look(time.Now())) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look reads the file once. While nothing new is certain the last answer is
// repeated, its failure included.
func (w *watched) look(now time.Time) Answer {
	text, err := w.read(w.config.Path)
	switch {
	case err != nil:
	case len(bytes.TrimSpace(text)) == 0:
		err = errors.New("the file is empty; write [] when there is no replica")
	case len(text) > largestFile:
		err = fmt.Errorf("the file has more than %d bytes", largestFile)
	}
	if err != nil {
		w.before = [sha256.Size]byte{}
		return Answer{Err: err, At: now}
	}
	sum := sha256.Sum256(text)
	if first := !w.looked; first || sum == w.before && sum != w.taken {
		w.looked, w.taken = true, sum
		items, err := w.decode(w.config.Path, text)
		w.answer = Answer{Err: err}
		if err == nil {
			w.answer = answerOf(items)
		}
	}
	w.before = sum
	w.answer.At = now
	return w.answer
}

// answerOf is what a decoded list says.
func answerOf(items []Item) Answer {
	var problems []error
	list := Endpoints(items, func(path, wrong, right string) {
		problems = append(problems, fmt.Errorf("%s: %s; %s", path, wrong, right))
	})
	if err := errors.Join(problems...); err != nil {
		return Answer{Err: err}
	}
	return Answer{Endpoints: list}
}
