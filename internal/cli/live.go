package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tailplane/internal/config"
	"tailplane/internal/probe"
)

// looked is what a live check has found.
type looked struct {
	Config  string         `json:"config"`
	Hash    string         `json:"config_hash"`
	Targets []probe.Result `json:"targets"`
}

// checkLive looks at the targets of a config.
func checkLive(cmd *cobra.Command, d Deps, f *config.File, format *choice) error {
	results, err := d.Live(cmd.Context(), f)
	if err != nil {
		return &Error{ExitProblem, err.Error(), ""}
	}
	if err := cmd.Context().Err(); err != nil {
		return err
	}
	if err := emit(cmd, format, looked{f.Name, f.Hash, results}, func(w io.Writer) error { return lookTable(w, results) }); err != nil {
		return err
	}
	ill := map[string]bool{}
	for _, r := range results {
		if r.Verdict == probe.Problem {
			ill[r.Target] = true
		}
	}
	if len(ill) > 0 {
		return &Error{ExitProblem, fmt.Sprintf("%s: %d of %d targets have problems", f.Name, len(ill), len(f.Targets)), ""}
	}
	return nil
}

func lookTable(w io.Writer, results []probe.Result) error {
	var rows [][]string
	for _, r := range results {
		name := r.Target + with(" ", r.Key)
		for _, f := range r.Findings {
			rows = append(rows, []string{name, string(f.Verdict), f.What + with("; ", f.Do)})
			name = ""
		}
	}
	return columns(w, []string{"TARGET", "STATE", "WHAT WAS FOUND"}, rows)
}
