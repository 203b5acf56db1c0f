package dialect

import (
	"strings"

	"tailplane/internal/llm"
)

// Vectors at Vertex, whose :predict has the same form for models of every kind:
//
//	{"instances":[{"content":"..."}],"parameters":{"outputDimensionality":768}}
//	{"predictions":[{"embeddings":{"values":[...],"statistics":{"token_count":3}}}]}
//
// Source: Google's reference of the text embeddings API.

// vertexTexts is how many texts one request holds: in most regions five, and one
// for the Gemini models (Google's limits).
func vertexTexts(model string) int {
	if strings.Contains(model, "gemini-embedding") {
		return 1
	}
	return 5
}

// EncodeVertexEmbed writes the requests of :predict that c becomes, in order.
func EncodeVertexEmbed(c *EmbedCall) ([][]byte, []llm.Loss) {
	var losses lossList
	losses.extra("", c.Extra, llm.Gemini)
	if c.User != "" {
		losses.add("user", geminiNoEquivalent)
	}
	var bodies [][]byte
	for rest := c.Texts; len(rest) > 0; {
		n := min(len(rest), vertexTexts(c.Model))
		w := newObject(llm.Extra{})
		w.list("instances")
		for _, text := range rest[:n] {
			in := w.object(llm.Extra{})
			in.text("content", text)
			in.end()
		}
		w.closeList()
		if c.Dimensions > 0 {
			in := w.sub("parameters")
			in.count("outputDimensionality", c.Dimensions)
			in.endSub()
		}
		bodies, rest = append(bodies, w.end()), rest[n:]
	}
	return bodies, losses.all
}

// DecodeVertexEmbedReply adds the answer to one of the requests to r.
func DecodeVertexEmbedReply(r *EmbedReply, body []byte) error {
	o, err := parseObject(body)
	if err != nil {
		return err
	}
	list := o.list("predictions")
	if len(list) == 0 {
		o.wrong("predictions", "is missing")
	}
	for i, raw := range list {
		p := o.openItem("predictions", i, raw)
		in := p.sub("embeddings")
		if in == nil {
			p.wrong("embeddings", "is missing")
			break
		}
		vector, ok := readVector(in.peek("values"))
		if !ok {
			in.wrong("values", "must be a list of numbers")
		}
		r.Vectors = append(r.Vectors, vector)
		if statistics := in.sub("statistics"); statistics != nil {
			if n, ok := tokenCount(statistics.peek("token_count")); ok {
				r.Usage.Input, r.HasUsage = r.Usage.Input+n, true
			}
		}
	}
	return o.err()
}
