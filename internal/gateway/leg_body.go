package gateway

import (
	"fmt"
	"slices"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/models"
	"tailplane/internal/wire"
)

// What bodies say of computing prompts elsewhere is vLLM's: its engines take and give
// `kv_transfer_params` in chat and completions.

// kvParams is the member in which vLLM's engines are told of each other.
const kvParams = "kv_transfer_params"

// remoteDecode asks an engine to keep the blocks of a prompt for another one that
// decodes.
const remoteDecode = `{"do_remote_decode":true,"do_remote_prefill":false,"remote_engine_id":null,"remote_block_ids":null,"remote_host":null,"remote_port":null}`

// takes reports whether a request of a dialect can be divided by the convention.
func takes(c models.Convention, d llm.Dialect) bool {
	return d == llm.Chat || d == llm.Completions || d == llm.Responses && !c.Asks()
}

// prepareLeg makes the body of the leg in c.out: the request as the replica takes it,
// for one token and no stream. It says why the request cannot be divided.
func (c *call) prepareLeg(by *candidate) (why string) {
	l := &c.leg
	var f *llm.Fault
	l.as = ledger.Attempt{}
	if l.body, f = c.prepare(by, &l.as); f != nil {
		return f.Message
	}
	c.whole()
	if !takes(l.side.convention, l.as.Dialect) {
		return fmt.Sprintf("%s is spoken to in %s, which the convention has no words for", by.Name, l.as.Dialect)
	}
	out, why := legBody(c.reply[:0], c.out, l.side.convention)
	if why == "" {
		c.out, c.reply = out, c.out
	}
	return why
}

// legBody appends the body of a leg to dst.
func legBody(dst, body []byte, convention models.Convention) (out []byte, why string) {
	names := [...]string{
		"stream", "stream_options", "max_tokens", "max_completion_tokens", "min_tokens", "min_completion_tokens", kvParams, "n", "best_of", "prompt",
	}
	var m [len(names)]wire.Member
	object, err := wire.Scan(body, names[:], m[:])
	if err != nil {
		return nil, err.Error()
	}
	if several(body, m[7]) || several(body, m[8]) || prompts(body, m[9]) {
		return nil, "the request asks for several answers, and the blocks of a prompt are handed over once"
	}
	changes := []wire.Change{
		{Name: "stream", Member: m[0], Value: []byte("false")},
		{Name: "stream_options", Member: m[1]},
		{Name: "max_tokens", Member: m[2], Value: []byte("1")},
		{Name: "max_completion_tokens", Member: m[3]},
		{Name: "min_tokens", Member: m[4]},
		{Name: "min_completion_tokens", Member: m[5]},
		{Name: kvParams, Member: m[6]},
	}
	if !m[3].IsZero() {
		changes[3].Value = []byte("1")
	}
	if convention == models.ConventionVLLM {
		changes[6].Value = []byte(remoteDecode)
	}
	var edits wire.Rewrite
	edits.Change(body, object, changes)
	return edits.Append(dst, body), ""
}

// several reports whether a member asks for more than one.
func several(body []byte, m wire.Member) bool {
	if m.IsZero() {
		return false
	}
	n, _ := wire.Int(m.Value.Of(body))
	return n > 1
}

// prompts reports whether a member holds more than one prompt: a list of texts or of
// lists of tokens.
func prompts(body []byte, m wire.Member) bool {
	n := 0
	for at := range wire.Elements(body, m.Value) {
		if first := at.Of(body)[0]; first != '"' && first != '[' {
			return false // tokens of one prompt
		}
		if n++; n > 1 {
			return true
		}
	}
	return false
}

// takeParams keeps what the replica says of the blocks that it has computed. One whose
// first token was the last has nothing to hand over, and says so; else it is not
// started for this.
func (c *call) takeParams(by *candidate) *llm.Fault {
	var m [1]wire.Member
	if _, err := wire.Scan(c.reply, []string{kvParams}, m[:]); err != nil {
		return garbage(fmt.Sprintf("target %s answered with no valid %s", by.Name, kvParams), err)
	}
	value := m[0].Value.Of(c.reply)
	switch {
	case len(value) > 0 && value[0] == '{':
		c.leg.params = append(c.leg.params[:0], value...)
		return nil
	case (len(value) == 0 || wire.IsNull(value)) && c.tap.Stop != llm.StopLength && c.tap.Stop != "":
		return nil
	}
	return garbage(fmt.Sprintf("target %s answered without %s: is its engine started with a KV connector?", by.Name, kvParams), nil)
}

// attach puts into the body of an attempt at a target with a prefill side what its
// engine is told of the other one. What a client says there is left out: it would lead
// the engine to an address of the client's choice.
func (c *call) attach(target *candidate, a *ledger.Attempt) *llm.Fault {
	if target.prefill == nil {
		return nil
	}
	c.whole()
	var m [1]wire.Member
	object, err := wire.Scan(c.out, []string{kvParams}, m[:])
	if err != nil {
		return badRequest(err)
	}
	change := wire.Change{Name: kvParams, Member: m[0]}
	if c.leg.by != nil && len(c.leg.params) > 0 && a.Dialect == c.leg.as.Dialect {
		change.Value = c.leg.params
	}
	if change.Value == nil && m[0].IsZero() {
		return nil
	}
	var edits wire.Rewrite
	edits.Change(c.out, object, []wire.Change{change})
	out := edits.Append(c.reply[:0], c.out)
	c.out, c.reply = out, c.out
	if m[0].IsZero() {
		return nil
	}
	return c.lose(target, append(slices.Clone(c.ex.Losses), llm.Loss{Feature: kvParams, Detail: "the gateway says which engine computes the prompt"}))
}
