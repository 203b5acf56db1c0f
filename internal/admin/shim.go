package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/ledger"
	"tailplane/internal/policy"
)

// The places below are shaped like LiteLLM's, so that what manages keys there
// manages them here. Each is a thin adapter: it turns an order into ours and the
// answer back. What has no counterpart here is an unknown member, and an error:
// a limit that nobody keeps would be worse than none.

// shim is the table of them. They take a bearer token alone.
func shim() []route {
	return []route{
		{"POST /key/generate", adapter("an order for a key", generateKey)},
		{"POST /key/update", adapter("a change of a key", shimUpdate)},
		{"POST /key/delete", adapter("the keys to delete", shimDelete)},
		{"GET /key/info", shimInfo},
		{"GET /key/list", shimList},
		{"POST /team/new", adapter("an order for a team", newTeam)},
		{"POST /customer/new", adapter("an order for a customer", newCustomer)},
		{"POST /budget/new", shimBudget},
		{"GET /spend/logs", spendLogs},
	}
}

// adapter reads an order for a place that changes something.
func adapter[T any](what string, do func(context.Context, *View, T, time.Time) (any, error)) func(*View, *http.Request) (any, error) {
	return func(v *View, r *http.Request) (any, error) {
		if err := v.Viewer.may(ToChangeKeys); err != nil {
			return nil, err
		}
		var order T
		if err := decode(r, &order, what); err != nil {
			return nil, err
		}
		return do(r.Context(), v, order, time.Now())
	}
}

// shimLimits are the limits as they are written there.
type shimLimits struct {
	MaxBudget      json.Number `json:"max_budget,omitempty"` // dollars
	BudgetDuration string      `json:"budget_duration,omitempty"`
	TPM            int64       `json:"tpm_limit,omitempty"`
	RPM            int64       `json:"rpm_limit,omitempty"`
	Parallel       int         `json:"max_parallel_requests,omitempty"`
}

// periods are the durations of budgets that there are here, too.
var periods = map[string]string{
	"": "total", "1d": "day", "24h": "day", "daily": "day", "7d": "week", "1w": "week", "weekly": "week", "30d": "month", "1mo": "month", "monthly": "month",
}

// rules are the limits as we have them.
func (l shimLimits) rules() (account.Rules, error) {
	limits := map[string]any{}
	if l.TPM != 0 {
		limits["tokens"] = fmt.Sprintf("%d/m", l.TPM)
	}
	if l.RPM != 0 {
		limits["requests"] = fmt.Sprintf("%d/m", l.RPM)
	}
	if l.Parallel != 0 {
		limits["concurrent"] = l.Parallel
	}
	doc := map[string]any{"limits": limits}
	if l.MaxBudget != "" {
		per, known := periods[l.BudgetDuration]
		if !known {
			return account.Rules{}, fmt.Errorf("%w: budget_duration: %q is no period of budgets here; use 1d, 7d or 30d, which are a day, a week and a month of the calendar", ErrBadOrder, l.BudgetDuration)
		}
		amount, err := decimal(l.MaxBudget)
		if err != nil {
			return account.Rules{}, err
		}
		doc["budgets"] = []map[string]any{{"amount": amount, "per": per, "hard": true}}
	} else if l.BudgetDuration != "" {
		return account.Rules{}, fmt.Errorf("%w: budget_duration without max_budget limits nothing", ErrBadOrder)
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return account.Rules{}, err
	}
	var rules account.Rules
	if err := strict(raw, &rules, "limits"); err != nil {
		return account.Rules{}, err
	}
	return rules, nil
}

// decimal is a number of dollars without an exponent, to the nano-dollar.
func decimal(n json.Number) (string, error) {
	if len(n) > 40 {
		return "", fmt.Errorf("%w: max_budget is no amount of dollars", ErrBadOrder)
	}
	if i := strings.IndexAny(string(n), "eE"); i >= 0 {
		if e, err := strconv.Atoi(string(n)[i+1:]); err != nil || e > 12 || e < -12 {
			return "", fmt.Errorf("%w: max_budget is no amount of dollars", ErrBadOrder)
		}
	}
	r, ok := new(big.Rat).SetString(string(n))
	if !ok || r.Sign() < 0 {
		return "", fmt.Errorf("%w: max_budget is no amount of dollars", ErrBadOrder)
	}
	text := r.FloatString(9)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), "."), nil
}

// duration reads 30s, 5m, 2h, 30d; empty is a lifetime without end, as there.
func duration(text string) (int64, error) {
	if text == "" || text == "-1" {
		return -1, nil
	}
	units := map[byte]int64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400}
	n, err := strconv.ParseInt(text[:len(text)-1], 10, 32)
	unit := units[text[len(text)-1]]
	if err != nil || unit == 0 || n <= 0 {
		return 0, fmt.Errorf("%w: duration: %q is none; write one such as 30d, 12h, 5m or 30s", ErrBadOrder, text)
	}
	return n * unit, nil
}

// shimKey is an order for a key, as it is written there.
type shimKey struct {
	Alias        string   `json:"key_alias,omitempty"`
	Team         string   `json:"team_id,omitempty"`
	Organisation string   `json:"organization_id,omitempty"`
	Models       []string `json:"models,omitempty"`
	Duration     string   `json:"duration,omitempty"`
	shimLimits
}

func generateKey(ctx context.Context, v *View, o shimKey, now time.Time) (any, error) {
	rules, err := o.rules()
	if err != nil {
		return nil, err
	}
	seconds, err := duration(o.Duration)
	if err != nil {
		return nil, err
	}
	order := NewKey{Lifetime: seconds, Order: policy.Order{KeySpec: policy.KeySpec{
		Name: cmp.Or(o.Alias, "unnamed"), Team: o.Team, Organisation: o.Organisation, Models: o.Models, Rules: rules,
	}}}
	made, err := v.CreateKey(ctx, order, now)
	if err != nil {
		return nil, err
	}
	answer := shimmed(made.KeyInfo)
	answer["key"] = made.Text
	return answer, nil
}

// shimmed is a key as it is told there: its id stands where their hash does.
func shimmed(k KeyInfo) map[string]any {
	answer := map[string]any{
		"token": k.ID, "token_id": k.ID, "key_name": k.Name, "key_alias": k.Name, "team_id": k.Team, "organization_id": k.Organisation,
		"models": k.Models, "created_at": k.Created, "expires": nil, "blocked": k.State != "usable",
	}
	if !k.Expires.IsZero() {
		answer["expires"] = k.Expires
	}
	return answer
}

// find is the key that a text opens, or that has an id or a name.
func (v *View) find(text string, now time.Time) (KeyInfo, error) {
	if v.service.Lookup != nil && policy.WellFormed(text) {
		if k := v.service.Lookup(text, now); k != nil {
			text = k.ID
		}
	}
	return v.Key(text, now)
}

// shimChange is a change of a key, as it is written there.
type shimChange struct {
	Key string `json:"key"`
	shimKey
}

func shimUpdate(ctx context.Context, v *View, o shimChange, now time.Time) (any, error) {
	old, err := v.find(o.Key, now)
	if err != nil {
		return nil, err
	}
	patch := map[string]any{"revision": old.Revision}
	for name, value := range map[string]string{"name": o.Alias, "team": o.Team, "organisation": o.Organisation} {
		if value != "" {
			patch[name] = value
		}
	}
	if o.Models != nil {
		patch["models"] = o.Models
	}
	if o.Duration != "" {
		seconds, err := duration(o.Duration)
		if err != nil {
			return nil, err
		}
		patch["expires"] = time.Time{}
		if seconds > 0 {
			patch["expires"] = now.Add(time.Duration(seconds) * time.Second).UTC()
		}
	}
	rules, err := o.rules()
	if err != nil {
		return nil, err
	}
	if !rules.Limits.IsZero() {
		patch["limits"] = rules.Limits
	}
	if len(rules.Budgets) > 0 {
		patch["budgets"] = rules.Budgets
	}
	raw, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	k, err := v.UpdateKey(ctx, old.ID, raw, now)
	if err != nil {
		return nil, err
	}
	return shimmed(k), nil
}

// shimKeys are the keys to delete: each by its text, its id or its alias.
type shimKeys struct {
	Keys    []string `json:"keys,omitempty"`
	Aliases []string `json:"key_aliases,omitempty"`
}

// shimDelete revokes keys: who shows one is told so, and what it spent stays. All
// are looked up before the first is revoked.
func shimDelete(ctx context.Context, v *View, o shimKeys, now time.Time) (any, error) {
	named := append(o.Keys, o.Aliases...)
	if len(named) == 0 {
		return nil, fmt.Errorf("%w: keys names the keys to delete", ErrBadOrder)
	}
	var ids []string
	for _, name := range named {
		k, err := v.find(name, now)
		if err != nil {
			return nil, err
		}
		ids = append(ids, k.ID)
	}
	for _, id := range ids {
		if _, err := v.RevokeKey(ctx, id, now); err != nil {
			return nil, err
		}
	}
	return map[string][]string{"deleted_keys": ids}, nil
}

func shimInfo(v *View, r *http.Request) (any, error) {
	k, err := v.find(r.FormValue("key"), time.Now())
	if err != nil {
		return nil, err
	}
	return map[string]any{"key": k.ID, "info": shimmed(k)}, nil
}

func shimList(v *View, r *http.Request) (any, error) {
	page, size := 1, 10
	for name, into := range map[string]*int{"page": &page, "size": &size} {
		if text := r.FormValue(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 || n > 10_000 {
				return nil, fmt.Errorf("%w: %s must be a whole number", ErrBadOrder, name)
			}
			*into = n
		}
	}
	list, err := v.ListKeys(func(k KeyInfo) bool {
		team, alias := r.FormValue("team_id"), r.FormValue("key_alias")
		return k.State == "usable" && (team == "" || team == k.Team) && (alias == "" || alias == k.Name)
	}, time.Now())
	if err != nil {
		return nil, err
	}
	ids := []string{}
	for i := (page - 1) * size; i < min(page*size, len(list)); i++ {
		ids = append(ids, list[i].ID)
	}
	return map[string]any{"keys": ids, "total_count": len(list), "current_page": page, "total_pages": (len(list) + size - 1) / size}, nil
}

// shimTeam is an order for a team.
type shimTeam struct {
	ID           string   `json:"team_id,omitempty"`
	Alias        string   `json:"team_alias,omitempty"`
	Organisation string   `json:"organization_id,omitempty"`
	Models       []string `json:"models,omitempty"`
	Blocked      bool     `json:"blocked,omitempty"`
	shimLimits
}

func newTeam(ctx context.Context, v *View, o shimTeam, now time.Time) (any, error) {
	name := cmp.Or(o.ID, o.Alias)
	if o.ID != "" && o.Alias != "" && o.ID != o.Alias {
		return nil, fmt.Errorf("%w: a team has one name here; give team_id or team_alias", ErrBadOrder)
	}
	p, err := o.party(ctx, v, account.Team, name, policy.PartyConfig{Organisation: o.Organisation, Models: o.Models, Disabled: o.Blocked}, now)
	if err != nil {
		return nil, err
	}
	return map[string]any{"team_id": p.Name, "team_alias": p.Name, "organization_id": p.Organisation, "models": p.Models, "blocked": p.Disabled}, nil
}

// shimCustomer is an order for a customer.
type shimCustomer struct {
	ID      string `json:"user_id"`
	Blocked bool   `json:"blocked,omitempty"`
	shimLimits
}

func newCustomer(ctx context.Context, v *View, o shimCustomer, now time.Time) (any, error) {
	p, err := o.party(ctx, v, account.Customer, o.ID, policy.PartyConfig{Disabled: o.Blocked}, now)
	if err != nil {
		return nil, err
	}
	return map[string]any{"user_id": p.Name, "blocked": p.Disabled}, nil
}

func (l shimLimits) party(ctx context.Context, v *View, level account.Level, name string, c policy.PartyConfig, now time.Time) (PartyInfo, error) {
	rules, err := l.rules()
	if err != nil {
		return PartyInfo{}, err
	}
	c.Limits, c.Budgets = rules.Limits, rules.Budgets
	return v.PutParty(ctx, level, name, c, 0, now)
}

// shimBudget refuses: a budget here belongs to whom it bounds.
func shimBudget(v *View, _ *http.Request) (any, error) {
	if err := v.Viewer.may(ToChangeKeys); err != nil {
		return nil, err
	}
	return nil, &refusedError{fmt.Errorf("a budget does not stand alone here; give max_budget and budget_duration to /key/generate, /team/new or /customer/new")}
}

// spendLogs lists requests as they are told there. Money is in dollars, exactly.
func spendLogs(v *View, r *http.Request) (any, error) {
	if v.Viewer.narrow() {
		return nil, v.Viewer.refuse("see what was spent")
	}
	f := ledger.Filter{Customer: r.FormValue("user_id")}
	if text := r.FormValue("api_key"); text != "" {
		k, err := v.find(text, time.Now())
		if err != nil {
			return nil, err
		}
		f.Key = k.ID
	}
	for name, into := range map[string]*time.Time{"start_date": &f.From, "end_date": &f.To} {
		if text := r.FormValue(name); text != "" {
			at, err := time.Parse(time.DateOnly, text)
			if err != nil {
				return nil, fmt.Errorf("%w: %s must be a day such as 2026-11-24", ErrBadOrder, name)
			}
			*into = at
		}
	}
	if !f.To.IsZero() {
		f.To = f.To.AddDate(0, 0, 1) // the last day belongs to it
	}
	var list []Record
	if id := r.FormValue("request_id"); id != "" {
		one, err := v.Why(r.Context(), id)
		if err != nil {
			return nil, err
		}
		list = []Record{one}
	} else {
		var err error
		if list, err = v.Recent(r.Context(), 1000, f); err != nil {
			return nil, err
		}
	}
	out := make([]map[string]any, len(list))
	for i, one := range list {
		out[i] = spent(one.exchange)
	}
	return out, nil
}

func spent(ex *ledger.Exchange) map[string]any {
	line := map[string]any{
		"request_id": ex.ID, "api_key": ex.Key, "model": ex.Model, "end_user": ex.Customer, "team_id": ex.Team,
		"startTime": ex.Start, "endTime": ex.Start.Add(ex.Total), "request_tags": ex.Tags, "session_id": ex.Session, "status": ex.Outcome,
		"prompt_tokens": ex.Usage.Input, "completion_tokens": ex.Usage.Output, "total_tokens": ex.Usage.Input + ex.Usage.Output,
		"spend": json.Number(fmt.Sprintf("%d.%09d", ex.Cost/1e9, ex.Cost%1e9)),
	}
	if ex.PriceStatus == ledger.Unpriced {
		line["spend"] = nil // not known, which is not nothing
	}
	return line
}
