package app

import (
	"fmt"
	"net/http"
	"time"

	"tailplane/internal/config"
	"tailplane/internal/credential"
	"tailplane/internal/egress"
	"tailplane/internal/upstream"
)

// identityClient is the way to identity endpoints and secret stores: that of the
// file's egress section. What it sends is for the address that the config names,
// so it follows no redirect.
func (s *Server) identityClient(f *config.File) (*http.Client, error) {
	way, err := egress.NewWay(f.Egress, egress.Override{})
	if err != nil {
		return nil, err
	}
	dialer, err := s.network.Dialer(way)
	if err != nil {
		return nil, err
	}
	client := dialer.HTTPClient("identities and secrets")
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client, nil
}

// site is what targets are made with.
func (s *Server) site() upstream.Site {
	return upstream.Site{
		Identities: credential.Options{Client: s.identities, Resolvers: s.resolvers},
		Observe:    s.credentialEvent,
	}
}

// credentialEvent makes what happens to a target's credential visible.
func (s *Server) credentialEvent(target string, e credential.Event) {
	log := s.log.With("target", target, "credential", e.Name)
	if e.Hint != "" {
		log = log.With("hint", e.Hint)
	}
	m := s.metrics.Upstream(target)
	switch e.Kind {
	case credential.Parked:
		m.Parked(e.Name, e.Why)
		if !e.Again {
			log.Warn("the provider refused a credential; it is left alone for a while", "reason", e.Why, "until", e.Until.UTC().Format(time.RFC3339))
		}
	case credential.Unparked:
		if !e.Again {
			log.Info("a credential is in use again", "reason", e.Why)
		}
	case credential.FetchFail:
		m.FetchFailed(e.Name)
		if !e.Again {
			log.Warn("a credential could not be had; the last one is used while it lives", "error", e.Err.Error())
		}
	case credential.Fetched:
		log.Info("a credential could be had again")
	}
}

// parkedCredentials is how many are parked now, over all targets.
func (s *Server) parkedCredentials() float64 {
	n, now := 0, time.Now()
	for _, t := range s.gateway.Plane().Targets {
		for _, c := range t.Credential(now) {
			if !c.Parked.IsZero() {
				n++
			}
		}
	}
	return float64(n)
}

// credentialState tells a target whose credentials are not all well; empty when
// they are.
func credentialState(states []credential.State, now time.Time) string {
	for _, c := range states {
		switch {
		case !c.Parked.IsZero():
			return fmt.Sprintf("credential %s was refused (%s), %d more seconds left alone", c.Name, c.Why, int(c.Parked.Sub(now).Seconds()))
		case c.Error != "":
			return "credential " + c.Name + ": " + c.Error
		}
	}
	return ""
}
