package policy

import (
	"iter"
	"maps"
	"time"

	"tailplane/internal/account"
)

// What follows makes directories: the whole one when a setting comes into force,
// and the next one from the last when something changes. All of it runs while
// the store's mu is held.

// doc is what is said of a party: by the file, or else by the facts, or else by
// the key that names it.
func (k *Keys) doc(at ref) (partyDoc, bool) {
	for _, docs := range k.sources() {
		if doc, is := docs[at]; is {
			return doc, true
		}
	}
	return partyDoc{}, false
}

func (k *Keys) sources() [3]map[ref]partyDoc {
	return [...]map[ref]partyDoc{k.docs, k.store.docs, k.implied}
}

// refs walks all parties; one that is said in two places comes twice.
func (k *Keys) refs(yield func(ref) bool) {
	for _, docs := range k.sources() {
		for at := range docs {
			if !yield(at) {
				return
			}
		}
	}
}

// rules gives the live account of a party or key. Rules that are zero end the one
// that there was.
func (k *Keys) rules(now time.Time) func(ref, account.Rules) *account.Account {
	return func(at ref, r account.Rules) *account.Account {
		if k.store.accounts == nil {
			return nil
		}
		return k.store.accounts.Account(at.level, at.name, r, now)
	}
}

// forget ends the accounts of parties and keys that were in a directory and are
// not in the one that followed.
func (k *Keys) forget(before *directory, now time.Time) {
	d, rules := k.dir.Load(), k.rules(now)
	for at, p := range before.parties {
		if p.Account != nil && d.parties[at] == nil {
			rules(at, account.Rules{})
		}
	}
	left := map[string]bool{}
	for key := range before.keys {
		if key.account != nil {
			left[key.ID] = true
		}
	}
	if len(left) == 0 {
		return
	}
	for key := range d.keys {
		delete(left, key.ID)
	}
	for id := range left {
		rules(ref{account.Key, id}, account.Rules{})
	}
}

// build makes the whole directory.
func (k *Keys) build(now time.Time) {
	d := newDirectory()
	rules := k.rules(now)
	k.buildParties(d, k.refs, now)
	e := d.index.edit()
	for _, r := range k.fixed {
		d.enter(e, r, rules)
	}
	for _, r := range k.store.records {
		d.imported += d.enter(e, r, rules)
	}
	d.index = e.index
	k.dir.Store(d)
}

func (k *Keys) buildParties(d *directory, named iter.Seq[ref], now time.Time) {
	rules := k.rules(now)
	for at := range named {
		d.parties.build(at, k.doc, rules)
	}
	if k.setting.Keys.UnknownCustomer == Quarantine {
		d.quarantine = d.parties.quarantined(named, rules)
	}
}

// update makes the next directory.
func (k *Keys) update(c changes, now time.Time) {
	if len(c.gone)+len(c.come)+len(c.parties) == 0 {
		return
	}
	if c.parties[ref{account.Customer, Quarantine}] {
		k.build(now) // it stands below every organisation and team
		return
	}
	d, rules := *k.dir.Load(), k.rules(now)
	e := d.index.edit()
	for _, r := range c.gone {
		d.imported -= d.leave(e, r)
		if k.store.records[r.id] == nil {
			rules(ref{account.Key, r.id}, account.Rules{})
		}
	}
	if len(c.parties) > 0 {
		c.come = append(c.come, k.changeParties(&d, c, now)...)
	}
	for _, r := range c.come {
		d.imported += d.enter(e, r, rules)
	}
	d.index = e.index
	k.dir.Store(&d)
}

// changeParties makes the parties that changed, and those below them, and
// returns the records that belong to one of them: their keys have to be made
// again.
func (k *Keys) changeParties(d *directory, c changes, now time.Time) (keys []*record) {
	affected := maps.Clone(c.parties)
	for range 2 { // teams below organisations, then customers below teams
		for at := range k.refs {
			doc, _ := k.doc(at)
			if doc.belongs(affected) {
				affected[at] = true
			}
		}
	}
	d.parties = maps.Clone(d.parties)
	maps.DeleteFunc(d.parties, func(at ref, _ *Party) bool { return affected[at] })
	k.buildParties(d, maps.Keys(affected), now)
	for at := range affected {
		if d.parties[at] == nil {
			k.rules(now)(at, account.Rules{})
		}
	}
	d.fixed = maps.Clone(d.fixed)
	coming := make(map[string]bool, len(c.come))
	for _, r := range c.come {
		coming[r.id] = true
	}
	for _, r := range k.fixed {
		if r.belongs(affected) {
			keys = append(keys, r)
		}
	}
	for _, r := range k.store.records {
		if !coming[r.id] && r.belongs(affected) {
			keys = append(keys, r)
			d.imported -= r.imported(d.index)
		}
	}
	return keys
}

// belongs reports whether a party is part of one of the named ones.
func (doc partyDoc) belongs(to map[ref]bool) bool {
	return to[ref{account.Organisation, doc.config.Organisation}] || to[ref{account.Team, doc.config.Team}]
}

// belongs reports whether a key does.
func (r *record) belongs(to map[ref]bool) bool {
	return to[ref{account.Organisation, r.doc.Organisation}] || to[ref{account.Team, r.doc.Team}] || to[ref{account.Customer, r.doc.Customer}]
}

// imported is how many hashes of the form SHA-256 a record has in an index.
func (r *record) imported(x *index) (n int) {
	for _, s := range r.doc.Secrets {
		if e := x.at(s.Hash); s.Form == FormSHA256 && e != nil && e.key.ID == r.id {
			n++
		}
	}
	return n
}
