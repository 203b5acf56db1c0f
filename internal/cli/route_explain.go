package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"tailplane/internal/admin"
	"tailplane/internal/gateway"
)

// routeExplain asks the running program where a request would go now, or decides it
// by a file alone.
func routeExplain(d Deps) *cobra.Command {
	var order admin.Explain
	var file, config string
	cmd := &cobra.Command{
		Use: "explain", Short: "Tell where a request would go now, and why", Args: args(cobra.NoArgs),
		Example: "  tailplane route explain --model llama --file request.json\n  tailplane route explain --model llama    # a short question\n" +
			"  tailplane route explain --file request.json --key app --path /v1/messages -o json\n" +
			"  tailplane route explain --model llama -c new.yaml    # by the file alone; nothing has to run",
		Long: "Tell who would be asked for a request, in which order, and what decides about it. Nothing is sent. The running program\n" +
			"knows the load, the health and the caches of its targets. With -c a config is asked, and nothing has to run: nothing\n" +
			"is dialed, no secret is read, and what only traffic shows counts as nothing.",
	}
	f := cmd.Flags()
	f.StringVarP(&config, "config", "c", "", "decide by this config file alone, and not by the running program")
	f.StringVar(&order.Model, "model", "", "model that is asked for, instead of the file's")
	f.StringVar(&file, "file", "", "body of the request; - is standard input")
	f.StringVar(&order.Key, "key", "", "key whose request it is, by its name or id")
	f.StringVar(&order.Path, "path", "/v1/chat/completions", "path that it would be sent to")
	f.StringToStringVar(&order.Headers, "header", nil, "header of the request, as name=value; can be repeated")
	format := outputFlag(cmd)
	_ = cmd.RegisterFlagCompletionFunc("key", keyNames(d)) // the flag is there
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		body, err := bodyOf(cmd, file, order.Model)
		if err != nil {
			return err
		}
		order.Body = body
		if config != "" {
			told, err := explainByFile(cmd, d, config, order)
			if err != nil {
				return err
			}
			return emit(cmd, format, told, func(w io.Writer) error { return explainedByFile(w, told) })
		}
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		var told gateway.Explained
		if err := c.do(cmd.Context(), http.MethodPost, "/route/explain", nil, order, &told); err != nil {
			return err
		}
		return emit(cmd, format, told, func(w io.Writer) error { return explainTable(w, &told) })
	}
	return cmd
}

// fileExplained is what `route explain` says by a file.
type fileExplained struct {
	*gateway.Explained
	Config  string   `json:"config"`
	Unknown []string `json:"unknown"` // what no file tells
}

// explainByFile decides by a config alone, read as `route replay` does.
func explainByFile(cmd *cobra.Command, d Deps, path string, order admin.Explain) (*fileExplained, error) {
	f, err := readConfig(path, "tailplane route explain -c FILE")
	if err != nil {
		return nil, err
	}
	told, ok, err := d.Explain(cmd.Context(), f, order)
	switch {
	case err != nil:
		return nil, &Error{ExitProblem, err.Error(), ""}
	case !ok:
		return nil, &Error{ExitNotFound, fmt.Sprintf("%s has no key %q", path, order.Key), "name one of keys.static; those made by `tailplane keys` are in no file"}
	}
	out := &fileExplained{Explained: &told, Config: path, Unknown: []string{
		"load and health: nothing is in flight, and every target is well",
		"caches and speeds: nothing is cached, and every engine is as quick as an 8B model on one H100",
	}}
	for _, name := range slices.Sorted(maps.Keys(f.Discovered())) {
		if slices.ContainsFunc(told.Candidates, func(c gateway.ExplainedPart) bool { return c.Target == name }) {
			out.Unknown = append(out.Unknown, "which replicas "+name+" has: it stands for all of them")
		}
	}
	if order.Key == "" {
		out.Unknown = append(out.Unknown, "whose request it is: a caller without a key may call every model and choose no target (--key)")
	}
	return out, nil
}

func explainedByFile(w io.Writer, e *fileExplained) error {
	if err := explainTable(w, e.Explained); err != nil {
		return err
	}
	p := &printer{w: w}
	p.line("")
	p.line("%s alone does not tell:", e.Config)
	for _, what := range e.Unknown {
		p.line("- %s", what)
	}
	return p.err
}

// bodyOf is the body to explain: a file's, or a short question's.
func bodyOf(cmd *cobra.Command, file, model string) (json.RawMessage, error) {
	var body []byte
	var err error
	switch {
	case file == "-":
		body, err = io.ReadAll(cmd.InOrStdin())
	case file != "":
		body, err = os.ReadFile(file)
	case model == "":
		return nil, &Error{ExitUsage, "there is nothing to explain", "name a model with --model, or a request with --file"}
	default:
		body = []byte(`{"model":"","messages":[{"role":"user","content":"hello"}]}`)
	}
	if cmd.Context().Err() != nil {
		return nil, context.Canceled
	}
	if err != nil {
		return nil, &Error{ExitUsage, fmt.Sprintf("the request cannot be read: %v", err), ""}
	}
	if !json.Valid(body) {
		return nil, &Error{ExitUsage, "the request is no JSON", "give the body as it would be sent"}
	}
	return body, nil
}

// explainTable shows the candidates as they stand, the first one first.
func explainTable(w io.Writer, e *gateway.Explained) error {
	if e.Rule != "" {
		fmt.Fprintf(w, "rule    %s\n", e.Rule)
	}
	if e.Refused != "" {
		fmt.Fprintf(w, "refused %s\n", e.Refused)
	} else {
		fmt.Fprintf(w, "why     %s\n", e.Why)
	}
	if e.Input > 0 {
		fmt.Fprintf(w, "tokens  %d expected in, %d out\n", e.Input, e.Output)
	}
	var rows [][]string
	for place := 1; place <= len(e.Candidates); place++ {
		for i := range e.Candidates {
			if e.Candidates[i].Place == place {
				rows = append(rows, explainRow(&e.Candidates[i]))
			}
		}
	}
	for i := range e.Candidates {
		if e.Candidates[i].Place == 0 {
			rows = append(rows, explainRow(&e.Candidates[i]))
		}
	}
	if len(rows) == 0 {
		return nil
	}
	if err := columns(w, []string{"ASKED", "CANDIDATE", "IN FLIGHT", "HIT", "WAIT", "PREFILL", "DELAY", "MEMORY", "ADAPTER", "DECODE", "RISK", "HOME", "COST", "NOT NOW, FOR"}, rows); err != nil {
		return err
	}
	p := &printer{w: w}
	p.prefill(&e.Prefill)
	return p.err
}

func explainRow(p *gateway.ExplainedPart) []string {
	row := []string{"never", p.Target + "/" + p.Model, fmt.Sprint(p.InFlight)}
	if p.Place > 0 {
		row[0] = fmt.Sprint(p.Place)
	}
	if t := p.Terms; t != nil {
		row = append(row, fmt.Sprint(p.Hit))
		for _, seconds := range []float64{t.Wait, t.Prefill, t.Delay, t.Memory, t.Adapter, t.Decode, t.Risk, t.Home, t.Cost} {
			row = append(row, fmt.Sprintf("%.3f", seconds))
		}
	} else {
		row = append(row, "-", "-", "-", "-", "-", "-", "-", "-", "-", "-")
	}
	return append(row, p.Not)
}
