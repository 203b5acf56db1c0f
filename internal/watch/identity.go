package watch

import (
	"context"
	"slices"

	"tailplane/internal/engine"
)

// identity is which models a target was seen to serve.
type identity struct {
	known map[string]engine.Identity // by name
	gone  map[string]int             // looks without a model that was there
}

// change is what a look found.
type change struct {
	model, was, is string // is is empty for one that is gone
	adapter        bool
}

// see takes what a server says of its models, of those that matter: the ones
// that are sent there, or where none are named, all but adapters. One that is
// missing counts when it is so twice; one that is new is no change.
func (d *identity) see(list []engine.Identity, sent []string) (changes []change) {
	if d.known == nil {
		d.known, d.gone = map[string]engine.Identity{}, map[string]int{}
	}
	seen := map[string]bool{}
	for _, one := range list {
		if one.Model != "" && len(sent) > 0 && !slices.Contains(sent, one.Model) || len(sent) == 0 && one.Adapter {
			continue
		}
		seen[one.Model] = true
		if was, ok := d.known[one.Model]; ok && was.Facts != one.Facts {
			changes = append(changes, change{one.Model, was.Facts, one.Facts, one.Adapter})
		}
		d.known[one.Model] = one
		delete(d.gone, one.Model)
	}
	for name, was := range d.known {
		if seen[name] {
			continue
		}
		if d.gone[name]++; d.gone[name] >= failedChecks {
			changes = append(changes, change{model: name, was: was.Facts, adapter: was.Adapter})
			delete(d.known, name)
			delete(d.gone, name)
		}
	}
	return changes
}

// identify is tier 2: it asks which models there are, and tells what has
// changed. A server whose answers cannot be read as that is not asked again.
func (c *checker) identify(ctx context.Context, t *Target) {
	var list []engine.Identity
	read := false
	paths := []string{t.API() + "/models"}
	if c.engine.Identity != "" {
		paths = append(paths, t.Root()+c.engine.Identity)
	}
	for _, path := range paths {
		status, body, fault := fetch(ctx, t, path)
		if fault != nil || status >= 500 {
			return // it is not well; that says nothing of its models
		}
		if status != 200 {
			continue
		}
		if some, ok := engine.Identities(body); ok {
			list, read = append(list, some...), true
		}
	}
	if !read {
		c.identityQ = true
		return
	}
	c.opt.Counts.Probed(t.Name, "models", "listed")
	for _, one := range c.identity.see(list, t.Models) {
		c.opt.Counts.IdentityChanged(t.Name)
		if one.is == "" {
			c.opt.Log.Warn("a target does not list a model any more", "target", t.Name, "model", one.model)
			if !one.adapter { // should it come back, it comes without its cache
				c.opt.Emptied(t.Name)
			}
			continue
		}
		c.opt.Log.Warn("a target serves another model under the same name", "target", t.Name, "model", one.model, "was", one.was, "is", one.is)
		c.opt.Changed(t.Name)
	}
}
