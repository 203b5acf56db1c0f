package facts

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// What a store takes at most.
const (
	MostChanges = 10_000   // in one call of Apply
	MostBody    = 64 << 10 // bytes of a document
	mostName    = 256      // bytes of a kind, a name or an actor
)

// id names a document.
type id struct{ kind, name string }

// head is the end of the trail.
type head struct {
	seq  int64
	link string
}

// plan is what changes do to a store: the documents and the audit records that
// are to be written. It is a pure function of the trail's end and of the
// documents that the changes name, with removed ones among them.
func plan(end head, held map[id]Fact, actor string, at time.Time, changes []Change) ([]Fact, []Audit, error) {
	if err := check(actor, changes); err != nil {
		return nil, nil, err
	}
	out, trail := make([]Fact, 0, len(changes)), make([]Audit, 0, len(changes))
	at = at.UTC().Truncate(time.Microsecond)
	for _, c := range changes {
		old, there := held[id{c.Kind, c.Name}]
		there = there && !old.Removed
		switch {
		case there && c.Seen == 0:
			return nil, nil, fmt.Errorf("%s %q is there already: %w; choose another name, or change the one that is there", c.Kind, c.Name, ErrConflict)
		case there && c.Seen != old.Revision:
			return nil, nil, fmt.Errorf("%s %q: %w (revision %d, not %d); read it again and repeat the change", c.Kind, c.Name, ErrConflict, old.Revision, c.Seen)
		case !there && c.Seen != 0:
			return nil, nil, fmt.Errorf("%s %q is no longer there: %w", c.Kind, c.Name, ErrConflict)
		case !there && c.Body == nil:
			return nil, nil, fmt.Errorf("%s %q is not there: %w", c.Kind, c.Name, ErrConflict)
		}
		a := Audit{Seq: end.seq + 1, At: at, Actor: actor, Kind: c.Kind, Name: c.Name, After: masked(c.Body)}
		if there {
			a.Before = masked(old.Body)
		}
		a.Link = link(end.link, &a)
		end = head{a.Seq, a.Link}
		out = append(out, Fact{Kind: c.Kind, Name: c.Name, Body: c.Body, Revision: a.Seq, Removed: c.Body == nil})
		trail = append(trail, a)
	}
	return out, trail, nil
}

// check refuses what no store takes.
func check(actor string, changes []Change) error {
	if len(changes) > MostChanges {
		return fmt.Errorf("%w: %d changes at once; make %d at most", ErrInvalid, len(changes), MostChanges)
	}
	seen := make(map[id]bool, len(changes))
	for _, c := range changes {
		switch at := (id{c.Kind, c.Name}); {
		case !nameable(actor) || !nameable(c.Kind) || !nameable(c.Name):
			return fmt.Errorf("%w: actor, kind and name are 1 to %d bytes of printable text each", ErrInvalid, mostName)
		case seen[at]:
			return fmt.Errorf("%w: %s %q stands in it twice", ErrInvalid, c.Kind, c.Name)
		case len(c.Body) > MostBody:
			return fmt.Errorf("%w: %s %q has %d bytes, more than %d", ErrInvalid, c.Kind, c.Name, len(c.Body), MostBody)
		case c.Body != nil && (!json.Valid(c.Body) || !bytes.HasPrefix(bytes.TrimSpace(c.Body), []byte("{"))):
			return fmt.Errorf("%w: %s %q is no JSON object", ErrInvalid, c.Kind, c.Name)
		default:
			seen[at] = true
		}
	}
	return nil
}

func nameable(text string) bool {
	return text != "" && len(text) <= mostName && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// secretMember is the member of a document whose value stays out of the trail,
// at any depth. The hash of a key opens nothing; it is nobody's to read either.
const secretMember = "hash"

const mask = "***"

// masked is a document as the trail has it.
func masked(body json.RawMessage) json.RawMessage {
	if body == nil {
		return nil
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return json.RawMessage(`{}`) // check lets no such body through
	}
	hide(v)
	out, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage(`{}`)
	}
	return out
}

func hide(v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if name == secretMember {
				v[name] = mask
				continue
			}
			hide(member)
		}
	case []any:
		for _, item := range v {
			hide(item)
		}
	}
}

// link is the hash over a record and the link before it. Every part is preceded
// by its length, so that no two records give the same bytes.
func link(before string, a *Audit) string {
	var b []byte
	for _, part := range []string{before, a.Actor, a.Kind, a.Name, string(a.Before), string(a.After)} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(a.Seq))
	b = binary.BigEndian.AppendUint64(b, uint64(a.At.UnixMicro()))
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
