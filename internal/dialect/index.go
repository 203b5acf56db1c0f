package dialect

import "tailplane/internal/llm"

// Surfaces is the table of contents: every dialect there is. A test fails
// when a dialect of this package is missing from it.
func Surfaces() []Surface {
	return []Surface{
		ChatCodec{},
		ResponsesCodec{},
		AnthropicCodec{},
		ConverseCodec{},
		GeminiCodec{},
		CompletionsCodec{},
		EmbeddingsSurface{},
	}
}

// For returns the surface of d, or nil.
func For(d llm.Dialect) Surface {
	for _, s := range Surfaces() {
		if s.Name() == d {
			return s
		}
	}
	return nil
}

// CodecFor returns the codec of d, or nil when d has no conversation in it.
func CodecFor(d llm.Dialect) Codec {
	c, _ := For(d).(Codec)
	return c
}
