package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// settings are how the shells set a variable.
var settings = map[string]string{"sh": "export %s=%q\n", "fish": "set -gx %s %q\n", "pwsh": "$env:%s=%q\n"}

// sdkEnv is the two variables that an SDK reads.
type sdkEnv struct{ name, url, path, key string }

var sdks = []sdkEnv{
	{"openai", "OPENAI_BASE_URL", "/v1", "OPENAI_API_KEY"},
	{"anthropic", "ANTHROPIC_BASE_URL", "", "ANTHROPIC_API_KEY"},
	{"google", "GOOGLE_GEMINI_BASE_URL", "", "GEMINI_API_KEY"},
	{"bedrock", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "", "AWS_BEARER_TOKEN_BEDROCK"},
}

func envCommand(d Deps) *cobra.Command {
	var shell *choice
	var sdk string
	cmd := &cobra.Command{
		Use: "env", Short: "Print the settings that point every SDK here", GroupID: "run", Args: args(cobra.NoArgs),
		Example: "  eval \"$(tailplane env)\"\n  tailplane env --shell fish | source",
		Long: "Print, for a shell to evaluate, the settings that point the SDKs of OpenAI, Anthropic, Google and\n" +
			"Amazon Bedrock at the running tailplane, with a key made for the purpose. The key expires after 30 days.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			format := settings[shell.value]
			wanted := strings.Split(sdk, ",")
			for _, w := range wanted {
				if !slices.ContainsFunc(sdks, func(s sdkEnv) bool { return s.name == w }) {
					return &Error{ExitUsage, fmt.Sprintf("--sdk %q is not known", w), "use some of openai, anthropic, google and bedrock, with commas"}
				}
			}
			c, err := connect(cmd, d)
			if err != nil {
				return err
			}
			key, err := c.key(cmd.Context(), passing("env", 30*24*time.Hour, false))
			if err != nil {
				return err
			}
			var text strings.Builder
			for _, known := range sdks {
				if slices.Contains(wanted, known.name) {
					fmt.Fprintf(&text, format, known.url, c.api()+known.path)
					fmt.Fprintf(&text, format, known.key, key)
				}
			}
			_, err = io.WriteString(cmd.OutOrStdout(), text.String())
			return err
		},
	}
	shell = choiceFlag(cmd, "shell", "", "whose syntax", "sh", "fish", "pwsh")
	cmd.Flags().StringVar(&sdk, "sdk", "openai,anthropic,google,bedrock", "for which SDKs")
	return cmd
}
