package cli

import (
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"tailplane/internal/admin"
)

func keysAWS(d Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use: "aws NAME", Short: "Print the AWS key pair that stands for a key", Args: args(cobra.ExactArgs(1)),
		Example: "  tailplane keys aws first\n  eval \"$(tailplane keys aws first)\"\n  tailplane keys aws first -o json",
		Long: "Print, for a shell to evaluate, the AWS key pair that stands for a key of the running tailplane, and its\n" +
			"address as the endpoint of Bedrock's runtime. NAME is the name or the id of a key. The pair is made of the key\n" +
			"and of a secret in the state directory: it is the same each time, ends with the key, and is kept nowhere.",
	}
	format := choiceFlag(cmd, "output", "o", "form of the output", "env", "json")
	shell := choiceFlag(cmd, "shell", "", "whose syntax", "sh", "fish", "pwsh")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		var pair admin.AWSPair
		if err := c.do(cmd.Context(), http.MethodPost, "/keys/aws", nil, map[string]string{"key": args[0]}, &pair); err != nil {
			return err
		}
		return emit(cmd, format, pair, func(w io.Writer) error {
			for _, v := range [][2]string{
				{"AWS_ACCESS_KEY_ID", pair.AccessKeyID},
				{"AWS_SECRET_ACCESS_KEY", pair.SecretAccessKey},
				{"AWS_ENDPOINT_URL_BEDROCK_RUNTIME", c.api()},
				{"AWS_REGION", "us-east-1"},
			} {
				if _, err := fmt.Fprintf(w, settings[shell.value], v[0], v[1]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return cmd
}
