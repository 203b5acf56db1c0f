package gateway

import (
	"strconv"
	"strings"

	"tailplane/internal/dialect"
	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Clients of a cloud send a model maker's own body in the cloud's envelope. Where
// this is Anthropic's dialect the envelope is taken off, and the request is a
// conversation like any other: every target can answer it.

// invokeSurface is Anthropic's dialect as Bedrock's InvokeModel speaks it: what
// fails before the stream begins, fails in Bedrock's words. The frames of the
// stream are the writer's matter, see asChunks.
type invokeSurface struct{ dialect.AnthropicCodec }

// EncodeError implements [dialect.Surface].
func (invokeSurface) EncodeError(f *llm.Fault, id string) []byte {
	return dialect.ConverseCodec{}.EncodeError(f, id)
}

// ErrorHeader implements [dialect.TypedErrors].
func (invokeSurface) ErrorHeader() string { return dialect.ConverseCodec{}.ErrorHeader() }

// ErrorType implements [dialect.TypedErrors].
func (invokeSurface) ErrorType(f *llm.Fault) string { return dialect.ConverseCodec{}.ErrorType(f) }

// The members of an envelope around Anthropic's dialect. The ones in front say
// that it is one.
const (
	envVersion = iota
	envModel
	envStream
	envBeta
)

var envelopeNames = [...]string{"anthropic_version", "model", "stream", "anthropic_beta"}

// openInvoke finds out what InvokeModel is asked for: a conversation in
// Anthropic's dialect and the vectors of a known family are understood; anything
// else stays the model maker's own and is forwarded.
func (c *call) openInvoke() {
	var found [len(envelopeNames)]wire.Member
	object, err := wire.Scan(c.body, envelopeNames[:], found[:])
	switch {
	case err != nil:
	case !found[envVersion].IsZero():
		c.openEnvelope(object, found[:])
		c.surface.op, c.surface.dialect, c.surface.forward = llm.OpGenerate, invokeSurface{}, nil
		c.ex.Op, c.ex.Dialect = llm.OpGenerate, llm.Anthropic
		c.asChunks()
	case c.openVectors():
		c.surface.op, c.ex.Op = llm.OpEmbed, llm.OpEmbed
	}
}

// openEnvelope makes the body Anthropic's own: the version and the list of beta
// features, which are headers there, leave it, and what the path says comes in.
func (c *call) openEnvelope(object wire.Object, found []wire.Member) {
	if raw := found[envBeta].Value; !raw.IsZero() {
		var names []string
		for item := range wire.Elements(c.body, raw) {
			if name, ok := wire.String(item.Of(c.body)); ok {
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			c.betas = strings.Join(names, ",")
		}
	}
	changes := make([]wire.Change, len(found))
	for i, name := range envelopeNames {
		changes[i] = wire.Change{Name: name, Member: found[i]}
	}
	if c.place.model != "" {
		changes[envModel].Value = wire.AppendString(nil, c.place.model)
	}
	if c.surface.stream {
		changes[envStream].Value = []byte("true")
	}
	var r wire.Rewrite
	r.Change(c.body, object, changes)
	c.body, c.place = r.Append(nil, c.body), place{}
}

// headInvoke counts the tokens of a whole answer where a client of InvokeModel
// looks for them.
func (c *call) headInvoke() {
	if _, is := c.surface.dialect.(invokeSurface); is && c.tap.HasUsage {
		u := &c.tap.Usage
		c.set("X-Amzn-Bedrock-Input-Token-Count", strconv.FormatInt(u.Input-u.CacheRead-u.CacheWrite, 10))
		c.set("X-Amzn-Bedrock-Output-Token-Count", strconv.FormatInt(u.Output, 10))
	}
}

// vertexCount stands in the place of the model where Vertex counts the tokens of
// a conversation, whose model the body names.
const vertexCount = "count-tokens"

// openVertex takes off the envelope in which Vertex takes Anthropic's dialect. A
// body that is no object is left to Glance.
func (c *call) openVertex() {
	var found [len(envelopeNames)]wire.Member
	object, err := wire.Scan(c.body, envelopeNames[:], found[:])
	if err != nil {
		return
	}
	if c.place.model == vertexCount {
		c.surface.op, c.ex.Op = llm.OpCount, llm.OpCount
		c.place.model, _ = wire.String(found[envModel].Value.Of(c.body))
	}
	c.openEnvelope(object, found[:])
}
