package dialect

import (
	"bytes"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Content blocks, read. A block is an object with one member, whose name is its
// kind. What another dialect can say becomes a part of its kind; everything else
// (search results, server tools, guarded images) is a PartOther that holds the
// block as it stands. A cache point is a block of its own here and a mark of the
// part before it in the canonical form.

// Forms of a part (llm.Part.Extra.Form).
const (
	convJSON          = 1 << iota // a tool's result whose text is the JSON of a json block
	convGuard                     // the text of a guardContent
	convCited                     // the text of a citationsContent
	convSourceText                // a document whose source is plain text
	convNoFormat                  // a document that states no format
	convNoInput                   // toolUse without input
	convStatusSuccess             // toolResult that states its success
	convNoSignature               // reasoningText without signature
	convNoContent                 // citationsContent without content
)

// convBlocks reads a list of blocks.
func convBlocks(list [][]byte, at where) ([]llm.Part, error) {
	var parts []llm.Part
	for i, raw := range list {
		o, err := openObject(raw, at.item(i))
		if err != nil {
			return nil, err
		}
		mark, err := convDecodeCache(o)
		if err != nil {
			return nil, err
		}
		if n := len(parts); mark != nil && n > 0 && parts[n-1].Kind != llm.PartOther && parts[n-1].Cache == nil {
			parts[n-1].Cache = mark
			continue
		}
		p, err := convDecodeBlock(o, raw)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// convDecodeBlock reads one block: raw, opened as o.
func convDecodeBlock(o *object, raw []byte) (llm.Part, error) {
	p := llm.Part{Kind: llm.PartOther}
	form, err := convDecodeKind(o, &p)
	if err != nil {
		return p, err
	}
	if p.Kind == llm.PartOther {
		return llm.Part{Kind: llm.PartOther, Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Converse}}, nil
	}
	p.Extra = convExtra(o, form)
	return p, nil
}

// convDecodeKind takes what a block has; a PartOther stands for a kind that only
// this dialect knows.
func convDecodeKind(o *object, p *llm.Part) (form uint32, err error) {
	switch {
	case o.get("text") != nil:
		p.Kind = llm.PartText
		p.Text, err = o.need("text")
		return 0, err
	case o.get("json") != nil:
		p.Kind, p.Text = llm.PartText, string(o.raw("json"))
		return convJSON, nil
	case o.get("guardContent") != nil:
		return convDecodeGuard(o, p)
	case o.get("citationsContent") != nil:
		return convDecodeCited(o, p)
	case o.get("toolUse") != nil:
		return convDecodeToolUse(o, p)
	case o.get("toolResult") != nil:
		return convDecodeResult(o, p)
	case o.get("reasoningContent") != nil:
		return convDecodeThought(o, p)
	}
	for i := range convMedia {
		if m := &convMedia[i]; o.get(m.member) != nil {
			return m.decode(o, p)
		}
	}
	return 0, nil
}

func convDecodeGuard(o *object, p *llm.Part) (uint32, error) {
	in, err := o.sub("guardContent")
	if err != nil {
		return 0, err
	}
	text, err := in.sub("text")
	if text == nil {
		return 0, err
	}
	p.Kind = llm.PartText
	p.Text, err = text.need("text")
	return convGuard, err
}

// convDecodeCited takes the text of citationsContent. Pieces of it are joined;
// their list is kept then.
func convDecodeCited(o *object, p *llm.Part) (uint32, error) {
	in, err := o.sub("citationsContent")
	if err != nil {
		return 0, err
	}
	list, err := in.list("content")
	if err != nil {
		return 0, err
	}
	if list == nil {
		p.Kind = llm.PartText
		return convCited | convNoContent, nil
	}
	for i, raw := range list {
		at := in.under("content")
		piece, err := openObject(raw, at.item(i))
		if err != nil {
			return 0, err
		}
		text, ok := wire.String(piece.peek("text"))
		if !ok {
			return 0, nil
		}
		if p.Text += text; len(piece.members) > 1 {
			in.keep("content")
		}
	}
	if len(list) > 1 {
		in.keep("content")
	}
	p.Kind = llm.PartText
	return convCited, nil
}

func convDecodeToolUse(o *object, p *llm.Part) (form uint32, err error) {
	in, err := o.sub("toolUse")
	if err != nil {
		return 0, err
	}
	if kind, _ := wire.String(in.get("type")); kind != "" && kind != "tool_use" {
		return 0, nil // a tool that Bedrock runs itself
	}
	t := &llm.ToolCall{}
	if t.ID, err = in.need("toolUseId"); err != nil {
		return 0, err
	}
	if t.Name, err = in.need("name"); err != nil {
		return 0, err
	}
	in.keepDefaults(convDefaults)
	p.Kind, p.Tool = llm.PartToolCall, t
	input := in.take("input")
	if input == nil {
		form = convNoInput
	}
	t.Arguments = string(input)
	return form, nil
}

func convDecodeResult(o *object, p *llm.Part) (form uint32, err error) {
	in, err := o.sub("toolResult")
	if err != nil {
		return 0, err
	}
	if in.get("type") != nil {
		return 0, nil // that of a tool that Bedrock runs itself
	}
	r := &llm.ToolResult{}
	if r.CallID, err = in.need("toolUseId"); err != nil {
		return 0, err
	}
	switch status, _ := wire.String(in.get("status")); status {
	case "success":
		in.take("status")
		form = convStatusSuccess
	case "error":
		in.take("status")
		r.Error = true
	}
	list, err := in.list("content")
	if err != nil {
		return 0, err
	}
	if list == nil {
		return 0, in.under("content").wrong("is required and must be a list of blocks")
	}
	in.take("content")
	p.Kind, p.Result = llm.PartToolResult, r
	r.Parts, err = convBlocks(list, in.under("content"))
	return form, err
}

func convDecodeThought(o *object, p *llm.Part) (form uint32, err error) {
	in, err := o.sub("reasoningContent")
	if err != nil {
		return 0, err
	}
	if in.get("redactedContent") != nil {
		p.Kind, p.Redacted, p.SignedBy = llm.PartThinking, true, llm.Converse
		p.Signature, err = in.need("redactedContent")
		return 0, err
	}
	text, err := in.sub("reasoningText")
	if text == nil {
		return 0, err
	}
	p.Kind = llm.PartThinking
	if p.Text, err = text.need("text"); err != nil {
		return 0, err
	}
	var stated bool
	if p.Signature, stated, err = text.text("signature"); err != nil {
		return 0, err
	}
	if !stated {
		form = convNoSignature
	}
	if p.Signature != "" {
		p.SignedBy = llm.Converse
	}
	return form, nil
}
