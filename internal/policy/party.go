package policy

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"

	"tailplane/internal/account"
)

// Party is an organisation, a team or a customer: on whose behalf requests are
// made, and what they may use together. It is immutable.
type Party struct {
	Level    account.Level
	Name     string
	Parent   *Party // of a higher level; nil: none
	Models   []string
	Account  *account.Account // nil: it has no limits of its own
	Disabled bool
	File     bool // it stands in the file, and cannot be changed from outside
	Revision int64
	Config   PartyConfig

	chain      []*account.Account
	broken     string // what it should be part of is not there
	quarantine *Party // below it; nil where unknown customers are refused
}

// Chain are the accounts that a request for the party draws on, from the top
// down. It is not to be changed.
func (p *Party) Chain() []*account.Account {
	if p == nil {
		return nil
	}
	return p.chain
}

// MayCall reports whether the party, and all above it, may use a model name.
func (p *Party) MayCall(model string) bool {
	for ; p != nil; p = p.Parent {
		if !matches(p.Models, model) {
			return false
		}
	}
	return true
}

// Narrow reports whether there are models that the party may not call.
func (p *Party) Narrow() bool {
	for ; p != nil; p = p.Parent {
		if narrow(p.Models) {
			return true
		}
	}
	return false
}

// Names are the names of the party and of those above it, as the ledger has
// them; empty where there is none.
func (p *Party) Names() (organisation, team, customer string) {
	for ; p != nil; p = p.Parent {
		switch p.Level {
		case account.Organisation:
			organisation = p.Name
		case account.Team:
			team = p.Name
		case account.Customer:
			customer = p.Name
		}
	}
	return organisation, team, customer
}

// within reports whether the party is q or stands below it. Everything is within
// nobody.
func (p *Party) within(q *Party) bool {
	if q == nil {
		return true
	}
	for ; p != nil; p = p.Parent {
		if p.Level == q.Level && p.Name == q.Name {
			return true
		}
	}
	return false
}

// disabled is the nearest party that is switched off, or nil.
func (p *Party) disabled() *Party {
	for ; p != nil; p = p.Parent {
		if p.Disabled {
			return p
		}
	}
	return nil
}

func (p *Party) String() string { return fmt.Sprintf("%s %q", p.Level, p.Name) }

// ref names a party.
type ref struct {
	level account.Level
	name  string
}

// partyDoc is a party as it is said somewhere.
type partyDoc struct {
	config   PartyConfig
	revision int64
	file     bool
}

// parties is a directory's parties by name. It is immutable once it is in use.
type parties map[ref]*Party

// build makes the party that a document says, with those above it.
func (ps parties) build(at ref, docs func(ref) (partyDoc, bool), rules func(ref, account.Rules) *account.Account) *Party {
	if p, done := ps[at]; done {
		return p
	}
	doc, is := docs(at)
	if !is {
		return nil
	}
	c := doc.config
	p := &Party{Level: at.level, Name: at.name, Models: c.Models, Disabled: c.Disabled, File: doc.file, Revision: doc.revision, Config: c}
	p.Parent, p.broken = ps.nearest(c.Organisation, c.Team, "", func(up ref) *Party {
		if up.level >= at.level {
			return nil
		}
		return ps.build(up, docs, rules)
	})
	if p.Parent != nil && p.broken == "" {
		p.broken = p.Parent.broken
	}
	p.Account = rules(at, c.Rules())
	p.link()
	ps[at] = p
	return p
}

// link makes the chain of a party whose parent and account are set.
func (p *Party) link() {
	p.chain = slices.Clone(p.Parent.Chain())
	if p.Account != nil {
		p.chain = append(p.chain, p.Account)
	}
	p.chain = slices.Clip(p.chain)
}

// nearest is the lowest of the parties that names say, and what is wrong with
// them: one that is not there, or that is not within another.
func (parties) nearest(organisation, team, customer string, find func(ref) *Party) (p *Party, wrong string) {
	for i, name := range []string{customer, team, organisation} {
		if name == "" {
			continue
		}
		at := ref{account.Customer - account.Level(i), name}
		found := find(at)
		switch {
		case found == nil:
			return p, fmt.Sprintf("there is no %s %q", at.level, name)
		case p == nil:
			p = found
		case !p.within(found):
			return p, fmt.Sprintf("%s is not within %s", p, found)
		}
	}
	return p, ""
}

// quarantined gives the organisations and teams among the named ones a customer
// under whom requests for unknown customers are counted, and returns that of who
// belongs nowhere.
func (ps parties) quarantined(named iter.Seq[ref], rules func(ref, account.Rules) *account.Account) *Party {
	model := Party{Level: account.Customer, Name: Quarantine}
	if p := ps[ref{model.Level, model.Name}]; p != nil {
		model = *p
	} else {
		model.Account = rules(ref{model.Level, model.Name}, account.Rules{})
	}
	below := func(parent *Party) *Party {
		q := model
		q.Parent = parent
		q.link()
		return &q
	}
	for at := range named {
		if p := ps[at]; p != nil && p.Level != account.Customer {
			p.quarantine = below(p)
		}
	}
	return below(nil)
}

// sorted are the parties by level and name.
func (ps parties) sorted() []*Party {
	return slices.SortedFunc(maps.Values(ps), func(a, b *Party) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Name, b.Name))
	})
}
