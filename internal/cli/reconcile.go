package cli

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tailplane/internal/reconcile"
)

func reconcileCommand(d Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use: "reconcile FILE...", Short: "Compare a provider's invoice with the ledger", GroupID: "look", Args: args(cobra.MinimumNArgs(1)),
		Example: "  tailplane reconcile openai-costs.csv openai-usage.csv\n  tailplane reconcile --provider aws --tolerance 0.5% cur-2026-11.csv.gz\n  tailplane reconcile --from 2026-11-01 --to 2026-12-01 -o csv anthropic-usage.json",
		Long: "Read exports of one provider - CSV, or the pages of its usage and cost API in JSON, packed with gzip or not - and\n" +
			"put the ledger's calls beside them, by day (UTC) and model. Each difference gets a class: what rounding, time zones,\n" +
			"other accounts or calls without an end explain, and what nothing does. Exits 7 when the unexplained part is larger\n" +
			"than the tolerance. Exports of OpenAI, Anthropic, AWS (CUR 2.0) and Azure (cost export) are known.",
	}
	f := cmd.Flags()
	format := choiceFlag(cmd, "output", "o", "form of the output", "table", "csv", "json")
	provider := f.String("provider", "", "whose export it is: "+strings.Join(reconcile.Providers(), ", ")+" (default: as the columns say)")
	kind := f.String("kind", "", "kind of the targets that the provider invoices, as in the config (default: the provider's)")
	from := f.String("from", "", "first day (default: that of the export)")
	to := f.String("to", "", "end, exclusive (default: the day after the export's last)")
	tolerance := f.String("tolerance", "1%", "share that may stay unexplained")
	rename := f.StringToString("model", nil, "the ledger's name of a model and the invoice's, as my-deployment=gpt-4o; again for each")
	cmd.RunE = func(cmd *cobra.Command, paths []string) error {
		most, err := percent(*tolerance)
		if err != nil {
			return &Error{ExitUsage, "--tolerance: " + err.Error(), "write 1% or 0.5%"}
		}
		lines, whose, err := readExports(*provider, paths)
		if err != nil {
			return err
		}
		p, err := periodOf(lines, *from, *to)
		if err != nil {
			return err
		}
		lines = slices.DeleteFunc(lines, func(l reconcile.Line) bool { return l.Day < p.from || l.Day >= p.to })
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		c.http.Timeout = 0 // a long time takes its time; Ctrl-C ends it
		var rows []reconcile.Row
		q := url.Values{"from": {p.from}, "to": {p.to}, "provider": {kindOf(*kind, whose)}}
		if err := c.get(cmd.Context(), "/calls", q, &rows); err != nil {
			return err
		}
		for i := range rows {
			if name, ok := (*rename)[rows[i].Model]; ok {
				rows[i].Model = name
			}
		}
		r := reconcile.Summarise(reconcile.Compare(rows, lines))
		r.Provider = whose
		if err := reconcileOut(cmd, format, r); err != nil {
			return err
		}
		if r.Unexplained.Cmp(most) > 0 {
			return &Error{ExitProblem, fmt.Sprintf("%s%% is unexplained, more than %s", r.Unexplained.Times(100).Round(2), *tolerance), "the largest differences stand first; `tailplane export --attempts` has the calls one by one"}
		}
		return nil
	}
	return cmd
}

// kindOf is the kind of target that a provider's invoice is about.
func kindOf(given, provider string) string {
	if given != "" {
		return given
	}
	if provider == reconcile.AWS {
		return "bedrock"
	}
	return provider
}

func percent(text string) (reconcile.Decimal, error) {
	n, err := reconcile.ParseDecimal(strings.TrimSuffix(text, "%"))
	if err != nil || n.Cmp(reconcile.Whole(0)) < 0 || n.Cmp(reconcile.Whole(100)) > 0 {
		return n, fmt.Errorf("%q is no share of a hundred", text)
	}
	return n.Over(reconcile.Whole(100)), nil
}

// readExports reads files of one provider.
func readExports(provider string, paths []string) (lines []reconcile.Line, whose string, err error) {
	whose = provider
	for _, path := range paths {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, "", &Error{ExitNotFound, path + " is not there", ""}
		}
		if err != nil {
			return nil, "", err
		}
		found, of, err := reconcile.ReadAs(provider, f)
		_ = f.Close() // it was read
		if err != nil {
			return nil, "", &Error{ExitUsage, fmt.Sprintf("%s: %v", path, err), "name the provider with --provider; docs/reference/reconcile.md has the columns"}
		}
		if whose != "" && of != "" && of != whose {
			return nil, "", &Error{ExitUsage, fmt.Sprintf("%s is of %s, and another file of %s", path, of, whose), "compare one provider at a time"}
		}
		if of != "" {
			whose = of
		}
		lines = append(lines, found...)
	}
	if whose == "" {
		return nil, "", &Error{ExitUsage, "the files do not tell whose they are", "name the provider with --provider"}
	}
	return lines, whose, nil
}

type days struct{ from, to string }

// periodOf is the days that are compared: those of the export, or those asked
// for.
func periodOf(lines []reconcile.Line, from, to string) (days, error) {
	p := days{from, to}
	for _, day := range []string{from, to} {
		if _, err := time.Parse(time.DateOnly, day); day != "" && err != nil {
			return p, &Error{ExitUsage, fmt.Sprintf("%q is no day", day), "write 2026-11-24"}
		}
	}
	last := ""
	for _, l := range lines {
		if from == "" && (p.from == "" || l.Day < p.from) {
			p.from = l.Day
		}
		last = max(last, l.Day)
	}
	if p.to == "" && last != "" {
		at, err := time.Parse(time.DateOnly, last)
		if err != nil {
			return p, err
		}
		p.to = at.AddDate(0, 0, 1).Format(time.DateOnly)
	}
	if p.from == "" || p.to == "" {
		return p, &Error{ExitUsage, "the export has no day", "name --from and --to to see what the ledger has"}
	}
	return p, nil
}

func reconcileOut(cmd *cobra.Command, format *choice, r reconcile.Report) error {
	if format.value == "csv" {
		return reconcileCSV(cmd.OutOrStdout(), r)
	}
	return emit(cmd, format, r, func(w io.Writer) error { return reconcileTable(w, r) })
}

// mostShown bounds the table; CSV and JSON have all.
const mostShown = 30

func reconcileTable(w io.Writer, r reconcile.Report) error {
	p := &printer{w: w}
	p.line("%s, %s to %s: %s%% unexplained", r.Provider, r.From, r.To, r.Unexplained.Times(100).Round(2))
	p.line("")
	if p.err != nil {
		return p.err
	}
	var rows [][]string
	for _, s := range append(r.Classes, reconcile.Sum{Class: "all", Count: r.Totals.Count, Ledger: r.Totals.Ledger, Invoice: r.Totals.Invoice}) {
		rows = append(rows, []string{string(s.Class), fmt.Sprint(s.Count), money(s.Ledger), money(s.Invoice)})
	}
	if err := columns(w, []string{"CLASS", "DAYS", "LEDGER", "INVOICE"}, rows); err != nil || len(r.Differences) == 0 {
		return err
	}
	p.line("")
	rows = nil
	for _, d := range r.Differences[:min(len(r.Differences), mostShown)] {
		rows = append(rows, []string{string(d.Class), d.Day, orDash(d.Model), money(d.Ledger), money(d.Invoice), orDash(countsOf(d)), noteOf(d)})
	}
	if err := columns(w, []string{"CLASS", "DAY", "MODEL", "LEDGER", "INVOICE", "COUNTS", "NOTE"}, rows); err != nil {
		return err
	}
	if more := len(r.Differences) - mostShown; more > 0 {
		p.line("and %d more; -o csv has all", more)
	}
	return p.err
}

func money(d reconcile.Decimal) string {
	if !d.Stated() {
		return "-"
	}
	return "$" + d.Round(6)
}

// countsOf tells the units that differ.
func countsOf(d reconcile.Difference) string {
	var out []string
	for _, c := range d.Counts {
		if c.Ledger.Cmp(c.Invoice) != 0 {
			out = append(out, fmt.Sprintf("%s %s/%s", c.Unit, c.Ledger, c.Invoice))
		}
	}
	return strings.Join(out, ", ")
}

func noteOf(d reconcile.Difference) string {
	if d.Ratio.Stated() {
		return "invoiced at " + d.Ratio.Round(4) + " of the price" + with("; ", d.Note)
	}
	return d.Note
}

func reconcileCSV(w io.Writer, r reconcile.Report) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"class", "day", "model", "ledger_cost_usd", "invoice_cost_usd", "unit", "ledger_quantity", "invoice_quantity", "ratio", "note"}) // Flush tells the error
	for _, d := range r.Differences {
		base := []string{string(d.Class), d.Day, harmless(d.Model), blankOf(d.Ledger), blankOf(d.Invoice)}
		tail := []string{blankOf(d.Ratio), harmless(d.Note)}
		if len(d.Counts) == 0 {
			_ = out.Write(append(append(base[:5:5], "", "", ""), tail...))
		}
		for _, c := range d.Counts {
			_ = out.Write(append(append(base[:5:5], string(c.Unit), blankOf(c.Ledger), blankOf(c.Invoice)), tail...))
			base[3], base[4] = "", "" // money once, so that a column adds up
		}
	}
	out.Flush()
	return out.Error()
}

func blankOf(d reconcile.Decimal) string {
	if !d.Stated() {
		return ""
	}
	return d.String()
}
