package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"tailplane/internal/config"
)

func serveCommand(d Deps) *cobra.Command {
	var opt ServeOptions
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the gateway", GroupID: "run", Args: args(cobra.NoArgs),
		Example: "  tailplane serve                          # finds keys and engines, always adds a simulator\n" +
			"  tailplane serve --config tailplane.yaml  # serves what the file says, and follows its changes",
		Long: "Run the gateway. Without a config it looks for API keys in the environment and for engines on the\n" +
			"usual ports of this machine; a paid provider is only called when a request names its models.\n" +
			"SIGHUP, or a change of the file, reloads the config without dropping a request; without a config SIGHUP stops.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return d.Serve(cmd.Context(), opt, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&opt.Config, "config", "c", "", "config file (default: ./tailplane.yaml, $TAILPLANE_CONFIG, /etc/tailplane/tailplane.yaml, or none)")
	f.StringVar(&opt.Data, "data", "", "address of the API, instead of the config's")
	f.StringVar(&opt.Admin, "admin", "", "address of the admin listener, instead of the config's")
	f.BoolVar(&opt.NoDetect, "no-detect", false, "do not look for keys and engines")
	f.BoolVar(&opt.Ephemeral, "ephemeral", false, "keep all state in memory")
	f.BoolVar(&opt.NoWatch, "no-watch", false, "reload on SIGHUP only, not when the file changes")
	log := choiceFlag(cmd, "log", "", "form of the log on stderr", "text", "json")
	cmd.PreRun = func(cmd *cobra.Command, _ []string) {
		opt.State, _ = cmd.Flags().GetString("state") // declared on the root
		opt.LogFormat = log.value
	}
	return cmd
}

func checkCommand(d Deps) *cobra.Command {
	var path string
	var format *choice
	var noSecrets, live bool
	cmd := &cobra.Command{
		Use: "check [FILE]", Aliases: []string{"validate"}, Short: "Tell everything that is wrong with a config", GroupID: "config",
		Args:    args(cobra.MaximumNArgs(1)),
		Example: "  tailplane check -c tailplane.yaml\n  tailplane check --no-secrets tailplane.yaml   # in CI, where the keys are not\n  tailplane check --live   # before traffic: reach, credentials, clocks and models of every target",
		Long: "Tell everything that is wrong with a config at once, each problem as file:line:col: what is wrong; what\n" +
			"would be right. With --live every target is looked at, too, by its own way and credential: can it be reached,\n" +
			"is it paid for, does it list the models that the config names, is the clock right. Nothing that is asked costs\n" +
			"anything; it takes ten seconds for a target at most. Exits 7 when there is a problem.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && path != "" {
				return &Error{ExitUsage, fmt.Sprintf("two configs are named: %s and %s", path, args[0]), "check one after the other"}
			}
			if len(args) == 1 {
				path = args[0]
			}
			if path == "" {
				path = d.FindConfig()
			}
			if live && noSecrets {
				return &Error{ExitUsage, "--live needs the secrets", "leave one of --live and --no-secrets out"}
			}
			f, err := check(cmd, path, !noSecrets, format.value == "json")
			if err != nil || !live {
				return err
			}
			return checkLive(cmd, d, f, format)
		},
	}
	format = outputFlag(cmd)
	cmd.Flag("output").Usage = "form of what --live finds: table, json"
	cmd.Flags().BoolVar(&live, "live", false, "look at every target, too")
	cmd.Flags().StringVarP(&path, "config", "c", "", "config file (default: the one that serve would use)")
	cmd.Flags().BoolVar(&noSecrets, "no-secrets", false, "do not resolve references to secrets")
	return cmd
}

// check tells the problems of a file, and that it has none unless quiet.
func check(cmd *cobra.Command, path string, secrets, quiet bool) (*config.File, error) {
	text, err := configText(path, "tailplane check -c FILE")
	if err != nil {
		return nil, err
	}
	parse := config.Parse
	if secrets {
		parse = config.ParseHere
	}
	f, problems := parse(path, text)
	out := &printer{w: cmd.OutOrStdout()}
	for _, p := range problems {
		out.line("%s", p)
		if excerpt := p.Excerpt(); excerpt != "" {
			out.line("%s", excerpt)
		}
	}
	if n := len(problems); n > 0 {
		return nil, &Error{ExitProblem, fmt.Sprintf("%s: %d to mend", path, n), ""}
	}
	if !quiet {
		out.line("%s: ok (%d targets, %d models, hash %s)", path, len(f.Targets), len(f.Models), f.Hash)
	}
	return f, out.err
}

// configText reads a config file; write is how another one is named.
func configText(path, write string) ([]byte, error) {
	if path == "" {
		return nil, &Error{ExitUsage, "there is no config here", "name one: " + write}
	}
	text, err := os.ReadFile(path)
	if err == nil {
		return text, nil
	}
	code := ExitFailed
	if errors.Is(err, fs.ErrNotExist) {
		code = ExitNotFound
	}
	return nil, &Error{code, fmt.Sprintf("the config cannot be read: %v", err), "name another one: " + write}
}

func configCommand(d Deps) *cobra.Command {
	cmd := parent(&cobra.Command{
		Use: "config", Short: "Make a config", GroupID: "config", Example: "  tailplane config init > tailplane.yaml",
	})
	cmd.AddCommand(&cobra.Command{
		Use: "init", Short: "Print what was found on this machine as a config", Args: args(cobra.NoArgs),
		Example: "  tailplane config init > tailplane.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			found, err := d.Detected(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), found)
			return err
		},
	})
	return cmd
}
