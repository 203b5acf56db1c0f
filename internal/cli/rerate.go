package cli

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tailplane/internal/admin"
	"tailplane/internal/config"
)

func rerateCommand(d Deps) *cobra.Command {
	var order admin.RerateOrder
	var prices string
	cmd := &cobra.Command{
		Use: "rerate", Short: "Rate what was used again, at other prices", GroupID: "run", Args: args(cobra.NoArgs),
		Example: "  tailplane rerate --from 2026-11-01 --prices contract.yaml --dry-run\n" +
			"  tailplane rerate --from 2026-11-01 --to 2026-12-01 --prices contract.yaml --note \"contract of October\"\n" +
			"  tailplane usage --original --from 2026-11-01    # what it was before",
		Long: "Rate the requests of a period again: at the prices in force now, and before these at those of a file. A line of\n" +
			"it is `target/model: {input: \"2.50\", output: \"10\"}`, in dollars per million tokens; the keys and prices are those of\n" +
			"targets in the config. Records stay as they are: `usage` adds the difference, and `usage --original` leaves it out. What has no\n" +
			"price keeps what it has, and is listed when that is none. A run that broke off goes on with --run.",
	}
	format := outputFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&order.From, "from", "", "first day, or time (RFC 3339); needed")
	f.StringVar(&order.To, "to", "", "end, exclusive (default: now)")
	f.StringVar(&prices, "prices", "", "file of prices, YAML or JSON")
	f.StringVar(&order.Note, "note", "", "why, for the audit")
	f.StringVar(&order.Run, "run", "", "name of the run; one is done once")
	f.BoolVar(&order.DryRun, "dry-run", false, "only tell what would change")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if order.From == "" {
			return &Error{ExitUsage, "--from is missing", "write `tailplane rerate --from 2026-11-01`"}
		}
		if prices != "" {
			if err := readPrices(prices, &order); err != nil {
				return err
			}
		}
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		c.http.Timeout = 0 // all of the period is read; an interrupt ends it
		var done admin.Rerated
		if err := c.do(cmd.Context(), http.MethodPost, "/rerate", nil, order, &done); err != nil {
			return err
		}
		return emit(cmd, format, done, func(w io.Writer) error { return reratedTable(w, &done) })
	}
	return cmd
}

// readPrices puts the prices of a file into the order.
func readPrices(path string, order *admin.RerateOrder) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return &Error{ExitUsage, fmt.Sprintf("the prices cannot be read: %v", err), "name a file with --prices"}
	}
	var problems []config.Problem
	if order.Prices, problems = config.ParsePrices(path, text); len(problems) == 0 {
		return nil
	}
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = p.String()
	}
	return &Error{ExitUsage, "the prices are not valid:\n" + strings.Join(lines, "\n"), ""}
}

func reratedTable(w io.Writer, r *admin.Rerated) error {
	what := "rated again by run " + r.Run
	if r.DryRun {
		what = "would be rated again"
	}
	_, err := fmt.Fprintf(w, "%d of %d requests from %s to %s %s\nprices   %s\nbefore   %s\nafter    %s (%s)\n",
		r.Changed, r.Looked, r.From.UTC().Format(time.RFC3339), r.To.UTC().Format(time.RFC3339), what, r.Version,
		dollars(r.OldCost), dollars(r.NewCost), difference(r.NewCost-r.OldCost))
	if err != nil || r.Unpriced == 0 {
		return err
	}
	if _, err := fmt.Fprintf(w, "%d requests stay without a known price, so that both sums are lower bounds:\n", r.Unpriced); err != nil {
		return err
	}
	var rows [][]string
	for _, u := range r.Left {
		rows = append(rows, []string{cmp.Or(u.Target, "-"), cmp.Or(u.Model, "-"), fmt.Sprint(u.Attempts)})
	}
	return columns(w, []string{"TARGET", "MODEL", "ATTEMPTS"}, rows)
}

func difference(nano int64) string {
	if nano > 0 {
		return "+" + dollars(nano)
	}
	return dollars(nano)
}
