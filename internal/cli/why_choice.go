package cli

import (
	"bytes"
	"fmt"
	"strings"

	"tailplane/internal/ledger"
)

// choice tells what the first target was chosen among: a line for each candidate,
// the chosen one marked, with times in seconds. Columns in which nothing stands are
// left out.
func (p *printer) choice(ex *ledger.Exchange) {
	if len(ex.Choice) == 0 || p.err != nil {
		return
	}
	of := fmt.Sprintf("by %s of %d candidates", orDash(ex.Policy), ex.Among)
	if left := ex.Among - len(ex.Choice); left > 0 {
		of += fmt.Sprintf(", of which %d are not listed", left)
	}
	p.line("  chosen    %s, expecting %d tokens in and %d out; times in seconds", of, ex.ExpectedInput, ex.ExpectedOutput)
	p.candidates(ex.Choice, ex.Choice[0].Not == "")
}

// prefill tells who computed the prompt, where the model has replicas for that.
func (p *printer) prefill(of *ledger.Prefill) {
	switch {
	case of.IsZero() || p.err != nil:
		return
	case of.Target == "":
		p.line("  prefill   by the replica that answers: %s", of.Why)
	default:
		p.line("  prefill   by %s (%s): %s; %d tokens were missing where it is answered", of.Target, of.Convention, of.Why, of.Uncached)
	}
	if len(of.Choice) > 0 {
		p.candidates(of.Choice, of.Target != "")
	}
}

// candidates is a table of them; chosen marks the first.
func (p *printer) candidates(list []ledger.Choice, chosen bool) {
	head := []string{"CANDIDATE", "IN FLIGHT", "HIT"}
	var rows [][]string
	for i := range list {
		rows = append(rows, choiceRow(&list[i], i == 0 && chosen))
	}
	for k, name := range [...]string{"WAIT", "PREFILL", "DELAY", "MEMORY", "ADAPTER", "DECODE", "RISK", "HOME", "COST"} {
		if name != "COST" && !someTerm(list, k) {
			continue
		}
		head = append(head, name)
		for i := range rows {
			rows[i] = append(rows[i], choiceTerm(&list[i], k))
		}
	}
	head = append(head, "NOT NOW, FOR")
	for i := range rows {
		rows[i] = append(rows[i], list[i].Not)
	}
	var table bytes.Buffer
	_ = columns(&table, head, rows) // a buffer takes all
	for line := range strings.Lines(table.String()) {
		p.line("            %s", strings.TrimRight(line, " \n"))
	}
}

func choiceRow(c *ledger.Choice, chosen bool) []string {
	row := []string{"  " + c.Target + with("/", c.Model), fmt.Sprint(c.InFlight), fmt.Sprint(c.Hit)}
	if chosen {
		row[0] = "> " + strings.TrimSpace(row[0])
	}
	if c.Not != "" {
		row[1], row[2] = "-", "-"
	}
	return row
}

// terms are the parts of a candidate's cost and then the cost, in the order of the
// table.
func terms(c *ledger.Choice) [9]int64 {
	return [...]int64{c.Wait, c.Prefill, c.Delay, c.Memory, c.Adapter, c.Decode, c.Risk, c.Home, c.Cost}
}

func someTerm(list []ledger.Choice, k int) bool {
	for i := range list {
		if terms(&list[i])[k] != 0 {
			return true
		}
	}
	return false
}

func choiceTerm(c *ledger.Choice, k int) string {
	if c.Not != "" {
		return "-"
	}
	return fmt.Sprintf("%.3f", float64(terms(c)[k])/1e6)
}
