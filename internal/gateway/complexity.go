package gateway

import (
	"hash/maphash"
	"slices"
	"time"

	"tailplane/internal/complexity"
	"tailplane/internal/dialect"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// The rules of complexity:
//
//   - Package complexity decides; here its decision becomes candidates: for the
//     strong model those of the weak one are barred, for the weak model those of the
//     strong one stand behind, as a fallback.
//   - Nothing of a prompt is kept but hashed features, and those for a while; of its
//     embedding (meaning.go) neither.
//   - A conversation that the strong model has answered stays there.
//   - A weak answer that is looked at is looked at whole; a stream is not.

// judged is the decision about a request, and what it was made of.
type judged struct {
	choice complexity.Choice // empty: there is nothing to choose
	why    string
	lane   uint64            // the conversation; 0 is not known
	vector complexity.Vector // under the seed of the outcomes, when they are kept

	embedded []ledger.Attempt // the one that asked for the text's embedding
	waited   time.Duration    // for it
}

// judge decides whether the weak model of a name will do. The fault is that of a
// caller that left while the text was embedded.
func (c *call) judge() *llm.Fault {
	d := c.dest
	paired := slices.ContainsFunc(d.candidates, func(t candidate) bool { return t.weak })
	if !paired && !d.learns {
		return nil
	}
	var a question
	if c.seen.Op == llm.OpGenerate && c.surface.forward == nil {
		a = questionIn(c.body)
	}
	ask := complexity.Ask{Customer: c.ex.Customer, Text: a.last}
	if paired && d.router != nil {
		c.judged.lane = c.lane(a)
		ask.Held = c.plane.learning.heldBy(c.judged.lane, a.turns, c.ex.Session)
	}
	if c.embeds(a.last, ask.Held) {
		ask.Embedding = c.meaning(a.last)
		if f := c.left(); f != nil {
			return f
		}
	}
	if d.learns {
		c.judged.vector = c.plane.learning.see(a.last, ask.Embedding)
	}
	if !paired {
		return nil
	}
	decision := complexity.Decision{Choice: complexity.Strong, Why: complexity.BecauseNoText}
	switch {
	case d.router != nil && c.dry:
		decision = d.router.Look(ask)
	case d.router != nil:
		decision = d.router.Route(ask)
	}
	c.judged.choice, c.judged.why = decision.Choice, decision.String()
	if !c.dry {
		c.gateway.metrics.Complexity.WithLabelValues(d.name, string(decision.Choice), string(decision.Why)).Inc()
	}
	return nil
}

// lane tells conversations apart: by their session, or by how they began. It
// holds for one key, and means nothing to another process.
func (c *call) lane(a question) uint64 {
	var h maphash.Hash
	h.SetSeed(laneSeed)
	for _, text := range []string{c.key.ID, c.ex.Customer, c.seen.Model} {
		_, _ = h.WriteString(text)
		_ = h.WriteByte(0)
	}
	switch {
	case c.ex.Session != "":
		_, _ = h.WriteString("session\x00" + c.ex.Session)
	case a.first == "":
		return 0
	default:
		_, _ = h.WriteString(a.first)
	}
	return max(1, h.Sum64())
}

var laneSeed = maphash.MakeSeed()

// onlyStrong bars the weak candidates of a request that is for the strong model.
func (c *call) onlyStrong() {
	if c.judged.choice != complexity.Strong {
		return
	}
	for i := range c.dest.candidates {
		if c.dest.candidates[i].weak && c.views[i].Cannot == "" {
			c.views[i].Cannot = "the request is for the strong model"
		}
	}
}

// pend keeps what is known of a request for whoever judges its answer: that is
// the answer of the target that is about to be asked.
func (c *call) pend(target *candidate) {
	if c.dest.learns && len(c.judged.vector.Words) > 0 {
		c.plane.learning.pending.Put(c.ex.ID, complexity.Asked{Key: c.key.ID, Customer: c.ex.Customer, Model: target.model, Vector: c.judged.vector})
	}
}

// holds notes that the strong model has a conversation now.
func (c *call) holds(target *candidate, f *llm.Fault) {
	if f == nil && c.judged.lane != 0 && !target.weak {
		c.plane.learning.hold(c.judged.lane)
	}
}

// flawed looks at a whole answer of the weak model before it is sent. It finds
// nothing wrong with any while nobody else can be asked: such an answer is better
// than none.
func (c *call) flawed(target *candidate, spoken dialect.Surface) *llm.Fault {
	if !target.weak || c.dest.router == nil || !c.dest.router.Cascades() || !c.strongAtHand(target) {
		return nil
	}
	codec, ok := spoken.(dialect.Codec)
	if !ok {
		return nil
	}
	reply, err := codec.DecodeReply(c.reply, &c.replyAt)
	if err != nil {
		return nil // what was spliced is for the client to read
	}
	flaw := c.dest.router.Check(c.answer(reply, target))
	if flaw == "" {
		return nil
	}
	return &llm.Fault{
		Kind: llm.FaultFlawed, Retry: llm.RetryElsewhere, Scope: llm.ScopeRequest, Phase: llm.PhaseHead, Code: string(flaw),
		Message: "the weak model's answer is not usable: " + string(flaw),
	}
}

// answer is what a cascade looks at of a reply.
func (c *call) answer(reply *llm.Reply, target *candidate) (a complexity.Answer) {
	if c.decode(target) == nil {
		a.JSON = c.decoded.Output.Kind == llm.OutputJSON || c.decoded.Output.Kind == llm.OutputSchema
	}
	if len(reply.Choices) == 0 {
		return a
	}
	choice := &reply.Choices[0]
	a.Stop = choice.Stop.Reason
	for i := range choice.Parts {
		switch p := &choice.Parts[i]; p.Kind {
		case llm.PartText, llm.PartRefusal:
			said, _ := wire.Unquote(p.Text)
			a.Text += said
		case llm.PartToolCall, llm.PartOther:
			a.ToolCalls++ // a node that only its dialect knows is an answer, too
		}
	}
	if n := len(choice.Logprobs); n > 0 {
		mean := 0.0
		for _, token := range choice.Logprobs {
			mean += token.Logprob / float64(n)
		}
		a.Logprob = &mean
	}
	return a
}

// strongAtHand reports whether a candidate of the strong model, that is ready, would
// be asked after target.
func (c *call) strongAtHand(target *candidate) bool {
	behind := false
	for _, i := range c.order {
		t := &c.dest.candidates[i]
		if v := t.State.View(now(), t.model); behind && !t.weak && len(t.step.On) == 0 && v.Wait == 0 && !v.Broken {
			return true
		}
		behind = behind || t == target
	}
	return false
}

// escalate leaves out what is left of the weak candidates, and learns that the
// weak model was not good enough.
func (c *call) escalate(at int, f *llm.Fault) {
	rest := slices.DeleteFunc(c.order[at+1:], func(i int) bool { return c.dest.candidates[i].weak })
	c.order = c.order[:at+1+len(rest)]
	if !c.dest.learns || len(c.judged.vector.Words) == 0 {
		return
	}
	weak := c.dest.candidates[c.order[at]].model
	c.gateway.learn(c.plane.learning, complexity.Outcome{
		Request: c.ex.ID, Time: now(), Customer: c.ex.Customer, Model: weak, Good: 0, Source: complexity.Retry, Vector: c.judged.vector,
	})
}
