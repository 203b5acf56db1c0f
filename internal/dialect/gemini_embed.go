package dialect

import (
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// :embedContent and :batchEmbedContents.

// DecodeGeminiEmbed reads a request of :embedContent or :batchEmbedContents. As
// with a conversation, the model is the path's unless the body names it. The
// settings are those of the first of a batch.
func DecodeGeminiEmbed(body []byte) (*EmbedCall, error) {
	o, err := parseObject(body)
	if err != nil {
		return nil, err
	}
	geminiRename(o)
	c := &EmbedCall{}
	switch list := o.list("requests"); {
	case list == nil:
		c.Single = true
		geminiEmbedOne(c, o)
	case len(list) == 0:
		o.wrong("requests", "must not be empty")
	default:
		for i, raw := range list {
			geminiEmbedOne(c, geminiOpenItem(o, "requests", i, raw))
		}
	}
	return result(o, c)
}

// geminiEmbedOne adds the text of one request, and its settings when it is the
// first.
func geminiEmbedOne(c *EmbedCall, o *object) {
	content := geminiSub(o, "content")
	if content == nil {
		o.wrong("content", "is missing")
		return
	}
	content.keep("role")
	list := content.list("parts")
	content.take("parts")
	parts := geminiDecodeParts(content, list)
	var text strings.Builder
	for i := range parts {
		if parts[i].Kind != llm.PartText {
			o.note(content.under("parts").item(i).wrong("must be a text: other content cannot be translated"))
			return
		}
		text.WriteString(unquoted(parts[i].Text))
	}
	model := o.str("model")
	size := o.count("outputDimensionality")
	c.Texts = append(c.Texts, text.String())
	if len(c.Texts) > 1 {
		return
	}
	c.Model, c.Dimensions = strings.TrimPrefix(model, geminiModels), size
	c.Extra = geminiExtra(o, 0)
}

// EncodeGeminiEmbed writes a request of :batchEmbedContents.
func EncodeGeminiEmbed(c *EmbedCall) ([]byte, []llm.Loss) {
	var losses lossList
	losses.extra("", c.Extra, llm.Gemini)
	if c.User != "" {
		losses.add("user", geminiNoEquivalent)
	}
	w := newObject(llm.Extra{})
	w.list("requests")
	for _, text := range c.Texts {
		in := w.object(llm.Extra{})
		in.text("model", geminiModels+c.Model)
		content := in.sub("content")
		content.list("parts")
		part := content.object(llm.Extra{})
		part.text("text", text)
		part.end()
		content.closeList()
		content.endSub()
		in.count("outputDimensionality", c.Dimensions)
		in.end()
	}
	w.closeList()
	return w.end(), losses.all
}

// DecodeGeminiEmbedReply reads an answer of either operation.
func DecodeGeminiEmbedReply(body []byte) (*EmbedReply, error) {
	o, err := parseObject(body)
	if err != nil {
		return nil, err
	}
	list := o.list("embeddings")
	if one := o.get("embedding"); list == nil && one != nil {
		list = [][]byte{one}
	}
	if list == nil {
		o.wrong("embeddings", "is missing")
	}
	r := &EmbedReply{}
	for i, raw := range list {
		in := o.openItem("embeddings", i, raw)
		values := in.peek("values")
		vector, ok := readVector(values)
		if _, isText := wire.Unquote(values); !ok || isText {
			in.wrong("values", "must be a list of numbers")
		}
		r.Vectors = append(r.Vectors, vector)
	}
	if r.Usage, r.HasUsage = geminiUsage(o.get("usageMetadata")); !r.HasUsage {
		r.Usage = llm.Usage{}
	}
	return result(o, r)
}

// EncodeGeminiEmbedReply writes the answer to the request c.
func EncodeGeminiEmbedReply(r *EmbedReply, c *EmbedCall) []byte {
	w := newObject(llm.Extra{})
	if c.Single && len(r.Vectors) == 1 {
		in := w.sub("embedding")
		in.put("values", r.Vectors[0])
		in.endSub()
	} else {
		w.list("embeddings")
		for _, vector := range r.Vectors {
			in := w.object(llm.Extra{})
			in.put("values", vector)
			in.end()
		}
		w.closeList()
	}
	if r.HasUsage {
		in := w.sub("usageMetadata")
		in.integer("promptTokenCount", r.Usage.Input)
		in.integer("totalTokenCount", r.Usage.Total())
		in.endSub()
	}
	return w.end()
}
