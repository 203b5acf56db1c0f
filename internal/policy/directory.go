package policy

import (
	"slices"
	"sync/atomic"

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
		if e.put(entry{hash: s.Hash, until: k.until(s.Expires), key: k, account: k.account, plain: s.Form == FormSHA256}) && s.Form == FormSHA256 {
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
