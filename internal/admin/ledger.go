package admin

import (
	"context"
	"fmt"

	"tailplane/internal/ledger"
)

// LedgerReport is what the verification of a ledger found.
type LedgerReport struct {
	Journal     *ledger.Report `json:"journal,omitempty"` // nil when it is in memory
	JournalHead string         `json:"journal_head,omitempty"`
	// Store is nil when it is in memory: nothing outlives the process.
	Store *ledger.StoreReport `json:"store,omitempty"`
}

// OK says whether everything is as it was written.
func (r *LedgerReport) OK() bool {
	return (r.Journal == nil || r.Journal.OK()) && (r.Store == nil || r.Store.OK())
}

// sealed is a store whose records are sealed.
type sealed interface {
	VerifyStore(ctx context.Context) (ledger.StoreReport, error)
}

// VerifyLedger checks that nobody changed the journal or the store. It reads all of
// both.
func (v *View) VerifyLedger(ctx context.Context) (LedgerReport, error) {
	var r LedgerReport
	if err := v.ready(ctx, ToAudit); err != nil {
		return r, err
	}
	if dir := v.service.JournalDir; dir != "" {
		journal, err := ledger.Verify(dir)
		if err != nil {
			return r, err
		}
		r.Journal, r.JournalHead = &journal, fmt.Sprint(journal.Head)
	}
	if s, ok := v.service.Reader.(sealed); ok {
		store, err := s.VerifyStore(ctx)
		if err != nil {
			return r, err
		}
		r.Store = &store
	}
	return r, nil
}
