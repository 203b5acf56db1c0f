package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// outputFlag adds -o to a command whose result is data.
func outputFlag(cmd *cobra.Command) *choice {
	return choiceFlag(cmd, "output", "o", "form of the output", "table", "json")
}

// emit prints a value as JSON, or calls table.
func emit(cmd *cobra.Command, format *choice, v any, table func(io.Writer) error) error {
	out := cmd.OutOrStdout()
	if format.value == "json" {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	return table(out)
}

// columns prints rows as an aligned table.
func columns(w io.Writer, head []string, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.Join(head, "\t"))
	for _, r := range rows {
		fmt.Fprintln(tw, strings.Join(r, "\t"))
	}
	return tw.Flush()
}

// dollars renders nano-dollars exactly, without trailing zeros beyond the
// sixth decimal.
func dollars(nano int64) string {
	sign := ""
	if nano < 0 {
		sign, nano = "-", -nano
	}
	text := fmt.Sprintf("%s$%d.%09d", sign, nano/1e9, nano%1e9)
	for strings.HasSuffix(text, "0") && len(text)-strings.IndexByte(text, '.') > 7 {
		text = text[:len(text)-1]
	}
	return text
}

// span renders a duration in the unit that fits it.
func span(d time.Duration) string {
	switch {
	case d <= 0:
		return "-"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/1e6)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
