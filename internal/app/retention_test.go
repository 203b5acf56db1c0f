package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tailplane/internal/config"
	"tailplane/internal/ledger"
	"tailplane/internal/telemetry"
)

// past is a store of one record.
type past struct {
	records
	start time.Time
}

func (p past) Recent(context.Context, int, ledger.Filter) ([]*ledger.Exchange, error) {
	return []*ledger.Exchange{{Start: p.start}}, nil
}

// TestAClockFarAheadRemovesNothingAtOnce: where every record would have to go, the clock
// is doubted for a day.
func TestAClockFarAheadRemovesNothingAtOnce(t *testing.T) {
	const keep = 30 * 24 * time.Hour
	for age, first := range map[time.Duration]time.Duration{0: 0, keep - time.Minute: 0, keep + time.Minute: doubtTime} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			var pruned []time.Duration // since the begin
			s := &Server{file: config.Default(), log: telemetry.NewLog(t.Output(), "text", nil)}
			s.file.Ledger.Records = keep
			s.kept = &stores{records: past{start: begin.Add(-age)}, prune: func(_ context.Context, before time.Time) (int64, error) {
				if want := time.Now().Add(-keep); !before.Equal(want) {
					t.Errorf("what is from before %v is removed, want %v", before, want)
				}
				pruned = append(pruned, time.Since(begin))
				return 1, nil
			}}
			ctx, cancel := context.WithTimeout(t.Context(), first+90*time.Minute)
			defer cancel()
			if err := s.retain(ctx); err != nil {
				t.Error(err)
			}
			if len(pruned) != 2 || pruned[0] != first || pruned[1] != first+pruneEvery {
				t.Errorf("records of %v are pruned after %v", age, pruned)
			}
		})
	}
}
