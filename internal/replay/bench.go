package replay

import (
	"cmp"
	"context"
	"runtime"
	"sync"
	"time"
)

// Progress is told of each run that has ended, one at a time.
type Progress func(s Setup, f Figures, took time.Duration)

// Bench plays a trace on each setup with the seeds 1 to n, as many runs at once
// as there are cores. The results are in the order of the setups; the first is
// what the others are compared with.
func Bench(ctx context.Context, t *Trace, setups []Setup, seeds int, told Progress) ([]Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	b := &bench{trace: t, setups: setups, told: told, runs: make([][]Figures, len(setups))}
	for i := range b.runs {
		b.runs[i] = make([]Figures, seeds)
	}
	jobs := make(chan job)
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(setups)*seeds) {
		wg.Go(func() {
			for j := range jobs {
				if err := b.play(ctx, j); err != nil {
					cancel(err)
				}
			}
		})
	}
	b.deal(ctx, jobs, seeds)
	close(jobs)
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	results := make([]Result, len(setups))
	for i := range setups {
		results[i] = summarise(&setups[i], b.runs[i])
	}
	compare(results)
	return results, nil
}

type job struct{ setup, seed int }

// bench is what the workers share.
type bench struct {
	trace  *Trace
	setups []Setup
	told   Progress
	mu     sync.Mutex  // of what follows, and of told
	runs   [][]Figures // by setup and seed
}

// deal hands out the runs, a seed at a time, until the context ends.
func (b *bench) deal(ctx context.Context, jobs chan<- job, seeds int) {
	for seed := range seeds {
		for i := range b.setups {
			select {
			case jobs <- job{i, seed}:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (b *bench) play(ctx context.Context, j job) error {
	s := b.setups[j.setup]
	s.Seed = uint64(j.seed) + cmp.Or(s.Seed, 1)
	began := time.Now()
	o, err := Run(ctx, b.trace, s)
	if err != nil {
		return err
	}
	f := o.figures(&s)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.runs[j.setup][j.seed] = f
	if b.told != nil {
		b.told(s, f, time.Since(began))
	}
	return nil
}
