package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tailplane/internal/config"
	"tailplane/internal/egress"
)

func egressCommand(d Deps) *cobra.Command {
	cmd := parent(&cobra.Command{
		Use: "egress", Short: "What can be reached from here, and what was", GroupID: "look",
		Example: "  tailplane egress list -c tailplane.yaml   # for the firewall ticket\n  tailplane egress report                   # what was contacted since the start",
	})
	cmd.AddCommand(egressList(d), egressReport(d))
	return cmd
}

// allowed is the reason of what no target names.
const allowed = "egress.allow"

// reachable is everything that a config can lead to.
type reachable struct {
	Default      string               `json:"default"`
	Destinations []egress.Destination `json:"destinations"`
}

func egressList(d Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the hosts and ports that a config can reach, and why", Args: args(cobra.NoArgs),
		Example: "  tailplane egress list -c tailplane.yaml\n  tailplane egress list -o json",
		Long: "List the hosts and ports that a config can reach, and why: for the firewall ticket. Nothing is contacted.\n" +
			"With `egress.default: deny` nothing else is let out; names are looked up at this machine's DNS server,\n" +
			"except those that are reached through a proxy.",
	}
	format := outputFlag(cmd)
	path := cmd.Flags().StringP("config", "c", "", "config file (default: the one that serve would use)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		f, err := readConfig(cmp.Or(*path, d.FindConfig()), "tailplane egress list -c FILE")
		if err != nil {
			return err
		}
		list := reachable{Default: cmp.Or(f.Egress.Default, "allow"), Destinations: f.Destinations()}
		for _, pattern := range f.Egress.Allow {
			list.Destinations = append(list.Destinations, egress.Destination{Address: pattern, Why: allowed})
		}
		if list.Destinations == nil {
			list.Destinations = []egress.Destination{}
		}
		err = emit(cmd, format, list, func(w io.Writer) error { return reachTable(w, list.Destinations) })
		if err == nil && list.Default == "allow" {
			_, err = fmt.Fprintln(cmd.ErrOrStderr(), "note: egress.default is allow: this is what the config names; `default: deny` lets out nothing else")
		}
		return err
	}
	return cmd
}

func reachTable(w io.Writer, list []egress.Destination) error {
	var rows [][]string
	for _, d := range list {
		how := way(d.Via)
		if d.Why == allowed {
			how = "-" // a pattern; the way depends on the host
		}
		rows = append(rows, []string{d.Address, d.Why, how})
	}
	return columns(w, []string{"HOST:PORT", "WHY", "WAY"}, rows)
}

func way(via string) string {
	if via == "" {
		return "direct"
	}
	return "via " + via
}

// readConfig reads a config that is only looked at; its references need not be
// there.
func readConfig(path, write string) (*config.File, error) {
	text, err := configText(path, write)
	if err != nil {
		return nil, err
	}
	f, problems := config.Parse(path, text)
	if len(problems) > 0 {
		lines := make([]string, len(problems))
		for i, p := range problems {
			lines[i] = p.String()
		}
		return nil, &Error{ExitProblem, strings.Join(lines, "\n"), "mend it; `tailplane check` shows the places"}
	}
	return f, nil
}

func egressReport(d Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use: "report", Short: "List what the running tailplane has contacted", Args: args(cobra.NoArgs),
		Example: "  tailplane egress report\n  tailplane egress report -o json",
		Long:    "List every host and port that was dialed since the start, the refused ones included. Exits 7 when one was\nrefused.",
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		var r egress.Report
		if err := c.get(cmd.Context(), "/egress", nil, &r); err != nil {
			return err
		}
		if err := emit(cmd, format, r, func(w io.Writer) error { return contactTable(w, &r) }); err != nil {
			return err
		}
		return refusals(&r)
	}
	return cmd
}

func contactTable(w io.Writer, r *egress.Report) error {
	p := &printer{w: w}
	if len(r.Contacts) == 0 {
		p.line("nothing was contacted since the start (egress.default: %s)", r.Default)
		return p.err
	}
	var rows [][]string
	for _, c := range r.Contacts {
		rows = append(rows, []string{
			c.Address, c.Why, way(c.Via), fmt.Sprint(c.Dials), fmt.Sprint(c.Failed), fmt.Sprint(c.Refused),
			c.Last.Format("2006-01-02 15:04:05Z"), c.Outcome,
		})
	}
	if err := columns(w, []string{"HOST:PORT", "WHY", "WAY", "DIALS", "FAILED", "REFUSED", "LAST", "OUTCOME"}, rows); err != nil {
		return err
	}
	for _, c := range r.Contacts {
		if c.Error != "" {
			p.line("%s: %s", c.Address, c.Error)
		}
	}
	if r.Unlisted > 0 {
		p.line("%d more dials, to destinations that the list has no room for", r.Unlisted)
	}
	return p.err
}

// refusals is the problem that a report shows, if any.
func refusals(r *egress.Report) error {
	var dials uint64
	for _, c := range r.Contacts {
		dials += c.Refused
	}
	if dials == 0 {
		return nil
	}
	what := fmt.Sprintf("%d dials were refused by the policy", dials)
	if dials == 1 {
		what = "1 dial was refused by the policy"
	}
	return &Error{ExitProblem, what, "the list says why; what is wanted is added to egress.allow"}
}
