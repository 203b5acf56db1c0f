package ledger

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The SQL of the queries is put together from the constants below only; what a
// caller gives travels as a parameter.

// conditions is a WHERE clause under construction.
type conditions struct {
	where []string
	args  []any
}

func (c *conditions) add(sql string, args ...any) {
	c.where = append(c.where, sql)
	c.args = append(c.args, args...)
}

func (c *conditions) String() string {
	if len(c.where) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.where, " AND ")
}

// filterConditions writes all of f but Target, which depends on the query.
func filterConditions(f Filter) *conditions {
	c := &conditions{}
	if !f.From.IsZero() {
		c.add("e.start >= ?", micro(f.From))
	}
	if !f.To.IsZero() {
		c.add("e.start < ?", micro(f.To))
	}
	if f.Model != "" {
		c.add("e.model = ?", f.Model)
	}
	if f.Key != "" {
		c.add("(e.key = ? OR e.name = ?)", f.Key, f.Key)
	}
	if f.Customer != "" {
		c.add("e.customer = ?", f.Customer)
	}
	if f.Outcome != "" {
		c.add("e.outcome = ?", string(f.Outcome))
	}
	if f.Fault != "" {
		c.add("e.fault = ?", f.Fault)
	}
	return c
}

func recentSQL(limit int, f Filter) (string, []any) {
	c := filterConditions(f)
	if f.Target != "" {
		c.add("EXISTS (SELECT 1 FROM attempts a WHERE a.exchange = e.seq AND a.target = ?)", f.Target)
	}
	return "SELECT e.record FROM exchanges e" + c.String() + " ORDER BY e.start DESC, e.id DESC LIMIT ?", append(c.args, limit)
}

const (
	sumExchanges = `COUNT(*), COALESCE(SUM(e.outcome IN ('failed', 'broken', 'unknown')), 0), COALESCE(SUM(e.pricing = 'unpriced'), 0),
COALESCE(SUM(e.input), 0), COALESCE(SUM(e.cache_read), 0), COALESCE(SUM(e.cache_write), 0), COALESCE(SUM(e.output), 0),
COALESCE(SUM(e.reasoning), 0), COALESCE(SUM(e.cost), 0) FROM exchanges e`
	sumAttempts = `COUNT(*), COALESCE(SUM(CASE WHEN a.exchange IS NULL THEN e.outcome IN ('failed', 'broken', 'unknown') ELSE a.failed END), 0),
COALESCE(SUM(COALESCE(a.pricing, e.pricing) = 'unpriced'), 0),
COALESCE(SUM(a.input), 0), COALESCE(SUM(a.cache_read), 0), COALESCE(SUM(a.cache_write), 0), COALESCE(SUM(a.output), 0),
COALESCE(SUM(a.reasoning), 0), COALESCE(SUM(a.cost), 0) FROM exchanges e LEFT JOIN attempts a ON a.exchange = e.seq`
)

// groupColumn is the SQL of a By constant; empty when there is no such column.
func groupColumn(by string) string {
	switch by {
	case ByModel:
		return "e.model"
	case ByTarget:
		return "COALESCE(a.target, '')"
	case ByKey:
		return "CASE WHEN e.name <> '' THEN e.name ELSE e.key END"
	case ByCustomer:
		return "e.customer"
	case ByDay:
		// Floor division, so that a moment before 1970 falls on its own day.
		return "date((e.start - ((e.start % 86400000000) + 86400000000) % 86400000000) / 1000000, 'unixepoch')"
	case ByOutcome:
		return "e.outcome"
	}
	return ""
}

// checkBy refuses unknown and repeated columns.
func checkBy(by []string) error {
	for i, b := range by {
		if groupColumn(b) == "" {
			return fmt.Errorf("usage by %q: there is no such column; use model, target, key, customer, day or outcome", b)
		}
		if slices.Contains(by[:i], b) {
			return fmt.Errorf("usage by %q: the column is named twice", b)
		}
	}
	return nil
}

func usageSQL(q UsageQuery) (string, []any) {
	c := filterConditions(q.Filter)
	sums := sumExchanges
	switch {
	case slices.Contains(q.By, ByTarget):
		sums = sumAttempts
		if q.Filter.Target != "" {
			c.add("a.target = ?", q.Filter.Target)
		}
	case q.Filter.Target != "":
		c.add("EXISTS (SELECT 1 FROM attempts a WHERE a.exchange = e.seq AND a.target = ?)", q.Filter.Target)
	}
	var cols strings.Builder
	var order []string
	for i, b := range q.By {
		cols.WriteString(groupColumn(b) + ", ")
		order = append(order, fmt.Sprint(i+1))
	}
	sql := "SELECT " + cols.String() + sums + c.String()
	if len(order) > 0 {
		list := strings.Join(order, ", ")
		sql += " GROUP BY " + list + " ORDER BY " + list
	}
	return sql, c.args
}

// group returns where a row keeps the value of a By column.
func (r *UsageRow) group(by string) *string {
	switch by {
	case ByModel:
		return &r.Model
	case ByTarget:
		return &r.Target
	case ByKey:
		return &r.Key
	case ByCustomer:
		return &r.Customer
	case ByDay:
		return &r.Day
	}
	return (*string)(&r.Outcome)
}

// scanTargets are the places of a row in the order of usageSQL's columns.
func (r *UsageRow) scanTargets(by []string) []any {
	var out []any
	for _, b := range by {
		out = append(out, r.group(b))
	}
	return append(out, &r.Requests, &r.Failed, &r.Unpriced, &r.Input, &r.CacheRead, &r.CacheWrite, &r.Output, &r.Reasoning, &r.Cost)
}

// micro cuts a time to the precision of the store.
func micro(t time.Time) int64 { return t.UnixMicro() }
