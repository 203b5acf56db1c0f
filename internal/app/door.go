package app

import (
	"net"
	"net/http"
	"reflect"

	"tailplane/internal/admin"
	"tailplane/internal/config"
	"tailplane/internal/oidc"
)

// providerOf is the provider of a file's auth section; nil when it names none.
// Where the section has not changed it is the one that serves, with its keys.
// The caller holds the lock, or is alone.
func (s *Server) providerOf(f *config.File) (admin.Provider, error) {
	c := f.Auth.OIDC
	switch {
	case c.Issuer == "":
		return nil, nil
	case s.provider != nil && reflect.DeepEqual(c, s.file.Auth.OIDC):
		return s.provider, nil
	}
	v, err := oidc.New(oidc.Options{Issuer: c.Issuer, Audiences: []string{c.ClientID}, JWKS: c.JWKS, Client: s.identities})
	if err != nil {
		return nil, err
	}
	return oidc.NewLogin(v, c.ClientID, c.Secret, c.Scopes), nil
}

// openDoor puts a file's auth section into force, with its provider.
func (s *Server) openDoor(f *config.File, p admin.Provider) {
	s.provider = p
	s.door.Use(f.Auth, p)
}

// adminHosts are the names that the admin listener answers to beside this
// machine's own.
func (s *Server) adminHosts() []string {
	if s.adminTLS == nil {
		return nil
	}
	return s.gateway.Plane().Listen.Hosts
}

// adminURL is where people of other machines find the admin listener; empty when
// nothing says so.
func (s *Server) adminURL() string {
	hosts := s.adminHosts()
	_, port, err := net.SplitHostPort(s.admin.Addr().String())
	if len(hosts) == 0 || err != nil {
		return ""
	}
	return "https://" + net.JoinHostPort(hosts[0], port)
}

// serveAdmin serves the admin listener with its TLS, if it has one.
func (s *Server) serveAdmin(srv *http.Server) func(net.Listener) error {
	if s.adminTLS == nil {
		return srv.Serve
	}
	srv.TLSConfig = s.adminTLS.config()
	return func(ln net.Listener) error { return srv.ServeTLS(ln, "", "") }
}
