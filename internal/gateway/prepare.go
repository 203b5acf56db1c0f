package gateway

import (
	"fmt"

	"tailplane/internal/dialect"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
)

// The lanes, as the ledger names them.
const (
	laneSplice    = "splice"
	laneTranslate = "translate"
)

// prepare makes the body of an attempt in c.out and returns the dialect in which
// it is written. A target that speaks the client's dialect gets the client's
// own bytes with only the named members edited; any other gets a translation,
// and so does a request that carries thinking signed in another dialect, which
// only decoding can tell apart.
func (c *call) prepare(target *candidate, a *ledger.Attempt) (dialect.Surface, *llm.Fault) {
	own := c.surface.dialect
	if target.Speaks(own.Name()) && !dialect.CarriesWrappedSignature(c.body) {
		a.Lane, a.Dialect = laneSplice, own.Name()
		c.ex.Losses = nil
		c.out = own.Splice(c.out[:0], c.body, &c.at, dialect.Rewrite{
			Model: target.model,
			Usage: c.hidesUsage(target),
		})
		return own, nil
	}
	spoken, ok := target.Conversation(own.Name())
	if !ok {
		return nil, unsupported(fmt.Sprintf("target %s has no conversations", target.Name))
	}
	a.Lane, a.Dialect = laneTranslate, spoken
	return c.translate(target, dialect.CodecFor(spoken))
}

// hidesUsage reports whether the upstream is asked for a usage event that the
// client did not ask for and will not see.
func (c *call) hidesUsage(target *candidate) bool {
	return c.seen.Stream && !c.seen.WantUsage && target.StreamUsage &&
		(c.seen.Dialect == llm.Chat || c.seen.Dialect == llm.Completions)
}

// translate writes the client's request in another dialect. It is decoded once,
// however many targets are asked.
func (c *call) translate(target *candidate, to dialect.Codec) (dialect.Surface, *llm.Fault) {
	from, ok := c.surface.dialect.(dialect.Codec)
	if !ok {
		return nil, unsupported(fmt.Sprintf("%s requests cannot be translated for target %s", c.surface.dialect.Name(), target.Name))
	}
	if c.decoded == nil {
		call, err := from.DecodeCall(c.body)
		if err != nil {
			return nil, &llm.Fault{Kind: llm.FaultBadRequest, Retry: llm.RetryNever, Scope: llm.ScopeRequest, Phase: llm.PhasePrepare, Message: err.Error()}
		}
		call.Stream = c.seen.Stream // which a path may say
		c.decoded = call
	}
	if member, yes := dialect.ResponsesStateful(c.decoded); yes {
		return nil, unsupported(fmt.Sprintf("`%s` refers to state kept by a provider; target %s speaks %s, which has none", member, target.Name, to.Name()))
	}
	out := *c.decoded
	out.Model = target.model
	out.WantUsage = out.Stream && target.StreamUsage
	out.Sampling.OldCap = !target.Kind.NewCap
	body, losses, err := to.EncodeCall(&out)
	if err != nil {
		return nil, unsupported(fmt.Sprintf("target %s cannot be asked this: %v", target.Name, err))
	}
	if len(losses) > 0 && c.lossless {
		return nil, &llm.Fault{
			Kind: llm.FaultLossy, Retry: llm.RetryElsewhere, Scope: llm.ScopeRequest, Phase: llm.PhasePrepare,
			Message: fmt.Sprintf("the request asks to be lossless, and target %s cannot say: %s", target.Name, lossHeader(losses)),
		}
	}
	c.out, c.ex.Losses = body, losses
	return to, nil
}

func unsupported(message string) *llm.Fault {
	return &llm.Fault{Kind: llm.FaultUnsupported, Retry: llm.RetryElsewhere, Scope: llm.ScopeRequest, Phase: llm.PhasePrepare, Message: message}
}
