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
	converseJSON          = 1 << iota // a tool's result whose text is the JSON of a json block
	converseGuard                     // the text of a guardContent
	converseCited                     // the text of a citationsContent
	converseSourceText                // a document whose source is plain text
	converseNoFormat                  // a document that states no format
	converseNoInput                   // toolUse without input
	converseStatusSuccess             // toolResult that states its success
	converseNoSignature               // reasoningText without signature
	converseNoContent                 // citationsContent without content
)

// converseBlocks reads the elements of the list name, which are blocks.
func converseBlocks(up *object, name string, list [][]byte) []llm.Part {
	if len(list) == 0 {
		return nil
	}
	parts := up.parts(len(list))
	for i, raw := range list {
		o := up.openItem(name, i, raw)
		mark := converseDecodeCache(o)
		if n := len(parts); mark != nil && n > 0 && parts[n-1].Kind != llm.PartOther && parts[n-1].Cache == nil {
			parts[n-1].Cache = mark
			continue
		}
		parts = append(parts, converseDecodeBlock(o, raw))
	}
	return parts
}

// converseDecodeBlock reads one block: raw, opened as o.
func converseDecodeBlock(o *object, raw []byte) llm.Part {
	p := llm.Part{Kind: llm.PartOther}
	form := converseDecodeKind(o, &p)
	if p.Kind == llm.PartOther {
		return llm.Part{Kind: llm.PartOther, Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Converse}}
	}
	p.Extra = converseExtra(o, form)
	return p
}

// converseDecodeKind takes what a block has; a PartOther stands for a kind that only
// this dialect knows.
func converseDecodeKind(o *object, p *llm.Part) (form uint32) {
	switch {
	case o.get("text") != nil:
		p.Kind, p.Text = llm.PartText, o.needQuote("text")
		return 0
	case o.get("json") != nil:
		p.Kind, p.Text = llm.PartText, quoted(string(o.raw("json")))
		return converseJSON
	case o.get("guardContent") != nil:
		return converseDecodeGuard(o, p)
	case o.get("citationsContent") != nil:
		return converseDecodeCited(o, p)
	case o.get("toolUse") != nil:
		return converseDecodeToolUse(o, p)
	case o.get("toolResult") != nil:
		return converseDecodeResult(o, p)
	case o.get("reasoningContent") != nil:
		return converseDecodeThought(o, p)
	}
	for i := range converseMedia {
		if m := &converseMedia[i]; o.get(m.member) != nil {
			return m.decode(o, p)
		}
	}
	return 0
}

func converseDecodeGuard(o *object, p *llm.Part) uint32 {
	in := o.sub("guardContent")
	text := in.sub("text")
	if text == nil {
		return 0
	}
	p.Kind, p.Text = llm.PartText, text.needQuote("text")
	return converseGuard
}

// converseDecodeCited takes the text of citationsContent. Pieces of it are joined;
// their list is kept then.
func converseDecodeCited(o *object, p *llm.Part) uint32 {
	in := o.sub("citationsContent")
	list := in.list("content")
	if list == nil {
		p.Kind = llm.PartText
		return converseCited | converseNoContent
	}
	texts := make([]llm.Text, len(list))
	for i, raw := range list {
		piece := in.openItem("content", i, raw)
		var ok bool
		if texts[i], ok = quoteOf(piece.peek("text")); !ok {
			return 0
		}
		if len(piece.members) > 1 {
			in.keep("content")
		}
	}
	if len(list) > 1 {
		in.keep("content")
	}
	p.Kind, p.Text = llm.PartText, joinQuotes(texts, "")
	return converseCited
}

func converseDecodeToolUse(o *object, p *llm.Part) (form uint32) {
	in := o.sub("toolUse")
	if kind, _ := wire.Unquote(in.get("type")); kind != "" && kind != "tool_use" {
		return 0 // a tool that Bedrock runs itself
	}
	in.keepDefaults(converseDefaults)
	input := in.take("input")
	if input == nil {
		form = converseNoInput
	}
	p.Kind = llm.PartToolCall
	p.Tool = &llm.ToolCall{ID: in.need("toolUseId"), Name: in.need("name"), Arguments: string(input)}
	return form
}

func converseDecodeResult(o *object, p *llm.Part) (form uint32) {
	in := o.sub("toolResult")
	if in.get("type") != nil {
		return 0 // that of a tool that Bedrock runs itself
	}
	r := &llm.ToolResult{CallID: in.need("toolUseId")}
	switch status, _ := wire.Unquote(in.get("status")); status {
	case "success":
		in.take("status")
		form = converseStatusSuccess
	case "error":
		in.take("status")
		r.Error = true
	}
	list := in.list("content")
	if list == nil {
		in.wrong("content", "is required and must be a list of blocks")
	}
	in.take("content")
	p.Kind, p.Result = llm.PartToolResult, r
	r.Parts = converseBlocks(in, "content", list)
	return form
}

func converseDecodeThought(o *object, p *llm.Part) (form uint32) {
	in := o.sub("reasoningContent")
	if in.get("redactedContent") != nil {
		p.Kind, p.Redacted, p.SignedBy = llm.PartThinking, true, llm.Converse
		p.Signature = in.need("redactedContent")
		return 0
	}
	text := in.sub("reasoningText")
	if text == nil {
		return 0
	}
	p.Kind = llm.PartThinking
	p.Text = text.needQuote("text")
	var stated bool
	p.Signature, stated = text.text("signature")
	if !stated {
		form = converseNoSignature
	}
	if p.Signature != "" {
		p.SignedBy = llm.Converse
	}
	return form
}
