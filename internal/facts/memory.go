package facts

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// Memory is a Store that ends with the process.
type Memory struct {
	mu    sync.Mutex
	facts map[id]Fact // guarded by mu; so is trail
	trail []Audit
}

// NewMemory returns an empty one.
func NewMemory() *Memory { return &Memory{facts: map[id]Fact{}} }

// All implements Store.
func (m *Memory) All(ctx context.Context) ([]Fact, int64, error) {
	list, revision, err := m.Since(ctx, 0)
	return slices.DeleteFunc(list, func(f Fact) bool { return f.Removed }), revision, err
}

// Since implements Store.
func (m *Memory) Since(ctx context.Context, revision int64) ([]Fact, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	newest := int64(len(m.trail))
	if newest <= revision {
		return nil, newest, ctx.Err()
	}
	var list []Fact
	for _, f := range m.facts {
		if f.Revision > revision {
			f.Body = slices.Clone(f.Body)
			list = append(list, f)
		}
	}
	slices.SortFunc(list, func(a, b Fact) int { return cmp.Compare(a.Revision, b.Revision) })
	return list, newest, ctx.Err()
}

// Apply implements Store.
func (m *Memory) Apply(ctx context.Context, actor string, at time.Time, changes []Change) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	end := head{seq: int64(len(m.trail))}
	if end.seq > 0 {
		end.link = m.trail[end.seq-1].Link
	}
	list, trail, err := plan(end, m.facts, actor, at, changes)
	if err != nil {
		return 0, err
	}
	for _, f := range list {
		f.Body = slices.Clone(f.Body)
		m.facts[id{f.Kind, f.Name}] = f
	}
	m.trail = append(m.trail, trail...)
	return int64(len(m.trail)), nil
}

// Audit implements Store.
func (m *Memory) Audit(ctx context.Context, q AuditQuery) ([]Audit, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Audit
	for i := len(m.trail) - 1; i >= 0 && len(list) < q.limit(); i-- {
		if a := m.trail[i]; q.wants(&a) {
			a.Before, a.After = slices.Clone(a.Before), slices.Clone(a.After)
			list = append(list, a)
		}
	}
	return list, ctx.Err()
}

// Close implements Store.
func (m *Memory) Close() error { return nil }

func (q AuditQuery) limit() int {
	if q.Limit <= 0 {
		return 100
	}
	return min(q.Limit, 10_000)
}

func (q AuditQuery) wants(a *Audit) bool {
	return (q.Kind == "" || q.Kind == a.Kind) && (q.Name == "" || q.Name == a.Name) && (q.Actor == "" || q.Actor == a.Actor) &&
		(q.From.IsZero() || !a.At.Before(q.From)) && (q.To.IsZero() || a.At.Before(q.To)) &&
		(q.Below == 0 || a.Seq < q.Below)
}
