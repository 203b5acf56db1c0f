package replay

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// Result is one policy over several seeds: for each figure the mean of the
// seeds' own. Times are seconds.
type Result struct {
	Policy     string    `json:"policy"`
	Gateways   int       `json:"gateways"`
	Seeds      int       `json:"seeds"`
	TTFT       Spread    `json:"ttft"`
	TPOT       Tail      `json:"tpot"`
	E2E        Mean      `json:"e2e"`
	HitRate    float64   `json:"hit_rate"`
	Throughput float64   `json:"throughput"` // generated tokens a second
	Makespan   float64   `json:"makespan"`
	Runs       []Figures `json:"-"` // by seed
}

// Spread, Tail and Mean are figures of a distribution.
type (
	Spread struct {
		Mean float64 `json:"mean"`
		P50  float64 `json:"p50"`
		P90  float64 `json:"p90"`
		P99  float64 `json:"p99"`
	}
	Tail struct {
		Mean float64 `json:"mean"`
		P99  float64 `json:"p99"`
	}
	Mean struct {
		Mean float64 `json:"mean"`
	}
)

// Figures are those of one run.
type Figures struct {
	TTFT       Spread
	TPOT       Tail
	E2E        float64
	HitRate    float64
	Throughput float64
	Makespan   float64
	Failed     int
	Requests   int
}

func (o *Outcome) figures() Figures {
	ttft, tpot := sorted(o.TTFT), sorted(o.TPOT)
	f := Figures{
		TTFT:     Spread{mean(o.TTFT), quantile(ttft, .5), quantile(ttft, .9), quantile(ttft, .99)},
		TPOT:     Tail{mean(o.TPOT), quantile(tpot, .99)},
		E2E:      mean(o.E2E),
		Makespan: o.Makespan.Seconds(), Failed: o.Failed, Requests: len(o.TTFT),
	}
	if o.Prompt > 0 {
		f.HitRate = float64(o.Cached) / float64(o.Prompt)
	}
	if f.Makespan > 0 {
		f.Throughput = float64(o.Output) / f.Makespan
	}
	return f
}

// Progress is told of each run that has ended, one at a time.
type Progress func(s Setup, f Figures, took time.Duration)

// Bench plays a trace on each setup with the seeds 1 to n, as many runs at once
// as there are cores. The results are in the order of the setups.
func Bench(ctx context.Context, t *Trace, setups []Setup, seeds int, told Progress) ([]Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	runs := make([][]Figures, len(setups))
	type job struct{ setup, seed int }
	jobs := make(chan job)
	var (
		mu     sync.Mutex
		failed error
		wg     sync.WaitGroup
	)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for j := range jobs {
				s := setups[j.setup]
				s.Seed = uint64(j.seed + 1)
				began := time.Now()
				o, err := Run(ctx, t, s)
				mu.Lock()
				if err != nil {
					failed = firstOf(failed, err)
					cancel()
				} else {
					f := o.figures()
					runs[j.setup][j.seed] = f
					if told != nil {
						told(s, f, time.Since(began))
					}
				}
				mu.Unlock()
			}
		})
	}
	for i := range setups {
		runs[i] = make([]Figures, seeds)
	}
feed:
	for seed := range seeds {
		for i := range setups {
			select {
			case jobs <- job{i, seed}:
			case <-ctx.Done():
				break feed
			}
		}
	}
	close(jobs)
	wg.Wait()
	if err := firstOf(failed, ctx.Err()); err != nil {
		return nil, err
	}
	results := make([]Result, len(setups))
	for i := range setups {
		results[i] = summarise(setups[i], runs[i])
	}
	return results, nil
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func summarise(s Setup, runs []Figures) Result {
	of := func(f func(*Figures) float64) float64 { return mean(column(runs, f)) }
	return Result{
		Policy: s.Policy, Gateways: s.Gateways, Seeds: len(runs), Runs: runs,
		TTFT: Spread{
			of(func(f *Figures) float64 { return f.TTFT.Mean }), of(func(f *Figures) float64 { return f.TTFT.P50 }),
			of(func(f *Figures) float64 { return f.TTFT.P90 }), of(func(f *Figures) float64 { return f.TTFT.P99 }),
		},
		TPOT:       Tail{of(func(f *Figures) float64 { return f.TPOT.Mean }), of(func(f *Figures) float64 { return f.TPOT.P99 })},
		E2E:        Mean{of(func(f *Figures) float64 { return f.E2E })},
		HitRate:    of(func(f *Figures) float64 { return f.HitRate }),
		Throughput: of(func(f *Figures) float64 { return f.Throughput }),
		Makespan:   of(func(f *Figures) float64 { return f.Makespan }),
	}
}

func column(runs []Figures, f func(*Figures) float64) []float64 {
	xs := make([]float64, len(runs))
	for i := range runs {
		xs[i] = f(&runs[i])
	}
	return xs
}
