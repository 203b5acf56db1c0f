package cli

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tailplane/internal/admin"
)

// Names are completed from the program that runs. Where none does, nothing is
// offered, and nothing is said: a shell shows what a completion says as its own.

// completeTime bounds the wait of somebody who pressed a key.
const completeTime = time.Second

// completing offers what list finds for the first argument; a tab and a
// description may follow a name.
func completing(d Deps, list func(*cobra.Command, *client) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return offered(cmd, d, list, begin), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFlag offers what list finds for a flag.
func completeFlag(cmd *cobra.Command, d Deps, flag string, list func(*cobra.Command, *client) ([]string, error)) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, begin string) ([]string, cobra.ShellCompDirective) {
		return offered(cmd, d, list, begin), cobra.ShellCompDirectiveNoFileComp
	}) // the flag is there
}

func offered(cmd *cobra.Command, d Deps, list func(*cobra.Command, *client) ([]string, error), begin string) []string {
	c, err := connect(cmd, d)
	if err != nil {
		return nil
	}
	parent := cmd.Context()
	if parent == nil {
		parent = context.Background() // a completion of the root's own has none
	}
	ctx, cancel := context.WithTimeout(parent, completeTime)
	defer cancel()
	cmd.SetContext(ctx)
	names, err := list(cmd, c)
	if err != nil {
		return nil
	}
	var out []string
	for _, name := range names {
		if strings.HasPrefix(name, begin) {
			out = append(out, name)
		}
	}
	return out
}

// completeTargets offers the targets of the running program for a flag.
func completeTargets(cmd *cobra.Command, d Deps, flag string) {
	completeFlag(cmd, d, flag, func(cmd *cobra.Command, c *client) ([]string, error) {
		var list []admin.Model
		err := c.get(cmd.Context(), "/models", url.Values{}, &list)
		seen := map[string]bool{}
		var names []string
		for _, m := range list {
			for _, at := range m.Candidates {
				if !seen[at.Target] {
					seen[at.Target] = true
					names = append(names, at.Target)
				}
			}
		}
		return names, err
	})
}
