package facts

import (
	"bytes"
	"context"
	"fmt"
)

// AuditReport is what [VerifyAudit] found.
type AuditReport struct {
	Records int64 `json:"records"`
	// Head is the link of the newest record: kept elsewhere, the trail can be
	// checked against it.
	Head     string   `json:"head"`
	Problems []string `json:"problems"` // empty when everything is as it was written
}

// OK says whether the trail and the documents are as they were written.
func (r AuditReport) OK() bool { return len(r.Problems) == 0 }

// mostProblems bounds a report: a trail with so many is not read line by line.
const mostProblems = 100

func (r *AuditReport) problem(format string, args ...any) {
	if len(r.Problems) < mostProblems {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}

// VerifyAudit walks the trail from its end to its beginning, and holds the
// documents against it: each is what the last record about it says. It shows
// records that were changed, removed or put in, and documents that were changed
// without one. What was removed from the end together with its documents shows
// only against a Head that was kept elsewhere. Changes that are made meanwhile
// do not disturb it. The error is about reading, not about the content.
func VerifyAudit(ctx context.Context, s Store) (AuditReport, error) {
	var r AuditReport
	all, revision, err := s.Since(ctx, 0)
	if err != nil {
		return r, fmt.Errorf("verify the audit trail: %w", err)
	}
	open := make(map[id]Fact, len(all))
	for _, f := range all {
		open[id{f.Kind, f.Name}] = f
	}
	next := Audit{Seq: revision + 1} // the record after the one looked at
	for below := revision + 1; below > 1; below = next.Seq {
		page, err := s.Audit(ctx, AuditQuery{Below: below, Limit: 1000})
		if err != nil {
			return r, fmt.Errorf("verify the audit trail: %w", err)
		}
		if len(page) == 0 {
			break
		}
		for i := range page {
			r.record(&page[i], &next, open)
			next = page[i]
		}
	}
	if next.Seq > 1 {
		r.problem("records 1 to %d are missing", next.Seq-1)
	} else if r.Records > 0 && next.Link != link("", &next) {
		r.problem("record 1 is not as it was written")
	}
	for _, f := range open {
		r.problem("%s %q (revision %d) is there without a record of its making", f.Kind, f.Name, f.Revision)
	}
	return r, nil
}

// record holds one record against the one after it and against its document.
func (r *AuditReport) record(a, next *Audit, open map[id]Fact) {
	if r.Records++; r.Records == 1 {
		r.Head = a.Link
	}
	switch {
	case a.Seq != next.Seq-1:
		r.problem("records %d to %d are missing", a.Seq+1, next.Seq-1)
	case next.Link != "" && next.Link != link(a.Link, next):
		r.problem("record %d is not as it was written, or does not follow record %d", next.Seq, a.Seq)
	}
	f, is := open[id{a.Kind, a.Name}]
	if !is {
		return // a later record told about it
	}
	delete(open, id{a.Kind, a.Name})
	switch {
	case f.Revision != a.Seq:
		r.problem("%s %q has revision %d, its last record is %d", f.Kind, f.Name, f.Revision, a.Seq)
	case !bytes.Equal(masked(f.Body), a.After):
		r.problem("%s %q is not what record %d says: it was changed without a record", f.Kind, f.Name, a.Seq)
	}
}
