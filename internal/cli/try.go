package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tailplane/internal/ledger"
)

func tryCommand(d Deps) *cobra.Command {
	return &cobra.Command{
		Use: "try [MODEL] PROMPT", Short: "Send one prompt and tell what happened", GroupID: "run",
		Args:    args(cobra.RangeArgs(1, 2)),
		Example: "  tailplane try \"hello\"                  # the simulator\n  tailplane try sim/slow \"tell me more\"\n  echo \"a long prompt\" | tailplane try gpt-5-mini -",
		RunE: func(cmd *cobra.Command, args []string) error {
			model, prompt := "sim/fast", args[0]
			if len(args) == 2 {
				model, prompt = args[0], args[1]
			}
			if prompt == "-" {
				raw, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 32<<20))
				if err != nil {
					return err
				}
				prompt = string(raw)
			}
			return try(cmd, d, model, prompt)
		},
	}
}

func try(cmd *cobra.Command, d Deps, model, prompt string) error {
	c, err := connect(cmd, d)
	if err != nil {
		return err
	}
	key, err := c.key(cmd.Context(), passing("try", 10*time.Minute, true))
	if err != nil {
		return err
	}
	id, err := c.converse(cmd, key, model, prompt)
	if err != nil {
		return err
	}
	var ex ledger.Exchange
	if err := c.get(cmd.Context(), "/exchanges/"+url.PathEscape(id), nil, &ex); err != nil {
		return err
	}
	fmt.Fprintln(cmd.ErrOrStderr(), summary(&ex))
	return nil
}

// converse streams an answer to stdout and returns the request's id.
func (c *client) converse(cmd *cobra.Command, key, model, prompt string) (string, error) {
	body, err := json.Marshal(map[string]any{
		"model": model, "stream": true, "messages": []map[string]string{{"role": "user", "content": prompt}},
	})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(cmd.Context(), http.MethodPost, c.api()+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Transport: trusting(c.DataKey)}).Do(req) // an answer may take as long as its model's timeouts allow
	if err != nil {
		return "", c.unreachable(cmd.Context(), err)
	}
	defer resp.Body.Close()
	id := resp.Header.Get("X-Request-Id")
	if resp.StatusCode != http.StatusOK {
		raw, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // the status stands in for what is missing
		failure := refused(raw, resp.StatusCode).(*Error)
		failure.Hint = "tailplane why " + id
		if resp.StatusCode == http.StatusNotFound {
			failure.Code, failure.Hint = ExitNotFound, "`tailplane models` lists them; name one: tailplane try MODEL PROMPT"
		}
		return id, failure
	}
	err = printStream(cmd.OutOrStdout(), resp.Body, id)
	if cmd.Context().Err() != nil {
		err = cmd.Context().Err() // not the stream's fault
	}
	return id, err
}

// printStream prints the text of a chat stream as it comes.
func printStream(out io.Writer, body io.Reader, id string) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			// The response ends once the request is settled; before that the
			// ledger does not know it.
			_, _ = io.Copy(io.Discard, body) // the answer is complete already
			_, err := fmt.Fprintln(out)
			return err
		}
		var chunk struct {
			Choices []struct{ Delta struct{ Content string } }
			Error   *struct{ Code, Message string }
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			return &Error{ExitFailed, "the stream holds something that is not a chunk", "tailplane why " + id}
		}
		if chunk.Error != nil {
			return &Error{exitOf(chunk.Error.Code), "the stream broke: " + chunk.Error.Message, "tailplane why " + id}
		}
		for _, choice := range chunk.Choices {
			fmt.Fprint(out, choice.Delta.Content)
		}
	}
	return &Error{ExitFailed, "the stream ended without its end", "tailplane why " + id}
}

// summary is the one line below an answer.
func summary(ex *ledger.Exchange) string {
	target, plane := "-", time.Duration(0)
	if n := len(ex.Attempts); n > 0 {
		last := ex.Attempts[n-1]
		target, plane = last.Target+"/"+last.Model, ex.Attempts[0].Begin
	}
	return fmt.Sprintf("  %s  ttft %s  %d tok  plane %s  %s  %s  why: %s",
		target, span(ex.FirstToken), ex.Usage.Output, span(plane), price(ex), ex.ID, ex.Reason)
}

// price is a cost that never hides that it is not known.
func price(ex *ledger.Exchange) string {
	switch ex.PriceStatus {
	case ledger.Unpriced:
		return "unpriced"
	case ledger.NoCharge:
		return "free"
	}
	return dollars(ex.Cost)
}
