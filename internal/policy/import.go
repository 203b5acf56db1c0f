package policy

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"tailplane/internal/facts"
)

// Keys of another gateway come as hashes, never as texts: whoever has a key's
// text goes on using it. Reading gives a list of [Imported], each with what
// became of it; [Store.ImportKeys] makes keys of those that are not refused.

// Outcome is what became of something that was imported.
type Outcome string

// The outcomes.
const (
	Mapped       Outcome = "mapped"       // it says the same here
	Approximated Outcome = "approximated" // Notes say what is different
	Refused      Outcome = "refused"      // Notes say why
)

// Imported is a key of another gateway.
type Imported struct {
	KeySpec
	Hash    Hash      `json:"-"` // SHA-256 of its text
	Created time.Time `json:"created,omitzero"`
	Expires time.Time `json:"expires,omitzero"` // zero: never
	Revoked bool      `json:"revoked,omitempty"`
	At      string    `json:"at"`           // where it stands in what was read
	ID      string    `json:"id,omitempty"` // of the key that was made
	Outcome Outcome   `json:"outcome"`
	Notes   []string  `json:"notes,omitempty"`
}

func (im *Imported) refuse(format string, args ...any) {
	im.Outcome = Refused
	im.Notes = append(im.Notes, fmt.Sprintf(format, args...))
}

func (im *Imported) approximate(format string, args ...any) {
	if im.Outcome != Refused {
		im.Outcome = Approximated
	}
	im.Notes = append(im.Notes, fmt.Sprintf(format, args...))
}

// ImportKeys makes keys of those that are not refused, and says of each what
// became of it. A key whose organisation or team is not here belongs to none; one
// that is here already is refused, so that a list can be imported again. A trial
// changes nothing. On an error the keys with an ID have been made.
func (s *Store) ImportKeys(ctx context.Context, actor string, list []Imported, trial bool, now time.Time) ([]Imported, error) {
	list = slices.Clone(list)
	seen := map[Hash]string{}
	var batch []facts.Change
	var made []int
	flush := func() error {
		if len(batch) == 0 || trial {
			batch, made = nil, nil
			return nil
		}
		err := s.apply(ctx, actor, now, batch...)
		if err != nil {
			for _, i := range made {
				list[i].ID = ""
			}
		}
		batch, made = nil, nil
		return err
	}
	room := mostKeys - s.Len()
	for i := range list {
		im := &list[i]
		if im.Outcome == "" {
			im.Outcome = Mapped
		}
		s.checkImport(im, seen)
		if im.Outcome != Refused && room <= 0 {
			im.refuse("the key store is full (%d keys)", mostKeys)
		}
		if im.Outcome == Refused {
			continue
		}
		change, err := im.change(now)
		if err != nil {
			return list, err
		}
		room--
		if !trial {
			im.ID = change.Name
		}
		batch, made = append(batch, change), append(made, i)
		if len(batch) == importBatch {
			if err := flush(); err != nil {
				return list, fmt.Errorf("import keys: %w", err)
			}
		}
	}
	if err := flush(); err != nil {
		return list, fmt.Errorf("import keys: %w", err)
	}
	return list, nil
}

// importBatch is how many keys one change makes.
const importBatch = 1000

// checkImport refuses what cannot be a key here, and lets go of parties that are
// not here.
func (s *Store) checkImport(im *Imported, seen map[Hash]string) {
	if im.Outcome == Refused {
		return
	}
	d := s.directory()
	if other, is := seen[im.Hash]; is {
		im.refuse("it has the same text as the one at %s", other)
		return
	}
	seen[im.Hash] = im.At
	if e := d.index.at(im.Hash); e != nil {
		im.refuse("it is here already, as key %s (%s)", e.key.ID, e.key.Name)
		return
	}
	find := func(at ref) *Party { return d.parties[at] }
	for _, part := range []*string{&im.Organisation, &im.Team} {
		if _, wrong := d.parties.nearest(im.Organisation, im.Team, "", find); *part != "" && wrong != "" {
			im.approximate("%s, so that it belongs to none; make it and import again, or change the key", wrong)
			*part = ""
		}
	}
	if err := s.checkKey(&im.KeySpec); err != nil {
		im.refuse("%s", strings.TrimPrefix(err.Error(), ErrInvalid.Error()+": "))
	}
}

func (im *Imported) change(now time.Time) (facts.Change, error) {
	doc := keyDoc{KeySpec: im.KeySpec, Created: im.Created.UTC(), Expires: im.Expires.UTC(), Secrets: []Secret{{Hash: im.Hash, Form: FormSHA256}}}
	if im.Created.IsZero() {
		doc.Created = now.UTC()
	}
	if im.Expires.IsZero() {
		doc.Expires = time.Time{}
	}
	if im.Revoked {
		doc.Revoked = now.UTC()
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return facts.Change{}, err
	}
	id, err := newID()
	return facts.Change{Kind: facts.KindKey, Name: id, Body: body}, err
}

// mostImported bounds a list.
const mostImported = mostKeys

// ReadKeys reads our own form of a list: one JSON object a line, with name,
// sha256, and what else a key has. A line that cannot be read is refused in the
// list; the error is about reading.
func ReadKeys(r io.Reader) ([]Imported, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	var list []Imported
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" {
			continue
		}
		if len(list) >= mostImported {
			return nil, fmt.Errorf("read the keys: more than %d", mostImported)
		}
		var line struct {
			KeySpec
			SHA256  Hash      `json:"sha256"`
			Created time.Time `json:"created"`
			Expires time.Time `json:"expires"`
		}
		im := Imported{At: fmt.Sprintf("line %d", n), Outcome: Mapped}
		dec := json.NewDecoder(strings.NewReader(text))
		dec.DisallowUnknownFields()
		err := dec.Decode(&line)
		im.KeySpec, im.Hash, im.Created, im.Expires = line.KeySpec, line.SHA256, line.Created, line.Expires
		switch {
		case err != nil:
			im.refuse("it cannot be read: %s", unquoted(err))
		case dec.More():
			im.refuse("more than one object stands in the line")
		case line.SHA256 == (Hash{}):
			im.refuse("it has no sha256: the SHA-256 of the key's text in 64 hex digits")
		}
		list = append(list, im)
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = errors.New("a line is longer than 1 MiB")
		}
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	return list, nil
}

// unquoted is what is wrong with JSON, without the values in it: somebody may
// have written a key's text where its hash belongs.
func unquoted(err error) string {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("%s is no %s", e.Field, e.Type)
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("it is no JSON at byte %d", e.Offset)
	}
	if text := err.Error(); strings.HasPrefix(text, "json: unknown field") {
		return text[len("json: "):]
	}
	return "a value has the wrong form"
}
