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
	o, err := gemParse(body)
	if err != nil {
		return nil, err
	}
	c := &EmbedCall{}
	list, err := o.list("requests")
	switch {
	case err != nil:
		return nil, err
	case list == nil:
		c.Single = true
		return c, gemEmbedOne(c, o)
	case len(list) == 0:
		return nil, o.under("requests").wrong("must not be empty")
	}
	for i, raw := range list {
		in, err := gemOpen(raw, o.under("requests").item(i))
		if err != nil {
			return nil, err
		}
		if err := gemEmbedOne(c, in); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// gemEmbedOne adds the text of one request, and its settings when it is the
// first.
func gemEmbedOne(c *EmbedCall, o *object) error {
	content, err := gemSub(o, "content")
	if err != nil {
		return err
	}
	if content == nil {
		return o.under("content").wrong("is missing")
	}
	content.keep("role")
	list, err := content.list("parts")
	if err != nil {
		return err
	}
	content.take("parts")
	parts, err := gemDecodeParts(list, content.under("parts"))
	if err != nil {
		return err
	}
	var text strings.Builder
	for i := range parts {
		if parts[i].Kind != llm.PartText {
			return content.under("parts").item(i).wrong("must be a text: other content cannot be translated")
		}
		text.WriteString(parts[i].Text)
	}
	model, err := o.str("model")
	if err != nil {
		return err
	}
	size, err := o.count("outputDimensionality")
	if err != nil {
		return err
	}
	c.Texts = append(c.Texts, text.String())
	if len(c.Texts) > 1 {
		return nil
	}
	c.Model, c.Dimensions = strings.TrimPrefix(model, gemModels), size
	c.Extra = gemExtra(o, 0)
	return nil
}

// EncodeGeminiEmbed writes a request of :batchEmbedContents.
func EncodeGeminiEmbed(c *EmbedCall) ([]byte, []llm.Loss) {
	var losses lossList
	losses.extra("", c.Extra, llm.Gemini)
	if c.User != "" {
		losses.add("user", gemNoEquivalent)
	}
	w := newObject(llm.Extra{})
	w.list("requests")
	for _, text := range c.Texts {
		in := w.object(llm.Extra{})
		in.text("model", gemModels+c.Model)
		content := in.sub("content")
		content.list("parts")
		part := content.object(llm.Extra{})
		part.text("text", text)
		part.end()
		content.closeList()
		in.endSub("content", &content)
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
	list, err := o.list("embeddings")
	if err != nil {
		return nil, err
	}
	if one := o.get("embedding"); list == nil && one != nil {
		list = [][]byte{one}
	}
	if list == nil {
		return nil, o.under("embeddings").wrong("is missing")
	}
	r := &EmbedReply{}
	for i, raw := range list {
		in, err := openObject(raw, o.under("embeddings").item(i))
		if err != nil {
			return nil, err
		}
		values := in.peek("values")
		vector, ok := readVector(values)
		if _, isText := wire.String(values); !ok || isText {
			return nil, in.under("values").wrong("must be a list of numbers")
		}
		r.Vectors = append(r.Vectors, vector)
	}
	if r.Usage, r.HasUsage = gemUsage(o.get("usageMetadata")); !r.HasUsage {
		r.Usage = llm.Usage{}
	}
	return r, nil
}

// EncodeGeminiEmbedReply writes the answer to the request c.
func EncodeGeminiEmbedReply(r *EmbedReply, c *EmbedCall) []byte {
	w := newObject(llm.Extra{})
	if c.Single && len(r.Vectors) == 1 {
		in := w.sub("embedding")
		in.put("values", r.Vectors[0])
		w.endSub("embedding", &in)
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
		w.endSub("usageMetadata", &in)
	}
	return w.end()
}
