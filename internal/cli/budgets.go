package cli

import (
	"fmt"
	"io"
	"math/big"
	"net/http"

	"github.com/spf13/cobra"

	"tailplane/internal/admin"
)

func budgetsCommand(d Deps) *cobra.Command {
	cmd := parent(&cobra.Command{
		Use: "budgets", Short: "Show how budgets stand, and write off", GroupID: "look",
		Example: "  tailplane budgets list",
	})
	cmd.AddCommand(budgetsList(d), budgetsWriteOff(d))
	return cmd
}

func budgetsList(d Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List budgets, what is spent of them and what is held", Args: args(cobra.NoArgs),
		Example: "  tailplane budgets list\n  tailplane budgets list -o json",
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		var list []admin.Balance
		if err := c.get(cmd.Context(), "/budgets", nil, &list); err != nil {
			return err
		}
		return emit(cmd, format, list, func(w io.Writer) error {
			var rows [][]string
			for _, b := range list {
				rows = append(rows, []string{b.Level, b.Name, b.Per, dollars(b.Amount), dollars(b.Spent), dollars(b.Held), dollars(b.Amount - b.Spent - b.Held), day(b.To)})
			}
			return columns(w, []string{"LEVEL", "NAME", "PER", "AMOUNT", "SPENT", "HELD", "LEFT", "UNTIL"}, rows)
		})
	}
	return cmd
}

func budgetsWriteOff(d Deps) *cobra.Command {
	var amount, reason string
	cmd := &cobra.Command{
		Use: "write-off LEVEL NAME", Short: "Give an account back what nobody will settle", Args: args(cobra.ExactArgs(2)),
		Example: "  tailplane budgets write-off customer acme --amount 12.50 --reason \"outage of 24 November\"",
		Long:    "Give an account back an amount that was spent or is held, and say why: both stand in the audit. LEVEL is\norganisation, team, customer or key; a key is named by its id.",
	}
	cmd.Flags().StringVar(&amount, "amount", "", "dollars")
	cmd.Flags().StringVar(&reason, "reason", "", "why; stands in the audit")
	for _, name := range []string{"amount", "reason"} {
		_ = cmd.MarkFlagRequired(name) // the flag is there
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		nano, err := nanos(amount)
		if err != nil {
			return err
		}
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		var done admin.WriteOff
		if err := c.do(cmd.Context(), http.MethodPost, "/budgets/write-off", nil, admin.WriteOff{Level: args[0], Name: args[1], Nano: nano, Reason: reason}, &done); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s written off of %s %s\n", dollars(done.Nano), done.Level, done.Name)
		return err
	}
	return cmd
}

// nanos reads dollars exactly.
func nanos(text string) (int64, error) {
	wrong := &Error{ExitUsage, fmt.Sprintf("--amount %q is no amount of dollars", text), "write one such as 12.50"}
	if len(text) > 20 {
		return 0, wrong
	}
	for _, r := range text {
		if (r < '0' || r > '9') && r != '.' {
			return 0, wrong
		}
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return 0, wrong
	}
	r.Mul(r, big.NewRat(1e9, 1))
	if !r.IsInt() || !r.Num().IsInt64() || r.Sign() <= 0 {
		return 0, wrong
	}
	return r.Num().Int64(), nil
}
