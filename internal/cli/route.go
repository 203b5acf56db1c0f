package cli

import "github.com/spf13/cobra"

// routeCommand is what can be asked and done about routing.
func routeCommand(d Deps) *cobra.Command {
	cmd := parent(&cobra.Command{
		Use: "route", Short: "Explain, train and measure how requests are routed", GroupID: "look",
		Example: "  tailplane route explain --model llama --file request.json\n  tailplane route eval --data outcomes/ --weak small --strong large",
	})
	cmd.AddCommand(
		routeExplain(d),
		routeReplay(d),
		routeTrain(),
		routeEval(),
	)
	return cmd
}
