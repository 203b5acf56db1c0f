package dialect

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Requests for vectors and their answers, between OpenAI's dialect and others.
// The texts and the numbers are translated, what they mean is not: vectors of
// two models cannot be compared, whatever their dialect.

// EmbedCall is a request for vectors.
type EmbedCall struct {
	Model      string // empty where the dialect names it in the path
	Texts      []string
	Dimensions int // of each vector; 0 leaves it to the model
	User       string
	// Base64 asks for each vector as base64 of little-endian float32 (OpenAI).
	Base64 bool
	// Single says that the request holds one text outside a list, and that its
	// answer does the same with its vector (Gemini's :embedContent).
	Single bool
	Extra  llm.Extra
}

// EmbedReply is the answer to an EmbedCall.
type EmbedReply struct {
	Model    string
	Vectors  [][]byte // each a JSON list of numbers, in the order of the texts
	Usage    llm.Usage
	HasUsage bool
}

// DecodeOpenAIEmbed reads a request of /v1/embeddings. One of token numbers in
// place of texts has no translation, which is an error.
func DecodeOpenAIEmbed(body []byte) (*EmbedCall, error) {
	o, err := parseObject(body)
	if err != nil {
		return nil, err
	}
	c := &EmbedCall{Model: requiredModel(o)}
	raw := o.raw("input")
	if items := elements(raw); len(items) > 0 {
		if c.Texts = allTexts(items); c.Texts == nil {
			o.wrong("input", "must be texts: token numbers mean something to one model alone")
		}
	} else if text, ok := wire.Unquote(raw); ok {
		c.Texts = []string{text}
	} else {
		o.wrong("input", "must be a text or a list of texts")
	}
	c.Dimensions = o.count("dimensions")
	c.User = o.str("user")
	c.Base64 = o.str("encoding_format") == "base64"
	c.Extra = o.extra(llm.Embeddings, 0)
	return result(o, c)
}

// allTexts are the texts that items are; nil when one is none.
func allTexts(items [][]byte) (texts []string) {
	for _, item := range items {
		s, ok := wire.Unquote(item)
		if !ok {
			return nil
		}
		texts = append(texts, s)
	}
	return texts
}

// EncodeOpenAIEmbed writes a request of /v1/embeddings. It asks for numbers,
// also where the client wants base64.
func EncodeOpenAIEmbed(c *EmbedCall) ([]byte, []llm.Loss) {
	var losses lossList
	losses.extra("", c.Extra, llm.Embeddings)
	w := newObject(llm.Extra{})
	w.str("model", c.Model)
	w.strings("input", c.Texts)
	w.count("dimensions", c.Dimensions)
	w.str("user", c.User)
	w.text("encoding_format", "float")
	return w.end(), losses.all
}

// DecodeOpenAIEmbedReply reads an answer of /v1/embeddings, with vectors in
// either form.
func DecodeOpenAIEmbedReply(body []byte) (*EmbedReply, error) {
	o, err := parseObject(body)
	if err != nil {
		return nil, err
	}
	r := &EmbedReply{Model: o.str("model")}
	list := o.list("data")
	if list == nil {
		o.wrong("data", "must be a list")
	}
	for i, raw := range list {
		in := o.openItem("data", i, raw)
		vector, ok := readVector(in.peek("embedding"))
		if !ok {
			in.wrong("embedding", "must be a list of numbers or their base64")
		}
		r.Vectors = append(r.Vectors, vector)
	}
	if r.Usage, r.HasUsage = openAIUsage(o.get("usage")); !r.HasUsage {
		r.Usage = llm.Usage{}
	}
	return result(o, r)
}

// readVector is a vector as a JSON list; false when raw is none.
func readVector(raw []byte) ([]byte, bool) {
	text, isText := wire.Unquote(raw)
	if !isText {
		for _, item := range elements(raw) {
			if _, ok := number(item); !ok {
				return nil, false
			}
		}
		return bytes.Clone(raw), len(raw) > 0 && raw[0] == '['
	}
	code, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(code)%4 != 0 {
		return nil, false
	}
	out := []byte{'['}
	for i := 0; i < len(code); i += 4 {
		if i > 0 {
			out = append(out, ',')
		}
		f := math.Float32frombits(binary.LittleEndian.Uint32(code[i:]))
		if f != f || math.IsInf(float64(f), 0) {
			return nil, false
		}
		out = strconv.AppendFloat(out, float64(f), 'g', -1, 32)
	}
	return append(out, ']'), true
}

// EncodeOpenAIEmbedReply writes an answer of /v1/embeddings to the request c.
func EncodeOpenAIEmbedReply(r *EmbedReply, c *EmbedCall) []byte {
	w := newObject(llm.Extra{})
	w.text("object", "list")
	w.list("data")
	for i, vector := range r.Vectors {
		in := w.object(llm.Extra{})
		in.text("object", "embedding")
		in.integer("index", int64(i))
		if c.Base64 {
			in.text("embedding", vectorBase64(vector))
		} else {
			in.put("embedding", vector)
		}
		in.end()
	}
	w.closeList()
	model := r.Model
	if model == "" {
		model = c.Model
	}
	w.text("model", model)
	usage := w.sub("usage")
	usage.integer("prompt_tokens", r.Usage.Input)
	usage.integer("total_tokens", r.Usage.Total())
	usage.endSub()
	return w.end()
}

func vectorBase64(vector []byte) string {
	var code []byte
	for _, item := range elements(vector) {
		f, _ := number(item)
		code = binary.LittleEndian.AppendUint32(code, math.Float32bits(float32(f)))
	}
	return base64.StdEncoding.EncodeToString(code)
}
