package app

import (
	"context"
	"time"

	"tailplane/internal/ledger"
)

const (
	// pruneEvery is how often old records are removed.
	pruneEvery = time.Hour
	// doubtTime is how long they stay where the clock may be wrong.
	doubtTime = 24 * time.Hour
)

// retain removes records that are older than the config says, until ctx ends.
func (s *Server) retain(ctx context.Context) error {
	s.mu.Lock()
	keep := s.file.Ledger.Records
	s.mu.Unlock()
	if s.kept.prune == nil {
		return nil
	}
	due := time.NewTimer(0)
	defer due.Stop()
	if s.allOlder(ctx, time.Now().Add(-keep)) {
		s.log.Warn("by this machine's clock all records are older than ledger.records allows; none is removed for a day, in case the clock is wrong",
			"clock", time.Now().UTC().Format(time.RFC3339), "kept", keep.String())
		due.Reset(doubtTime)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-due.C:
		}
		n, err := s.kept.prune(ctx, time.Now().Add(-keep))
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			s.log.Error("old records could not be removed; they are tried again in an hour", "error", err)
		case n > 0:
			s.log.Info("old records removed", "records", n)
		}
		due.Reset(pruneEvery)
	}
}

// allOlder reports whether there are records, and all are from before a moment. What
// cannot be read cannot be removed either, and that is told then.
func (s *Server) allOlder(ctx context.Context, before time.Time) bool {
	newest, err := s.kept.records.Recent(ctx, 1, ledger.Filter{})
	return err == nil && len(newest) > 0 && newest[0].Start.Before(before)
}
