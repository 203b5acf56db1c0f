package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tailplane/internal/admin"
)

func adminCommand(d Deps) *cobra.Command {
	cmd := parent(&cobra.Command{
		Use: "admin", Short: "Let others look and manage, and see who may", GroupID: "look",
		Example: "  tailplane admin link --role finance   # a link that lets somebody in, once",
	})
	cmd.AddCommand(adminLink(d), adminSessions(d), adminLogout(d))
	return cmd
}

func adminLink(d Deps) *cobra.Command {
	var order admin.NewLink
	var lifetime time.Duration
	cmd := &cobra.Command{
		Use: "link", Short: "Print a link that lets somebody in once", Args: args(cobra.NoArgs),
		Example: "  tailplane admin link --role finance\n  tailplane admin link --role customer-viewer --customer acme --for 1h\n  tailplane admin link --role operator --name ci -o token",
		Long: "Print a link that lets somebody in, in a role. It works once and for a short time; the session that comes of\n" +
			"it lasts 12 hours. With -o token the link is used at once, and what is printed is the token of a session, for\n" +
			"the Authorization field of a program. A restart of the gateway ends links and sessions.",
	}
	var roles []string
	for _, r := range admin.Roles() {
		roles = append(roles, string(r))
	}
	role := optionFlag(cmd, "role", "as what", roles...)
	_ = cmd.MarkFlagRequired("role") // the flag is there
	cmd.Flags().StringArrayVar(&order.Customers, "customer", nil, "customer that a customer-viewer sees; can be repeated")
	cmd.Flags().StringArrayVar(&order.Targets, "target", nil, "target that a gpu-team sees; can be repeated")
	cmd.Flags().StringVar(&order.Name, "name", "", "who it is for, as the audit calls them")
	cmd.Flags().DurationVar(&lifetime, "for", 10*time.Minute, "how long the link works")
	format := choiceFlag(cmd, "output", "o", "form of the output", "url", "token", "json")
	completeTargets(cmd, d, "target")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		order.Role, order.Lifetime = admin.Role(role.value), int64(lifetime/time.Second)
		var made admin.Link
		if err := c.do(cmd.Context(), http.MethodPost, "/links", nil, order, &made); err != nil {
			return err
		}
		if format.value == "token" {
			return c.useLink(cmd, made.Code)
		}
		return emit(cmd, format, made, func(w io.Writer) error {
			_, err := fmt.Fprintln(w, made.URL)
			return err
		})
	}
	return cmd
}

// useLink exchanges a link for a session and prints its token.
func (c *client) useLink(cmd *cobra.Command, code string) error {
	form := url.Values{"code": {code}}
	req, err := http.NewRequestWithContext(cmd.Context(), http.MethodPost, c.base()+"/admin/login", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(cmd.Context(), err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return c.unreachable(cmd.Context(), err)
	}
	if resp.StatusCode != http.StatusOK {
		return refused(raw, resp.StatusCode)
	}
	var let admin.Let
	if err := json.Unmarshal(raw, &let); err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), let.Token)
	return err
}

func adminSessions(d Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use: "sessions", Short: "List who is in", Args: args(cobra.NoArgs),
		Example: "  tailplane admin sessions\n  tailplane admin sessions -o json",
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		var list []admin.Session
		if err := c.get(cmd.Context(), "/sessions", nil, &list); err != nil {
			return err
		}
		return emit(cmd, format, list, func(w io.Writer) error {
			var rows [][]string
			for _, s := range list {
				sees := strings.Join(append(s.Viewer.Customers, s.Viewer.Targets...), ",")
				rows = append(rows, []string{s.ID, s.Viewer.Actor, string(s.Viewer.Role), orDash(sees), s.How, s.Expires.Local().Format(time.DateTime)})
			}
			return columns(w, []string{"ID", "WHO", "ROLE", "OF", "BY", "UNTIL"}, rows)
		})
	}
	return cmd
}

func adminLogout(d Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use: "logout ID", Short: "End a session, or all", Args: args(cobra.ExactArgs(1)),
		Example: "  tailplane admin logout 3f2a90c1d4e5\n  tailplane admin logout all",
		ValidArgsFunction: completing(d, func(cmd *cobra.Command, c *client) ([]string, error) {
			var list []admin.Session
			err := c.get(cmd.Context(), "/sessions", nil, &list)
			names := []string{"all"}
			for _, s := range list {
				names = append(names, s.ID+"\t"+s.Viewer.Actor)
			}
			return names, err
		}),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		var done struct{ Ended int }
		if err := c.do(cmd.Context(), http.MethodDelete, "/sessions/"+url.PathEscape(args[0]), nil, nil, &done); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d ended\n", done.Ended)
		return err
	}
	return cmd
}
