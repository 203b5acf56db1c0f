package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"tailplane/internal/facts"
)

// Kinds of the audit for what is no key and no party. Package facts keeps the
// last state of each, so that a record has a before and an after.
const (
	kindReload  = "reload"
	kindDrain   = "drain"
	kindLink    = "link"
	kindSession = "session"
	kindBudget  = "budget"
	kindRerate  = "rerate"
)

// noteTries bounds how often a record is written again because somebody else
// wrote one of the same kind and name meanwhile.
const noteTries = 10

// note is the one way of a change that package facts does not know of into the
// audit: after marshals to a JSON object and holds nothing secret. Keys and
// parties are changed by facts, which writes their records itself.
func (v *View) note(ctx context.Context, kind, name string, after any, now time.Time) error {
	store := v.service.Facts
	if store == nil {
		return nil
	}
	body, err := json.Marshal(after)
	for try := 0; err == nil; try++ {
		var seen int64
		if seen, err = revision(ctx, store, kind, name); err != nil {
			break
		}
		_, err = store.Apply(ctx, v.Viewer.Actor, now, []facts.Change{{Kind: kind, Name: name, Body: body, Seen: seen}})
		if err == nil {
			return nil
		}
		if errors.Is(err, facts.ErrConflict) && try < noteTries {
			err = nil
		}
	}
	return fmt.Errorf("the change is made, and the audit does not know of it: %w", err)
}

// revision is that of a document; a change's is the number of its record.
func revision(ctx context.Context, store facts.Store, kind, name string) (int64, error) {
	last, err := store.Audit(ctx, facts.AuditQuery{Kind: kind, Name: name, Limit: 1})
	if err != nil || len(last) == 0 || last[0].After == nil {
		return 0, err
	}
	return last[0].Seq, nil
}

// errNoAudit says that the program was built without one.
var errNoAudit = fmt.Errorf("%w: no audit is kept here", ErrNotFound)

// Audit lists who changed what, the newest first.
func (v *View) Audit(ctx context.Context, q facts.AuditQuery) ([]facts.Audit, error) {
	if err := v.Viewer.may(ToAudit); err != nil {
		return nil, err
	}
	if v.service.Facts == nil {
		return nil, errNoAudit
	}
	list, err := v.service.Facts.Audit(ctx, q)
	if list == nil {
		list = []facts.Audit{} // a list, where nothing was changed, too
	}
	return list, err
}

// VerifyAudit checks that nobody changed the audit, or what it is about.
func (v *View) VerifyAudit(ctx context.Context) (facts.AuditReport, error) {
	if err := v.Viewer.may(ToAudit); err != nil {
		return facts.AuditReport{}, err
	}
	if v.service.Facts == nil {
		return facts.AuditReport{}, errNoAudit
	}
	return facts.VerifyAudit(ctx, v.service.Facts)
}

// mostAudit bounds a page.
const mostAudit = 1000

func auditList(v *View, r *http.Request) (any, error) {
	f, err := filter(r)
	if err != nil {
		return nil, err
	}
	q := facts.AuditQuery{Kind: r.FormValue("kind"), Name: r.FormValue("name"), Actor: r.FormValue("actor"), From: f.From, To: f.To}
	for name, into := range map[string]func(int){"limit": func(n int) { q.Limit = n }, "below": func(n int) { q.Below = int64(n) }} {
		text := r.FormValue(name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || name == "limit" && n > mostAudit {
			return nil, fmt.Errorf("%w: %s must be a whole number, limit up to %d", ErrBadOrder, name, mostAudit)
		}
		into(n)
	}
	return v.Audit(r.Context(), q)
}
