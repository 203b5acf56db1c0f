package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"tailplane/internal/importer"
)

func importCommand() *cobra.Command {
	cmd := parent(&cobra.Command{
		Use: "import", Short: "Make a config from another gateway's", GroupID: "config",
		Example: "  tailplane import litellm config.yaml",
	})
	cmd.AddCommand(importLiteLLM())
	return cmd
}

func importLiteLLM() *cobra.Command {
	var out string
	var force, quiet bool
	cmd := &cobra.Command{
		Use: "litellm FILE", Short: "Make a config from LiteLLM's config.yaml", Args: args(cobra.ExactArgs(1)),
		Example: "  tailplane import litellm config.yaml\n  tailplane import litellm config.yaml -o -    # to stdout",
		Long: "Turn a LiteLLM config into one of ours, and tell of every field whether it was mapped, approximated or\n" +
			"refused, with its place. The report goes to stderr. Exits 7 when something was refused.",
	}
	cmd.Flags().StringVarP(&out, "out", "o", "tailplane.yaml", "file to write; - is stdout")
	cmd.Flags().BoolVar(&force, "force", false, "replace a file that is there")
	cmd.Flags().BoolVar(&quiet, "quiet", false, "leave what was mapped out of the report")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		text, report, err := importer.LiteLLM(args[0], os.ReadFile)
		if errors.Is(err, fs.ErrNotExist) {
			return &Error{ExitNotFound, err.Error(), ""}
		}
		if err != nil {
			return &Error{ExitFailed, err.Error(), ""}
		}
		if err := put(cmd.OutOrStdout(), out, text, force); err != nil {
			return err
		}
		p := &printer{w: cmd.ErrOrStderr()}
		for _, i := range report.Items {
			if !quiet || i.Verdict != importer.Mapped {
				p.line("%s", i)
			}
		}
		p.line("%s: %s", args[0], report.Summary())
		if p.err != nil {
			return p.err
		}
		if n := report.Count(importer.Refused); n > 0 {
			return &Error{ExitProblem, fmt.Sprintf("%d of the fields were refused", n), "mend what the report says, then: tailplane check"}
		}
		return nil
	}
	return cmd
}

// put writes a file that is not there, or to stdout.
func put(stdout io.Writer, path string, text []byte, force bool) error {
	if path == "-" {
		_, err := stdout.Write(text)
		return err
	}
	how := os.O_CREATE | os.O_WRONLY | os.O_EXCL
	if force {
		how = os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	}
	f, err := os.OpenFile(path, how, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return &Error{ExitConflict, path + " is there already", "name another file with -o, or replace it with --force"}
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
