package dialect

import (
	"encoding/base64"
	"slices"

	"tailplane/internal/llm"
)

// A block of a stream while it is read: what its deltas have said so far.

// convBlock is a block that has begun and not ended.
type convBlock struct {
	part      int
	kind      llm.PartKind // PartOther: it is told when it is complete
	redacted  [][]byte     // pieces of redacted thinking, base64
	citations [][]byte
	other     *object // PartOther: the block's inner object so far
	member    string  // PartOther: its kind
	input     []byte  // PartOther: the pieces of its input
	pieces    [][]byte
}

// grow adds a delta to a block that only this dialect knows: elements of its
// content, or members.
func (b *convBlock) grow(d *object, m *member) {
	if m.value[0] == '[' {
		for _, item := range elements(m.value) {
			b.pieces = append(b.pieces, slices.Clone(item))
		}
		return
	}
	in := d.open(m.value, where{name: m.name()})
	for i := range in.members {
		b.other.put(in.members[i].key, in.members[i].value)
	}
}

// whole is the complete block: the object that a complete answer has. o is that of
// the event which completes it.
func (b *convBlock) whole(o *object) llm.Part {
	if b.member == "toolUse" {
		input := b.input
		if len(input) == 0 || !isJSON(input) {
			input = []byte("{}")
		}
		b.other.put([]byte(`"input"`), input)
	}
	if b.member == "toolResult" {
		b.other.put([]byte(`"content"`), arrayJSON(b.pieces))
	}
	raw := closeRaw(appendRaw(nil, stringJSON(b.member), b.other.left()))
	return convDecodeBlock(o.open(raw, where{}), raw)
}

// joinBase64 joins pieces that are base64 each.
func joinBase64(pieces [][]byte) string {
	if len(pieces) == 1 {
		return string(pieces[0])
	}
	var all []byte
	for _, p := range pieces {
		raw, err := base64.StdEncoding.DecodeString(string(p))
		if err != nil {
			return string(slices.Concat(pieces...))
		}
		all = append(all, raw...)
	}
	return base64.StdEncoding.EncodeToString(all)
}
