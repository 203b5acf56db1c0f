package facts

import (
	"strings"
	"time"
)

// where is what follows FROM in a query of records; hole gives the place of the
// n-th argument, from 1.
func (q AuditQuery) where(hole func(n int) string) (string, []any) {
	var args []any
	var b strings.Builder
	add := func(condition string, value any) {
		args = append(args, value)
		word := " AND "
		if len(args) == 1 {
			word = " WHERE "
		}
		b.WriteString(word + condition + " " + hole(len(args)))
	}
	for _, c := range []struct{ column, value string }{{"kind", q.Kind}, {"name", q.Name}, {"actor", q.Actor}} {
		if c.value != "" {
			add(c.column+" =", c.value)
		}
	}
	if !q.From.IsZero() {
		add("at >=", q.From.UnixMicro())
	}
	if !q.To.IsZero() {
		add("at <", q.To.UnixMicro())
	}
	if q.Below != 0 {
		add("seq <", q.Below)
	}
	args = append(args, q.limit())
	return b.String() + " ORDER BY seq DESC LIMIT " + hole(len(args)), args
}

// scanAudit reads a row of seq, at, actor, kind, name, before, after, link.
func scanAudit(scan func(into ...any) error) (Audit, error) {
	var a Audit
	var micros int64
	err := scan(&a.Seq, &micros, &a.Actor, &a.Kind, &a.Name, (*[]byte)(&a.Before), (*[]byte)(&a.After), &a.Link)
	a.At = time.UnixMicro(micros).UTC()
	return a, err
}
