package dialect

import (
	"bytes"
	"encoding/base64"
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
	gemNoID   = 1 << iota // a call or a result without id; the codec made one
	gemIsFile             // media in fileData
)

// gemDecodePart reads one part, raw, opened as o, with its signature before it.
func gemDecodePart(o *object, raw []byte) []llm.Part {
	var p llm.Part
	var form uint32
	_, isText := wire.String(o.peek("text"))
	switch {
	case isText:
		p.Kind, p.Text = llm.PartText, o.need("text")
	case o.get("functionCall") != nil:
		form = gemDecodeCall(o, &p)
	case o.get("functionResponse") != nil:
		form = gemDecodeResult(o, &p)
	case o.get("inlineData") != nil:
		gemDecodeMedia(o, "inlineData", &p)
	case o.get("fileData") != nil:
		gemDecodeMedia(o, "fileData", &p)
		form = gemIsFile
	default:
		return []llm.Part{{Kind: llm.PartOther, Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Gemini}}}
	}
	sign := o.str("thoughtSignature")
	if isText && o.flag("thought") {
		p.Kind, p.Signature, p.SignedBy = llm.PartThinking, sign, llm.Gemini
		p.Extra = gemExtra(o, 0)
		gemUnwrap(&p)
		return []llm.Part{p}
	}
	p.Extra = gemExtra(o, form)
	if sign == "" {
		return []llm.Part{p}
	}
	before := llm.Part{Kind: llm.PartThinking, Signature: sign, SignedBy: byGeminiPart, Extra: llm.Extra{Dialect: llm.Gemini}}
	if p.Kind == llm.PartToolCall {
		before.SignedBy = byGeminiCall
	}
	return []llm.Part{before, p}
}

// gemDecodeParts reads the elements of o's list of parts.
func gemDecodeParts(o *object, list [][]byte) []llm.Part {
	parts := make([]llm.Part, 0, len(list))
	for i, raw := range list {
		parts = append(parts, gemDecodePart(gemOpen(o, raw, o.under("parts").item(i)), raw)...)
	}
	return parts
}

// gemWrap is a signature of another dialect in Gemini's place for one, whose
// SDKs demand base64.
func gemWrap(p *llm.Part) string {
	own := p.SignedBy == llm.Gemini || p.SignedBy == byGeminiCall || p.SignedBy == byGeminiPart
	if own {
		return p.Signature
	}
	return base64.StdEncoding.EncodeToString([]byte(signatureFor(llm.Gemini, p)))
}

// gemUnwrap undoes gemWrap.
func gemUnwrap(p *llm.Part) {
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

func gemDecodeCall(o *object, p *llm.Part) (form uint32) {
	in := gemSub(o, "functionCall")
	t := &llm.ToolCall{Name: in.str("name"), ID: in.str("id")}
	p.Kind, p.Tool = llm.PartToolCall, t
	if t.ID == "" {
		form = gemNoID
	}
	args := in.raw("args")
	if args != nil && args[0] != '{' {
		in.wrong("args", "must be an object")
	}
	t.Arguments = string(args)
	return form
}

// gemDecodeResult reads a functionResponse. Its name and its response stand as
// spellings: the name is that of the call, the response is said by a text.
func gemDecodeResult(o *object, p *llm.Part) (form uint32) {
	in := gemSub(o, "functionResponse")
	r := &llm.ToolResult{}
	p.Kind, p.Result = llm.PartToolResult, r
	in.str("name")
	in.keep("name")
	if r.CallID = in.str("id"); r.CallID == "" {
		form = gemNoID
	}
	if raw := in.raw("response"); raw != nil {
		if raw[0] != '{' {
			in.wrong("response", "must be an object")
		}
		in.keep("response")
		var text string
		if text, r.Error = gemResultText(raw); text != "" {
			r.Parts = append(r.Parts, llm.Part{Kind: llm.PartText, Text: text, Extra: llm.Extra{Dialect: llm.Gemini}})
		}
	}
	r.Parts = append(r.Parts, gemDecodeParts(in, in.list("parts"))...)
	return form
}

// gemResultText is what a function's response says: the text of its one member
// output, result or error, which are Google's names for what has no name of its
// own, else the object.
func gemResultText(raw []byte) (text string, failed bool) {
	o, err := openObject(raw, where{})
	if err != nil || len(o.members) != 1 {
		return string(raw), false
	}
	for _, name := range [...]string{"output", "result", "error"} {
		if s, ok := wire.String(o.peek(name)); ok {
			return s, name == "error"
		}
	}
	return string(raw), false
}

// gemDecodeMedia reads inlineData or fileData.
func gemDecodeMedia(o *object, name string, p *llm.Part) {
	in := gemSub(o, name)
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
	if gemOwnFile(uri) {
		m.FileID = uri
	} else {
		m.URL = uri
	}
}

// gemOwnFile reports whether an address means something to Google alone: a
// file that was uploaded there, or an object in its storage.
func gemOwnFile(uri string) bool {
	return strings.HasPrefix(uri, "gs://") || strings.HasPrefix(uri, "files/") ||
		strings.HasPrefix(uri, "https://generativelanguage.googleapis.com/") && strings.Contains(uri, "/files/")
}

// gemPair gives each call without an id one, and each result without an id that
// of the first call of its name that has no result yet. The ids depend on the
// conversation before them alone, so they stay as it grows.
func gemPair(turns []llm.Turn) {
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
				at, name := -1, gemResultName(p)
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

// gemResultName is the function that a result names.
func gemResultName(p *llm.Part) string {
	o := kept(p.Extra.In(llm.Gemini).Spelled)
	if o == nil {
		return ""
	}
	in, err := openObject(o.peek("functionResponse"), where{})
	if err != nil {
		return ""
	}
	name, _ := wire.String(in.peek("name"))
	return name
}
