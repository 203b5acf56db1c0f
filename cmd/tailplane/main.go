// Command tailplane is the gateway between an AI product and every model it
// uses. See the README, or run it with --help.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"tailplane/internal/app"
	"tailplane/internal/cli"
	"tailplane/internal/secret"
)

// version is set by the release build.
var version = "0.1.0-dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the program at once
	}()
	root := cli.NewRoot(cli.Deps{
		Version: version, Serve: serve, FindConfig: app.FindConfig, Detected: app.Detected, Running: running,
	})
	os.Exit(cli.Report(os.Stderr, root.ExecuteContext(ctx)))
}

// serve runs the gateway. A config with problems is an outcome of its own for
// the exit code.
func serve(ctx context.Context, o cli.ServeOptions, out, errs io.Writer) error {
	debug.SetMemoryLimit(app.MemoryLimit())
	err := app.Serve(ctx, app.Options{
		Version: version, Config: o.Config, Data: o.Data, Admin: o.Admin, State: o.State,
		NoDetect: o.NoDetect, Ephemeral: o.Ephemeral, NoWatch: o.NoWatch, LogFormat: o.LogFormat, Out: out, Err: errs,
	}, nil)
	if problems, ok := errors.AsType[*app.ProblemsError](err); ok {
		return &cli.Error{Code: cli.ExitProblem, What: "the config is refused\n" + problems.Error(), Hint: "mend it; `tailplane check` tells the same without starting"}
	}
	return err
}

func running(state string) (data, admin string, token secret.Value, err error) {
	if state == "" {
		if state, err = app.DefaultState(); err != nil {
			return "", "", secret.Value{}, err
		}
	}
	r, token, err := app.FindRunning(state)
	return r.Data, r.Admin, token, err
}
