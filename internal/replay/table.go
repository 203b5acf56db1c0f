package replay

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
)

// Table prints results for people: the figures, and where there are several
// policies and seeds the ratios to the first one with their intervals.
func Table(w io.Writer, rs []Result) error {
	rows := [][]string{{"POLICY", "TTFT MEAN", "P50", "P90", "P99", "TPOT", "TPOT P99", "E2E", "HIT", "TOKENS/S", "MAKESPAN"}}
	for i := range rs {
		rows = append(rows, rs[i].row())
	}
	if err := align(w, rows); err != nil {
		return err
	}
	if len(rs) > 1 {
		if err := ratioTable(w, rs); err != nil {
			return err
		}
	}
	return losses(w, rs)
}

func (r *Result) row() []string {
	ttft := fmt.Sprintf("%.3f s", r.TTFT.Mean)
	if r.Detail != nil && r.Seeds > 1 {
		ttft = fmt.Sprintf("%.3f s ±%.3f", r.TTFT.Mean, half(r.Detail.CI["ttft_mean"]))
	}
	return []string{
		r.Policy, ttft, fmt.Sprintf("%.3f", r.TTFT.P50), fmt.Sprintf("%.3f", r.TTFT.P90), fmt.Sprintf("%.3f", r.TTFT.P99),
		fmt.Sprintf("%.1f ms", 1e3*r.TPOT.Mean), fmt.Sprintf("%.1f", 1e3*r.TPOT.P99), fmt.Sprintf("%.2f s", r.E2E.Mean),
		fmt.Sprintf("%.1f%%", 100*r.HitRate), fmt.Sprintf("%.0f", r.Throughput), fmt.Sprintf("%.0f s", r.Makespan),
	}
}

func half(i Interval) float64 { return (i.High - i.Low) / 2 }

// ratioTable prints each result beside the first, seed by seed.
func ratioTable(w io.Writer, rs []Result) error {
	fmt.Fprintf(w, "\nas a multiple of %s, seed by seed", rs[0].Policy)
	if rs[0].Seeds > 1 {
		fmt.Fprint(w, " (95 % interval)")
	}
	fmt.Fprintln(w, ":")
	rows := [][]string{{"POLICY", "TTFT MEAN", "P99", "TPOT", "E2E", "MAKESPAN"}}
	for i := range rs[1:] {
		r := &rs[1+i]
		row := []string{r.Policy}
		for _, name := range []string{"ttft_mean", "ttft_p99", "tpot_mean", "e2e_mean", "makespan"} {
			row = append(row, Times(r.Detail.Ratio[name], r.Seeds))
		}
		rows = append(rows, row)
	}
	return align(w, rows)
}

// Times words a ratio.
func Times(i Interval, seeds int) string {
	if seeds < 2 || math.IsNaN(i.Low) {
		return fmt.Sprintf("%.2fx", i.Mean)
	}
	return fmt.Sprintf("%.2fx (%.2f..%.2f)", i.Mean, i.Low, i.High)
}

// losses tells what was not answered, and the windows around a death.
func losses(w io.Writer, rs []Result) error {
	for i := range rs {
		d := rs[i].Detail
		if d == nil {
			continue
		}
		if d.TooLong > 0 {
			fmt.Fprintf(w, "%s: %.0f requests are left out: the engine cannot hold them\n", rs[i].Policy, d.TooLong)
		}
		if d.Retried+d.Cut+d.Failed > 0 {
			fmt.Fprintf(w, "%s: when a replica died, %.1f requests were asked elsewhere, %.1f were cut off while they were answered; %.1f failed without an answer begun\n", rs[i].Policy, d.Retried, d.Cut, d.Failed)
		}
		if len(d.Windows) == len(windows) {
			if _, err := fmt.Fprintf(w, "%s: p99 of the first token %.2f s in the minute before, %.2f s in the 10 s after, %.2f s in the minute after those\n", rs[i].Policy, d.Windows[0], d.Windows[1], d.Windows[2]); err != nil {
				return err
			}
		}
	}
	return nil
}

func align(w io.Writer, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(tw, strings.Join(r, "\t"))
	}
	return tw.Flush()
}
