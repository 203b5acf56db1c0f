// Command tailplane is the gateway between an AI product and every model it
// uses. See the README, or run it with --help.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"tailplane/internal/app"
	"tailplane/internal/cli"
)

// version is set by the release build.
var version = "0.1.0-dev"

func main() { os.Exit(run(os.Args[1:])) }

// run is the program up to its exit code. Ctrl-C is told apart from an orderly
// stop (SIGTERM): a script must see that it was interrupted.
func run(args []string) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		cause := errStopped
		if <-signals == os.Interrupt {
			cause = errInterrupted
		}
		signal.Stop(signals) // a second signal ends the program at once
		cancel(cause)
	}()
	root := cli.NewRoot(cli.Deps{
		Version: version, Serve: serve, Live: app.Live, Explain: app.ExplainFile, FindConfig: app.FindConfig, Detected: app.Detected, Running: running,
		StateDir: stateDir,
	})
	root.SetArgs(args)
	root.SetIn(&interruptible{ctx, os.Stdin})
	err := root.ExecuteContext(ctx)
	if err == nil && context.Cause(ctx) == errInterrupted {
		return cli.ExitInterrupted
	}
	return cli.Report(os.Stderr, err)
}

// interruptible is an input whose reader is let go at the end of ctx: nobody has to
// press Ctrl-C twice because a command waits for what is typed.
type interruptible struct {
	ctx  context.Context
	from io.Reader
}

func (in *interruptible) Read(p []byte) (int, error) {
	type part struct {
		n   int
		err error
	}
	read, own := make(chan part, 1), make([]byte, len(p)) // a read that is left alone must not write into p
	go func() {
		n, err := in.from.Read(own)
		read <- part{n, err}
	}()
	select {
	case <-in.ctx.Done():
		return 0, in.ctx.Err()
	case got := <-read:
		return copy(p, own[:got.n]), got.err
	}
}

// The two ways of being told to stop.
var (
	errInterrupted = errors.New("interrupted")
	errStopped     = errors.New("told to stop")
)

// serve runs the gateway. A config with problems is an outcome of its own for
// the exit code.
func serve(ctx context.Context, o cli.ServeOptions, out, errs io.Writer) error {
	debug.SetMemoryLimit(app.MemoryLimit())
	ballast := app.Ballast()
	defer runtime.KeepAlive(ballast)
	signal.Ignore(syscall.SIGPIPE) // a reader of our output that went away is no reason to stop serving
	err := app.Serve(ctx, app.Options{
		Version: version, Config: o.Config, Data: o.Data, Admin: o.Admin, State: o.State,
		NoDetect: o.NoDetect, Ephemeral: o.Ephemeral, NoWatch: o.NoWatch, LogFormat: o.LogFormat, Out: out, Err: errs,
	}, nil)
	if errors.Is(err, app.ErrNoConfig) {
		return &cli.Error{Code: cli.ExitNotFound, What: err.Error(), Hint: "`tailplane config init > tailplane.yaml` makes one to begin with"}
	}
	if used, ok := errors.AsType[*app.InUseError](err); ok {
		return &cli.Error{Code: cli.ExitConflict, What: used.Error(), Hint: "stop that one, or give this one a directory of its own with --state"}
	}
	if problems, ok := errors.AsType[*app.ProblemsError](err); ok {
		return &cli.Error{Code: cli.ExitProblem, What: "the config is refused\n" + problems.Error(), Hint: "mend it; `tailplane check` tells the same without starting"}
	}
	return err
}

func stateDir(state string) (string, error) {
	if state != "" {
		return state, nil
	}
	return app.FindState()
}

func running(state string) (cli.Running, error) {
	state, err := stateDir(state)
	if err != nil {
		return cli.Running{}, err
	}
	r, token, err := app.FindRunning(state)
	return cli.Running{Data: r.Data, Admin: r.Admin, Token: token, DataKey: r.DataKey, AdminKey: r.AdminKey}, err
}
