package cli

import "github.com/spf13/cobra"

func benchCommand(d Deps) *cobra.Command {
	cmd := parent(&cobra.Command{
		Use: "bench", Short: "Play recorded traffic through the router", GroupID: "look",
		Example: "  tailplane bench route --trace traffic.jsonl --policy auto,least_request,round_robin",
		Long:    "What a policy does to recorded traffic, on simulated engines, before real traffic meets it.",
	})
	cmd.AddCommand(benchRoute(d))
	return cmd
}
