package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/policy"
)

// PartyInfo is an organisation, a team or a customer as it is told.
type PartyInfo struct {
	Level string `json:"level"`
	Name  string `json:"name"`
	policy.PartyConfig
	File     bool  `json:"file,omitempty"` // it stands in the config file, and is changed there
	Revision int64 `json:"revision,omitempty"`
}

func party(p *policy.Party) PartyInfo {
	return PartyInfo{p.Level.String(), p.Name, p.Config, p.File, p.Revision}
}

// ListParties lists those of a level.
func (v *View) ListParties(level account.Level) ([]PartyInfo, error) {
	if err := v.Viewer.may(ToSeeKeys); err != nil {
		return nil, err
	}
	out := []PartyInfo{}
	for _, p := range v.service.Keys.ListParties() {
		if p.Level == level {
			out = append(out, party(p))
		}
	}
	return out, nil
}

// Party is one of a level.
func (v *View) Party(level account.Level, name string) (PartyInfo, error) {
	list, err := v.ListParties(level)
	if err != nil {
		return PartyInfo{}, err
	}
	i := slices.IndexFunc(list, func(p PartyInfo) bool { return p.Name == name })
	if i < 0 {
		return PartyInfo{}, fmt.Errorf("%s %q: %w", level, name, policy.ErrNoParty)
	}
	return list[i], nil
}

// PutParty makes a party, or replaces the one of a revision; 0 only makes.
func (v *View) PutParty(ctx context.Context, level account.Level, name string, c policy.PartyConfig, revision int64, now time.Time) (PartyInfo, error) {
	if err := v.Viewer.may(ToChangeKeys); err != nil {
		return PartyInfo{}, err
	}
	p, err := v.service.Keys.PutParty(ctx, v.Viewer.Actor, level, name, c, revision, now)
	if err != nil {
		return PartyInfo{}, err
	}
	return party(p), nil
}

// RemoveParty removes a party that nothing belongs to. A revision of 0 is
// whichever there is.
func (v *View) RemoveParty(ctx context.Context, level account.Level, name string, revision int64, now time.Time) error {
	if err := v.Viewer.may(ToChangeKeys); err != nil {
		return err
	}
	return v.service.Keys.RemoveParty(ctx, v.Viewer.Actor, level, name, revision, now)
}

// partyOrder is what a party shall be.
type partyOrder struct {
	policy.PartyConfig
	Revision int64 `json:"revision"`
}

// PatchParty changes what the JSON object in patch says of a party. What it
// leaves out stays.
func (v *View) PatchParty(ctx context.Context, level account.Level, name string, patch json.RawMessage, now time.Time) (PartyInfo, error) {
	if err := v.Viewer.may(ToChangeKeys); err != nil {
		return PartyInfo{}, err
	}
	old, err := v.Party(level, name)
	if err != nil {
		return PartyInfo{}, err
	}
	next := partyOrder{old.PartyConfig, old.Revision}
	lists := map[string]func(){"models": func() { next.Models = nil }, "budgets": func() { next.Budgets = nil }}
	if err := over(patch, lists, &next, "a change of a party"); err != nil {
		return PartyInfo{}, err
	}
	return v.PutParty(ctx, level, name, next.PartyConfig, next.Revision, now)
}

// partyRoutes are the places of a level.
func partyRoutes(level account.Level) []route {
	at := "/admin/v1/" + level.String() + "s"
	return []route{
		{"GET " + at, func(v *View, _ *http.Request) (any, error) { return v.ListParties(level) }},
		{"GET " + at + "/{name}", func(v *View, r *http.Request) (any, error) { return v.Party(level, r.PathValue("name")) }},
		{"PUT " + at + "/{name}", func(v *View, r *http.Request) (any, error) {
			if err := v.Viewer.may(ToChangeKeys); err != nil {
				return nil, err
			}
			var order partyOrder
			if err := decode(r, &order, "a "+level.String()); err != nil {
				return nil, err
			}
			return v.PutParty(r.Context(), level, r.PathValue("name"), order.PartyConfig, order.Revision, time.Now())
		}},
		{"PATCH " + at + "/{name}", func(v *View, r *http.Request) (any, error) {
			if err := v.Viewer.may(ToChangeKeys); err != nil {
				return nil, err
			}
			var patch json.RawMessage
			if err := decode(r, &patch, "a change of a "+level.String()); err != nil {
				return nil, err
			}
			return v.PatchParty(r.Context(), level, r.PathValue("name"), patch, time.Now())
		}},
		{"DELETE " + at + "/{name}", func(v *View, r *http.Request) (any, error) {
			var revision int64
			if text := r.FormValue("revision"); text != "" {
				n, err := strconv.ParseInt(text, 10, 64)
				if err != nil || n < 1 {
					return nil, fmt.Errorf("%w: revision must be a number", ErrBadOrder)
				}
				revision = n
			}
			name := r.PathValue("name")
			return map[string]string{"removed": name}, v.RemoveParty(r.Context(), level, name, revision, time.Now())
		}},
	}
}
