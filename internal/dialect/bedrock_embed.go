package dialect

import (
	"errors"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Embeddings through Bedrock's InvokeModel, whose bodies are those of the models'
// makers, to and from OpenAI's:
//
//	Titan v1     {"inputText"}                                        one text
//	Titan v2     {"inputText","dimensions","normalize"}               one text
//	             -> {"embedding","inputTextTokenCount"}
//	Cohere v3    {"texts","input_type"} -> {"embeddings":[[...]]}     up to 96 texts
//	Cohere v4    the same with "output_dimension" -> {"embeddings":{"float":[[...]]}}
//
// A request for more texts than one call takes becomes several. Numbers pass as
// they are spelled. Cohere's bodies do not say how many tokens were read: the
// header x-amzn-bedrock-input-token-count does, for every model.

// InvokeTokenHeader is the header in which Bedrock counts the tokens of a request.
const InvokeTokenHeader = "x-amzn-bedrock-input-token-count"

// InvokeEmbedding is the family of an embedding model on Bedrock.
type InvokeEmbedding uint8

// The families.
const (
	InvokeNoEmbedding InvokeEmbedding = iota
	InvokeTitanV1
	InvokeTitanV2
	InvokeCohereV3
	InvokeCohereV4
)

// cohereTexts is the most texts of one call (Cohere's embed API).
const cohereTexts = 96

// InvokeEmbeddingOf finds the family by the model id, which may have a region
// before it or be an ARN.
func InvokeEmbeddingOf(model string) InvokeEmbedding {
	for _, f := range [...]struct {
		mark   string
		family InvokeEmbedding
	}{
		{"titan-embed-text-v2", InvokeTitanV2},
		{"titan-embed-text-v1", InvokeTitanV1},
		{"titan-embed-g1-text", InvokeTitanV1},
		{"cohere.embed-v4", InvokeCohereV4},
		{"cohere.embed-", InvokeCohereV3},
	} {
		if strings.Contains(strings.ToLower(model), f.mark) {
			return f.family
		}
	}
	return InvokeNoEmbedding
}

func (f InvokeEmbedding) isCohere() bool { return f == InvokeCohereV3 || f == InvokeCohereV4 }

// EmbedPlan is what an OpenAI request for embeddings becomes: the bodies of calls
// whose answers belong together, in order.
type EmbedPlan struct {
	Bodies [][]byte
	Base64 bool // the client wants vectors as base64
	Losses []llm.Loss
}

// Requests turns an OpenAI request into the calls of the family.
func (f InvokeEmbedding) Requests(body []byte) (*EmbedPlan, error) {
	o, err := parseObject(body)
	if err != nil {
		return nil, err
	}
	texts := embedTexts(o)
	l, plan := &lossList{}, &EmbedPlan{}
	plan.Base64 = o.str("encoding_format") == "base64"
	dimensions := o.integer("dimensions")
	if dimensions != nil && f != InvokeTitanV2 && f != InvokeCohereV4 {
		l.add("dimensions", "the model has one size of vectors")
		dimensions = nil
	}
	kind := "search_document"
	if s, ok := wire.Unquote(o.get("input_type")); ok && f.isCohere() {
		o.raw("input_type")
		kind = s
	}
	o.take("model")
	if err := o.err(); err != nil {
		return nil, err
	}
	l.extra("", o.extra(llm.Embeddings, 0), llm.Converse)
	for len(texts) > 0 {
		n := 1
		if f.isCohere() {
			n = min(len(texts), cohereTexts)
		}
		plan.Bodies = append(plan.Bodies, f.request(texts[:n], kind, dimensions))
		texts = texts[n:]
	}
	plan.Losses = l.all
	return plan, nil
}

// embedTexts takes input: a text or a list of them.
func embedTexts(o *object) []string {
	raw := o.raw("input")
	if s, ok := wire.Unquote(raw); ok {
		return []string{s}
	}
	texts := allTexts(elements(raw))
	if texts == nil {
		o.wrong("input", "must be a text or a list of texts: the model takes no tokens")
	}
	return texts
}

func (f InvokeEmbedding) request(texts []string, kind string, dimensions *int64) []byte {
	w := newObject(llm.Extra{})
	name := "dimensions"
	if f.isCohere() {
		name = "output_dimension"
		w.strings("texts", texts)
		w.text("input_type", kind)
	} else {
		w.text("inputText", texts[0])
	}
	if dimensions != nil {
		w.integer(name, *dimensions)
	}
	return w.end()
}

// EmbedAnswer is the answer of one call.
type EmbedAnswer struct {
	Body   []byte
	Tokens int64 // what InvokeTokenHeader says; 0 when it is missing
}

// Reply turns the answers to a plan's calls into one OpenAI answer.
func (f InvokeEmbedding) Reply(model string, plan *EmbedPlan, answers []EmbedAnswer) ([]byte, error) {
	var r EmbedReply
	for _, a := range answers {
		vectors, counted, err := f.vectors(a.Body)
		if err != nil {
			return nil, err
		}
		if a.Tokens > 0 {
			counted = a.Tokens
		}
		for _, v := range vectors {
			if !plan.Base64 {
				break // they pass as they are
			}
			if _, ok := readVector(v); !ok {
				return nil, where{name: "embedding"}.wrong("must be a list of numbers")
			}
		}
		r.Vectors = append(r.Vectors, vectors...)
		r.Usage.Input += counted
	}
	return EncodeOpenAIEmbedReply(&r, &EmbedCall{Model: model, Base64: plan.Base64}), nil
}

// vectors reads an answer; tokens is 0 when the body does not say.
func (f InvokeEmbedding) vectors(body []byte) (vectors [][]byte, tokens int64, err error) {
	o, err := parseObject(body)
	if err != nil {
		return nil, 0, err
	}
	if f.isCohere() {
		raw := o.get("embeddings")
		if len(raw) > 0 && raw[0] == '{' {
			raw = o.sub("embeddings").get("float")
		}
		vectors = elements(raw)
	} else if raw := o.get("embedding"); raw != nil {
		vectors = [][]byte{raw}
		tokens, _ = tokenCount(o.get("inputTextTokenCount"))
	}
	if err := o.err(); err != nil {
		return nil, 0, err
	}
	for _, v := range vectors {
		if v[0] != '[' {
			return nil, 0, where{name: "embedding"}.wrong("must be a list of numbers")
		}
	}
	if len(vectors) == 0 {
		return nil, 0, errors.New("embeddings: the answer has none")
	}
	return vectors, tokens, nil
}

// OpenAIRequest turns a body that a client of Bedrock sends to the family into an
// OpenAI request to model.
func (f InvokeEmbedding) OpenAIRequest(model string, body []byte) ([]byte, []llm.Loss, error) {
	o, err := parseObject(body)
	if err != nil {
		return nil, nil, err
	}
	w, name := newObject(llm.Extra{}), "dimensions"
	w.text("model", model)
	if f.isCohere() {
		name = "output_dimension"
		texts := o.strings("texts", o.list("texts"))
		if len(texts) == 0 {
			o.wrong("texts", "is required and must not be empty")
		}
		w.strings("input", texts)
	} else {
		w.text("input", o.need("inputText"))
	}
	if size := o.integer(name); size != nil {
		w.integer("dimensions", *size)
	}
	o.keepDefaults([]defaultValue{{"normalize", "true"}, {"embedding_types", `["float"]`}, {"embeddingTypes", `["float"]`}})
	l := &lossList{}
	l.extra("", o.extra(llm.Converse, 0), llm.Embeddings)
	if err := o.err(); err != nil {
		return nil, nil, err
	}
	return w.end(), l.all, nil
}

// InvokeReply turns an OpenAI answer into the body that a client of the family
// expects, and says how many tokens were read, for InvokeTokenHeader.
func (f InvokeEmbedding) InvokeReply(body []byte) (out []byte, tokens int64, err error) {
	o, err := parseObject(body)
	if err != nil {
		return nil, 0, err
	}
	var vectors [][]byte
	for i, raw := range elements(o.get("data")) {
		in := o.openItem("data", i, raw)
		v := in.get("embedding")
		if _, isText := wire.Unquote(v); isText { // else it passes as it is
			if v, isText = readVector(v); !isText {
				in.wrong("embedding", "must be a list of numbers or their base64")
			}
		}
		vectors = append(vectors, v)
	}
	if err := o.err(); err != nil {
		return nil, 0, err
	}
	u, _ := openAIUsage(o.get("usage"))
	tokens = u.Input
	if len(vectors) == 0 || len(vectors) > 1 && !f.isCohere() {
		return nil, 0, where{name: "data"}.wrong("has %d vectors", len(vectors))
	}
	w := newObjectOf(llm.Extra{}, len(body))
	switch f {
	case InvokeCohereV4:
		in := w.sub("embeddings")
		in.items("float", vectors)
		in.endSub()
		w.text("response_type", "embeddings_by_type")
	case InvokeCohereV3:
		w.items("embeddings", vectors)
		w.text("response_type", "embeddings_floats")
	default:
		w.put("embedding", vectors[0])
		w.integer("inputTextTokenCount", tokens)
	}
	return w.end(), tokens, nil
}
