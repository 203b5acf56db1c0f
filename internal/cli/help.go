package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tailplane/internal/suggest"
)

// helpTemplate puts the example first: it is what most readers want.
const helpTemplate = `{{with .Example}}{{.}}

{{end}}{{with or .Long .Short}}{{. | trimTrailingWhitespaces}}

{{end}}{{.UsageString}}`

// usageTemplate is what is below: how to write it, commands by group, flags.
const usageTemplate = `Usage:
  {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND{{else}}{{.UseLine}}{{end}}
{{if .HasAvailableSubCommands}}{{$all := .Commands}}{{range .Groups}}{{$group := .}}
{{.Title}}{{range $all}}{{if and (eq .GroupID $group.ID) .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{end}}{{if not .Groups}}
Commands:{{range $all}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{end}}{{end}}{{if .HasAvailableLocalFlags}}
Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if .HasAvailableInheritedFlags}}
Everywhere:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if .HasAvailableSubCommands}}
` + "`{{.CommandPath}} COMMAND --help`" + ` tells more about one.
{{end}}`

// seeHelp is the next step after a wrong command line.
func seeHelp(cmd *cobra.Command) string { return "see `" + cmd.CommandPath() + " --help`" }

// flagError words a wrong flag.
func flagError(cmd *cobra.Command, err error) error {
	return &Error{ExitUsage, err.Error() + nearFlag(cmd, err), seeHelp(cmd)}
}

// nearFlag suggests flags for one that does not exist.
func nearFlag(cmd *cobra.Command, err error) string {
	missing, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return ""
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	return suggest.Phrase(suggest.Nearest("--"+missing.GetSpecifiedName(), names))
}

// unknown is the error for a command that is not there.
func unknown(cmd *cobra.Command, name string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, append(c.Aliases, c.Name())...)
		}
	}
	return &Error{ExitUsage, fmt.Sprintf("there is no command %q", cmd.CommandPath()+" "+name) + suggest.Phrase(suggest.Nearest(name, names)), seeHelp(cmd)}
}

// args wraps a check of the arguments, so that a wrong number of them is an
// error of usage that says what to write.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check(cmd, args) == nil {
			return nil
		}
		what := fmt.Sprintf("%q does not take %d arguments", cmd.CommandPath(), len(args))
		switch len(args) {
		case 0:
			what = fmt.Sprintf("%q needs an argument", cmd.CommandPath())
		case 1:
			what = fmt.Sprintf("%q does not take the argument %q", cmd.CommandPath(), args[0])
		}
		hint := "write `" + cmd.Parent().CommandPath() + " " + cmd.Use + "`"
		if strings.Contains(cmd.Use, "PROMPT") {
			hint += ", with a prompt of several words in quotes"
		}
		return &Error{ExitUsage, what, hint}
	}
}

// parent makes a command that only holds others: with nothing behind it, it
// tells which there are.
func parent(cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknown(cmd, args[0])
		}
		return cmd.Help()
	}
	return cmd
}

// choice is a flag whose value is one of a few words.
type choice struct {
	value string
	of    []string
}

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return "string" }

// Set takes a word, or says which there are.
func (c *choice) Set(text string) error {
	if !slices.Contains(c.of, text) {
		return fmt.Errorf("use %s", strings.Join(c.of, ", "))
	}
	c.value = text
	return nil
}

// choiceFlag adds a flag whose first word is the default.
func choiceFlag(cmd *cobra.Command, name, short, usage string, of ...string) *choice {
	c := &choice{of[0], of}
	cmd.Flags().VarP(c, name, short, usage+": "+strings.Join(of, ", "))
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(of, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return c
}

// optionFlag adds a flag that is one of a few words, or not given.
func optionFlag(cmd *cobra.Command, name, usage string, of ...string) *choice {
	c := &choice{"", of}
	cmd.Flags().Var(c, name, usage+": "+strings.Join(of, ", "))
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(of, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return c
}

// helpCommand is `help [COMMAND]`; cobra's own is content with any word.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Tell how a command is used", GroupID: "about", Args: cobra.ArbitraryArgs,
		Example: "  tailplane help serve\n  tailplane serve --help",
		RunE: func(cmd *cobra.Command, args []string) error {
			at := cmd.Root()
			for _, name := range args {
				i := slices.IndexFunc(at.Commands(), func(c *cobra.Command) bool { return c.Name() == name || c.HasAlias(name) })
				if i < 0 {
					return unknown(at, name)
				}
				at = at.Commands()[i]
			}
			return at.Help()
		},
	}
}

// completionCommand prints what a shell needs to complete our commands.
func completionCommand() *cobra.Command {
	shells := map[string]func(root *cobra.Command, w io.Writer) error{
		"bash":       func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"zsh":        func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) },
		"fish":       func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
		"powershell": func(root *cobra.Command, w io.Writer) error { return root.GenPowerShellCompletionWithDesc(w) },
	}
	names := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use: "completion SHELL", Short: "Print a script that completes commands: " + strings.Join(names, ", "), GroupID: "about",
		Args: args(cobra.ExactArgs(1)), ValidArgs: names,
		Example: "  source <(tailplane completion bash)\n  tailplane completion fish > ~/.config/fish/completions/tailplane.fish",
		RunE: func(cmd *cobra.Command, args []string) error {
			write, ok := shells[args[0]]
			if !ok {
				return &Error{ExitUsage, fmt.Sprintf("%q is no shell that is known here", args[0]) + suggest.Phrase(suggest.Nearest(args[0], names)), "use " + strings.Join(names, ", ")}
			}
			return write(cmd.Root(), cmd.OutOrStdout())
		},
	}
}
