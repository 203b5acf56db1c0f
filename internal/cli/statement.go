package cli

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tailplane/internal/admin"
	"tailplane/internal/catalog"
	"tailplane/internal/statement"
)

func statementCommand(d Deps) *cobra.Command {
	cmd := parent(&cobra.Command{
		Use: "statement", Short: "Make, check and join signed usage statements", GroupID: "look",
		Example: "  tailplane statement make --customer acme --month 2026-11 acme-2026-11.json\n  tailplane statement verify --key site.pub acme-*.json\n  tailplane statement merge --by customer,model --key site.pub *.json",
		Long: "A statement says what one customer, or all of them, used in one month at one site: a signed file that can be\n" +
			"mailed, and checked and added up anywhere. It holds no prompts, no answers and no keys.",
	})
	cmd.AddCommand(statementMake(d), statementVerify(d), statementMerge(d), statementKey(d))
	return cmd
}

func statementMake(d Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use: "make [FILE]", Short: "Make the statement of a month, or fetch the one that was made", Args: args(cobra.MaximumNArgs(1)),
		Example: "  tailplane statement make --customer acme --month 2026-11 acme-2026-11.json\n  tailplane statement make --month 2026-11 --draft      # everybody's, as it stands now",
		Long: "Make the statement of a month, with the site's next number for the customer; asked again, the same file comes.\n" +
			"It can be made from an hour after the month's end on, month after month. A draft takes no number and can be\n" +
			"made at any time. Without FILE it goes to stdout; a FILE that is there is not written over.",
	}
	f := cmd.Flags()
	customer := f.String("customer", "", "whose usage (default: everybody's, told apart)")
	month := f.String("month", "", "month in UTC, as 2026-11")
	again := f.Bool("again", false, "make another one, which replaces the one that was made")
	draft := f.Bool("draft", false, "take no number: the statement that was made, or a look at the month")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if _, err := statement.ParseMonth(*month); err != nil {
			return &Error{ExitUsage, "--month: " + err.Error(), seeHelp(cmd)}
		}
		if *draft && *again {
			return &Error{ExitUsage, "--draft and --again exclude each other", seeHelp(cmd)}
		}
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		c.http.Timeout = 0 // a large month takes its time; Ctrl-C ends it
		file, err := c.statement(cmd.Context(), *draft, admin.NewStatement{Customer: *customer, Month: *month, Again: *again})
		if err != nil {
			return err
		}
		if len(args) == 0 {
			_, err = cmd.OutOrStdout().Write(file)
			return err
		}
		if err := writeFile(args[0], func(w io.Writer) error { _, err := w.Write(file); return err }); err != nil {
			return err
		}
		s, err := statement.Open(file)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s, %s, number %s, $%s, signed by %s\n", args[0], s.Site, s.Month, numberOf(s), s.Totals.Cost.Dollars(), catalog.KeyID(s.Key))
		return err
	}
	return cmd
}

func (c *client) statement(ctx context.Context, draft bool, order admin.NewStatement) ([]byte, error) {
	var file json.RawMessage
	var err error
	if draft {
		err = c.get(ctx, "/statement", url.Values{"customer": {order.Customer}, "month": {order.Month}}, &file)
	} else {
		err = c.do(ctx, http.MethodPost, "/statement", nil, order, &file)
	}
	if err != nil {
		return nil, err
	}
	return indented(file)
}

// indented is a file as it is kept: on its way it lost its lines.
func indented(file json.RawMessage) ([]byte, error) {
	s, err := statement.Open(file)
	if err != nil {
		return nil, err
	}
	return s.File()
}

// writeFile writes a file whole or not at all, and over no other.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tailplane-*")
	if err != nil {
		return &Error{ExitFailed, fmt.Sprintf("%s cannot be written: %v", path, err), ""}
	}
	defer os.Remove(f.Name())
	err = errors.Join(write(f), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Link(f.Name(), path)
	}
	if errors.Is(err, fs.ErrExist) {
		return &Error{ExitConflict, path + " is there already", "name another file, or remove it"}
	}
	return err
}

func numberOf(s *statement.Signed) string {
	if s.Draft() {
		return "- (a draft)"
	}
	return fmt.Sprint(s.Number)
}

// keyFlag adds the keys that are trusted.
func keyFlag(cmd *cobra.Command) *[]string {
	return cmd.Flags().StringArray("key", nil, "public key of a site that is trusted, or a file with it (default: that of this site)")
}

// trusted reads them.
func trusted(cmd *cobra.Command, d Deps, given []string) ([]ed25519.PublicKey, error) {
	if len(given) == 0 {
		state, _ := cmd.Flags().GetString("state") // declared on the root
		dir, err := d.StateDir(state)
		if err != nil {
			return nil, err
		}
		path := filepath.Join(dir, statement.PublicFile)
		if _, err := os.Stat(path); err != nil {
			return nil, &Error{ExitUsage, "no key is trusted", "name the site's with --key: `tailplane statement key` prints it there"}
		}
		given = []string{path}
	}
	var out []ed25519.PublicKey
	for _, g := range given {
		text := g
		if raw, err := os.ReadFile(g); err == nil {
			text = string(raw)
		}
		k, err := catalog.ParseKey(text)
		if err != nil {
			return nil, &Error{ExitUsage, fmt.Sprintf("--key %s: %v", g, err), "give the key, or the path of a file with it"}
		}
		out = append(out, k)
	}
	return out, nil
}

// checked is a file and what was found about it.
type checked struct {
	File string `json:"file"`
	statement.Report
}

// verifyFiles checks files, those of a site and a customer against each other in the
// order of their numbers.
func verifyFiles(paths []string, keys []ed25519.PublicKey) ([]checked, error) {
	out := make([]checked, len(paths))
	files := map[string][]byte{}
	for i, path := range paths {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &Error{ExitNotFound, path + " is not there", ""}
		}
		if err != nil {
			return nil, err
		}
		files[path] = text
		out[i] = checked{path, statement.Verify(text, keys, nil)}
	}
	slices.SortStableFunc(out, func(a, b checked) int {
		return cmp.Or(cmp.Compare(a.Site, b.Site), cmp.Compare(a.Customer, b.Customer), cmp.Compare(a.Number, b.Number), cmp.Compare(a.Month, b.Month))
	})
	for i := 1; i < len(out); i++ {
		a, b := &out[i-1], &out[i]
		if a.Signed != nil && b.Signed != nil && a.Site == b.Site && a.Customer == b.Customer && !a.Signed.Draft() {
			b.Report = statement.Verify(files[b.File], keys, a.Signed)
		}
	}
	return out, nil
}

// bad is the error about files that do not hold.
func bad(list []checked) error {
	n := 0
	for _, c := range list {
		if !c.OK() {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return &Error{ExitProblem, fmt.Sprintf("%d of %d files do not hold", n, len(list)), "ask the site for them again; its copies lie in its state directory, under statements"}
}

func statementVerify(d Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify FILE...", Short: "Check statements: signature, sums, and that they follow each other", Args: args(cobra.MinimumNArgs(1)),
		Example: "  tailplane statement verify --key 'iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=' acme-2026-11.json\n  tailplane statement verify --key site.pub acme-*.json",
		Long: "Check statements without asking anybody. Those of one site and customer are checked against each other: numbers,\n" +
			"digests and the ledger's chain go on without a gap. Exits 7 when one does not hold.",
	}
	format := outputFlag(cmd)
	given := keyFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, paths []string) error {
		keys, err := trusted(cmd, d, *given)
		if err != nil {
			return err
		}
		list, err := verifyFiles(paths, keys)
		if err != nil {
			return err
		}
		if err := emit(cmd, format, list, func(w io.Writer) error { return checkTable(w, list) }); err != nil {
			return err
		}
		return bad(list)
	}
	return cmd
}

func checkTable(w io.Writer, list []checked) error {
	p := &printer{w: w}
	for _, c := range list {
		verdict := "holds"
		if !c.OK() {
			verdict = "DOES NOT HOLD"
		}
		p.line("%s  %s", c.File, verdict)
		if c.Signed != nil {
			p.line("  %s, %s, %s, number %s, $%s, made %s, signed by %s", c.Site, cmp.Or(c.Customer, "all customers"), c.Month,
				numberOf(c.Signed), c.Cost, c.Signed.Made.Format(time.RFC3339), c.Key)
		}
		for _, text := range c.Problems {
			p.line("  problem: %s", text)
		}
		for _, text := range c.Notes {
			p.line("  note:    %s", text)
		}
	}
	return p.err
}

func statementMerge(d Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use: "merge FILE...", Short: "Add up statements of many sites", Args: args(cobra.MinimumNArgs(1)),
		Example: "  tailplane statement merge --key a.pub --key b.pub *.json                  # by customer and month\n  tailplane statement merge --key a.pub --by customer,model,day -o csv *.json",
		Long: "Add up statements, exactly, after each was checked as `verify` does. What would count twice is refused; what is\n" +
			"missing between the statements of a site is named, and makes it exit 7.",
	}
	format := choiceFlag(cmd, "output", "o", "form of the output", "table", "csv", "json")
	by := cmd.Flags().String("by", "customer,month", "columns to sum by: "+strings.Join(statement.Columns(), ", "))
	given := keyFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, paths []string) error {
		keys, err := trusted(cmd, d, *given)
		if err != nil {
			return err
		}
		var list []*statement.Signed
		var fail []checked
		for _, path := range paths {
			one, err := verifyFiles([]string{path}, keys)
			if err != nil {
				return err
			}
			if !one[0].OK() {
				fail = append(fail, one[0])
				continue
			}
			list = append(list, one[0].Signed)
		}
		if len(fail) > 0 {
			return errors.Join(checkTable(cmd.ErrOrStderr(), fail), bad(fail))
		}
		columns := strings.Split(*by, ",")
		m, err := statement.Merge(list, columns)
		if err != nil {
			return &Error{ExitUsage, err.Error(), ""}
		}
		if format.value == "csv" {
			err = mergeCSV(cmd.OutOrStdout(), columns, m)
		} else {
			err = emit(cmd, format, m, func(w io.Writer) error { return mergeTable(w, columns, m) })
		}
		if err != nil {
			return err
		}
		return gapsOf(cmd, m)
	}
	return cmd
}

func gapsOf(cmd *cobra.Command, m statement.Merged) error {
	for _, draft := range m.Drafts {
		if _, err := fmt.Fprintln(cmd.ErrOrStderr(), "note: a draft is in it: "+draft); err != nil {
			return err
		}
	}
	if len(m.Gaps) == 0 {
		return nil
	}
	return &Error{ExitProblem, strings.Join(m.Gaps, "\n"), "ask the sites for what is missing"}
}

func mergeTable(w io.Writer, by []string, m statement.Merged) error {
	var rows [][]string
	line := func(place []string, s statement.Sums) {
		rows = append(rows, append(place, fmt.Sprint(s.Requests), fmt.Sprint(s.Input), fmt.Sprint(s.CacheRead), fmt.Sprint(s.Output),
			"$"+s.Cost.Dollars(), fmt.Sprint(s.Unpriced), fmt.Sprint(s.Unknown)))
	}
	for i := range m.Rows {
		var place []string
		for _, b := range by {
			place = append(place, orDash(*m.Rows[i].Column(b)))
		}
		line(place, m.Rows[i].Sums)
	}
	all := make([]string, len(by))
	all[0] = "all"
	line(all, m.Totals)
	return columns(w, append(upper(by), "REQUESTS", "INPUT", "CACHED", "OUTPUT", "COST", "UNPRICED", "UNKNOWN"), rows)
}

func mergeCSV(w io.Writer, by []string, m statement.Merged) error {
	out := csv.NewWriter(w)
	_ = out.Write(append(slices.Clone(by), "requests", "input", "cache_read", "cache_write", "output", "reasoning",
		"images", "audio_millis", "characters", "search_units", "unpriced", "unknown", "cost_nano", "cost_usd")) // Flush tells the error
	for i := range m.Rows {
		r := &m.Rows[i]
		var line []string
		for _, b := range by {
			line = append(line, harmless(*r.Column(b)))
		}
		for _, n := range []int64{
			r.Requests, r.Input, r.CacheRead, r.CacheWrite, r.Output, r.Reasoning,
			r.Images, r.AudioMillis, r.Characters, r.SearchUnits, r.Unpriced, r.Unknown,
		} {
			line = append(line, fmt.Sprint(n))
		}
		_ = out.Write(append(line, r.Cost.String(), r.Cost.Dollars()))
	}
	out.Flush()
	return out.Error()
}

func statementKey(d Deps) *cobra.Command {
	return &cobra.Command{
		Use: "key", Short: "Print this site's public key, and its id", Args: args(cobra.NoArgs),
		Example: "  tailplane statement key > site.pub    # the id, to compare over the telephone, goes to stderr",
		RunE: func(cmd *cobra.Command, _ []string) error {
			state, _ := cmd.Flags().GetString("state") // declared on the root
			dir, err := d.StateDir(state)
			if err != nil {
				return err
			}
			text, err := os.ReadFile(filepath.Join(dir, statement.PublicFile))
			if errors.Is(err, fs.ErrNotExist) {
				return &Error{ExitNotFound, "this site has no key yet", "it is made at the first start of `tailplane serve`"}
			}
			if err != nil {
				return err
			}
			key, err := catalog.ParseKey(string(text))
			if err != nil {
				return &Error{ExitFailed, fmt.Sprintf("%s: %v", statement.PublicFile, err), ""}
			}
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", catalog.FormatKey(key)); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.ErrOrStderr(), "its id is %s\n", catalog.KeyID(key))
			return err
		},
	}
}
