package upstream

import (
	"strings"

	"tailplane/internal/llm"
)

// Counting is the form in which a target is asked how many tokens a conversation
// has.
type Counting uint8

// The forms.
const (
	CountsNot       Counting = iota // it has no way to count
	CountsAnthropic                 // Anthropic's count_tokens
	CountsGemini                    // :countTokens of the Gemini API
	CountsVertex                    // :countTokens of Vertex, which wants the conversation by itself
	CountsConverse                  // Bedrock's CountTokens
	CountsChat                      // an engine's tokenizer that takes the chat dialect
)

// Counting returns the form for a model. Bedrock counts for Anthropic's models
// alone (AWS's list of models that support CountTokens).
func (t *Target) Counting(model string) Counting {
	switch {
	case t.Serves(llm.OpCount, llm.Anthropic, model):
		return CountsAnthropic
	case t.Kind == &bedrock:
		if bedrockServes(llm.OpGenerate, llm.Anthropic, model) || bedrockServes(llm.OpGenerate, llm.Anthropic, t.ModelName(model)) {
			return CountsConverse
		}
	case t.Serves(llm.OpCount, llm.Gemini, model):
		if t.Kind == &vertex {
			return CountsVertex
		}
		return CountsGemini
	case t.CountsChat() && t.Serves(llm.OpGenerate, llm.Chat, model):
		return CountsChat
	}
	return CountsNot
}

// Embedding is the form in which a target is asked for vectors.
type Embedding uint8

// The forms.
const (
	EmbedsNot    Embedding = iota
	EmbedsOpenAI           // /embeddings
	EmbedsGemini           // :batchEmbedContents of the Gemini API
	EmbedsVertex           // :predict
	EmbedsInvoke           // InvokeModel with the body of the model's maker
)

// Embedding returns the form for a model that makes vectors.
func (t *Target) Embedding(model string) Embedding {
	switch {
	case t.Serves(llm.OpEmbed, llm.Embeddings, model):
		if t.Kind == &bedrock {
			return EmbedsInvoke
		}
		return EmbedsOpenAI
	case t.Serves(llm.OpEmbed, llm.Gemini, model):
		if t.Kind == &vertex {
			return EmbedsVertex
		}
		return EmbedsGemini
	}
	return EmbedsNot
}

// Embeds reports whether a target of the config makes vectors with a model. Of a
// kind that is not known it says yes: that is told elsewhere.
func (c Config) Embeds(model string) bool {
	kind, known := Find(c.Kind)
	if !known {
		return true
	}
	t := &Target{Kind: kind, Dialects: c.Dialects, Config: c}
	if len(t.Dialects) == 0 {
		t.Dialects = kind.Dialects
	}
	return t.Embedding(model) != EmbedsNot
}

// EmbedsContent reports whether a model takes :embedContent itself. At Vertex the
// newer ones do; the older ones know :predict alone, and none takes a batch.
func (t *Target) EmbedsContent(model string, batch bool) bool {
	if !t.Serves(llm.OpEmbed, llm.Gemini, model) {
		return false
	}
	return t.Kind != &vertex || !batch && strings.Contains(t.ModelName(model), "gemini-embedding-2")
}
