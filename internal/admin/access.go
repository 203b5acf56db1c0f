package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// ErrNotFound is wrapped by refusals of what is not there.
var ErrNotFound = errors.New("there is no such thing")

// NewLink is an order for a link that lets somebody in once.
type NewLink struct {
	Role      Role     `json:"role"`
	Name      string   `json:"name,omitempty"` // who it is for; stands in the audit
	Customers []string `json:"customers,omitempty"`
	Targets   []string `json:"targets,omitempty"`
	Lifetime  int64    `json:"lifetime_s,omitempty"` // until it is used; ten minutes without it
}

// Link is a link that was made. Its code is told this once.
type Link struct {
	Code    string    `json:"code"`
	URL     string    `json:"url"`
	Expires time.Time `json:"expires"`
}

// viewer is who comes by a link.
func (n NewLink) viewer() (Viewer, error) {
	g := Grant{User: "link", Customers: n.Customers, Targets: n.Targets}
	var wrong error
	g.validate("", n.Role, func(_, w, right string) { wrong = fmt.Errorf("%w: %s; %s", ErrBadOrder, w, right) })
	lifetime := time.Duration(n.Lifetime) * time.Second
	switch {
	case !slices.Contains(Roles(), n.Role):
		return Viewer{}, fmt.Errorf("%w: %s; %s", ErrBadOrder, unknownRole(string(n.Role)), knownRoles(string(n.Role)))
	case wrong != nil:
		return Viewer{}, wrong
	case len(n.Name) > 64 || n.Lifetime < 0 || n.Lifetime > int64(longestLink/time.Second):
		return Viewer{}, fmt.Errorf("%w: a link has a name of up to 64 characters and a lifetime of up to %v, not %v", ErrBadOrder, longestLink, lifetime)
	}
	name := n.Name
	if name == "" {
		name = string(n.Role)
	}
	return Viewer{Actor: "link:" + name, Role: n.Role, Customers: n.Customers, Targets: n.Targets}, nil
}

// CreateLink makes a link below base, the listener's address.
func (v *View) CreateLink(ctx context.Context, order NewLink, base string, now time.Time) (Link, error) {
	if err := v.Viewer.may(ToLetIn); err != nil {
		return Link{}, err
	}
	who, err := order.viewer()
	if err != nil {
		return Link{}, err
	}
	lifetime := time.Duration(order.Lifetime) * time.Second
	if lifetime == 0 {
		lifetime = defaultLink
	}
	code, err := v.service.Door.newLink(who, lifetime, now)
	if err != nil {
		return Link{}, err
	}
	made := Link{Code: code, URL: base + "/admin/login?code=" + url.QueryEscape(code), Expires: now.Add(lifetime).UTC()}
	return made, v.note(ctx, kindLink, who.Actor, who, now)
}

// Sessions lists who is in.
func (v *View) Sessions(now time.Time) ([]Session, error) {
	if err := v.Viewer.may(ToLetIn); err != nil {
		return nil, err
	}
	return v.service.Door.Sessions(now), nil
}

// EndSession ends the session with an id, or all of them where the id is "all",
// and returns how many ended.
func (v *View) EndSession(ctx context.Context, id string, now time.Time) (int, error) {
	if err := v.Viewer.may(ToLetIn); err != nil {
		return 0, err
	}
	n := v.service.Door.end(func(_ digest, s *Session) bool { return id == "all" || s.ID == id })
	if n == 0 && id != "all" {
		return 0, fmt.Errorf("%w: no session %q is open", ErrNotFound, id)
	}
	return n, v.note(ctx, kindSession, id, map[string]int{"ended": n}, now)
}

// base is the address for links: the one that other machines know, else the one
// of a request.
func (s *Service) base(r *http.Request) string {
	if s.Address != nil {
		if at := s.Address(); at != "" {
			return at
		}
	}
	return origin(r)
}

func createLink(v *View, r *http.Request) (any, error) {
	if err := v.Viewer.may(ToLetIn); err != nil {
		return nil, err
	}
	var order NewLink
	if err := decode(r, &order, "an order for a link"); err != nil {
		return nil, err
	}
	return v.CreateLink(r.Context(), order, v.service.base(r), time.Now())
}

func endSession(v *View, r *http.Request) (any, error) {
	n, err := v.EndSession(r.Context(), r.PathValue("id"), time.Now())
	if err != nil {
		return nil, err
	}
	return map[string]int{"ended": n}, nil
}
