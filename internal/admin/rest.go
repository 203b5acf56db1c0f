package admin

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tailplane/internal/ledger"
)

func withView(ctx context.Context, v *View) context.Context {
	return context.WithValue(ctx, viewKey{}, v)
}

func me(v *View, _ *http.Request) (any, error) { return v.Viewer, v.Viewer.may(ToBeKnown) }

func recent(v *View, r *http.Request) (any, error) {
	limit := 20
	if text := r.FormValue("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			return nil, fmt.Errorf("%w: limit must be 1 to 1000", ErrBadOrder)
		}
		limit = n
	}
	f, err := filter(r)
	if err != nil {
		return nil, err
	}
	return v.Recent(r.Context(), limit, f)
}

func usage(v *View, r *http.Request) (any, error) {
	f, err := filter(r)
	if err != nil {
		return nil, err
	}
	q := ledger.UsageQuery{Filter: f, Original: r.FormValue("original") == "true"}
	if by := r.FormValue("by"); by != "" {
		q.By = strings.Split(by, ",")
	}
	return v.Usage(r.Context(), q)
}

// filter reads a filter from the query. Times are RFC 3339 or days.
func filter(r *http.Request) (ledger.Filter, error) {
	f := ledger.Filter{
		Model: r.FormValue("model"), Target: r.FormValue("target"), Key: r.FormValue("key"),
		Customer: r.FormValue("customer"), Outcome: ledger.Outcome(r.FormValue("outcome")), Fault: r.FormValue("fault"),
		Team: r.FormValue("team"), Organisation: r.FormValue("organisation"), Provider: r.FormValue("provider"), Tag: r.FormValue("tag"),
	}
	for _, t := range []struct {
		name string
		into *time.Time
	}{{"from", &f.From}, {"to", &f.To}} {
		text := r.FormValue(t.name)
		if text == "" {
			continue
		}
		at, err := moment(t.name, text)
		if err != nil {
			return f, err
		}
		*t.into = at
	}
	return f, nil
}

// moment reads a time in RFC 3339, or a day.
func moment(name, text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		at, err = time.Parse(time.DateOnly, text)
	}
	if err != nil {
		return at, fmt.Errorf("%w: %s must be a day such as 2026-11-24, or a time such as 2026-11-24T10:00:00Z", ErrBadOrder, name)
	}
	return at, nil
}
