package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"tailplane/internal/account"
	"tailplane/internal/admin"
)

// partyKind is one level of parties as the commands call it.
type partyKind struct {
	one, many string
	within    []string // what it may belong to
	example   string
}

// partyKinds are the levels, from the top down.
var partyKinds = []partyKind{
	{"organisation", "organisations", nil, "emea"},
	{"team", "teams", []string{"organisation"}, "search"},
	{"customer", "customers", []string{"organisation", "team"}, "acme"},
}

// partyNames offers the parties of a level.
func partyNames(many string) func(*cobra.Command, *client) ([]string, error) {
	return func(cmd *cobra.Command, c *client) ([]string, error) {
		var list []admin.PartyInfo
		err := c.get(cmd.Context(), "/"+many, nil, &list)
		var names []string
		for _, p := range list {
			names = append(names, p.Name)
		}
		return names, err
	}
}

func partyCommands(d Deps) []*cobra.Command {
	var out []*cobra.Command
	for _, k := range partyKinds {
		cmd := parent(&cobra.Command{
			Use: k.many, Short: "Make, change and list " + k.many, GroupID: "run",
			Example: fmt.Sprintf("  tailplane %s list\n  tailplane %s set %s --budget 500/month:hard", k.many, k.many, k.example),
		})
		cmd.AddCommand(partyList(d, k), partyShow(d, k), partySet(d, k), partyRemove(d, k))
		if k.one == "customer" {
			cmd.AddCommand(partyLimits(d, k))
		}
		out = append(out, cmd)
	}
	return out
}

func partyList(d Deps, k partyKind) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the " + k.many, Args: args(cobra.NoArgs),
		Example: fmt.Sprintf("  tailplane %s list\n  tailplane %s list -o json", k.many, k.many),
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		var list []admin.PartyInfo
		if err := c.get(cmd.Context(), "/"+k.many, nil, &list); err != nil {
			return err
		}
		return emit(cmd, format, list, func(w io.Writer) error {
			var rows [][]string
			for _, p := range list {
				rows = append(rows, []string{p.Name, belongs(p.Organisation, p.Team), orDash(strings.Join(p.Models, ",")), rulesOf(p.Limits, p.Budgets), partyState(p)})
			}
			return columns(w, []string{strings.ToUpper(k.one), "OF", "MODELS", "RULES", "STATE"}, rows)
		})
	}
	return cmd
}

func partyState(p admin.PartyInfo) string {
	state := "enabled"
	if p.Disabled {
		state = "disabled"
	}
	if p.File {
		state += ", in the file"
	}
	return state
}

// rulesOf are limits and budgets in a line.
func rulesOf(limits account.Limits, budgets []account.Budget) string {
	var parts []string
	if raw, err := json.Marshal(limits); err == nil && string(raw) != "{}" {
		parts = append(parts, strings.NewReplacer(`"`, "", "{", "", "}", "").Replace(string(raw)))
	}
	for _, b := range budgets {
		text := fmt.Sprintf("%v/%v", b.Amount, b.Per)
		switch {
		case b.Strict:
			text += ":strict"
		case b.Hard:
			text += ":hard"
		}
		parts = append(parts, text)
	}
	return orDash(strings.Join(parts, ", "))
}

// onParty is a command about one party that answers with it.
func onParty(d Deps, k partyKind, cmd *cobra.Command, ask func(cmd *cobra.Command, c *client, path string) (admin.PartyInfo, error)) *cobra.Command {
	format := outputFlag(cmd)
	cmd.Args, cmd.ValidArgsFunction = args(cobra.ExactArgs(1)), completing(d, partyNames(k.many))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		p, err := ask(cmd, c, "/"+k.many+"/"+url.PathEscape(args[0]))
		if err != nil {
			return err
		}
		return emit(cmd, format, p, func(w io.Writer) error {
			out := &printer{w: w}
			out.line("%s %s  %s", p.Level, p.Name, partyState(p))
			out.line("  belongs to  %s", belongs(p.Organisation, p.Team))
			out.line("  models      %s", orDash(strings.Join(p.Models, ", ")))
			out.line("  rules       %s", rulesOf(p.Limits, p.Budgets))
			out.line("  turn        %s", turnOf(p.Priority, p.Weight))
			return out.err
		})
	}
	return cmd
}

func partyShow(d Deps, k partyKind) *cobra.Command {
	return onParty(d, k, &cobra.Command{
		Use: "show NAME", Short: "Tell all of one " + k.one,
		Example: fmt.Sprintf("  tailplane %s show %s", k.many, k.example),
	}, func(cmd *cobra.Command, c *client, path string) (p admin.PartyInfo, err error) {
		return p, c.get(cmd.Context(), path, nil, &p)
	})
}

func partySet(d Deps, k partyKind) *cobra.Command {
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Make one " + k.one + ", or change it; what is not named stays",
		Example: fmt.Sprintf("  tailplane %s set %s\n  tailplane %s set %s --tokens 40M/d --budget 500/month:hard", k.many, k.example, k.many, k.example),
	}
	r, turn := ruleFlags(cmd), turnFlags(cmd)
	within := map[string]*string{}
	for _, up := range k.within {
		within[up] = cmd.Flags().String(up, "", up+" that it belongs to")
		completeFlag(cmd, d, up, partyNames(up+"s"))
	}
	disabled := cmd.Flags().Bool("disabled", false, "nobody may call on its behalf; --disabled=false allows it again")
	return onParty(d, k, cmd, func(cmd *cobra.Command, c *client, path string) (p admin.PartyInfo, err error) {
		order := map[string]any{}
		for up, name := range within {
			if cmd.Flags().Changed(up) {
				order[up] = *name
			}
		}
		if cmd.Flags().Changed("disabled") {
			order["disabled"] = *disabled
		}
		turn.into(cmd, order)
		if err := r.into(order); err != nil {
			return p, err
		}
		err = c.do(cmd.Context(), http.MethodPatch, path, nil, order, &p)
		if missing, ok := errors.AsType[*Error](err); ok && missing.Code == ExitNotFound {
			err = c.do(cmd.Context(), http.MethodPut, path, nil, order, &p)
		}
		return p, err
	})
}

func partyLimits(d Deps, k partyKind) *cobra.Command {
	cmd := &cobra.Command{
		Use: "limits NAME", Short: "Show the limits of one " + k.one + ", or change them",
		Example: fmt.Sprintf("  tailplane %s limits %s\n  tailplane %s limits %s --requests 600/m --concurrent 8", k.many, k.example, k.many, k.example),
	}
	r := ruleFlags(cmd)
	return onParty(d, k, cmd, func(cmd *cobra.Command, c *client, path string) (p admin.PartyInfo, err error) {
		order := map[string]any{}
		if err := r.into(order); err != nil {
			return p, err
		}
		if len(order) == 0 {
			return p, c.get(cmd.Context(), path, nil, &p)
		}
		return p, c.do(cmd.Context(), http.MethodPatch, path, nil, order, &p)
	})
}

func partyRemove(d Deps, k partyKind) *cobra.Command {
	cmd := &cobra.Command{
		Use: "remove NAME", Short: "Remove one " + k.one + " that nothing belongs to", Args: args(cobra.ExactArgs(1)),
		Example:           fmt.Sprintf("  tailplane %s remove %s", k.many, k.example),
		ValidArgsFunction: completing(d, partyNames(k.many)),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		var done map[string]string
		if err := c.do(cmd.Context(), http.MethodDelete, "/"+k.many+"/"+url.PathEscape(args[0]), nil, nil, &done); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s removed\n", done["removed"])
		return err
	}
	return cmd
}
