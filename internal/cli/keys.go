package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tailplane/internal/admin"
)

func keysCommand(d Deps) *cobra.Command {
	cmd := parent(&cobra.Command{
		Use: "keys", Short: "Make, change and show client keys", GroupID: "run",
		Example: "  tailplane keys create app --team search   # its text is shown once\n  tailplane keys list\n  tailplane keys rotate app --grace 24h",
	})
	cmd.AddCommand(keysCreate(d), keysList(d), keysShow(d), keysUpdate(d), keysRotate(d), keysRevoke(d), keysImport(d), keysAWS(d))
	return cmd
}

// keyNames offers the keys of the running program.
func keyNames(d Deps) cobra.CompletionFunc {
	return completing(d, func(cmd *cobra.Command, c *client) ([]string, error) {
		var list []admin.KeyInfo
		err := c.get(cmd.Context(), "/keys", nil, &list)
		var names []string
		for _, k := range list {
			names = append(names, k.Name+"\t"+k.ID)
		}
		return names, err
	})
}

// scope are the flags that say what a key belongs to and may do.
type scope struct {
	organisation, team, customer string
	surfaces, networks           []string
	names, routes                bool
	turn                         *turn
	rules                        *rules
}

func scopeFlags(cmd *cobra.Command, d Deps) *scope {
	s := &scope{rules: ruleFlags(cmd), turn: turnFlags(cmd)}
	f := cmd.Flags()
	f.StringVar(&s.organisation, "organisation", "", "organisation that it belongs to")
	f.StringVar(&s.team, "team", "", "team that it belongs to")
	f.StringVar(&s.customer, "customer", "", "customer that it calls for")
	f.StringArrayVar(&s.surfaces, "surface", nil, "operation or dialect that may be used, such as chat or embeddings; can be repeated")
	f.StringArrayVar(&s.networks, "network", nil, "address or network that may call, such as 10.0.0.0/8; can be repeated")
	f.BoolVar(&s.names, "may-name-customers", false, "the caller may say which customer a request is for")
	f.BoolVar(&s.routes, "may-route", false, "the caller may choose targets, by `models` and `provider` in the request")
	for _, level := range []string{"organisation", "team", "customer"} {
		completeFlag(cmd, d, level, partyNames(level+"s"))
	}
	return s
}

// into puts what was given into an order.
func (s *scope) into(cmd *cobra.Command, order map[string]any) error {
	for flag, value := range map[string]any{
		"organisation": s.organisation, "team": s.team, "customer": s.customer, "surface": given(s.surfaces), "network": networks(given(s.networks)), "may-name-customers": s.names, "may-route": s.routes,
	} {
		if cmd.Flags().Changed(flag) {
			member := map[string]string{"surface": "surfaces", "network": "networks", "may-name-customers": "may_name_customers", "may-route": "may_route"}[flag]
			if member == "" {
				member = flag
			}
			order[member] = value
		}
	}
	s.turn.into(cmd, order)
	return s.rules.into(order)
}

// networks are networks in full: a single address is one of its own.
func networks(list []string) []string {
	out := make([]string, len(list))
	for i, text := range list {
		switch {
		case strings.Contains(text, "/"):
		case strings.Contains(text, ":"):
			text += "/128"
		default:
			text += "/32"
		}
		out[i] = text
	}
	return out
}

func keysCreate(d Deps) *cobra.Command {
	var label string
	var lifetime time.Duration
	var never, ephemeral bool
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a key; its text is shown this once", Args: args(cobra.ExactArgs(1)),
		Example: "  tailplane keys create app\n  tailplane keys create app --team search --model 'gpt-*' --budget 500/month:hard\n  tailplane keys create batch --for 720h --requests 600/m -o json",
		Long: "Make a key and print its text, which is kept nowhere. It lives for a year unless --for or --never says\n" +
			"otherwise. What it spends is counted under its id, whatever its text becomes.",
	}
	s := scopeFlags(cmd, d)
	f := cmd.Flags()
	f.StringVar(&label, "label", "", "word that stands in the key's text, so that people know whose it is")
	f.DurationVar(&lifetime, "for", 0, "how long it lives, such as 720h (default: a year)")
	f.BoolVar(&never, "never", false, "it lives without end")
	f.BoolVar(&ephemeral, "ephemeral", false, "it ends with the running program")
	cmd.MarkFlagsMutuallyExclusive("for", "never")
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		order := map[string]any{"name": args[0], "label": label, "ephemeral": ephemeral, "lifetime_s": int64(lifetime / time.Second)}
		if never {
			order["lifetime_s"] = -1
		}
		if err := s.into(cmd, order); err != nil {
			return err
		}
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		var made admin.MadeKey
		if err := c.do(cmd.Context(), http.MethodPost, "/keys", nil, order, &made); err != nil {
			return err
		}
		return emitText(cmd, format, made)
	}
	return cmd
}

// emitText prints a key's text on stdout, alone, and what it is on stderr.
func emitText(cmd *cobra.Command, format *choice, made admin.MadeKey) error {
	return emit(cmd, format, made, func(w io.Writer) error {
		fmt.Fprintf(cmd.ErrOrStderr(), "key %s (%s), until %s; its text is shown this once:\n", made.Name, made.ID, day(made.Expires))
		_, err := fmt.Fprintln(w, made.Text)
		return err
	})
}

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateOnly)
}

func keysList(d Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the keys", Args: args(cobra.NoArgs),
		Example: "  tailplane keys list\n  tailplane keys list --team search --only usable\n  tailplane keys list -o json",
	}
	format := outputFlag(cmd)
	filters := map[string]*string{}
	for flag, usage := range map[string]string{"organisation": "only of this organisation", "team": "only of this team", "customer": "only of this customer"} {
		filters[flag] = cmd.Flags().String(flag, "", usage)
	}
	only := optionFlag(cmd, "only", "only in this state", "usable", "expired", "revoked", "broken")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		q := url.Values{}
		if only.value != "" {
			q.Set("state", only.value)
		}
		for name, value := range filters {
			if *value != "" {
				q.Set(name, *value)
			}
		}
		var list []admin.KeyInfo
		if err := c.get(cmd.Context(), "/keys", q, &list); err != nil {
			return err
		}
		return emit(cmd, format, list, func(w io.Writer) error {
			var rows [][]string
			for _, k := range list {
				rows = append(rows, []string{
					k.ID, k.Name, belongs(k.Organisation, k.Team, k.Customer), orDash(strings.Join(k.Models, ",")), k.State, day(k.Created), day(k.Expires), day(k.LastUsed),
				})
			}
			return columns(w, []string{"ID", "NAME", "OF", "MODELS", "STATE", "MADE", "UNTIL", "USED"}, rows)
		})
	}
	return cmd
}

// belongs are parties in a word, from the top down.
func belongs(parts ...string) string {
	var set []string
	for _, p := range parts {
		if p != "" {
			set = append(set, p)
		}
	}
	return orDash(strings.Join(set, "/"))
}

// onKey is a command about one key that answers with it.
func onKey(d Deps, cmd *cobra.Command, ask func(cmd *cobra.Command, c *client, path string) (admin.KeyInfo, error)) *cobra.Command {
	format := outputFlag(cmd)
	cmd.Args, cmd.ValidArgsFunction = args(cobra.ExactArgs(1)), keyNames(d)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		k, err := ask(cmd, c, "/keys/"+url.PathEscape(args[0]))
		if err != nil {
			return err
		}
		return emit(cmd, format, k, func(w io.Writer) error { return keyCard(w, k) })
	}
	return cmd
}

// keyCard tells all of a key.
func keyCard(w io.Writer, k admin.KeyInfo) error {
	p := &printer{w: w}
	p.line("%s (%s)  %s", k.Name, k.ID, k.State)
	p.line("  belongs to  %s", belongs(k.Organisation, k.Team, k.Customer))
	p.line("  models      %s", orDash(strings.Join(k.Models, ", ")))
	p.line("  surfaces    %s", orDash(strings.Join(k.Surfaces, ", ")))
	var from []string
	for _, n := range k.Networks {
		from = append(from, n.String())
	}
	p.line("  networks    %s", orDash(strings.Join(from, ", ")))
	p.line("  rules       %s", rulesOf(k.Limits, k.Budgets))
	p.line("  turn        %s", turnOf(k.Priority, k.Weight))
	p.line("  made        %s, until %s, last used %s", day(k.Created), day(k.Expires), day(k.LastUsed))
	for _, t := range k.Texts {
		p.line("  text        %s, until %s", t.Form, day(t.Expires))
	}
	if k.Static {
		p.line("  stands in the config file")
	}
	return p.err
}

func keysShow(d Deps) *cobra.Command {
	return onKey(d, &cobra.Command{
		Use: "show NAME", Short: "Tell all of a key but its text",
		Example: "  tailplane keys show app\n  tailplane keys show 3f2a90c1d4e5 -o json",
	}, func(cmd *cobra.Command, c *client, path string) (k admin.KeyInfo, err error) {
		return k, c.get(cmd.Context(), path, nil, &k)
	})
}

func keysUpdate(d Deps) *cobra.Command {
	var name, until string
	cmd := &cobra.Command{
		Use: "update NAME", Short: "Change what a key may do; what is not named stays",
		Example: "  tailplane keys update app --budget 800/month:hard\n  tailplane keys update app --model 'gpt-*' --model 'claude-*'\n  tailplane keys update app --until 2027-06-30",
	}
	s := scopeFlags(cmd, d)
	cmd.Flags().StringVar(&name, "name", "", "another name")
	cmd.Flags().StringVar(&until, "until", "", "last day, such as 2027-06-30, or never")
	return onKey(d, cmd, func(cmd *cobra.Command, c *client, path string) (k admin.KeyInfo, err error) {
		order := map[string]any{}
		if cmd.Flags().Changed("name") {
			order["name"] = name
		}
		switch at, err := time.ParseInLocation(time.DateOnly, until, time.Local); {
		case until == "":
		case until == "never":
			order["expires"] = time.Time{}
		case err != nil:
			return k, &Error{ExitUsage, fmt.Sprintf("--until %q is no day", until), "write one such as 2027-06-30, or never"}
		default:
			order["expires"] = at.AddDate(0, 0, 1).UTC()
		}
		if err := s.into(cmd, order); err != nil {
			return k, err
		}
		if len(order) == 0 {
			return k, &Error{ExitUsage, "nothing is to be changed", seeHelp(cmd)}
		}
		return k, c.do(cmd.Context(), http.MethodPatch, path, nil, order, &k)
	})
}

func keysRotate(d Deps) *cobra.Command {
	var order admin.Rotation
	var grace time.Duration
	cmd := &cobra.Command{
		Use: "rotate NAME", Short: "Give a key another text; its id and what it spent stay", Args: args(cobra.ExactArgs(1)),
		Example:           "  tailplane keys rotate app                # the old text ends at once\n  tailplane keys rotate app --grace 24h",
		ValidArgsFunction: keyNames(d),
	}
	cmd.Flags().DurationVar(&grace, "grace", 0, "how long the old text still opens it")
	cmd.Flags().StringVar(&order.Label, "label", "", "word that stands in the new text")
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		order.Grace = int64(grace / time.Second)
		var made admin.MadeKey
		if err := c.do(cmd.Context(), http.MethodPost, "/keys/"+url.PathEscape(args[0])+"/rotate", nil, order, &made); err != nil {
			return err
		}
		return emitText(cmd, format, made)
	}
	return cmd
}

func keysRevoke(d Deps) *cobra.Command {
	return onKey(d, &cobra.Command{
		Use: "revoke NAME", Short: "Take a key back for good",
		Example: "  tailplane keys revoke app",
		Long:    "Take a key back for good, at once. It stays in the list and in the ledger, and who shows it is told.",
	}, func(cmd *cobra.Command, c *client, path string) (k admin.KeyInfo, err error) {
		return k, c.do(cmd.Context(), http.MethodPost, path+"/revoke", nil, nil, &k)
	})
}
