package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"tailplane/internal/policy"
	"tailplane/internal/secret"
)

// NewKey is an order for a client key.
type NewKey struct {
	policy.Order
	// Lifetime in seconds: a year when it is 0, without end when it is -1. An
	// ephemeral key also ends with the process.
	Lifetime int64 `json:"lifetime_s,omitempty"`
}

// KeyInfo is a key as it is told: never its text, never a hash of it.
type KeyInfo struct {
	*policy.Key
	State string `json:"state"` // usable, or why it is not: expired, revoked, broken
	// LastUsed is to the minute, here and since the start.
	LastUsed time.Time `json:"last_used,omitzero"`
	Texts    []Text    `json:"texts"` // that open it
}

// Text is one text that opens a key.
type Text struct {
	Form    policy.Form `json:"form"`
	Expires time.Time   `json:"expires,omitzero"` // zero: with the key
}

// MadeKey is a key with its text, which is told this once and kept nowhere.
type MadeKey struct {
	Text string `json:"key"`
	KeyInfo
}

func info(k *policy.Key, now time.Time) KeyInfo {
	i := KeyInfo{Key: k, State: "usable", LastUsed: k.LastUsed(), Texts: []Text{}}
	if lack, ok := k.Usable(now); !ok {
		i.State = string(lack)
	}
	for _, s := range k.Secrets {
		if s.Expires.IsZero() || now.Before(s.Expires) {
			i.Texts = append(i.Texts, Text{s.Form, s.Expires})
		}
	}
	return i
}

// ListKeys lists the keys that pass; nil passes all.
func (v *View) ListKeys(pass func(KeyInfo) bool, now time.Time) ([]KeyInfo, error) {
	if err := v.Viewer.may(ToSeeKeys); err != nil {
		return nil, err
	}
	out := []KeyInfo{}
	for _, k := range v.service.Keys.ListKeys() {
		if i := info(k, now); pass == nil || pass(i) {
			out = append(out, i)
		}
	}
	return out, nil
}

// Key is the key with an id, or with a name that only one has.
func (v *View) Key(name string, now time.Time) (KeyInfo, error) {
	if err := v.Viewer.may(ToSeeKeys); err != nil {
		return KeyInfo{}, err
	}
	var found []*policy.Key
	for _, k := range v.service.Keys.ListKeys() {
		if k.ID == name {
			return info(k, now), nil
		}
		if k.Name == name {
			found = append(found, k)
		}
	}
	switch len(found) {
	case 0:
		return KeyInfo{}, policy.ErrNoKey
	case 1:
		return info(found[0], now), nil
	}
	return KeyInfo{}, fmt.Errorf("%w: %s, %s and perhaps more; name one by its id", policy.ErrSeveral, found[0].ID, found[1].ID)
}

// CreateKey makes a key.
func (v *View) CreateKey(ctx context.Context, order NewKey, now time.Time) (MadeKey, error) {
	if err := v.Viewer.may(ToChangeKeys); err != nil {
		return MadeKey{}, err
	}
	switch s := order.Lifetime; {
	case s == -1:
		order.Order.Lifetime = policy.Never
	case s < 0 || s > int64(100*policy.DefaultLifetime/time.Second):
		return MadeKey{}, fmt.Errorf("%w: lifetime_s is a number of seconds, up to ten years, or -1 for no end", ErrBadOrder)
	default:
		order.Order.Lifetime = time.Duration(s) * time.Second
	}
	text, k, err := v.service.Keys.CreateKey(ctx, v.Viewer.Actor, order.Order, now)
	return made(text, k, now, err)
}

func made(text secret.Value, k *policy.Key, now time.Time, err error) (MadeKey, error) {
	if err != nil {
		return MadeKey{}, err
	}
	return MadeKey{text.Reveal(), info(k, now)}, nil
}

// Rotation is an order for another text of a key.
type Rotation struct {
	Label string `json:"label,omitempty"`
	// Grace is for how many seconds the texts it has still open it.
	Grace int64 `json:"grace_s,omitempty"`
}

// RotateKey gives a key another text. Its id and what it spent stay.
func (v *View) RotateKey(ctx context.Context, name string, r Rotation, now time.Time) (MadeKey, error) {
	if err := v.Viewer.may(ToChangeKeys); err != nil {
		return MadeKey{}, err
	}
	if r.Grace < 0 || r.Grace > int64(policy.DefaultLifetime/time.Second) {
		return MadeKey{}, fmt.Errorf("%w: grace_s is a number of seconds, up to 90 days", ErrBadOrder)
	}
	text, k, err := v.service.Keys.RotateKey(ctx, v.Viewer.Actor, name, r.Label, time.Duration(r.Grace)*time.Second, now)
	return made(text, k, now, err)
}

// RevokeKey takes a key back for good.
func (v *View) RevokeKey(ctx context.Context, name string, now time.Time) (KeyInfo, error) {
	if err := v.Viewer.may(ToChangeKeys); err != nil {
		return KeyInfo{}, err
	}
	k, err := v.service.Keys.RevokeKey(ctx, v.Viewer.Actor, name, now)
	if err != nil {
		return KeyInfo{}, err
	}
	return info(k, now), nil
}

// keyPatch is what of a key can be changed. What an order leaves out stays.
type keyPatch struct {
	policy.KeySpec
	Expires  time.Time `json:"expires"`  // zero: never
	Revision int64     `json:"revision"` // that the order was made upon; 0: whichever there is
}

// UpdateKey changes what the JSON object in patch says of a key.
func (v *View) UpdateKey(ctx context.Context, name string, patch json.RawMessage, now time.Time) (KeyInfo, error) {
	if err := v.Viewer.may(ToChangeKeys); err != nil {
		return KeyInfo{}, err
	}
	old, err := v.Key(name, now)
	if err != nil {
		return KeyInfo{}, err
	}
	next := keyPatch{KeySpec: old.KeySpec, Expires: old.Expires}
	lists := map[string]func(){
		"models": func() { next.Models = nil }, "surfaces": func() { next.Surfaces = nil },
		"networks": func() { next.Networks = nil }, "budgets": func() { next.Budgets = nil },
	}
	if err := over(patch, lists, &next, "a change of a key"); err != nil {
		return KeyInfo{}, err
	}
	k, err := v.service.Keys.UpdateKey(ctx, v.Viewer.Actor, old.ID, next.KeySpec, next.Expires, cmp.Or(next.Revision, old.Revision), now)
	if err != nil {
		return KeyInfo{}, err
	}
	return info(k, now), nil
}

// over decodes an order over what there is. A list in it replaces the one that
// there is: lists has what empties each, since a decoder would mix the two.
func over(patch json.RawMessage, lists map[string]func(), into any, what string) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(patch, &members); err != nil || members == nil {
		return fmt.Errorf("%w: the body is not %s: it is no JSON object", ErrBadOrder, what)
	}
	for name := range members {
		if empty := lists[strings.ToLower(name)]; empty != nil {
			empty()
		}
	}
	return strict(patch, into, what)
}

// Pair is the AWS key pair of the key with a name or an id.
func (v *View) Pair(key string, now time.Time) (policy.Pair, *policy.Key, error) {
	if err := v.Viewer.may(ToSeeSecrets); err != nil {
		return policy.Pair{}, nil, err
	}
	return v.service.Pair(key, now)
}

// ImportKeys makes keys of those of another gateway and says of each what became
// of it. A trial makes none.
func (v *View) ImportKeys(ctx context.Context, list []policy.Imported, trial bool, now time.Time) ([]policy.Imported, error) {
	if err := v.Viewer.may(ToChangeKeys); err != nil {
		return nil, err
	}
	done, err := v.service.Keys.ImportKeys(ctx, v.Viewer.Actor, list, trial, now)
	if done == nil {
		done = []policy.Imported{}
	}
	return done, err
}

// importKeys reads a list in the form that the query names: tailplane (the
// default) or litellm.
func importKeys(v *View, r *http.Request) (any, error) {
	if err := v.Viewer.may(ToChangeKeys); err != nil {
		return nil, err
	}
	now := time.Now()
	var list []policy.Imported
	var err error
	switch form := r.URL.Query().Get("form"); form {
	case "", "tailplane":
		list, err = policy.ReadKeys(r.Body)
	case "litellm":
		list, err = policy.ReadLiteLLM(r.Body, now)
	default:
		return nil, fmt.Errorf("%w: there is no form %q; use tailplane or litellm", ErrBadOrder, form)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the list cannot be read: %w", ErrBadOrder, err)
	}
	return v.ImportKeys(r.Context(), list, r.URL.Query().Get("trial") == "true", now)
}

func listKeys(v *View, r *http.Request) (any, error) {
	pass := func(k KeyInfo) bool {
		for name, have := range map[string]string{
			"name": k.Name, "organisation": k.Organisation, "team": k.Team, "customer": k.Customer, "state": k.State,
		} {
			if want := r.FormValue(name); want != "" && want != have {
				return false
			}
		}
		return true
	}
	return v.ListKeys(pass, time.Now())
}

func createKey(v *View, r *http.Request) (any, error) {
	if err := v.Viewer.may(ToChangeKeys); err != nil {
		return nil, err // before the order is looked at
	}
	var order NewKey
	if err := decode(r, &order, "an order for a key"); err != nil {
		return nil, err
	}
	return v.CreateKey(r.Context(), order, time.Now())
}

func rotateKey(v *View, r *http.Request) (any, error) {
	if err := v.Viewer.may(ToChangeKeys); err != nil {
		return nil, err
	}
	var order Rotation
	if err := decode(r, &order, "an order for another text"); err != nil {
		return nil, err
	}
	return v.RotateKey(r.Context(), r.PathValue("name"), order, time.Now())
}

func updateKey(v *View, r *http.Request) (any, error) {
	if err := v.Viewer.may(ToChangeKeys); err != nil {
		return nil, err
	}
	var patch json.RawMessage
	if err := decode(r, &patch, "a change of a key"); err != nil {
		return nil, err
	}
	return v.UpdateKey(r.Context(), r.PathValue("name"), patch, time.Now())
}

// pair tells the AWS key pair of a key. It is an order and no question, so that
// no proxy or history keeps the answer.
func pair(v *View, r *http.Request) (any, error) {
	if err := v.Viewer.may(ToSeeSecrets); err != nil {
		return nil, err
	}
	var order struct {
		Key string `json:"key"`
	}
	if err := decode(r, &order, `{"key": NAME}`); err != nil {
		return nil, err
	}
	if order.Key == "" {
		return nil, fmt.Errorf(`%w: the body must be {"key": NAME}, with the name or the id of a key`, ErrBadOrder)
	}
	pair, key, err := v.Pair(order.Key, time.Now())
	if err != nil {
		return nil, err
	}
	return AWSPair{AccessKeyID: pair.ID, SecretAccessKey: pair.Secret.Reveal(), Key: key.ID, Name: key.Name}, nil
}

// AWSPair is the AWS key pair that stands for a key.
type AWSPair struct {
	AccessKeyID     string `json:"access_key_id"`
	SecretAccessKey string `json:"secret_access_key"`
	Key             string `json:"key"` // its id
	Name            string `json:"name"`
}
