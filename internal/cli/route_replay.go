package cli

import (
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"tailplane/internal/config"
	"tailplane/internal/ledger"
	"tailplane/internal/meter"
	"tailplane/internal/replay"
	"tailplane/internal/upstream"
)

// routeReplay decides what was recorded again.
func routeReplay(d Deps) *cobra.Command {
	var file string
	var since time.Duration
	q := url.Values{}
	cmd := &cobra.Command{
		Use: "replay", Short: "Show what another config would have changed", Args: args(cobra.NoArgs),
		Example: "  tailplane route replay --with new.yaml    # the requests of the last day\n" +
			"  tailplane route replay --with new.yaml --since 168h --model llama\n" +
			"  tailplane route replay --with new.yaml -o json",
		Long: "Decide recorded requests again, by the models, rules, labels, policies and prices of another config: how many would\n" +
			"go elsewhere, what they would cost, and when their first token is expected there. Nothing is sent. What the records\n" +
			"cannot tell is said at the end. The prices are those built in, and before these those of the file.",
	}
	f := cmd.Flags()
	f.StringVar(&file, "with", "", "config to decide by; needed")
	f.DurationVar(&since, "since", 24*time.Hour, "how far to go back, such as 24h")
	model := f.String("model", "", "only requests for this model")
	customer := f.String("customer", "", "only requests of this customer")
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if file == "" || since <= 0 {
			return &Error{ExitUsage, "--with is missing, or --since is not a time to go back", "write `tailplane route replay --with new.yaml --since 24h`"}
		}
		again, version, err := replaying(file)
		if err != nil {
			return err
		}
		now := time.Now().UTC()
		q.Set("from", now.Add(-since).Format(time.RFC3339))
		q.Set("to", now.Add(time.Second).Format(time.RFC3339))
		q.Set("model", *model)
		q.Set("customer", *customer)
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		for _, take := range []func(*ledger.Exchange){again.Learn, again.Decide} { // twice, so that no record is kept
			err := c.records(cmd.Context(), q, func(in io.Reader) error {
				return eachRecord(in, func(ex *ledger.Exchange) error { take(ex); return nil })
			})
			if err != nil {
				return err
			}
		}
		told := replayed{again.Changes(), file, version}
		return emit(cmd, format, told, func(w io.Writer) error { return replayTable(w, &told) })
	}
	return cmd
}

// replayed is what `route replay` says.
type replayed struct {
	*replay.Changes
	Config string `json:"config"`
	Prices string `json:"prices"` // their version
}

// replaying makes ready for records to be decided by a config.
func replaying(path string) (*replay.Again, string, error) {
	f, err := readConfig(path, "tailplane route replay --with FILE")
	if err != nil {
		return nil, "", err
	}
	book, err := meter.Load()
	if err == nil {
		book, err = book.With(f.Prices())
	}
	if err != nil {
		return nil, "", &Error{ExitProblem, err.Error(), ""}
	}
	return replay.NewAgain(replay.RecordedConfig{Models: f.ModelConfig(), Targets: recordedTargets(f), Book: book}), book.Version(), nil
}

// recordedTargets are the targets of a config, as far as decisions go by them.
func recordedTargets(f *config.File) []replay.RecordedTarget {
	var out []replay.RecordedTarget
	for _, name := range slices.Sorted(maps.Keys(f.Targets)) {
		t := f.Targets[name]
		one := replay.RecordedTarget{Name: name, Kind: t.Kind, Labels: t.Labels, Lists: t.Models, Discovered: !t.Discover.IsZero(), Drained: t.Drain}
		if kind, ok := upstream.Find(t.Kind); ok {
			one.Owns = kind.Owns
		}
		out = append(out, one)
	}
	return out
}

// replayTable shows the changes, those of the whole first.
func replayTable(w io.Writer, r *replayed) error {
	p := &printer{w: w}
	p.line("%d requests decided again by %s: %d would go elsewhere, %d nowhere", r.Looked, r.Config, r.Moved, r.Refused)
	for _, l := range r.Left {
		p.line("%d were left out: %s", l.Requests, l.Why)
	}
	p.line("cost         %s", moneyChange(&r.Cost))
	p.line("first token  %s", firstChange(&r.First))
	p.line("prices       %s", r.Prices)
	var rows [][]string
	for i := range r.Models {
		rows = append(rows, modelRows(&r.Models[i])...)
	}
	if len(rows) > 0 && p.err == nil {
		p.line("")
		p.err = columns(w, []string{"MODEL", "ASKED FIRST", "BEFORE", "AFTER", "COST", "FIRST TOKEN"}, rows)
	}
	rows = nil
	for _, s := range r.Samples {
		rows = append(rows, []string{s.ID, s.Model, s.Before, s.After, s.Why})
	}
	if len(rows) > 0 && p.err == nil {
		p.line("")
		p.err = columns(w, []string{"FOR EXAMPLE", "MODEL", "WENT TO", "WOULD GO TO", "BECAUSE"}, rows)
	}
	p.line("")
	p.line("No record tells:")
	for _, what := range r.Unknown {
		p.line("- %s", what)
	}
	return p.err
}

func modelRows(m *replay.ModelChange) [][]string {
	var rows [][]string
	for _, t := range m.Targets {
		rows = append(rows, []string{"", t.Target, fmt.Sprint(t.Before), fmt.Sprint(t.After), "", ""})
	}
	if m.Refused > 0 {
		rows = append(rows, []string{"", "nowhere: " + m.Why, "", fmt.Sprint(m.Refused), "", ""})
	}
	if len(rows) > 0 {
		rows[0][0], rows[0][4], rows[0][5] = m.Model, moneyChange(&m.Cost), firstChange(&m.First)
	}
	return rows
}

func moneyChange(m *replay.Money) string {
	text := "-"
	if m.Requests > 0 {
		text = dollars(m.Before) + " -> " + dollars(m.After)
		if m.AfterCold != m.After {
			text += ", or " + dollars(m.AfterCold) + " with nothing cached there"
		}
	}
	if m.Unpriced > 0 {
		text += fmt.Sprintf(" (%d more have no known price)", m.Unpriced)
	}
	return text
}

func firstChange(f *replay.FirstTokens) string {
	text := "-"
	if f.Requests > 0 {
		text = span(f.Before) + " -> " + span(f.After)
	}
	if f.Unknown > 0 {
		text += fmt.Sprintf(" (%d go where none was recorded)", f.Unknown)
	}
	return text
}
