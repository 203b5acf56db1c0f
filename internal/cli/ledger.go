package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tailplane/internal/admin"
)

func ledgerCommand(d Deps) *cobra.Command {
	cmd := parent(&cobra.Command{
		Use: "ledger", Short: "Check that the records of requests are whole", GroupID: "look",
		Example: "  tailplane ledger verify",
	})
	cmd.AddCommand(ledgerVerify(d))
	return cmd
}

func ledgerVerify(d Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify", Short: "Check that no record was changed, removed or added", Args: args(cobra.NoArgs),
		Example: "  tailplane ledger verify\n  tailplane ledger verify -o json",
		Long: "Check the journal, and every record of the store against the seal that was made when it came; then the sums\n" +
			"against the records. What is changed, missing or added is named; what retention removed is not missing. The\n" +
			"heads that are printed can be kept elsewhere: a ledger that was cut short has other ones. Exits 7 when\n" +
			"something is wrong.",
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		c.http.Timeout = 0 // all of it is read; an interrupt ends it
		var report admin.LedgerReport
		if err := c.get(cmd.Context(), "/ledger/verify", nil, &report); err != nil {
			return err
		}
		if err := emit(cmd, format, report, func(w io.Writer) error { return ledgerTable(w, &report) }); err != nil {
			return err
		}
		return ledgerProblem(&report)
	}
	return cmd
}

func ledgerTable(w io.Writer, r *admin.LedgerReport) error {
	var lines []string
	if j := r.Journal; j != nil {
		lines = append(lines, fmt.Sprintf("journal  %d records in %d segments, head %s", j.Records, j.Segments, r.JournalHead))
	}
	if s := r.Store; s != nil {
		line := fmt.Sprintf("store    %d records in %d seals, head %s", s.Records, s.Seals, orDash(s.Head))
		if s.Pruned > 0 {
			line += fmt.Sprintf("; %d of the records were removed by retention", s.Pruned)
		}
		if s.Unsummed > 0 {
			line += fmt.Sprintf("; the sums of %d hours could not be compared", s.Unsummed)
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		lines = []string{"the ledger is in memory, and ends with the process: there is nothing to verify"}
	}
	_, err := fmt.Fprintln(w, strings.Join(lines, "\n"))
	return err
}

// ledgerProblem is the error for a ledger that is not whole; nil when it is.
func ledgerProblem(r *admin.LedgerReport) error {
	if r.OK() {
		return nil
	}
	var all []string
	if r.Journal != nil {
		for _, p := range r.Journal.Problems {
			all = append(all, "journal: "+p)
		}
	}
	if r.Store != nil {
		for _, p := range r.Store.Problems {
			all = append(all, "store: "+p)
		}
		if r.Store.More > 0 {
			all = append(all, fmt.Sprintf("store: %d more", r.Store.More))
		}
	}
	return &Error{ExitProblem, "the ledger is not as it was written:\n" + strings.Join(all, "\n"), "compare it with a backup of the state directory or of the database"}
}
