package llm

import "time"

// Reply is a complete answer in the canonical form.
type Reply struct {
	ID      string
	Model   string
	Created int64 // Unix seconds; 0 when the dialect does not say
	Choices []Choice
	Usage   Usage
	// HasUsage tells a reported usage of zero tokens from none at all.
	HasUsage   bool
	UsageExtra Extra
	Extra      Extra
}

// Choice is one of the alternatives that were drawn; most answers have one.
type Choice struct {
	Parts    []Part
	Stop     Stop
	Logprobs []TokenLogprob
	Extra    Extra
}

// StopReason says why the model stopped.
type StopReason string

// The reasons; the empty one means that the answer has not ended.
const (
	StopEnd      StopReason = "end"      // it was done
	StopLength   StopReason = "length"   // the output cap or the context was full
	StopSequence StopReason = "sequence" // it wrote one of Sampling.Stop
	StopTool     StopReason = "tool"     // it waits for tools
	StopFilter   StopReason = "filter"   // a content filter stepped in
	StopRefusal  StopReason = "refusal"  // the model declined
	StopPause    StopReason = "pause"    // a long turn was suspended; the client may go on
	StopError    StopReason = "error"    // the target failed after it had begun
	StopOther    StopReason = "other"    // Stop.Wire has the dialect's own word
)

// Stop is the end of a choice.
type Stop struct {
	Reason   StopReason
	Sequence string  // the stop sequence that was written, where the dialect tells
	Wire     string  // the dialect's own word, kept when the canonical reason maps to several
	By       Dialect // the dialect that Wire belongs to
}

// TokenLogprob is one drawn token with its log probability.
type TokenLogprob struct {
	Token   string
	Logprob float64
	Bytes   []int
	Top     []TokenLogprob // alternatives; their Top is nil
}

// EventKind says which fields of an Event are set.
type EventKind uint8

// The kinds of event, in the order in which they may come: EventStart first,
// then for each part EventPart, any number of EventDelta, EventPartEnd; then
// EventStop for each choice. EventUsage may come anywhere after EventStart,
// several times: later figures replace earlier ones. EventEnd is the end that
// the dialect itself declares ([DONE], message_stop, in Gemini the end of the
// bytes behind a stop); a stream that ends without it was cut.
const (
	EventStart    EventKind = iota + 1 // Start
	EventPart                          // Choice, Part, New: a part opens (its Text is empty or a first piece)
	EventDelta                         // Choice, Part, Text: more text, thinking, refusal or tool arguments
	EventSign                          // Choice, Part, Text: more of a thinking part's signature
	EventPartEnd                       // Choice, Part, New: what is known only at the end (signature, cache), else nil
	EventLogprobs                      // Choice, Logprobs
	EventStop                          // Choice, Stop
	EventUsage                         // Usage, Extra
	EventFault                         // Fault: the upstream reports an error inside the stream
	EventPing                          // keep-alive without content
	EventOther                         // Raw: an event that only its own dialect knows, in dialect Extra.Dialect
	EventEnd
)

// Event is one step of a streamed answer. Its fields are owned by the
// receiver: a codec does not reuse them.
type Event struct {
	Kind     EventKind
	Choice   int
	Part     int // index of the part in its choice, counted from 0 in order of opening
	Start    *Reply
	New      *Part
	Text     string
	Logprobs []TokenLogprob
	Stop     Stop
	Usage    *Usage
	Fault    *ErrorBody
	Raw      []byte
	Extra    Extra
}

// ErrorBody is what a provider's error envelope says, whatever its dialect.
type ErrorBody struct {
	Type    string
	Code    string
	Param   string
	Message string
	After   time.Duration // the demand to wait that the body holds (Gemini's RetryInfo); 0 = none
}
