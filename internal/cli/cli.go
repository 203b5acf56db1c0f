// Package cli is the command line.
//
// It owns the command tree, what is printed and the exit codes. It talks to a
// running program over its admin API, and to packages that are pure; it never
// builds a plane (package app does, handed in as a function).
//
// Its rules: stdout is data, stderr is everything else. Every command has an
// example. Errors say what went wrong and one thing to do next. Nothing is
// listed that does not work.
//
// Start reading at [NewRoot].
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tailplane/internal/admin"
	"tailplane/internal/config"
	"tailplane/internal/gateway"
	"tailplane/internal/probe"
	"tailplane/internal/secret"
)

// Exit codes. 7 is success that found a problem, so that CI can branch on it.
const (
	ExitOK           = 0
	ExitFailed       = 1
	ExitUsage        = 2
	ExitUnauthorized = 3
	ExitNotFound     = 4
	ExitConflict     = 5
	ExitUnreachable  = 6
	ExitProblem      = 7
	ExitInterrupted  = 130
)

// Error is a failure as it is told: what, what to do next, and the exit code.
type Error struct {
	Code int
	What string
	Hint string
}

func (e *Error) Error() string { return e.What }

// ServeOptions are the flags of `serve`.
type ServeOptions struct {
	Config, Data, Admin, State, LogFormat string
	NoDetect, Ephemeral, NoWatch          bool
}

// Running is where a program is found, and what opens it.
type Running struct {
	Data, Admin string // host:port
	Token       secret.Value
	// DataKey and AdminKey are the SHA-256 of the public keys of listeners with
	// TLS, as hex; empty without.
	DataKey, AdminKey string
}

// Deps is what the commands need from the rest of the program.
type Deps struct {
	Version string
	Serve   func(ctx context.Context, opt ServeOptions, out, err io.Writer) error
	// Live looks at the targets of a valid config.
	Live func(ctx context.Context, f *config.File) ([]probe.Result, error)
	// Explain tells what would become of a request by a valid config alone; false
	// when that has no key of the order's name.
	Explain func(ctx context.Context, f *config.File, order admin.Explain) (gateway.Explained, bool, error)
	// FindConfig is the config file that a run would use; empty when none.
	FindConfig func() string
	// Detected is what zero-config would run, as YAML.
	Detected func(ctx context.Context) (string, error)
	// Running finds the program that runs with a state directory; "" is the
	// default one.
	Running func(state string) (Running, error)
	// StateDir is the state directory that a run would use; "" is the default
	// one.
	StateDir func(state string) (string, error)
}

// NewRoot builds the command tree.
func NewRoot(d Deps) *cobra.Command {
	root := parent(&cobra.Command{
		Use:   "tailplane",
		Short: "The gateway between an AI product and every model it uses",
		Long: "Tailplane sits between an AI product and every model it uses: managed APIs, engines in a cluster,\n" +
			"GPUs at a customer's site. It speaks the APIs of OpenAI, Anthropic, Google and Bedrock, falls back,\n" +
			"counts and explains.",
		Example:       "  tailplane serve                  # no config needed\n  tailplane try \"hello\"            # in a second terminal",
		SilenceErrors: true,
		SilenceUsage:  true,
	})
	root.PersistentFlags().String("state", "", "state directory of the running program (default: ledger.dir of ./tailplane.yaml, $TAILPLANE_STATE, or ~/.local/state/tailplane)")
	root.SetFlagErrorFunc(flagError)
	root.SetHelpTemplate(helpTemplate)
	root.SetUsageTemplate(usageTemplate)
	root.CompletionOptions.DisableDefaultCmd = true
	cobra.EnableCommandSorting = false
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Run:"},
		&cobra.Group{ID: "config", Title: "Configuration:"},
		&cobra.Group{ID: "look", Title: "Look:"},
		&cobra.Group{ID: "about", Title: "About:"},
	)
	root.AddCommand(
		serveCommand(d), tryCommand(d), envCommand(d), keysCommand(d), rerateCommand(d),
		configCommand(d), checkCommand(d), importCommand(), catalogCommand(d), routeCommand(d),
		whyCommand(d), usageCommand(d), statementCommand(d), reconcileCommand(d), exportCommand(d), modelsCommand(d), statusCommand(d), egressCommand(d), targetsCommand(d), budgetsCommand(d), ledgerCommand(d), auditCommand(d), adminCommand(d), benchCommand(d),
		versionCommand(d), completionCommand(),
	)
	root.AddCommand(partyCommands(d)...)
	root.SetHelpCommand(helpCommand())
	return root
}

// Report prints an error and returns the exit code for it.
func Report(w io.Writer, err error) int {
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{Code: ExitFailed, What: err.Error()}
	}
	if e.What != "" {
		_, _ = fmt.Fprintf(w, "error: %s\n", strings.TrimSpace(e.What))
	}
	if e.Hint != "" {
		_, _ = fmt.Fprintf(w, "hint:  %s\n", e.Hint)
	}
	return e.Code
}

func versionCommand(d Deps) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", GroupID: "about", Example: "  tailplane version", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "tailplane "+d.Version)
			return err
		},
	}
}
