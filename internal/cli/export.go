package cli

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
)

func exportCommand(d Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use: "export [FILE]", Short: "Write the ledger's records, one line each", GroupID: "look", Args: args(cobra.MaximumNArgs(1)),
		Example: "  tailplane export --from 2026-11-01 --to 2026-12-01 november.csv\n  tailplane export --from 2026-11-24 --to 2026-11-25 --customer acme --attempts -o jsonl | head",
		Long: "Write what matters to cost of every request, or of every attempt at a provider: as CSV or as lines of JSON. Cost is\n" +
			"in nano-dollars, times are UTC. In CSV a text that a spreadsheet would take for a formula begins with '. FILE\n" +
			"appears when it is whole.",
	}
	format := choiceFlag(cmd, "output", "o", "form of the output", "csv", "jsonl")
	attempts := cmd.Flags().Bool("attempts", false, "a line for each attempt, not for each request")
	filters := map[string]*string{
		"from": cmd.Flags().String("from", "", "first day, or time (RFC 3339)"),
		"to":   cmd.Flags().String("to", "", "end, exclusive (default: now)"),
	}
	for _, name := range []string{"customer", "model", "key", "target", "outcome"} {
		filters[name] = cmd.Flags().String(name, "", "only this "+name)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *filters["from"] == "" {
			return &Error{ExitUsage, "an export needs --from", "write --from 2026-11-01"}
		}
		q := url.Values{"to": {time.Now().UTC().Format(time.RFC3339)}}
		for name, value := range filters {
			if *value != "" {
				q.Set(name, *value)
			}
		}
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		write := func(w io.Writer) error {
			out := newExport(w, format.value, *attempts)
			return c.export(cmd.Context(), q, out)
		}
		if len(args) == 1 {
			return writeFile(args[0], write)
		}
		return write(cmd.OutOrStdout())
	}
	return cmd
}

// export streams records into out. A stream without its end is an error.
func (c *client) export(ctx context.Context, q url.Values, out *exporter) error {
	return c.records(ctx, q, out.all)
}

// records gives the stream of records that pass a filter to read.
func (c *client) records(ctx context.Context, q url.Values, read func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base()+"/admin/v1/export?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token.Reveal())
	c.http.Timeout = 0 // it takes what it takes; Ctrl-C ends it
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if err != nil {
			return c.unreachable(ctx, err)
		}
		return refused(raw, resp.StatusCode)
	}
	err = read(resp.Body)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// exporter turns records into lines.
type exporter struct {
	attempts bool
	csv      *csv.Writer // nil for JSON
	json     *json.Encoder
	out      *bufio.Writer
}

func newExport(w io.Writer, format string, attempts bool) *exporter {
	e := &exporter{attempts: attempts, out: bufio.NewWriterSize(w, 64<<10)}
	if format == "csv" {
		e.csv = csv.NewWriter(e.out)
	} else {
		e.json = json.NewEncoder(e.out)
	}
	return e
}

// all writes a stream of records.
func (e *exporter) all(in io.Reader) error {
	if e.csv != nil {
		_ = e.csv.Write(exportColumns()) // the last Flush tells the error
	}
	if err := eachRecord(in, e.record); err != nil {
		return err
	}
	return e.flush()
}

// eachRecord reads a stream of records until its last line, which tells that it is
// whole.
func eachRecord(in io.Reader, do func(*ledger.Exchange) error) error {
	dec := json.NewDecoder(bufio.NewReaderSize(in, 64<<10))
	var n int64
	for {
		var line struct {
			ledger.Exchange
			End   bool   `json:"end"`
			Lines int64  `json:"lines"`
			Error string `json:"error"`
		}
		if err := dec.Decode(&line); err != nil {
			return &Error{ExitFailed, fmt.Sprintf("the export breaks off after %d records: %v", n, err), "is tailplane still running? see its log"}
		}
		switch {
		case line.End && line.Error != "":
			return &Error{ExitFailed, fmt.Sprintf("the export breaks off after %d records: %s", n, line.Error), ""}
		case line.End && line.Lines != n:
			return &Error{ExitFailed, fmt.Sprintf("%d of %d records came", n, line.Lines), "try again"}
		case line.End:
			return nil
		}
		n++
		if err := do(&line.Exchange); err != nil {
			return err
		}
	}
}

func (e *exporter) flush() error {
	if e.csv != nil {
		e.csv.Flush()
		if err := e.csv.Error(); err != nil {
			return err
		}
	}
	return e.out.Flush()
}

func (e *exporter) record(ex *ledger.Exchange) error {
	if !e.attempts {
		return e.line(lineOf(ex))
	}
	for i := range ex.Attempts {
		l := lineOf(ex)
		a := &ex.Attempts[i]
		l.Attempt, l.Target, l.Provider, l.ProviderModel, l.ProviderID = i+1, a.Target, a.Kind, a.Model, a.Upstream
		l.Start = ex.Start.Add(a.Begin).UTC()
		l.Outcome, l.Status, l.Fault = "ok", a.Status, string(a.Fault)
		if a.Fault != "" {
			l.Outcome = "failed"
		}
		l.Usage, l.Cost, l.Pricing = a.Usage, a.Cost, string(a.Priced)
		if err := e.line(l); err != nil {
			return err
		}
	}
	return nil
}

// exportLine is what matters to cost. Its members in JSON and its columns in CSV
// have the same names.
type exportLine struct {
	ID            string    `json:"id"`
	Start         time.Time `json:"start"`
	Organisation  string    `json:"organisation"`
	Team          string    `json:"team"`
	Customer      string    `json:"customer"`
	Attributed    string    `json:"attributed"`
	Key           string    `json:"key"`
	KeyName       string    `json:"key_name"`
	Tags          []string  `json:"tags"`
	Session       string    `json:"session"`
	Op            string    `json:"op"`
	Model         string    `json:"model"`
	Attempt       int       `json:"attempt"`  // from 1; in a line of a request, how many there were
	Target        string    `json:"target"`   // of the last attempt
	Provider      string    `json:"provider"` // its kind
	ProviderModel string    `json:"provider_model"`
	ProviderID    string    `json:"provider_id"` // the provider's own id of the request
	Outcome       string    `json:"outcome"`
	Status        int       `json:"status"`
	Fault         string    `json:"fault"`
	Usage         llm.Usage `json:"usage"`
	Pricing       string    `json:"pricing"`
	PriceVersion  string    `json:"price_version"`
	Cost          int64     `json:"cost_nano"`
}

func lineOf(ex *ledger.Exchange) exportLine {
	l := exportLine{
		ID: ex.ID, Start: ex.Start.UTC(), Organisation: ex.Organisation, Team: ex.Team, Customer: ex.Customer, Attributed: ex.Attributed,
		Key: ex.Key, KeyName: ex.Name, Tags: ex.Tags, Session: ex.Session, Op: string(ex.Op), Model: ex.Model, Attempt: len(ex.Attempts),
		Outcome: string(ex.Outcome), Status: ex.Status, Fault: string(ex.Fault), Usage: ex.Usage,
		Pricing: string(ex.PriceStatus), PriceVersion: ex.PriceVersion, Cost: ex.Cost,
	}
	if n := len(ex.Attempts); n > 0 {
		a := &ex.Attempts[n-1]
		l.Target, l.Provider, l.ProviderModel, l.ProviderID = a.Target, a.Kind, a.Model, a.Upstream
	}
	return l
}

func exportColumns() []string {
	return []string{
		"id", "start", "organisation", "team", "customer", "attributed", "key", "key_name", "tags", "session", "op", "model",
		"attempt", "target", "provider", "provider_model", "provider_id", "outcome", "status", "fault",
		"input", "cache_read", "cache_read_audio", "cache_write", "cache_write_1h", "input_audio", "output", "reasoning", "output_audio",
		"images", "audio_millis", "characters", "search_units", "tier", "usage_source", "pricing", "price_version", "cost_nano",
	}
}

func (e *exporter) line(l exportLine) error {
	if e.csv == nil {
		return e.json.Encode(l)
	}
	n := func(n int64) string { return strconv.FormatInt(n, 10) }
	u := &l.Usage
	return e.csv.Write([]string{
		harmless(l.ID), l.Start.Format(time.RFC3339Nano), harmless(l.Organisation), harmless(l.Team), harmless(l.Customer), harmless(l.Attributed),
		harmless(l.Key), harmless(l.KeyName), harmless(strings.Join(l.Tags, " ")), harmless(l.Session), harmless(l.Op), harmless(l.Model),
		n(int64(l.Attempt)), harmless(l.Target), harmless(l.Provider), harmless(l.ProviderModel), harmless(l.ProviderID), l.Outcome, n(int64(l.Status)), harmless(l.Fault),
		n(u.Input), n(u.CacheRead), n(u.CacheReadAudio), n(u.CacheWrite), n(u.CacheWrite1h), n(u.InputAudio), n(u.Output), n(u.Reasoning), n(u.OutputAudio),
		n(u.Images), n(u.AudioMillis), n(u.Characters), n(u.SearchUnits), harmless(u.Tier), string(u.Source), l.Pricing, harmless(l.PriceVersion), n(l.Cost),
	})
}
