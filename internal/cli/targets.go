package cli

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"tailplane/internal/admin"
)

func targetsCommand(d Deps) *cobra.Command {
	cmd := parent(&cobra.Command{
		Use: "targets", Short: "Show how targets stand, and drain one", GroupID: "look",
		Example: "  tailplane targets list\n  tailplane targets drain gpu-1      # before its machine is taken away",
	})
	cmd.AddCommand(targetsList(d), targetsDrain(d, true), targetsDrain(d, false))
	return cmd
}

func targetsList(d Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List targets, how they stand and what their engines say", Args: args(cobra.NoArgs),
		Example: "  tailplane targets list\n  tailplane targets list -o json",
		Long: "List targets with their health and what is in flight there. RUNNING, WAITING and KV are what the engine\n" +
			"says of itself; a dash is not known, and is never a zero.",
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		var list []admin.Target
		if err := c.get(cmd.Context(), "/targets", nil, &list); err != nil {
			return err
		}
		return emit(cmd, format, list, func(w io.Writer) error {
			var rows [][]string
			for i := range list {
				rows = append(rows, targetRow(&list[i]))
			}
			return columns(w, []string{"TARGET", "KIND", "STATE", "WHY", "IN FLIGHT", "RUNNING", "WAITING", "KV"}, rows)
		})
	}
	return cmd
}

func targetRow(t *admin.Target) []string {
	state := t.State
	if t.Left > 0 {
		state += " for " + time.Duration(t.Left*float64(time.Second)).Round(time.Second).String()
	}
	figure := func(name string, times float64, unit string) string {
		v, known := t.Signals[name]
		if !known {
			return "-"
		}
		return strconv.FormatFloat(v*times, 'f', 0, 64) + unit
	}
	return []string{
		t.Name, t.Kind, state, cmp.Or(t.Why, "-"), strconv.FormatInt(t.InFlight, 10),
		figure("running", 1, ""), figure("waiting", 1, ""), figure("kv_usage", 100, "%"),
	}
}

func targetsDrain(d Deps, drained bool) *cobra.Command {
	cmd := &cobra.Command{
		Use: "drain TARGET", Short: "Keep new requests off a target; what is in flight goes on", Args: args(cobra.ExactArgs(1)),
		Example: "  tailplane targets drain gpu-1",
		Long: "Keep new requests off a target until `tailplane targets undrain`, or until the gateway ends. To keep it so,\n" +
			"write `drain: true` under the target in the config.",
	}
	done := "gets no new requests"
	if !drained {
		cmd.Use, cmd.Short, cmd.Example = "undrain TARGET", "Send requests to a drained target again", "  tailplane targets undrain gpu-1"
		cmd.Long = "Take back `tailplane targets drain`. One that the config drains stays so."
		done = "gets requests again, unless the config drains it"
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		order := admin.Drain{Target: args[0], Drained: drained}
		if err := c.do(cmd.Context(), http.MethodPost, "/targets/drain", nil, order, &order); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", order.Target, done)
		return err
	}
	return cmd
}
