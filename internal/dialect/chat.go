package dialect

import (
	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// ChatCodec speaks OpenAI's chat completions, with the members that other
// servers of the dialect add (reasoning, cache marks, usage variants).
type ChatCodec struct{}

// Name is llm.Chat.
func (ChatCodec) Name() llm.Dialect { return llm.Chat }

// Framing implements [Surface].
func (ChatCodec) Framing() wire.Framing { return wire.SSE }

// The members that Glance notes in At.Members, by index.
const (
	atModel = iota
	atStream
	atOptions
	atMaxTokens
	atMaxCompletion
)

// Glance implements [Surface].
func (ChatCodec) Glance(body []byte, at *At) (llm.Glance, error) {
	return openAIGlance(body, at, llm.Chat)
}

// openAIGlance is the glance of both dialects that have stream_options.
func openAIGlance(body []byte, at *At, d llm.Dialect) (llm.Glance, error) {
	g := llm.Glance{Op: llm.OpGenerate, Dialect: d, Bytes: len(body)}
	names := [...]string{"model", "stream", "stream_options", "max_tokens", "max_completion_tokens"}
	at.reset()
	var err error
	if at.Object, err = at.Words.Scan(body, names[:], at.Members[:], &at.Heard); err != nil {
		return g, err
	}
	if g.Model, err = glanceModel(body, at.Members[atModel]); err != nil {
		return g, err
	}
	if m := at.Members[atStream]; !m.IsZero() {
		stream, ok := wire.Bool(m.Value.Of(body))
		if !ok && !wire.IsNull(m.Value.Of(body)) {
			return g, where{name: "stream"}.wrong("must be true or false")
		}
		g.Stream = stream
	}
	if g.WantUsage, err = glanceOptions(body, at); err != nil {
		return g, err
	}
	for _, i := range [...]int{atMaxCompletion, atMaxTokens} {
		if m := at.Members[i]; !m.IsZero() && g.MaxTokens == 0 {
			n, _ := wire.Int(m.Value.Of(body))
			g.MaxTokens = int(min(max(n, 0), 1<<31-1))
		}
	}
	return g, nil
}

func glanceModel(body []byte, m wire.Member) (string, error) {
	at := where{name: "model"}
	if m.IsZero() {
		return "", at.wrong("is missing: name the model to use")
	}
	model, ok := wire.Unquote(m.Value.Of(body))
	if !ok {
		return "", at.wrong("must be a string")
	}
	if model == "" {
		return "", at.wrong("must name the model to use")
	}
	return model, nil
}

func glanceOptions(body []byte, at *At) (bool, error) {
	m := at.Members[atOptions]
	if m.IsZero() || wire.IsNull(m.Value.Of(body)) {
		return false, nil
	}
	if body[m.Value.Start] != '{' {
		return false, where{name: "stream_options"}.wrong("must be an object")
	}
	names := [...]string{"include_usage"}
	var err error
	if at.Options, err = wire.ScanAt(body, m.Value, names[:], at.Nested[:]); err != nil {
		return false, err
	}
	if at.Nested[0].IsZero() {
		return false, nil
	}
	want, _ := wire.Bool(at.Nested[0].Value.Of(body))
	return want, nil
}

// Splice implements [Surface]. Usage is asked for only where the request is a
// stream: elsewhere servers refuse stream_options.
func (ChatCodec) Splice(dst, body []byte, at *At, r Rewrite) wire.Spliced {
	return openAISplice(dst, body, at, r)
}

func openAISplice(dst, body []byte, at *At, r Rewrite) wire.Spliced {
	rewrite := &at.edits
	rewrite.Reset()
	var changes [2]wire.Change
	n := 0
	if r.Model != "" {
		at.text = wire.AppendString(at.text[:0], r.Model)
		changes[n] = wire.Change{Name: "model", Member: at.Members[atModel], Value: at.text}
		n++
	}
	streams := !at.Members[atStream].IsZero() && string(at.Members[atStream].Value.Of(body)) == "true"
	if r.Usage && streams {
		options := at.Members[atOptions]
		if options.IsZero() || body[options.Value.Start] != '{' {
			changes[n] = wire.Change{Name: "stream_options", Member: options, Value: []byte(`{"include_usage":true}`)}
			n++
		} else {
			nested := [1]wire.Change{{Name: "include_usage", Member: at.Nested[0], Value: []byte("true")}}
			rewrite.Change(body, at.Options, nested[:])
		}
	}
	rewrite.Change(body, at.Object, changes[:n])
	return rewrite.Splice(dst, body)
}

// DecodeError implements [Surface].
func (ChatCodec) DecodeError(body []byte) llm.ErrorBody { return openAIError(body) }

// EncodeError implements [Surface].
func (ChatCodec) EncodeError(f *llm.Fault, _ string) []byte { return openAIErrorBody(f) }

// AppendFault implements [Surface].
func (ChatCodec) AppendFault(dst []byte, f *llm.Fault, _ string) []byte {
	return appendOpenAIFault(dst, f)
}
