package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tailplane/internal/policy"
)

func keysImport(d Deps) *cobra.Command {
	var trial bool
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Take over the keys of another gateway", Args: args(cobra.ExactArgs(1)),
		Example: "  tailplane keys import keys.csv --form litellm --trial   # tell what would become of each\n  tailplane keys import keys.jsonl",
		Long: "Take over the keys of another gateway by their hashes, so that whoever has a key goes on using it. FILE is - for\n" +
			"stdin: the export of LiteLLM's table of keys (JSON or CSV), or one JSON object a line with name, sha256 and what\n" +
			"else a key has. Exits 7 when a key is refused.",
	}
	form := choiceFlag(cmd, "form", "", "form of the file", "tailplane", "litellm")
	cmd.Flags().BoolVar(&trial, "trial", false, "make none, and tell what would become of each")
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in := cmd.InOrStdin()
		if args[0] != "-" {
			file, err := os.Open(args[0])
			if err != nil {
				return &Error{ExitNotFound, fmt.Sprintf("the list cannot be read: %v", err), ""}
			}
			defer file.Close()
			in = file
		}
		c, err := connect(cmd, d)
		if err != nil {
			return err
		}
		var list []policy.Imported
		q := url.Values{"form": {form.value}, "trial": {strconv.FormatBool(trial)}}
		if err := c.do(cmd.Context(), http.MethodPost, "/keys/import", q, in, &list); err != nil {
			return err
		}
		count := map[policy.Outcome]int{}
		err = emit(cmd, format, list, func(w io.Writer) error {
			var rows [][]string
			for _, k := range list {
				rows = append(rows, []string{k.At, k.Name, orDash(k.ID), string(k.Outcome), strings.Join(k.Notes, "; ")})
			}
			return columns(w, []string{"AT", "NAME", "ID", "BECAME", "NOTES"}, rows)
		})
		for _, k := range list {
			count[k.Outcome]++
		}
		if n := count[policy.Refused]; n > 0 && err == nil {
			err = &Error{ExitProblem, fmt.Sprintf("%d of %d keys are refused", n, len(list)), "their lines say why"}
		}
		return err
	}
	return cmd
}
