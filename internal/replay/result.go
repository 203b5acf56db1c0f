package replay

import "math"

// Result is one policy over several seeds: for each figure the mean of the
// seeds' own. Times are seconds.
type Result struct {
	Policy     string  `json:"policy"`
	Gateways   int     `json:"gateways"`
	Seeds      int     `json:"seeds"`
	TTFT       Spread  `json:"ttft"`
	TPOT       Tail    `json:"tpot"`
	E2E        Mean    `json:"e2e"`
	HitRate    float64 `json:"hit_rate"`   // share of the prompts' tokens
	Throughput float64 `json:"throughput"` // generated tokens a second
	Makespan   float64 `json:"makespan"`
	Detail     *Detail `json:"detail,omitempty"`
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

// Detail is what stands behind a result: intervals over the seeds, the ratios to
// the first result seed by seed, and what became of requests. Counts are means.
type Detail struct {
	CI       map[string]Interval `json:"ci"`
	Ratio    map[string]Interval `json:"ratio"` // to the first result
	Requests float64             `json:"requests"`
	TooLong  float64             `json:"too_long"`
	Retried  float64             `json:"retried"`
	Cut      float64             `json:"cut"`
	Failed   float64             `json:"failed"`
	// Windows are [Figures.Windows]; nil where nothing is watched.
	Windows []float64 `json:"windows,omitempty"`

	runs []Figures // by seed
}

// Against is a measure of r as a multiple of that of another result, seed by
// seed. Both were made with the same seeds.
func (r *Result) Against(other *Result, measure string) Interval {
	for _, m := range measures {
		if m.name == measure {
			return FactorOf(ratios(column(r.Detail.runs, m.of), column(other.Detail.runs, m.of)))
		}
	}
	return Interval{math.NaN(), math.NaN(), math.NaN()}
}

// measures are the figures that have an interval, by name.
var measures = []struct {
	name string
	of   func(*Figures) float64
}{
	{"ttft_mean", func(f *Figures) float64 { return f.TTFT.Mean }},
	{"ttft_p50", func(f *Figures) float64 { return f.TTFT.P50 }},
	{"ttft_p90", func(f *Figures) float64 { return f.TTFT.P90 }},
	{"ttft_p99", func(f *Figures) float64 { return f.TTFT.P99 }},
	{"tpot_mean", func(f *Figures) float64 { return f.TPOT.Mean }},
	{"tpot_p99", func(f *Figures) float64 { return f.TPOT.P99 }},
	{"e2e_mean", func(f *Figures) float64 { return f.E2E }},
	{"hit_rate", func(f *Figures) float64 { return f.HitRate }},
	{"throughput", func(f *Figures) float64 { return f.Throughput }},
	{"makespan", func(f *Figures) float64 { return f.Makespan }},
}

// summarise makes a result of the runs of a setup.
func summarise(s *Setup, runs []Figures) Result {
	d := &Detail{runs: runs, CI: map[string]Interval{}}
	for _, m := range measures {
		d.CI[m.name] = IntervalOf(column(runs, m.of))
	}
	count := func(f func(*Figures) int) float64 {
		return mean(column(runs, func(x *Figures) float64 { return float64(f(x)) }))
	}
	d.Requests = count(func(f *Figures) int { return f.Requests })
	d.TooLong = count(func(f *Figures) int { return f.TooLong })
	d.Retried = count(func(f *Figures) int { return f.Retried })
	d.Cut = count(func(f *Figures) int { return f.Cut })
	d.Failed = count(func(f *Figures) int { return f.Failed })
	if _, ok := s.watched(); ok {
		for i := range windows {
			d.Windows = append(d.Windows, mean(column(runs, func(f *Figures) float64 { return f.Windows[i] })))
		}
	}
	of := func(name string) float64 { return d.CI[name].Mean }
	return Result{
		Policy: s.Label, Gateways: s.Gateways, Seeds: len(runs), Detail: d,
		TTFT: Spread{of("ttft_mean"), of("ttft_p50"), of("ttft_p90"), of("ttft_p99")},
		TPOT: Tail{of("tpot_mean"), of("tpot_p99")}, E2E: Mean{of("e2e_mean")},
		HitRate: of("hit_rate"), Throughput: of("throughput"), Makespan: of("makespan"),
	}
}

// compare sets the ratios of results to the first of them.
func compare(rs []Result) {
	for i := range rs {
		rs[i].Detail.Ratio = map[string]Interval{}
		for _, m := range measures {
			rs[i].Detail.Ratio[m.name] = rs[i].Against(&rs[0], m.name)
		}
	}
}

func column(runs []Figures, f func(*Figures) float64) []float64 {
	xs := make([]float64, len(runs))
	for i := range runs {
		xs[i] = f(&runs[i])
	}
	return xs
}

// ratios of values to those of the same seed; 1 where both are zero.
func ratios(xs, base []float64) []float64 {
	rs := make([]float64, len(xs))
	for i := range xs {
		rs[i] = 1
		if base[i] != 0 {
			rs[i] = xs[i] / base[i]
		}
	}
	return rs
}
