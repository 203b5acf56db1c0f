package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/policy"
	"tailplane/internal/secret"
)

// Handler is the admin listener: the REST table below /admin/v1, for whoever
// shows the token; metrics and health for everybody who can reach the
// listener, which is this machine.
func (s *Service) Handler(token secret.Value, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	for _, path := range []string{"/livez", "/readyz"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	}
	api := http.NewServeMux()
	api.HandleFunc("GET /admin/v1/status", s.status)
	api.HandleFunc("GET /admin/v1/models", s.models)
	api.HandleFunc("GET /admin/v1/egress", s.egress)
	api.HandleFunc("GET /admin/v1/exchanges", s.recent)
	api.HandleFunc("GET /admin/v1/exchanges/{id}", s.why)
	api.HandleFunc("GET /admin/v1/usage", s.usage)
	api.HandleFunc("POST /admin/v1/keys", s.createKey)
	api.HandleFunc("POST /admin/v1/keys/aws", s.pair)
	api.HandleFunc("POST /admin/v1/reload", s.reload)
	mux.Handle("/admin/v1/", guard(token, api))
	return localOnly(mux)
}

// guard lets through who shows the token. Both sides are hashed, so that the
// comparison tells nothing about the token's length.
func guard(token secret.Value, next http.Handler) http.Handler {
	want := sha256.Sum256([]byte("Bearer " + token.Reveal()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			fail(w, http.StatusUnauthorized, "unauthorized", "the admin API needs the token that lies in the state directory; the tailplane command finds it there")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		next.ServeHTTP(w, r)
	})
}

// localOnly refuses requests whose Host is no name of this machine, so that no
// web page reaches the listener by DNS rebinding.
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		ip := net.ParseIP(strings.Trim(host, "[]"))
		if host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			fail(w, http.StatusForbidden, "forbidden", "the admin listener answers only to localhost")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Service) status(w http.ResponseWriter, _ *http.Request) { answer(w, s.Status()) }

func (s *Service) egress(w http.ResponseWriter, _ *http.Request) { answer(w, s.Egress()) }

func (s *Service) models(w http.ResponseWriter, r *http.Request) {
	list, ok := s.Models(r.FormValue("key"))
	if !ok {
		fail(w, http.StatusNotFound, "not_found", "there is no key with that name or id")
		return
	}
	answer(w, list)
}

func (s *Service) why(w http.ResponseWriter, r *http.Request) {
	ex, err := s.Why(r.Context(), r.PathValue("id"))
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		fail(w, http.StatusNotFound, "not_found", err.Error())
	case errors.Is(err, ledger.ErrAmbiguous):
		fail(w, http.StatusConflict, "conflict", err.Error())
	case err != nil:
		fail(w, http.StatusInternalServerError, "failed", err.Error())
	default:
		answer(w, ex)
	}
}

func (s *Service) recent(w http.ResponseWriter, r *http.Request) {
	limit := 20
	if text := r.FormValue("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			fail(w, http.StatusBadRequest, "usage", "limit must be 1 to 1000")
			return
		}
		limit = n
	}
	f, err := filter(r)
	if err != nil {
		fail(w, http.StatusBadRequest, "usage", err.Error())
		return
	}
	list, err := s.Recent(r.Context(), limit, f)
	if err != nil {
		fail(w, http.StatusInternalServerError, "failed", err.Error())
		return
	}
	answer(w, list)
}

func (s *Service) usage(w http.ResponseWriter, r *http.Request) {
	f, err := filter(r)
	if err != nil {
		fail(w, http.StatusBadRequest, "usage", err.Error())
		return
	}
	q := ledger.UsageQuery{Filter: f}
	if by := r.FormValue("by"); by != "" {
		q.By = strings.Split(by, ",")
	}
	rows, err := s.Usage(r.Context(), q)
	if err != nil {
		fail(w, http.StatusBadRequest, "usage", err.Error())
		return
	}
	answer(w, rows)
}

// filter reads a filter from the query. Times are RFC 3339 or days.
func filter(r *http.Request) (ledger.Filter, error) {
	f := ledger.Filter{
		Model: r.FormValue("model"), Target: r.FormValue("target"), Key: r.FormValue("key"),
		Customer: r.FormValue("customer"), Outcome: ledger.Outcome(r.FormValue("outcome")), Fault: r.FormValue("fault"),
	}
	for _, t := range []struct {
		name string
		into *time.Time
	}{{"from", &f.From}, {"to", &f.To}} {
		text := r.FormValue(t.name)
		if text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			at, err = time.Parse(time.DateOnly, text)
		}
		if err != nil {
			return f, errors.New(t.name + " must be a day such as 2026-11-24, or a time such as 2026-11-24T10:00:00Z")
		}
		*t.into = at
	}
	return f, nil
}

func (s *Service) createKey(w http.ResponseWriter, r *http.Request) {
	var order NewKey
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&order); err != nil {
		fail(w, http.StatusBadRequest, "usage", "the body is not an order for a key: "+err.Error())
		return
	}
	text, key, err := s.CreateKey(r.Context(), order, time.Now())
	switch {
	case errors.Is(err, ErrBadOrder):
		fail(w, http.StatusBadRequest, "usage", err.Error())
	case err != nil:
		fail(w, http.StatusInternalServerError, "failed", err.Error())
	default:
		answer(w, map[string]any{"key": text.Reveal(), "id": key.ID, "name": key.Name, "expires": key.Expires})
	}
}

// pair tells the AWS key pair of a key. It is an order and no question, so that
// no proxy or history keeps the answer.
func (s *Service) pair(w http.ResponseWriter, r *http.Request) {
	var order struct {
		Key string `json:"key"`
	}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&order); err != nil || order.Key == "" {
		fail(w, http.StatusBadRequest, "usage", `the body must be {"key": NAME}, with the name or the id of a key`)
		return
	}
	pair, key, err := s.Pair(order.Key, time.Now())
	switch {
	case errors.Is(err, policy.ErrNoKey):
		fail(w, http.StatusNotFound, "not_found", err.Error())
	case errors.Is(err, policy.ErrSeveral):
		fail(w, http.StatusConflict, "conflict", err.Error())
	case err != nil:
		fail(w, http.StatusInternalServerError, "failed", err.Error())
	default:
		answer(w, AWSPair{AccessKeyID: pair.ID, SecretAccessKey: pair.Secret.Reveal(), Key: key.ID, Name: key.Name})
	}
}

// AWSPair is the AWS key pair that stands for a key.
type AWSPair struct {
	AccessKeyID     string `json:"access_key_id"`
	SecretAccessKey string `json:"secret_access_key"`
	Key             string `json:"key"` // its id
	Name            string `json:"name"`
}

func (s *Service) reload(w http.ResponseWriter, _ *http.Request) {
	if err := s.Reload(); err != nil {
		fail(w, http.StatusUnprocessableEntity, "refused", err.Error())
		return
	}
	answer(w, s.Status())
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

// fail answers with an error. code is stable: the command line maps it to its
// exit codes.
func fail(w http.ResponseWriter, status int, code, message string) {
	body, _ := json.Marshal(map[string]any{"error": map[string]string{"code": code, "message": message}}) // strings always marshal
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
