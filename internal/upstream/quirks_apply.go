package upstream

import (
	"fmt"
	"slices"
	"strconv"

	"tailplane/internal/llm"
)

// Apply makes a call one that the model takes, and says what it had to leave
// out, in the words of the client's dialect. It changes call and nothing that
// call shares with others: lists are replaced, not written to.
func (q *Quirks) Apply(call *llm.Call, client llm.Dialect) []llm.Loss {
	var losses []llm.Loss
	effort := call.Reasoning.Effort
	if effort == "" && call.Reasoning.Budget > 0 {
		effort = "medium"
	}
	if call.Reasoning.Mode == "disabled" {
		effort = "none"
	}
	for i := range q.refuses {
		if r := &q.refuses[i]; r.holds(effort) && r.clear(call) {
			losses = append(losses, q.lost(r.in(client), "does not take it"))
		}
	}
	losses = append(losses, q.applyOneOf(call, client)...)
	losses = append(losses, q.applyLimits(call, client)...)
	losses = append(losses, q.applyTools(call)...)
	if word := q.effort(call.Reasoning.Effort); word != call.Reasoning.Effort {
		losses = append(losses, q.lost(parameterOf("reasoning_effort").in(client), fmt.Sprintf("knows no %q; %q was asked for", call.Reasoning.Effort, word)))
		call.Reasoning.Effort = word
	}
	if q.instructions == "user" {
		losses = append(losses, q.applyInstructions(call)...)
	}
	return losses
}

// applyOneOf keeps the first of parameters that exclude each other.
func (q *Quirks) applyOneOf(call *llm.Call, client llm.Dialect) (losses []llm.Loss) {
	for _, names := range q.oneOf {
		kept := ""
		for _, name := range names {
			p, probe := parameterOf(name), *call
			switch {
			case !p.clear(&probe):
			case kept == "":
				kept = name
			default:
				p.clear(call)
				losses = append(losses, q.lost(p.in(client), "does not take it beside "+kept))
			}
		}
	}
	return losses
}

// applyLimits keeps the output cap and the stop sequences within bounds.
func (q *Quirks) applyLimits(call *llm.Call, client llm.Dialect) (losses []llm.Loss) {
	s := &call.Sampling
	if q.cap != "" {
		s.OldCap = q.cap == oldCap
	}
	if s.MaxTokens > 0 && s.MaxTokens < q.minTokens {
		losses = append(losses, q.lost("max_tokens", "takes no less than "+strconv.Itoa(q.minTokens)+"; so many were asked for"))
		s.MaxTokens = q.minTokens
	}
	if q.maxStops > 0 && len(s.Stop) > q.maxStops {
		losses = append(losses, q.lost(parameterOf("stop").in(client), fmt.Sprintf("takes %d; the others were left out", q.maxStops)))
		s.Stop = s.Stop[:q.maxStops:q.maxStops]
	}
	return losses
}

// applyTools spells the tool choice, and strips keywords from schemas.
func (q *Quirks) applyTools(call *llm.Call) (losses []llm.Loss) {
	if call.Choice.Mode == llm.ToolRequired {
		switch {
		case q.required == "auto":
			call.Choice = llm.ToolChoice{Mode: llm.ToolAuto}
			losses = append(losses, q.lost("tool_choice", "cannot be made to call a tool; auto was asked for"))
		case q.required == "any" && q.dialect == llm.Chat:
			call.Choice.Extra = llm.Extra{Dialect: llm.Chat, Form: 1} // the chat codec's note of that word
		}
	}
	if len(q.schema) == 0 {
		return losses
	}
	call.Tools = slices.Clone(call.Tools)
	for i := range call.Tools {
		t := &call.Tools[i]
		if schema, gone := stripSchema(t.Schema, q.schema); len(gone) > 0 {
			t.Schema = schema
			losses = append(losses, q.stripped(fmt.Sprintf("tools[%d]", i), gone))
		}
	}
	if schema, gone := stripSchema(call.Output.Schema, q.schema); len(gone) > 0 {
		call.Output.Schema = schema
		losses = append(losses, q.stripped("response_format", gone))
	}
	return losses
}

// applyInstructions says the instructions as the user's words.
func (q *Quirks) applyInstructions(call *llm.Call) []llm.Loss {
	moved := len(call.System) > 0
	turns := slices.Clone(call.Turns)
	for i := range turns {
		if turns[i].Role == llm.RoleSystem {
			turns[i].Role, moved = llm.RoleUser, true
		}
	}
	if len(call.System) > 0 {
		turns = slices.Insert(turns, 0, llm.Turn{Role: llm.RoleUser, Parts: call.System})
		call.System = nil
	}
	call.Turns = turns
	if !moved {
		return nil
	}
	return []llm.Loss{q.lost("system", "knows no instructions; they were given as the user's words")}
}
