package dialect

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Parts of content, read. What another dialect can say becomes a part of its
// kind; everything else (code that the provider runs, its server tools) is a
// PartOther that holds the part as it stands.
//
// A thoughtSignature may stand on any part. That of a thought is the thinking
// part's own; one on a call or on another part becomes a thinking part without
// text before it, signed by byGeminiCall or byGeminiPart, because that is what
// every client hands back (see signature.go); the encoder puts it back on its
// part.

// Forms of a part (llm.Part.Extra.Form).
const (
	geminiNoID   = 1 << iota // a call or a result without id; the codec made one
	geminiIsFile             // media in fileData
)

// geminiDecodePart appends one part, raw, opened as o, with its signature before it.
func geminiDecodePart(parts []llm.Part, o *object, raw []byte) []llm.Part {
	var p llm.Part
	var form uint32
	_, isText := quoteOf(o.peek("text"))
	switch {
	case isText:
		p.Kind, p.Text = llm.PartText, o.needQuote("text")
	case o.get("functionCall") != nil:
		form = geminiDecodeCall(o, &p)
	case o.get("functionResponse") != nil:
		form = geminiDecodeResult(o, &p)
	case o.get("inlineData") != nil:
		geminiDecodeMedia(o, "inlineData", &p)
	case o.get("fileData") != nil:
		geminiDecodeMedia(o, "fileData", &p)
		form = geminiIsFile
	default:
		return append(parts, llm.Part{Kind: llm.PartOther, Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Gemini}})
	}
	sign := o.str("thoughtSignature")
	if isText && o.flag("thought") {
		p.Kind, p.Signature, p.SignedBy = llm.PartThinking, sign, llm.Gemini
		p.Extra = geminiExtra(o, 0)
		geminiUnwrap(&p)
		return append(parts, p)
	}
	p.Extra = geminiExtra(o, form)
	if sign == "" {
		return append(parts, p)
	}
	before := llm.Part{Kind: llm.PartThinking, Signature: sign, SignedBy: byGeminiPart, Extra: llm.Extra{Dialect: llm.Gemini}}
	if p.Kind == llm.PartToolCall {
		before.SignedBy = byGeminiCall
	}
	return append(parts, before, p)
}

// geminiDecodeParts reads the elements of o's list of parts.
func geminiDecodeParts(o *object, list [][]byte) []llm.Part {
	parts := o.parts(len(list))
	for i, raw := range list {
		parts = geminiDecodePart(parts, geminiOpenItem(o, "parts", i, raw), raw)
	}
	return parts
}

// geminiWrap is a signature of another dialect in Gemini's place for one, whose
// SDKs demand base64.
func geminiWrap(p *llm.Part) string {
	own := p.SignedBy == llm.Gemini || p.SignedBy == byGeminiCall || p.SignedBy == byGeminiPart
	if own {
		return p.Signature
	}
	return base64.StdEncoding.EncodeToString([]byte(signatureFor(llm.Gemini, p)))
}

// geminiUnwrap undoes geminiWrap.
func geminiUnwrap(p *llm.Part) {
	if !strings.HasPrefix(p.Signature, signatureBase64) {
		return
	}
	standard := strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(p.Signature)
	text, err := base64.RawStdEncoding.DecodeString(standard)
	if err != nil {
		return
	}
	q := llm.Part{Kind: p.Kind, Text: p.Text, Signature: string(text)}
	if _, _, ok := unwrapSignature(q.Signature); !ok {
		return
	}
	unwrapThinking(&q)
	*p = q
}

func geminiDecodeCall(o *object, p *llm.Part) (form uint32) {
	in := geminiSub(o, "functionCall")
	t := &llm.ToolCall{Name: in.str("name"), ID: in.str("id")}
	p.Kind, p.Tool = llm.PartToolCall, t
	if t.ID == "" {
		form = geminiNoID
	}
	args := in.raw("args")
	if args != nil && args[0] != '{' {
		in.wrong("args", "must be an object")
	}
	t.Arguments = string(args)
	return form
}

// geminiDecodeResult reads a functionResponse. Its name and its response stand as
// spellings: the name is that of the call, the response is said by a text.
func geminiDecodeResult(o *object, p *llm.Part) (form uint32) {
	in := geminiSub(o, "functionResponse")
	r := &llm.ToolResult{}
	p.Kind, p.Result = llm.PartToolResult, r
	in.str("name")
	in.keep("name")
	if r.CallID = in.str("id"); r.CallID == "" {
		form = geminiNoID
	}
	if raw := in.raw("response"); raw != nil {
		if raw[0] != '{' {
			in.wrong("response", "must be an object")
		}
		in.keep("response")
		var text string
		if text, r.Error = geminiResultText(raw); text != "" {
			r.Parts = append(r.Parts, llm.Part{Kind: llm.PartText, Text: quoted(text), Extra: llm.Extra{Dialect: llm.Gemini}})
		}
	}
	r.Parts = append(r.Parts, geminiDecodeParts(in, in.list("parts"))...)
	return form
}

// geminiResultText is what a function's response says: the text of its one member
// output, result or error, which are Google's names for what has no name of its
// own, else the object.
func geminiResultText(raw []byte) (text string, failed bool) {
	o, err := openObject(raw, where{})
	if err != nil || len(o.members) != 1 {
		return string(raw), false
	}
	for _, name := range [...]string{"output", "result", "error"} {
		if s, ok := wire.Unquote(o.peek(name)); ok {
			return s, name == "error"
		}
	}
	return string(raw), false
}

// geminiDecodeMedia reads inlineData or fileData.
func geminiDecodeMedia(o *object, name string, p *llm.Part) {
	in := geminiSub(o, name)
	m := &llm.Media{Type: in.str("mimeType"), Name: in.str("displayName")}
	p.Media = m
	switch {
	case strings.HasPrefix(m.Type, "image/"):
		p.Kind = llm.PartImage
	case strings.HasPrefix(m.Type, "audio/"):
		p.Kind = llm.PartAudio
	default:
		p.Kind = llm.PartFile
	}
	if name == "inlineData" {
		m.Data = in.str("data")
		return
	}
	uri := in.str("fileUri")
	if geminiOwnFile(uri) {
		m.FileID = uri
	} else {
		m.URL = uri
	}
}

// geminiOwnFile reports whether an address means something to Google alone: a
// file that was uploaded there, or an object in its storage.
func geminiOwnFile(uri string) bool {
	return strings.HasPrefix(uri, "gs://") || strings.HasPrefix(uri, "files/") ||
		strings.HasPrefix(uri, "https://generativelanguage.googleapis.com/") && strings.Contains(uri, "/files/")
}

// geminiPair gives each call without an id one, and each result without an id that
// of the first call of its name that has no result yet. The ids depend on the
// conversation before them alone, so they stay as it grows.
func geminiPair(turns []llm.Turn) {
	type call struct{ id, name string }
	var open []call
	used := map[string]bool{}
	for i := range turns {
		for k := range turns[i].Parts {
			switch p := &turns[i].Parts[k]; p.Kind {
			case llm.PartToolCall:
				used[p.Tool.ID] = true
			case llm.PartToolResult:
				used[p.Result.CallID] = true
			}
		}
	}
	fresh := func(i, k int) string {
		id := "call_" + strconv.Itoa(i) + "_" + strconv.Itoa(k)
		for used[id] {
			id += "_"
		}
		used[id] = true
		return id
	}
	for i := range turns {
		for k := range turns[i].Parts {
			switch p := &turns[i].Parts[k]; p.Kind {
			case llm.PartToolCall:
				if p.Tool.ID == "" {
					p.Tool.ID = fresh(i, k)
				}
				open = append(open, call{p.Tool.ID, p.Tool.Name})
			case llm.PartToolResult:
				at, name := -1, geminiResultName(p)
				for j := range open {
					if open[j].id == p.Result.CallID || p.Result.CallID == "" && open[j].name == name {
						at = j
						break
					}
				}
				if at < 0 {
					if p.Result.CallID == "" {
						p.Result.CallID = fresh(i, k)
					}
					continue
				}
				p.Result.CallID = open[at].id
				open = append(open[:at], open[at+1:]...)
			}
		}
	}
}

// geminiResultName is the function that a result names.
func geminiResultName(p *llm.Part) string {
	o := kept(p.Extra.In(llm.Gemini).Spelled)
	if o == nil {
		return ""
	}
	in, err := openObject(o.peek("functionResponse"), where{})
	if err != nil {
		return ""
	}
	name, _ := wire.Unquote(in.peek("name"))
	return name
}

// geminiJoinThoughts makes one part of the pieces in which a client that collects
// a stream hands back a thought of another provider: the text, piece by piece,
// then a thought without text that holds the signature in our wrapping (see
// geminiWrap); some SDKs give each piece a turn of its own. The provider takes the
// text only together with its signature. Gemini's own thoughts stay as they
// stand.
func geminiJoinThoughts(turns []llm.Turn) []llm.Turn {
	var pieces []*llm.Part // text that waits for its signature
	joined := false
	for i := range turns {
		for k := range turns[i].Parts {
			p := &turns[i].Parts[k]
			if p.Kind == llm.PartThinking && p.SignedBy == llm.Gemini && p.Signature == "" {
				pieces = append(pieces, p)
				continue
			}
			unwrapped := p.Kind == llm.PartThinking && p.Extra.Dialect != llm.Gemini
			if len(pieces) > 0 && unwrapped && p.Text.Empty() && !p.Redacted {
				geminiJoin(pieces, p)
				joined = true
			}
			pieces = pieces[:0]
		}
	}
	if !joined {
		return turns
	}
	kept := turns[:0]
	for _, t := range turns {
		before := len(t.Parts)
		t.Parts = slices.DeleteFunc(t.Parts, func(p llm.Part) bool { return p.Kind == 0 })
		if len(t.Parts) > 0 || before == 0 {
			kept = append(kept, t)
		}
	}
	return kept
}

// geminiJoin makes the signed thought of the pieces before it, which lose their
// kind.
func geminiJoin(pieces []*llm.Part, signed *llm.Part) {
	texts := make([]llm.Text, len(pieces))
	for i, p := range pieces {
		texts[i] = p.Text
		*p = llm.Part{}
	}
	signed.Text = joinQuotes(texts, "")
}
