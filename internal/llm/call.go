package llm

// Call is a request for an answer, in the canonical form that every
// conversation dialect decodes to and encodes from. It holds what at least two
// dialects can say; the rest travels in the Extra of the node it belongs to.
type Call struct {
	Model  string
	System []Part // instructions that stand before the conversation
	Turns  []Turn
	Tools  []Tool
	Choice ToolChoice
	// Parallel says whether the model may call several tools at once; nil
	// leaves it to the target.
	Parallel  *bool
	Sampling  Sampling
	Output    Output
	Reasoning Reasoning
	Logprobs  Logprobs
	Stream    bool
	WantUsage bool   // a stream shall end with the usage (chat: stream_options.include_usage)
	User      string // the caller's name for its end user
	Metadata  map[string]string
	Extra     Extra
}

// Role says who speaks in a turn.
type Role string

// The roles. Instructions in the middle of a conversation are turns of
// RoleSystem; those before it are Call.System.
const (
	RoleSystem    Role = "system"
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
	RoleTool      Role = "tool"
)

// Turn is one contribution to the conversation. Turns of equal role may be
// adjacent: an encoder whose dialect forbids that merges them. A result of a
// tool may stand in a turn of RoleTool or of RoleUser.
type Turn struct {
	Role  Role
	Name  string // of the participant, where the dialect names them
	Parts []Part
	Extra Extra
}

// PartKind says which fields of a Part are set.
type PartKind uint8

// The kinds of part.
const (
	PartText       PartKind = iota + 1 // Text
	PartImage                          // Media
	PartAudio                          // Media
	PartFile                           // Media
	PartToolCall                       // Tool: the model asks for a tool
	PartToolResult                     // Result: the tool's answer
	PartThinking                       // Text, Signature; Redacted thinking has only a Signature
	PartRefusal                        // Text
	PartOther                          // Raw: a node that only its own dialect knows
)

// Part is one piece of content.
type Part struct {
	Kind   PartKind
	Text   Text
	Media  *Media
	Tool   *ToolCall
	Result *ToolResult
	// Signature is the opaque proof that belongs to a thinking part. It is
	// handed back unchanged, and only to the dialect that signed it.
	Signature string
	SignedBy  Dialect
	Redacted  bool // the thinking itself is withheld; only Signature is there
	// Cache marks the end of a prefix that the provider shall cache; nil when
	// there is no mark.
	Cache *CacheMark
	// Raw is the whole JSON value of a PartOther, in dialect Extra.Dialect.
	Raw   []byte
	Extra Extra
}

// Media is an image, a sound or a document: inline (Data), by address (URL)
// or by the provider's own id (FileID).
type Media struct {
	Type   string // MIME type, or the bare format where the dialect gives only that ("wav")
	Data   string // base64
	URL    string
	FileID string
	Name   string
	Detail string // how closely to look: "low", "high", "auto"
}

// ToolCall is the model's wish to have a tool run.
type ToolCall struct {
	ID        string
	Name      string
	Arguments string // JSON text as the model wrote it; may be invalid JSON, empty means {}
}

// ToolResult is what a tool answered.
type ToolResult struct {
	CallID string
	Parts  []Part
	Error  bool
}

// CacheMark asks for the prefix up to and including its part to be cached.
type CacheMark struct {
	Type string // "ephemeral"
	TTL  string // "5m", "1h"; empty leaves it to the provider
	// Extra holds what else the dialect says in the mark.
	Extra Extra
}

// Tool is a function that the model may ask for. A tool that only its own
// dialect knows (web search, code execution) has Raw set and nothing else.
type Tool struct {
	Name        string
	Description string
	Schema      []byte // JSON Schema of the arguments; nil when not given
	Strict      *bool
	Cache       *CacheMark
	Raw         []byte
	Extra       Extra
}

// ToolMode says how free the model is in choosing a tool.
type ToolMode string

// The modes; the empty mode leaves it to the target.
const (
	ToolAuto     ToolMode = "auto"
	ToolNone     ToolMode = "none"
	ToolRequired ToolMode = "required"
	ToolNamed    ToolMode = "named" // ToolChoice.Name must be called
)

// ToolChoice is the request's rule for calling tools.
type ToolChoice struct {
	Mode  ToolMode
	Name  string
	Extra Extra
	Raw   []byte // a form that only its own dialect knows, in dialect Extra.Dialect
}

// Sampling steers how tokens are drawn. A nil pointer leaves the value to the
// target; zero is a value.
type Sampling struct {
	MaxTokens int // 0 = not stated
	// OldCap asks the chat codec to spell the cap max_tokens, the only name
	// that many servers other than OpenAI's understand. A target's matter, never
	// a client's.
	OldCap           bool
	Temperature      *float64
	TopP             *float64
	TopK             *int
	FrequencyPenalty *float64
	PresencePenalty  *float64
	Seed             *int64
	Stop             []string
	N                int // number of choices; 0 = not stated
}

// OutputKind says which shape the answer's text must have.
type OutputKind string

// The output shapes; the empty one leaves it free.
const (
	OutputText   OutputKind = "text"
	OutputJSON   OutputKind = "json"   // any JSON object
	OutputSchema OutputKind = "schema" // JSON that satisfies Output.Schema
)

// Output is the shape asked for.
type Output struct {
	Kind        OutputKind
	Name        string
	Description string
	Schema      []byte
	Strict      *bool
	Verbosity   string
	Extra       Extra
}

// Reasoning asks for thinking before the answer.
type Reasoning struct {
	Effort  string // "none", "minimal", "low", "medium", "high", ...; empty = not stated
	Budget  int    // tokens; 0 = not stated
	Mode    string // "enabled", "adaptive", "disabled"; empty = not stated
	Summary string // "auto", "concise", "detailed"
	Extra   Extra
}

// Logprobs asks for the log probabilities of the tokens drawn.
type Logprobs struct {
	Want bool
	Top  *int // how many alternatives for each token
}
