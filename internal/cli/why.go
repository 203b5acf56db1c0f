package cli

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"tailplane/internal/ledger"
)

func whyCommand(d Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use: "why [REQUEST_ID]", Short: "Explain what happened to a request", GroupID: "look",
		Args:    args(cobra.MaximumNArgs(1)),
		Example: "  tailplane why req_06f2...    # the id stands in the answer's x-request-id; its beginning is enough\n  tailplane why                # the last request",
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 && args[0] == "" {
			return &Error{ExitUsage, "the request's id is empty", "the id stands in the answer's x-request-id; `tailplane why` alone tells of the last request"}
		}
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		ex := new(ledger.Exchange)
		if len(args) == 0 {
			var list []*ledger.Exchange
			if err := c.get(cmd.Context(), "/exchanges", url.Values{"limit": {"1"}}, &list); err != nil {
				return err
			}
			if len(list) == 0 {
				return &Error{ExitNotFound, "no request has been made yet", "make one: tailplane try \"hello\""}
			}
			ex = list[0]
		} else if err := c.get(cmd.Context(), "/exchanges/"+url.PathEscape(args[0]), nil, ex); err != nil {
			if e, ok := errors.AsType[*Error](err); ok && e.Code == ExitNotFound {
				e.What, e.Hint = fmt.Sprintf("no request has the id %q", args[0]), "the id stands in the answer's x-request-id; `tailplane why` alone tells of the last request"
			}
			return err
		}
		return emit(cmd, format, ex, func(w io.Writer) error { return explain(w, ex) })
	}
	return cmd
}

// explain tells an exchange: who and what, the way, each attempt, the time, the
// money.
func explain(w io.Writer, ex *ledger.Exchange) error {
	p := &printer{w: w}
	p.line("%s  %s  %s", ex.ID, ex.Start.Local().Format("2006-01-02 15:04:05.000"), outcome(ex))
	p.line("")
	p.line("  who       key %s%s%s", ex.Name, with(" of customer ", ex.Customer), with(", ", ex.Client))
	p.line("  asked     %s %s, model %q, %d bytes%s", ex.Dialect, ex.Op, ex.Model, ex.Bytes, streamed(ex))
	p.line("  route     %s%s", orDash(ex.Reason), with("  (config ", ex.Config+")"))
	p.choice(ex)
	p.prefill(&ex.Prefill)
	for i := range ex.Attempts {
		p.attempt(i, &ex.Attempts[i])
	}
	for _, l := range ex.Losses {
		p.line("  lost      %s: %s", l.Feature, l.Detail)
	}
	if ex.Message != "" {
		kind := string(ex.Fault)
		if kind != "" {
			kind += ": "
		}
		p.line("  fault     %s%s", kind, ex.Message)
	}
	p.line("  time      admitted %s, first token %s, total %s%s", span(ex.Admitted), span(ex.FirstToken), span(ex.Total), gaps(ex))
	u := ex.Usage
	p.line("  tokens    in %d (cached %d, cache write %d), out %d (reasoning %d)  %s%s", u.Input, u.CacheRead, u.CacheWrite, u.Output, u.Reasoning, u.Source, with("  tier ", u.Tier))
	if u.Images|u.AudioMillis|u.Characters|u.SearchUnits != 0 {
		p.line("  units     images %d, sound %s, characters %d, searches %d", u.Images, time.Duration(u.AudioMillis)*time.Millisecond, u.Characters, u.SearchUnits)
	}
	if u.CapacityNanos > 0 {
		p.line("  capacity  %s of the target's time", span(time.Duration(u.CapacityNanos)))
	}
	p.line("  cost      %s%s", price(ex), with("  prices ", ex.PriceVersion))
	return p.err
}

// printer keeps the first error of many prints.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *printer) attempt(i int, a *ledger.Attempt) {
	p.line("  attempt %d %s %s/%s  (%s, %s, %s)", i+1, a.Why, a.Target, a.Model, a.Kind, a.Dialect, a.Lane)
	connection := "new connection in " + span(a.Connect)
	if a.Reused {
		connection = "connection reused"
	}
	if a.Waited > 0 {
		p.line("            waited %s before it", span(a.Waited))
	}
	p.line("            began at %s, %s, head %s, first token %s, took %s", span(a.Begin), connection, span(a.Head), span(a.FirstToken), span(a.Took))
	if a.Fault != "" {
		p.line("            fault %s in phase %s%s: %s", a.Fault, a.Phase, status(a.Status), a.Message)
		p.line("            so: retry %s%s", a.Retry, after(a.After))
	} else {
		p.line("            ok%s, stopped: %s%s", status(a.Status), orDash(string(a.Stop)), with(", upstream id ", a.Upstream))
	}
	if a.Spilled {
		p.line("            the provider spilled it to a standard deployment: the provisioned capacity was full")
	}
}

func outcome(ex *ledger.Exchange) string {
	if ex.Status == 0 {
		return string(ex.Outcome)
	}
	return fmt.Sprintf("%s (HTTP %d)", ex.Outcome, ex.Status)
}

func streamed(ex *ledger.Exchange) string {
	if ex.Stream {
		return fmt.Sprintf(", streamed (%d events)", ex.Events)
	}
	return ""
}

func gaps(ex *ledger.Exchange) string {
	if ex.ITLMax == 0 {
		return ""
	}
	return ", longest gap " + span(ex.ITLMax)
}

func status(code int) string {
	if code == 0 {
		return ""
	}
	return fmt.Sprintf(" (HTTP %d)", code)
}

func after(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return ", not before " + span(d)
}

// with joins a text to what introduces it, and is nothing without it.
func with(intro, text string) string {
	if text == "" || text == ")" {
		return ""
	}
	return intro + text
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
