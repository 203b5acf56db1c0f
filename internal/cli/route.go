package cli

import "github.com/spf13/cobra"

// routeCommand is what can be done about routing without a running program.
func routeCommand() *cobra.Command {
	cmd := parent(&cobra.Command{
		Use: "route", Short: "Train and measure how requests are routed", GroupID: "config",
		Example: "  tailplane route eval --data outcomes/ --weak small --strong large",
	})
	cmd.AddCommand(
		routeTrain(),
		routeEval(),
	)
	return cmd
}
