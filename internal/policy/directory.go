package policy

import (
	"iter"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"tailplane/internal/account"
)

// directory is all keys and parties as they stand: what a request looks into. It
// is immutable; a change makes another one, which shares what did not change.
type directory struct {
	index      *index
	parties    parties
	quarantine *Party          // of who belongs nowhere; nil where unknown customers are refused
	imported   int             // hashes of the form SHA-256
	fixed      map[string]*Key // the static keys by name; one that only rules lead to has no entry
}

func newDirectory() *directory {
	return &directory{index: new(index), parties: parties{}, fixed: map[string]*Key{}}
}

// entry is what a hash stands for.
type entry struct {
	hash    Hash
	form    Form
	expires time.Time // of this text; zero: with the key
	key     *Key
}

// lack is why the text opens nothing; empty when it does.
func (e *entry) lack(now time.Time) Lack {
	if lack := e.key.lack(now); lack != "" {
		return lack
	}
	if !e.expires.IsZero() && !now.Before(e.expires) {
		return LackReplaced
	}
	return ""
}

// index finds an entry by the beginning of its hash. It is cut into 256 maps, so
// that a change copies one of them and not a hundred thousand entries.
type index [256]map[handle]*entry

// at is the entry to a hash: one look into one map, and a comparison of hashes.
func (x *index) at(h Hash) *entry {
	if e := x[h[0]][h.handle()]; e != nil && e.hash == h {
		return e
	}
	return nil
}

// of is the entry to a hash of a form: a hash that was imported opens nothing
// that was hashed here, and the other way about.
func (x *index) of(h Hash, form Form) *entry {
	if e := x.at(h); e != nil && e.form == form {
		return e
	}
	return nil
}

// handled is the entry to the beginning of a hash.
func (x *index) handled(at handle) *entry { return x[at[0]][at] }

func (x *index) all() iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for _, m := range x {
			for _, e := range m {
				if !yield(e) {
					return
				}
			}
		}
	}
}

func (x *index) len() (n int) {
	for _, m := range x {
		n += len(m)
	}
	return n
}

// indexEdit makes another index of one.
type indexEdit struct {
	*index
	own [256]bool // maps that are the new index's alone
}

func (x *index) edit() *indexEdit {
	next := *x
	return &indexEdit{index: &next}
}

func (e *indexEdit) shard(at handle) map[handle]*entry {
	i := at[0]
	if !e.own[i] {
		if e.index[i] == nil {
			e.index[i] = map[handle]*entry{}
		} else {
			e.index[i] = maps.Clone(e.index[i])
		}
		e.own[i] = true
	}
	return e.index[i]
}

// put adds an entry; false when its place is another key's.
func (e *indexEdit) put(en *entry) bool {
	at := en.hash.handle()
	if old := e.handled(at); old != nil && old.key.ID != en.key.ID {
		return false
	}
	e.shard(at)[at] = en
	return true
}

// remove takes away the entry of a key's hash.
func (e *indexEdit) remove(h Hash, id string) {
	if old := e.at(h); old != nil && old.key.ID == id {
		delete(e.shard(h.handle()), h.handle())
	}
}

// record is a key of the file, of the facts or of this process alone.
type record struct {
	id        string
	doc       keyDoc
	revision  int64
	static    bool
	ephemeral bool
	used      *atomic.Int64
}

// key makes the key of a record.
func (d *directory) key(r *record, rules func(ref, account.Rules) *account.Account) *Key {
	doc := &r.doc
	k := &Key{
		ID: r.id, KeySpec: doc.KeySpec, Created: doc.Created, Expires: doc.Expires, Revoked: doc.Revoked, Secrets: doc.Secrets,
		Static: r.static, Ephemeral: r.ephemeral, Revision: r.revision, used: r.used,
	}
	k.party, k.broken = d.parties.nearest(k.Organisation, k.Team, k.Customer, func(at ref) *Party { return d.parties[at] })
	if k.broken == "" && k.party != nil {
		k.broken = k.party.broken
	}
	k.account = rules(ref{account.Key, k.ID}, k.Rules)
	k.chain = k.party.Chain()
	if k.account != nil {
		k.chain = append(slices.Clip(k.chain), k.account)
	}
	return k
}

// enter puts the key of a record into an index, and returns how many of its
// hashes are of the form SHA-256. A text that is another key's already stays so.
func (d *directory) enter(e *indexEdit, r *record, rules func(ref, account.Rules) *account.Account) (imported int) {
	k := d.key(r, rules)
	if r.static {
		d.fixed[k.Name] = k
	}
	for _, s := range k.Secrets {
		if e.put(&entry{s.Hash, s.Form, s.Expires, k}) && s.Form == FormSHA256 {
			imported++
		}
	}
	return imported
}

// leave takes the hashes of a record out of an index.
func (d *directory) leave(e *indexEdit, r *record) (imported int) {
	imported = r.imported(e.index)
	for _, s := range r.doc.Secrets {
		e.remove(s.Hash, r.id)
	}
	return imported
}

// customer is the customer with a name, or nil. A caller may say anything: what
// is too long for a name is not looked for.
func (d *directory) customer(name string) *Party {
	if len(name) > longestName {
		return nil
	}
	return d.parties[ref{account.Customer, name}]
}

// keys walks every key once.
func (d *directory) keys(yield func(*Key) bool) {
	for _, k := range d.fixed {
		if !yield(k) {
			return
		}
	}
	for e := range d.index.all() {
		if first := e.key.Secrets[0].Hash; !e.key.Static && first == e.hash && !yield(e.key) {
			return
		}
	}
}
