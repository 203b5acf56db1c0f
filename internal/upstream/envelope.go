package upstream

import (
	"bytes"
	"fmt"
	"strings"

	"tailplane/internal/h1"
	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Envelope is how a kind puts the finished body of a dialect on the wire: which
// members move into the path or the headers, and out of them. It is data; the
// same one serves the splice and the translate lane.
type Envelope struct {
	// Drop are the members that the path says already.
	Drop []string
	// Set are members that the body must have, whatever it had.
	Set []Member
	// Beta is the member that takes over the values of the anthropic-beta header;
	// empty leaves the header where it is.
	Beta string
	// Chunk: a streamed answer comes in AWS event-stream frames of type "chunk"
	// whose payload is an object with the dialect's own event, base64-encoded, in
	// this member. Empty means that events come as the dialect has them.
	Chunk string
}

// Member is a member of a JSON object.
type Member struct {
	Name  string
	Value string // JSON text
}

const (
	anthropicBeta    = "anthropic-beta"
	anthropicVersion = "anthropic-version"
)

// Envelope returns the envelope of an operation in a dialect; nil when bodies
// travel as they are. A count names its model in the body, so nothing of it is
// dropped.
func (t *Target) Envelope(op llm.Op, d llm.Dialect) *Envelope {
	e := t.Kind.Envelopes[d]
	if e != nil && op == llm.OpCount {
		return &Envelope{Set: e.Set, Beta: e.Beta}
	}
	return e
}

// takes reports whether a header of the client is said by the envelope.
func (e *Envelope) takes(header string) bool {
	return strings.EqualFold(header, anthropicVersion) || e.Beta != "" && strings.EqualFold(header, anthropicBeta)
}

// Apply appends body in its envelope to dst. forward are the client's headers
// that go on to the provider; those that the envelope says in the body are not
// sent by [Target.Fill]. The error says where body is no JSON object, or has a
// member twice that matters here.
func (e *Envelope) Apply(dst, body []byte, forward []h1.Field) ([]byte, error) {
	names := make([]string, 0, 8)
	names = append(names, e.Drop...)
	for _, m := range e.Set {
		names = append(names, m.Name)
	}
	if e.Beta != "" {
		names = append(names, e.Beta)
	}
	found := make([]wire.Member, len(names))
	object, err := wire.Scan(body, names, found)
	if err != nil {
		return dst, fmt.Errorf("the request cannot be put in its envelope: %w", err)
	}
	changes := make([]wire.Change, len(names))
	for i, name := range names {
		changes[i] = wire.Change{Name: name, Member: found[i]}
		if k := i - len(e.Drop); k >= 0 && k < len(e.Set) {
			changes[i].Value = []byte(e.Set[k].Value)
		}
	}
	if e.Beta != "" {
		last := &changes[len(changes)-1]
		if last.Value = betas(body, last.Member.Value, forward); last.Value == nil {
			changes = changes[:len(changes)-1] // nothing to add: what stands there stays
		}
	}
	var r wire.Rewrite
	r.Change(body, object, changes)
	return r.Append(dst, body), nil
}

// betas is the list of a body with the features that the headers ask for behind
// it, each once; nil when the headers ask for none.
func betas(body []byte, at wire.Span, forward []h1.Field) []byte {
	var asked []string
	for _, f := range forward {
		if !strings.EqualFold(f.Name, anthropicBeta) {
			continue
		}
		for name := range strings.SplitSeq(f.Value, ",") {
			if name = strings.TrimSpace(name); name != "" {
				asked = append(asked, name)
			}
		}
	}
	if asked == nil {
		return nil
	}
	out := []byte{'['}
	add := func(raw []byte) {
		if !bytes.Contains(out, raw) {
			if len(out) > 1 {
				out = append(out, ',')
			}
			out = append(out, raw...)
		}
	}
	for item := range wire.Elements(body, at) {
		add(item.Of(body))
	}
	for _, name := range asked {
		add(wire.AppendString(nil, name))
	}
	return append(out, ']')
}
