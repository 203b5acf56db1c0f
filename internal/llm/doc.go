// Package llm is the vocabulary of the program: the words in which the other
// packages talk to each other about a request to a language model.
//
// It owns the canonical conversation ([Call], [Reply], [Event]), what is known
// about a request without decoding it ([Glance]), what was spent ([Usage]),
// what went wrong ([Fault]) and what could not be said ([Loss]).
//
// It never does I/O, never parses a wire format and never decides anything:
// its types are plain values that are safe to copy and to read concurrently.
//
// Start reading at [Call]; a codec in package dialect turns each wire format
// into it and back.
package llm

// Dialect names what the bytes of a request and of its answer mean.
type Dialect string

// The dialects. A target speaks one or more of them; a client surface speaks
// exactly one.
const (
	Chat        Dialect = "chat"        // OpenAI /v1/chat/completions
	Responses   Dialect = "responses"   // OpenAI /v1/responses
	Anthropic   Dialect = "anthropic"   // Anthropic /v1/messages
	Completions Dialect = "completions" // OpenAI /v1/completions, the legacy text form
	Embeddings  Dialect = "embeddings"  // OpenAI /v1/embeddings
	Gemini      Dialect = "gemini"      // Google :generateContent and :streamGenerateContent
	Converse    Dialect = "converse"    // Amazon Bedrock Converse and ConverseStream
)

// Op is what a request asks for.
type Op string

// The operations.
const (
	OpGenerate Op = "generate" // an answer to a conversation or prompt
	OpEmbed    Op = "embed"    // vectors
	OpCount    Op = "count"    // how many tokens a conversation has

	OpRerank         Op = "rerank"          // documents in the order of their relevance
	OpTranscribe     Op = "transcribe"      // text of speech
	OpTranslateAudio Op = "translate_audio" // English text of speech
	OpSpeech         Op = "speech"          // speech of text
	OpImage          Op = "image"           // pictures, made or changed
	OpModerate       Op = "moderate"        // whether content is harmful
	OpFile           Op = "file"            // files that a provider keeps
	OpBatch          Op = "batch"           // many requests, answered within a day
	OpResponse       Op = "response"        // responses that a provider keeps
	OpRealtime       Op = "realtime"        // a session over a WebSocket
	OpTokenize       Op = "tokenize"        // tokens of a text
	OpDetokenize     Op = "detokenize"      // text of tokens
	OpInvoke         Op = "invoke"          // Bedrock's InvokeModel: a body that only the model's maker understands
)

// Glance is what one scan of a request's bytes tells: enough to admit, route
// and meter it without decoding it.
type Glance struct {
	Op        Op
	Dialect   Dialect
	Model     string // as the client wrote it
	Stream    bool
	WantUsage bool // chat: the client itself asked for the usage event of a stream
	MaxTokens int  // the output cap the client asks for; 0 when it states none
	Bytes     int  // size of the request body
}

// Loss is something that the target's dialect cannot say and that was
// therefore left out of a translated request or answer.
type Loss struct {
	Feature string `json:"feature"`          // the member's path in the client's dialect, e.g. "logit_bias"
	Detail  string `json:"detail,omitempty"` // what happened to it, e.g. "anthropic has no equivalent"
}

// Extra keeps what only its own dialect can say about a node of the canonical
// conversation. It is used only when the node is written in the dialect that
// it came from; in every other dialect a codec declares the [Loss].
type Extra struct {
	Dialect Dialect
	// Members is a JSON object of the members that the canonical form has no
	// place for, values byte for byte, in their order; nil when there are none.
	Members []byte
	// Spelled is a JSON object of members that say nothing beyond what the
	// canonical form holds, or nothing at all (null, an empty list), kept
	// because they are spelled in a way the codec would not choose (1.0 for
	// 1). Leaving them out is never a Loss.
	Spelled []byte
	// Form is the codec's private note of the spelling that was used where
	// its dialect allows several (a bare string or a list of parts). Zero is
	// the spelling that the codec itself prefers.
	Form uint32
}

// In returns the extra as written for dialect d: e itself when it came from d,
// else the zero Extra.
func (e Extra) In(d Dialect) Extra {
	if e.Dialect != d {
		return Extra{}
	}
	return e
}
