package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tailplane/internal/admin"
	"tailplane/internal/ledger"
)

func usageCommand(d Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use: "usage", Short: "Sum tokens and cost", GroupID: "look", Args: args(cobra.NoArgs),
		Example: "  tailplane usage                                    # by model\n" +
			"  tailplane usage --by customer,day --from 2026-11-01\n" +
			"  tailplane usage --by provider,model --customer acme -o csv\n" +
			"  tailplane usage --capacity                         # what targets that cost by the hour were used for",
		Long: "Sum requests, tokens and cost over the ledger. By target and by provider, attempts are counted; else requests.\n" +
			"Columns: model, target, provider, key, key_id, customer, team, organisation, tag, day, outcome. What has no known price\n" +
			"is counted under UNPRICED and adds nothing to COST. Days are UTC.",
	}
	format := choiceFlag(cmd, "output", "o", "form of the output", "table", "json", "csv")
	by := cmd.Flags().String("by", "model", "columns to sum by, separated by commas")
	capacity := cmd.Flags().Bool("capacity", false, "targets that cost by the hour: paid, used and idle")
	original := cmd.Flags().Bool("original", false, "at the prices of the time, without what was rated again")
	filters := map[string]*string{
		"from": cmd.Flags().String("from", "", "first day, or time (RFC 3339)"),
		"to":   cmd.Flags().String("to", "", "end, exclusive"),
	}
	for _, name := range []string{"model", "target", "provider", "key", "customer", "team", "organisation", "tag", "outcome"} {
		filters[name] = cmd.Flags().String(name, "", "only this "+name)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		q := url.Values{}
		for name, value := range filters {
			q.Set(name, *value)
		}
		if *capacity {
			return capacityUsage(cmd, c, format, q)
		}
		q.Set("by", *by)
		if *original {
			q.Set("original", "true")
		}
		var rows []ledger.UsageRow
		if err := c.get(cmd.Context(), "/usage", q, &rows); err != nil {
			return err
		}
		columns := strings.Split(*by, ",")
		if format.value == "csv" {
			return usageCSV(cmd.OutOrStdout(), columns, rows)
		}
		return emit(cmd, format, rows, func(w io.Writer) error { return usageTable(w, columns, rows) })
	}
	return cmd
}

// column is the value of a row in a column that was asked for, which has the
// column's name in the row's JSON.
func column(r *ledger.UsageRow, by string) string {
	raw, _ := json.Marshal(r) // a row of texts and numbers always marshals
	var members map[string]any
	_ = json.Unmarshal(raw, &members)
	text, _ := members[by].(string)
	return text
}

func usageTable(w io.Writer, by []string, rows []ledger.UsageRow) error {
	head := append(upper(by), "REQUESTS", "FAILED", "INPUT", "CACHED", "OUTPUT", "COST", "UNPRICED")
	var out [][]string
	for _, r := range rows {
		var line []string
		for _, b := range by {
			line = append(line, orDash(column(&r, b)))
		}
		out = append(out, append(line, fmt.Sprint(r.Requests), fmt.Sprint(r.Failed), fmt.Sprint(r.Input),
			fmt.Sprint(r.CacheRead), fmt.Sprint(r.Output), dollars(r.Cost), fmt.Sprint(r.Unpriced)))
	}
	return columns(w, head, out)
}

// usageCSV prints every figure; cost is in nano-dollars, so that no program that
// reads it rounds.
func usageCSV(w io.Writer, by []string, rows []ledger.UsageRow) error {
	out := csv.NewWriter(w)
	_ = out.Write(append(by[:len(by):len(by)], "requests", "failed", "unpriced", "input", "cache_read", "cache_write", "output", "reasoning",
		"images", "audio_millis", "characters", "search_units", "cost_nano")) // Flush tells the error
	for _, r := range rows {
		var line []string
		for _, b := range by {
			line = append(line, harmless(column(&r, b)))
		}
		for _, n := range []int64{
			r.Requests, r.Failed, r.Unpriced, r.Input, r.CacheRead, r.CacheWrite, r.Output, r.Reasoning,
			r.Images, r.AudioMillis, r.Characters, r.SearchUnits, r.Cost,
		} {
			line = append(line, fmt.Sprint(n))
		}
		_ = out.Write(line)
	}
	out.Flush()
	return out.Error()
}

// harmless keeps a spreadsheet from taking a name that a caller chose for a
// formula.
func harmless(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}

func capacityUsage(cmd *cobra.Command, c *client, format *choice, q url.Values) error {
	var list []admin.Capacity
	if err := c.get(cmd.Context(), "/capacity", q, &list); err != nil {
		return err
	}
	return emit(cmd, format, list, func(w io.Writer) error {
		var rows [][]string
		for _, t := range list {
			used := fmt.Sprintf("%.1f%%", 100*t.Used())
			rows = append(rows, []string{t.Target, t.From.Format(time.RFC3339), t.To.Format(time.RFC3339), dollars(t.Paid), dollars(t.Attributed), dollars(t.Idle), used})
		}
		return columns(w, []string{"TARGET", "FROM", "TO", "PAID", "USED FOR REQUESTS", "IDLE", "USED"}, rows)
	})
}

func upper(words []string) []string {
	out := make([]string, len(words))
	for i, s := range words {
		out[i] = strings.ToUpper(s)
	}
	return out
}
