package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tailplane/internal/facts"
)

func auditCommand(d Deps) *cobra.Command {
	cmd := auditList(d)
	cmd.Use, cmd.GroupID = "audit", "look"
	cmd.Example = "  tailplane audit\n  tailplane audit --kind key --from 2026-11-01\n  tailplane audit verify"
	cmd.Short = "Tell who changed what, and whether the record of it is whole"
	cmd.AddCommand(auditList(d), auditVerify(d))
	return cmd
}

func auditList(d Deps) *cobra.Command {
	var kind, name, actor, from, to string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List changes, the newest first", Args: args(cobra.NoArgs),
		Example: "  tailplane audit list\n  tailplane audit list --actor user:ann@example.com -o json",
	}
	format := outputFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&kind, "kind", "", "only of what: key, customer, team, organisation, reload, link, session, role, drain, budget, rerate, statement, install")
	f.StringVar(&name, "name", "", "only of this name")
	f.StringVar(&actor, "actor", "", "only by whom")
	f.StringVar(&from, "from", "", "first day, or time (RFC 3339)")
	f.StringVar(&to, "to", "", "end, exclusive")
	f.IntVar(&limit, "limit", 50, "how many at most, up to 1000")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		q := url.Values{"kind": {kind}, "name": {name}, "actor": {actor}, "from": {from}, "to": {to}, "limit": {strconv.Itoa(limit)}}
		var list []facts.Audit
		if err := c.get(cmd.Context(), "/audit", q, &list); err != nil {
			return err
		}
		return emit(cmd, format, list, func(w io.Writer) error {
			var rows [][]string
			for _, a := range list {
				rows = append(rows, []string{strconv.FormatInt(a.Seq, 10), a.At.Local().Format(time.DateTime), a.Actor, a.Kind, a.Name, changeOf(a)})
			}
			return columns(w, []string{"NUMBER", "AT", "WHO", "WHAT", "NAME", "CHANGE"}, rows)
		})
	}
	return cmd
}

// changeOf is a change in a line: the members that it changed.
func changeOf(a facts.Audit) string {
	var before, after map[string]json.RawMessage
	_ = json.Unmarshal(a.Before, &before) // what is no object has no members
	_ = json.Unmarshal(a.After, &after)
	if a.After == nil {
		return "removed"
	}
	names := map[string]bool{}
	for _, doc := range []map[string]json.RawMessage{before, after} {
		for name := range doc {
			names[name] = true
		}
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, is := string(before[name]), string(after[name])
		switch {
		case was == is:
		case name == "secrets":
			parts = append(parts, "another text")
		case was == "" || a.Before == nil:
			parts = append(parts, name+" "+is)
		default:
			parts = append(parts, fmt.Sprintf("%s %s -> %s", name, was, orDash(is)))
		}
	}
	verb := "changed: "
	if a.Before == nil {
		verb = "made: "
	}
	return verb + strings.Join(parts, ", ")
}

func auditVerify(d Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify", Short: "Check that nobody changed the record", Args: args(cobra.NoArgs),
		Example: "  tailplane audit verify",
		Long: "Check that nobody changed the record of changes, nor what it is about, behind the program's back. What is\n" +
			"printed as the head can be kept elsewhere: a record that was cut short has another one. Exits 7 when\n" +
			"something is wrong.",
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		var report facts.AuditReport
		if err := c.get(cmd.Context(), "/audit/verify", nil, &report); err != nil {
			return err
		}
		err = emit(cmd, format, report, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "%d records, head %s\n", report.Records, orDash(report.Head))
			return err
		})
		if err == nil && !report.OK() {
			err = &Error{ExitProblem, "the record is not as it was written:\n" + strings.Join(report.Problems, "\n"), "compare it with a backup of the state directory or of the database"}
		}
		return err
	}
	return cmd
}
