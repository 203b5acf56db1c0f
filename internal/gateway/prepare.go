package gateway

import (
	"fmt"

	"tailplane/internal/dialect"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/wire"
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
	c.ex.Losses, c.front, c.back = nil, nil, nil
	if target.Serves(c.seen.Op, own.Name(), target.model) && !c.mentions(wordSignature) {
		a.Lane, a.Dialect = laneSplice, own.Name()
		c.take(target, own.Splice(c.out[:0], c.body, &c.at, dialect.Rewrite{
			Model: target.ModelName(target.model),
			Usage: c.hidesUsage(target),
		}))
		if f := c.fit(target, own.Name()); f != nil {
			return nil, f
		}
		return own, c.enclose(target, own.Name())
	}
	spoken, ok := target.Conversation(own.Name(), target.model)
	if !ok {
		return nil, unsupported(fmt.Sprintf("target %s has no conversations", target.Name))
	}
	a.Lane, a.Dialect = laneTranslate, spoken
	codec := dialect.CodecFor(spoken)
	if f := c.translate(target, codec, codec.EncodeCall); f != nil {
		return nil, f
	}
	return codec, c.enclose(target, spoken)
}

// inPieces is from how many bytes on a body that is spliced is sent in pieces.
const inPieces = 16 << 10

// take makes s the body of the attempt. Of a long one only what is new is written to
// c.out, the rest is sent from where it stands; over TLS that would only make more
// records.
func (c *call) take(target *candidate, s wire.Spliced) {
	c.front, c.out, c.back = s.Front, s.New, s.Back
	if s.Len() < inPieces || target.Encrypted() || c.seen.Op != llm.OpGenerate {
		c.whole()
	}
}

// whole makes c.out the whole body, for those who look at it or edit it.
func (c *call) whole() {
	if c.front == nil && c.back == nil {
		return
	}
	out := wire.Spliced{Front: c.front, New: c.out, Back: c.back}.Append(c.reply[:0])
	c.front, c.out, c.back, c.reply = nil, out, nil, c.out
}

// fit edits a spliced body into one that the model takes.
func (c *call) fit(target *candidate, spoken llm.Dialect) *llm.Fault {
	quirks := target.quirks[spoken]
	if quirks == nil {
		return nil
	}
	if c.whole(); !quirks.Concern(c.out) {
		return nil
	}
	fitted, losses, err := quirks.Edit(c.reply[:0], c.out)
	if err != nil {
		return badRequest(err)
	}
	c.out, c.reply = fitted, c.out
	return c.lose(target, losses)
}

// enclose puts the finished body in the envelope in which the target takes it.
func (c *call) enclose(target *candidate, spoken llm.Dialect) *llm.Fault {
	envelope := target.Envelope(c.seen.Op, spoken)
	if envelope == nil {
		return nil
	}
	c.whole()
	enclosed, err := envelope.Apply(c.reply[:0], c.out, c.forwarded(target, spoken))
	if err != nil {
		return badRequest(err)
	}
	c.out, c.reply = enclosed, c.out
	return nil
}

// lose notes what the target cannot be told, unless the client demands that
// nothing be lost.
func (c *call) lose(target *candidate, losses []llm.Loss) *llm.Fault {
	if len(losses) > 0 && c.lossless {
		return &llm.Fault{
			Kind: llm.FaultLossy, Retry: llm.RetryElsewhere, Scope: llm.ScopeRequest, Phase: llm.PhasePrepare,
			Message: fmt.Sprintf("the request asks to be lossless, and target %s cannot say: %s", target.Name, lossHeader(losses)),
		}
	}
	c.ex.Losses = losses
	return nil
}

// hidesUsage reports whether the upstream is asked for a usage event that the
// client did not ask for and will not see.
func (c *call) hidesUsage(target *candidate) bool {
	return c.seen.Stream && !c.seen.WantUsage && target.StreamUsage &&
		(c.seen.Dialect == llm.Chat || c.seen.Dialect == llm.Completions)
}

// encoder appends a call in some dialect.
type encoder func(dst []byte, call *llm.Call) ([]byte, []llm.Loss, error)

// translate writes the client's request in another dialect, by one of its
// encoders. It is decoded once, however many targets are asked.
func (c *call) translate(target *candidate, to dialect.Codec, encode encoder) *llm.Fault {
	if f := c.decode(target); f != nil {
		return f
	}
	if member, yes := dialect.ResponsesStateful(c.decoded); yes {
		return unsupported(fmt.Sprintf("`%s` refers to state kept by a provider; target %s speaks %s, which has none", member, target.Name, to.Name()))
	}
	out := &c.adapted
	*out = *c.decoded
	out.Model = target.model
	out.WantUsage = out.Stream && target.StreamUsage
	out.Sampling.OldCap = !target.Kind.NewCap
	var losses []llm.Loss
	if quirks := target.quirks[to.Name()]; quirks != nil {
		losses = quirks.Apply(out, c.surface.dialect.Name())
	}
	body, more, err := encode(c.out[:0], out)
	if err != nil {
		return unsupported(fmt.Sprintf("target %s cannot be asked this: %v", target.Name, err))
	}
	c.out = renamed(body, target)
	return c.lose(target, append(losses, more...))
}

// renamed gives a translated body the provider's own name of the model, where it
// has one. Encoders are told the model's common name, by which they know what it
// can do.
func renamed(body []byte, target *candidate) []byte {
	name := target.ModelName(target.model)
	if name == target.model {
		return body
	}
	var found [1]wire.Member
	object, err := wire.Scan(body, []string{"model"}, found[:])
	if err != nil || found[0].IsZero() {
		return body
	}
	edit, _ := wire.SetMember(nil, object, found[0], "model", wire.AppendString(nil, name))
	return wire.Splice(nil, body, edit)
}

// counter is a dialect in which a question for the number of tokens is not
// written as the conversation itself is.
type counter interface {
	DecodeCount(body []byte, at *dialect.At) (*llm.Call, error)
}

// decode reads the client's request, once.
func (c *call) decode(target *candidate) *llm.Fault {
	if c.decoded != nil {
		return nil
	}
	from, ok := c.surface.dialect.(dialect.Codec)
	if !ok {
		return unsupported(fmt.Sprintf("%s requests cannot be translated for target %s", c.surface.dialect.Name(), target.Name))
	}
	read := from.DecodeCall
	if other, is := from.(counter); is && c.seen.Op == llm.OpCount {
		read = other.DecodeCount
	}
	call, err := read(c.body, &c.at)
	if err != nil {
		return badRequest(err)
	}
	call.Stream = c.seen.Stream // which a path may say
	c.decoded = call
	return nil
}

func unsupported(message string) *llm.Fault {
	return &llm.Fault{Kind: llm.FaultUnsupported, Retry: llm.RetryElsewhere, Scope: llm.ScopeRequest, Phase: llm.PhasePrepare, Message: message}
}

func badRequest(err error) *llm.Fault {
	return &llm.Fault{Kind: llm.FaultBadRequest, Retry: llm.RetryNever, Scope: llm.ScopeRequest, Phase: llm.PhasePrepare, Message: err.Error()}
}
