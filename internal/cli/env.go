package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tailplane/internal/admin"
)

// settings are how the shells set a variable.
var settings = map[string]string{"sh": "export %s=%q\n", "fish": "set -gx %s %q\n", "pwsh": "$env:%s=%q\n"}

func envCommand(d Deps) *cobra.Command {
	var shell *choice
	var sdk string
	cmd := &cobra.Command{
		Use: "env", Short: "Print the settings that point every SDK here", GroupID: "run", Args: args(cobra.NoArgs),
		Example: "  eval \"$(tailplane env)\"\n  tailplane env --shell fish | source",
		Long: "Print, for a shell to evaluate, the settings that point the OpenAI and Anthropic SDKs at the running\n" +
			"tailplane, with a key made for the purpose. The key expires after 30 days.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			format := settings[shell.value]
			wanted := strings.Split(sdk, ",")
			for _, w := range wanted {
				if w != "openai" && w != "anthropic" {
					return &Error{ExitUsage, fmt.Sprintf("--sdk %q is not known", w), "use openai, anthropic or both"}
				}
			}
			c, err := connect(cmd, d)
			if err != nil {
				return err
			}
			key, err := c.key(cmd.Context(), admin.NewKey{Name: "env", Label: "env", Lifetime: 30 * 24 * 3600})
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if slices.Contains(wanted, "openai") {
				fmt.Fprintf(out, format, "OPENAI_BASE_URL", "http://"+c.data+"/v1")
				fmt.Fprintf(out, format, "OPENAI_API_KEY", key)
			}
			if slices.Contains(wanted, "anthropic") {
				fmt.Fprintf(out, format, "ANTHROPIC_BASE_URL", "http://"+c.data)
				fmt.Fprintf(out, format, "ANTHROPIC_API_KEY", key)
			}
			return nil
		},
	}
	shell = choiceFlag(cmd, "shell", "", "whose syntax", "sh", "fish", "pwsh")
	cmd.Flags().StringVar(&sdk, "sdk", "openai,anthropic", "for which SDKs")
	return cmd
}
