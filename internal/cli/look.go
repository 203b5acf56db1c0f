package cli

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tailplane/internal/admin"
)

func modelsCommand(d Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use: "models", Short: "List the models that can be called and where they go", GroupID: "look", Args: args(cobra.NoArgs),
		Example: "  tailplane models\n  tailplane models --key app    # only what this key may call\n  tailplane models -o json",
	}
	format := outputFlag(cmd)
	key := cmd.Flags().String("key", "", "only what this key may call, by its name or id")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		var list []admin.Model
		if err := c.get(cmd.Context(), "/models", url.Values{"key": {*key}}, &list); err != nil {
			return err
		}
		return emit(cmd, format, list, func(w io.Writer) error { return modelTable(w, list) })
	}
	return cmd
}

func modelTable(w io.Writer, list []admin.Model) error {
	var rows [][]string
	for _, m := range list {
		for i, c := range m.Candidates {
			name, order := m.Name, fmt.Sprintf("%d", c.Group-m.Candidates[0].Group+1)
			if i > 0 {
				name = ""
			}
			if c.Weight > 0 {
				order += fmt.Sprintf(" (weight %d)", c.Weight)
			}
			rows = append(rows, []string{name, order, c.Target + "/" + c.Model, c.Kind, strings.Join(c.Dialects, ","), c.Pricing, c.State + with("; ", c.Warning)})
		}
	}
	return columns(w, []string{"MODEL", "ORDER", "GOES TO", "KIND", "DIALECTS", "PRICE", "STATE"}, rows)
}

func statusCommand(d Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "Show the running tailplane at a glance", GroupID: "look", Args: args(cobra.NoArgs),
		Example: "  tailplane status",
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		var s admin.Status
		if err := c.get(cmd.Context(), "/status", nil, &s); err != nil {
			return err
		}
		err = emit(cmd, format, s, func(w io.Writer) error {
			p := &printer{w: w}
			p.line("tailplane %s  up %s", s.Version, s.Uptime.Round(time.Second))
			p.line("  config  %s (%s)", s.Config, s.Hash)
			p.line("  API     %s/v1", c.api())
			p.line("  admin   %s", c.base())
			p.line("  prices  %s", s.Prices)
			p.line("  catalog %s%s", s.Catalog, with("  ", s.CatalogOld))
			l := s.Ledger
			p.line("  ledger  %d admitted, %d settled, %d waiting for the store, %d lost", l.Admitted, l.Settled, l.Lag, l.Lost)
			if l.Unknown > 0 {
				p.line("  unknown %d requests of a run that was killed; `tailplane usage --by outcome` counts them", l.Unknown)
			}
			return p.err
		})
		if err != nil {
			return err
		}
		return verdict(&s)
	}
	return cmd
}

// verdict is the problem that a status shows, if any.
func verdict(s *admin.Status) error {
	switch {
	case s.Refused != "":
		return &Error{ExitProblem, "the changed config is refused; the old one keeps serving:\n" + s.Refused, "mend the file; it is looked at again when it changes"}
	case s.CatalogRefused != "":
		return &Error{ExitProblem, "a catalogue is refused: " + s.CatalogRefused, "`tailplane catalog verify FILE` tells the same of a file"}
	case s.Ledger.Error != "":
		return &Error{ExitProblem, "the ledger cannot keep its records: " + s.Ledger.Error, "make room in the state directory; what is not kept is in the log"}
	case s.Ledger.Lost > 0:
		return &Error{ExitProblem, fmt.Sprintf("%d records could not be kept since the start", s.Ledger.Lost), "they are in the log, as \"the ledger did not take a record\""}
	}
	return nil
}
