package credential

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tailplane/internal/h1"
	"tailplane/internal/secret"
)

// reader gives a secret as of now.
type reader func(ctx context.Context, now time.Time) (secret.Value, error)

// bearer is a slot that presents a text in a header: a key or a token.
type bearer struct {
	in    manner
	read  reader
	ready atomic.Pointer[presented]
}

// manner is how a text is presented.
type manner struct{ header, prefix string }

// mannerOf is how a key goes in a header.
func mannerOf(header string) manner {
	if header == "" || strings.EqualFold(header, "authorization") {
		return manner{"authorization", "Bearer "}
	}
	return manner{header, ""}
}

// presented is the ready header for one value.
type presented struct {
	value, before secret.Value
	field         h1.Field
}

func (b *bearer) finish(ctx context.Context, req *h1.Request, _ Caller, now time.Time) (secret.Value, error) {
	value, err := b.read(ctx, now)
	if err != nil {
		return secret.Value{}, err
	}
	have := b.ready.Load()
	if have == nil || have.value != value {
		have = b.take(value)
	}
	req.Header = append(req.Header, have.field)
	return value, nil
}

// take makes the header of a new value.
func (b *bearer) take(value secret.Value) *presented {
	made := &presented{value: value, field: h1.Field{Name: b.in.header, Value: b.in.prefix + value.Reveal()}}
	if old := b.ready.Load(); old != nil {
		made.before = old.value
	}
	b.ready.Store(made)
	return made
}

func (b *bearer) hint() string {
	if have := b.ready.Load(); have != nil {
		return have.value.Hint()
	}
	return ""
}

func (b *bearer) secrets(out []string) []string {
	have := b.ready.Load()
	if have == nil {
		return out
	}
	out = append(out, have.value.Reveal())
	if !have.before.IsZero() {
		out = append(out, have.before.Reveal())
	}
	return out
}

func (b *bearer) repeats(is func(string) bool) bool {
	have := b.ready.Load()
	return have != nil && (is(have.value.Reveal()) || is(have.before.Reveal()))
}

// builder makes the slots of a source.
type builder struct {
	options Options
	source  *Source
	key     manner // how a key is presented
	token   manner // and a token
	now     time.Time
}

// credential makes the members.
func (b *builder) credential(c Config) error {
	keys := c.Keys
	if !c.Key.IsZero() {
		keys = []Slot{c.Slot}
	}
	for i, k := range keys {
		name := cmp.Or(k.Name, "key")
		if k.Name == "" && len(c.Keys) > 0 {
			name = fmt.Sprintf("keys[%d]", i)
		}
		m := member{weight: max(1, int(k.Weight))}
		for _, at := range []struct {
			name string
			ref  secret.Ref
		}{{name, k.Key}, {name + ".next", k.NextKey}} {
			if at.ref.IsZero() {
				continue
			}
			s, err := b.slot(at.name, b.key, at.ref)
			if err != nil {
				return err
			}
			m.slots = append(m.slots, s)
		}
		b.source.members = append(b.source.members, m)
	}
	var s *slot
	switch {
	case c.AWS != nil:
		s = newAWS(*c.AWS, b)
	case c.Azure != nil:
		a := azure{config: *c.Azure, client: b.options.Client, with: b.options.Resolvers}
		s = b.cell(slot{name: "azure", place: a.place()}, b.token, a.fetch)
	case c.Google != nil:
		g := google{config: *c.Google, client: b.options.Client, with: b.options.Resolvers}
		s = b.cell(slot{name: "google", place: g.place()}, b.token, g.fetch)
	default:
		return nil
	}
	b.source.members = append(b.source.members, member{weight: 1, slots: []*slot{s}})
	return nil
}

// extra makes the slots of secret headers, which are sent as they stand unless
// the request has the header already: the client's own counts more.
func (b *builder) extra(headers map[string]secret.Ref) error {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		s, err := b.slot("header "+name, manner{name, ""}, headers[name])
		if err != nil {
			return err
		}
		add := s.finish
		s.finish = func(ctx context.Context, req *h1.Request, caller Caller, now time.Time) (secret.Value, error) {
			if slices.ContainsFunc(req.Header, func(f h1.Field) bool { return strings.EqualFold(f.Name, name) }) {
				return secret.Value{}, nil
			}
			return add(ctx, req, caller, now)
		}
		b.source.headers = append(b.source.headers, s)
	}
	return nil
}

// slot is the one of a reference. A local one must be there.
func (b *builder) slot(name string, in manner, ref secret.Ref) (*slot, error) {
	if ref.Remote() {
		with := b.options.Resolvers
		return b.cell(slot{name: name, place: ref.String()}, in, func(ctx context.Context) (fetched[secret.Value], error) {
			v, err := ref.Read(ctx, with)
			if err == nil {
				v, err = ref.OneLine(v)
			}
			return fetched[secret.Value]{value: v}, err
		}), nil
	}
	source, err := ref.Open(b.now)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", name, ref, err)
	}
	p := &bearer{in: in, read: func(_ context.Context, now time.Time) (secret.Value, error) { return source.Value(now), nil }}
	p.take(source.Value(b.now))
	return &slot{name: name, place: ref.String(), finish: p.finish, current: source.Value, hint: p.hint, secrets: p.secrets, repeats: p.repeats}, nil
}

// cell completes a slot whose value is fetched.
func (b *builder) cell(s slot, in manner, fetch func(context.Context) (fetched[secret.Value], error)) *slot {
	c := &cell[secret.Value]{fetch: fetch, roll: b.source.roll}
	p := &bearer{in: in, read: c.get}
	c.notice = b.source.noticed(s.name)
	s.finish, s.hint, s.secrets, s.repeats, s.status = p.finish, p.hint, p.secrets, p.repeats, c.status
	s.renew = func(_ secret.Value, now time.Time) { c.renew(now) }
	s.current = func(time.Time) secret.Value {
		if have := c.have.Load(); have != nil {
			return have.value
		}
		return secret.Value{}
	}
	return &s
}

// noticed tells fetches that fail, and the first that does not after them.
func (s *Source) noticed(name string) func(*secret.Value, error) {
	var failing atomic.Bool
	return func(v *secret.Value, err error) {
		switch {
		case err != nil:
			s.tell(Event{Kind: FetchFail, Name: name, Err: err, Again: failing.Swap(true)})
		case failing.Swap(false):
			s.tell(Event{Kind: Fetched, Name: name, Hint: v.Hint()})
		}
	}
}

var errNoClient = errors.New("there is no way to the network for identity endpoints here")
