package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"tailplane/internal/account"
	"tailplane/internal/facts"
	"tailplane/internal/ledger"
	"tailplane/internal/policy"
)

// route is one place of the REST table. do asks the view, which refuses what the
// viewer may not; what it returns is the answer.
type route struct {
	pattern string
	do      func(v *View, r *http.Request) (any, error)
}

// routes is the REST table.
func routes() []route {
	list := []route{
		{"GET /admin/v1/me", me},
		{"GET /admin/v1/status", func(v *View, _ *http.Request) (any, error) { return v.Status() }},
		{"GET /admin/v1/models", func(v *View, r *http.Request) (any, error) { return v.Models(r.FormValue("key")) }},
		{"POST /admin/v1/route/explain", explain},
		{"GET /admin/v1/targets", func(v *View, _ *http.Request) (any, error) { return v.Targets() }},
		{"POST /admin/v1/targets/drain", drain},
		{"GET /admin/v1/egress", func(v *View, _ *http.Request) (any, error) { return v.Egress() }},
		{"GET /admin/v1/exchanges", recent},
		{"GET /admin/v1/exchanges/{id}", func(v *View, r *http.Request) (any, error) { return v.Why(r.Context(), r.PathValue("id")) }},
		{"GET /admin/v1/usage", usage},
		{"GET /admin/v1/capacity", capacity},
		{"GET /admin/v1/statement", statementOf},
		{"POST /admin/v1/statement", state},
		{"GET /admin/v1/calls", calls},
		{"GET /admin/v1/keys", listKeys},
		{"POST /admin/v1/keys", createKey},
		{"GET /admin/v1/keys/{name}", func(v *View, r *http.Request) (any, error) { return v.Key(r.PathValue("name"), time.Now()) }},
		{"PATCH /admin/v1/keys/{name}", updateKey},
		{"POST /admin/v1/keys/{name}/rotate", rotateKey},
		{"POST /admin/v1/keys/{name}/revoke", func(v *View, r *http.Request) (any, error) {
			return v.RevokeKey(r.Context(), r.PathValue("name"), time.Now())
		}},
		{"POST /admin/v1/keys/aws", pair},
		{"POST " + importPath, importKeys},
		{"POST /admin/v1/reload", func(v *View, r *http.Request) (any, error) { return v.Reload(r.Context(), time.Now()) }},
		{"POST /admin/v1/links", createLink},
		{"GET /admin/v1/sessions", func(v *View, _ *http.Request) (any, error) { return v.Sessions(time.Now()) }},
		{"DELETE /admin/v1/sessions/{id}", endSession},
		{"GET /admin/v1/audit", auditList},
		{"POST /admin/v1/rerate", rerate},
		{"GET /admin/v1/ledger/verify", func(v *View, r *http.Request) (any, error) { return v.VerifyLedger(r.Context()) }},
		{"GET /admin/v1/audit/verify", func(v *View, r *http.Request) (any, error) { return v.VerifyAudit(r.Context()) }},
		{"GET /admin/v1/budgets", func(v *View, _ *http.Request) (any, error) { return v.Budgets() }},
		{"POST /admin/v1/budgets/write-off", writeOff},
	}
	for _, level := range []account.Level{account.Organisation, account.Team, account.Customer} {
		list = append(list, partyRoutes(level)...)
	}
	return append(list, shim()...)
}

// Handler is the admin listener: the REST table below /admin/v1, for whoever the
// door lets in; metrics and health for everybody who can reach the listener.
// hosts are the names that are answered beside those of this machine.
func (s *Service) Handler(hosts func() []string, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", s.readyz)
	s.Door.loginPaths(mux)
	api := http.NewServeMux()
	for _, at := range routes() {
		api.HandleFunc(at.pattern, func(w http.ResponseWriter, r *http.Request) {
			v, _ := r.Context().Value(viewKey{}).(*View) // guard puts it there
			result, err := at.do(v, r)
			if err != nil {
				failWith(w, err)
				return
			}
			answer(w, result)
		})
	}
	api.HandleFunc("GET /admin/v1/export", export)
	guarded := s.guard(api)
	mux.Handle("/admin/v1/", guarded)
	for _, at := range shim() {
		mux.Handle(at.pattern, guarded)
	}
	return namedOnly(hosts, mux)
}

// readyz says whether requests are to be sent to the data listener.
func (s *Service) readyz(w http.ResponseWriter, _ *http.Request) {
	if s.Ready != nil && !s.Ready() {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("draining\n"))
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// viewKey is the place of the view in a request's context.
type viewKey struct{}

// guard lets through whom the door knows, and what changes something only from
// where a browser cannot be tricked into sending it.
func (s *Service) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, byCookie, err := s.Door.viewer(r, time.Now())
		if _, known := errors.AsType[*ForbiddenError](err); known {
			failWith(w, err)
			return
		}
		if err != nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
			fail(w, http.StatusUnauthorized, "unauthorized", err.Error())
			return
		}
		if byCookie && !strings.HasPrefix(r.URL.Path, "/admin/") {
			fail(w, http.StatusForbidden, "forbidden", "these places are for programs: show a bearer token")
			return
		}
		if byCookie && r.Method != http.MethodGet && r.Method != http.MethodHead && !sameOrigin(r) {
			fail(w, http.StatusForbidden, "forbidden", errOrigin)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, largest(r))
		next.ServeHTTP(w, r.WithContext(withView(r.Context(), s.As(v))))
	})
}

// Bounds of an order, and of a list of keys.
const (
	mostBody   = 64 << 10
	mostImport = 256 << 20
	importPath = "/admin/v1/keys/import"
)

func largest(r *http.Request) int64 {
	if r.URL.Path == importPath {
		return mostImport
	}
	return mostBody
}

// namedOnly refuses requests whose Host is neither a name of this machine nor
// one of hosts, so that no web page reaches the listener by DNS rebinding.
func namedOnly(hosts func() []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.Host
		if h, _, err := net.SplitHostPort(name); err == nil {
			name = h
		}
		if !isLocal(r.Host) && !slices.ContainsFunc(hosts(), func(h string) bool { return strings.EqualFold(h, name) }) {
			fail(w, http.StatusForbidden, "forbidden", "the admin listener answers to localhost and, where it has TLS, to the names of listen.hosts")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLocal reports whether a host, with or without a port, names this machine.
func isLocal(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func answer(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		fail(w, http.StatusInternalServerError, "failed", err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(append(body, '\n'))
}

// failures are the answers to errors, the first that matches.
var failures = []struct {
	is     error
	status int
	code   string
}{
	{ErrBadOrder, http.StatusBadRequest, "usage"},
	{ledger.ErrNotFound, http.StatusNotFound, "not_found"},
	{ErrNotFound, http.StatusNotFound, "not_found"},
	{policy.ErrInvalid, http.StatusBadRequest, "usage"},
	{facts.ErrInvalid, http.StatusBadRequest, "usage"},
	{policy.ErrNoKey, http.StatusNotFound, "not_found"},
	{ledger.ErrRun, http.StatusConflict, "conflict"},
	{ledger.ErrAmbiguous, http.StatusConflict, "conflict"},
	{policy.ErrNoParty, http.StatusNotFound, "not_found"},
	{policy.ErrInFile, http.StatusConflict, "conflict"},
	{policy.ErrInUse, http.StatusConflict, "conflict"},
	{facts.ErrConflict, http.StatusConflict, "conflict"},
	{policy.ErrSeveral, http.StatusConflict, "conflict"},
	{ErrConflict, http.StatusConflict, "conflict"},
	{errFull, http.StatusServiceUnavailable, "failed"},
}

// failWith answers with what an error is.
func failWith(w http.ResponseWriter, err error) {
	if _, ok := errors.AsType[*ForbiddenError](err); ok {
		fail(w, http.StatusForbidden, "forbidden", err.Error())
		return
	}
	if _, ok := errors.AsType[*refusedError](err); ok {
		fail(w, http.StatusUnprocessableEntity, "refused", err.Error())
		return
	}
	for _, f := range failures {
		if errors.Is(err, f.is) {
			fail(w, f.status, f.code, err.Error())
			return
		}
	}
	fail(w, http.StatusInternalServerError, "failed", err.Error())
}

// fail answers with an error. code is stable: the command line maps it to its
// exit codes.
func fail(w http.ResponseWriter, status int, code, message string) {
	body, _ := json.Marshal(map[string]any{"error": map[string]string{"code": code, "message": message}}) // strings always marshal
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// decode reads an order whole: unknown members and what follows are errors.
func decode(r *http.Request, into any, what string) error {
	return strictly(r.Body, into, what)
}

// strict decodes a JSON text in the same way.
func strict(text json.RawMessage, into any, what string) error {
	return strictly(bytes.NewReader(text), into, what)
}

func strictly(from io.Reader, into any, what string) error {
	dec := json.NewDecoder(from)
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil {
		if _, more := dec.Token(); more != io.EOF {
			err = errors.New("something follows it")
		}
	}
	if err != nil {
		return fmt.Errorf("%w: the body is not %s: %s", ErrBadOrder, what, err.Error())
	}
	return nil
}
