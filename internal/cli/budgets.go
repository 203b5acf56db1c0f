package cli

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"tailplane/internal/account"
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
		Example: "  tailplane budgets list\n  tailplane budgets list -o json     # with the limits",
		Long: "List the budgets of organisations, teams, customers and keys in their current window. HELD is for requests\n" +
			"that run; IN DOUBT is what gateways that are silent may have spent.",
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		var list []account.State
		if err := c.get(cmd.Context(), "/budgets", nil, &list); err != nil {
			return err
		}
		return emit(cmd, format, list, func(w io.Writer) error {
			var rows [][]string
			for _, s := range list {
				for _, b := range s.Budgets {
					rows = append(rows, []string{s.Level.String(), s.Name, b.Per.String(), kindOfBudget(b.Budget), b.Amount.String(), b.Spent.String(), b.Held.String(), b.Doubt.String(), b.Left.String(), day(b.To)})
				}
			}
			return columns(w, []string{"LEVEL", "NAME", "PER", "KIND", "AMOUNT", "SPENT", "HELD", "IN DOUBT", "LEFT", "UNTIL"}, rows)
		})
	}
	return cmd
}

func kindOfBudget(b account.Budget) string {
	switch {
	case b.Strict:
		return "strict"
	case b.Hard:
		return "hard"
	}
	return "soft"
}

func budgetsWriteOff(d Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use: "write-off GATEWAY", Short: "Give back what is in doubt of a gateway that will not return", Args: args(cobra.ExactArgs(1)),
		Example: "  tailplane budgets write-off gw-2 --reason \"machine lost on 24 November\"",
		Long: "Give back to all budgets what a gateway that is silent may have spent and never told. If it did spend it, that\n" +
			"is spent twice. Do so only when its state directory is lost: with it, the gateway tells when it is back.",
	}
	reason := cmd.Flags().String("reason", "", "why; stands in the audit")
	_ = cmd.MarkFlagRequired("reason") // the flag is there
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		var done admin.WriteOff
		order := admin.WriteOff{Gateway: args[0], Reason: strings.TrimSpace(*reason)}
		if err := c.do(cmd.Context(), http.MethodPost, "/budgets/write-off", nil, order, &done); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s given back of gateway %s\n", dollars(done.Nano), done.Gateway)
		return err
	}
	return cmd
}
