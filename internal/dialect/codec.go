package dialect

import (
	"io"
	"iter"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Surface is what the splice lane needs to know about a dialect: enough to
// route, edit, meter and fail a request whose bytes pass through unchanged.
type Surface interface {
	// Name is the dialect.
	Name() llm.Dialect
	// Framing says how a stream of the dialect is cut into events.
	Framing() wire.Framing
	// Glance scans a request body once, without building a tree, and notes in
	// at where the members stand that Splice edits. An error means that the
	// body is not a usable request of this dialect (invalid JSON, no model,
	// a wanted member twice); its text is fit for the client. It allocates
	// only what the model name and an error need.
	Glance(body []byte, at *At) (llm.Glance, error)
	// Splice is body with the edits of r made and every other byte unchanged;
	// what is new is appended to dst. at is Glance's for the same body.
	Splice(dst, body []byte, at *At, r Rewrite) wire.Spliced
	// TapEvent looks at one event of an upstream's stream as it passes, notes
	// usage and stop in t, and says what it saw. It allocates nothing for an
	// event that carries content only.
	TapEvent(t *Tap, ev wire.Event) Sight
	// TapReply does the same for a complete answer. It sees content, or a fault
	// where the answer is an error object in truth; the error says that it is
	// not even a JSON object.
	TapReply(t *Tap, body []byte) (Sight, error)
	// DecodeError reads the provider's error envelope; a body that is none
	// (HTML, empty, plain text) gives a short, printable Message.
	DecodeError(body []byte) llm.ErrorBody
	// EncodeError is the envelope in which a client of this dialect is told
	// of a fault. The request id stands in it where the dialect has a place.
	EncodeError(f *llm.Fault, requestID string) []byte
	// AppendFault appends the event (or events) with which a stream that has
	// begun ends in failure, so that no SDK takes it for a clean end.
	AppendFault(dst []byte, f *llm.Fault, requestID string) []byte
}

// Codec is a Surface that also speaks the canonical conversation.
type Codec interface {
	Surface
	// DecodeCall and EncodeCall turn a request into the canonical form and
	// back. at is Glance's for the same body: that it is JSON is not found out
	// again. The call stands in at's memory and leans on body: it is gone when
	// either is used again. EncodeCall writes to nothing of the call and appends to dst. Losses name what this dialect cannot say;
	// an error says that the request cannot be made at all.
	DecodeCall(body []byte, at *At) (*llm.Call, error)
	EncodeCall(dst []byte, call *llm.Call) ([]byte, []llm.Loss, error)
	// DecodeReply and EncodeReply do the same for a complete answer, whose body
	// nobody has looked at before; at lends memory only, to one answer at a time.
	DecodeReply(body []byte, at *At) (*llm.Reply, error)
	EncodeReply(dst []byte, reply *llm.Reply) ([]byte, []llm.Loss, error)
	// Events reads an upstream's stream. It yields one error at most, as its
	// last element: the reader's own error as it is, or one that says what is
	// wrong with the stream. A stream that ends before the dialect's own end
	// (see llm.EventEnd) yields io.ErrUnexpectedEOF; where the dialect has no mark
	// of it (Gemini), the end is that of the bytes behind a stop. It reads ahead no further
	// than one Read.
	Events(r io.Reader) iter.Seq2[llm.Event, error]
	// Writer writes events as this dialect's stream. call is the client's
	// request.
	Writer(w io.Writer, call *llm.Call) EventWriter
}

// EventWriter writes one streamed answer. The bytes of one Write call to the
// underlying writer are whole events. It is used by one goroutine.
type EventWriter interface {
	// Write says one event. The error is the underlying writer's.
	Write(ev llm.Event) error
	// Fail ends the stream with a fault, in the dialect's own form.
	Fail(f *llm.Fault, requestID string) error
	// Losses are what could not be said so far.
	Losses() []llm.Loss
}

// At is where Glance found the members that Splice edits. Its zero value is
// ready; one At may be used for one request after the other.
type At struct {
	Object  wire.Object
	Members [8]wire.Member // in the order of the dialect's own list of names
	Options wire.Object    // chat: the stream_options object, when present
	Nested  [2]wire.Member // chat: the members of stream_options

	// Words are what Glance looks out for on its way, Heard is what it came by.
	Words *wire.Words
	Heard wire.Heard

	edits  wire.Rewrite // the memory of Splice, used again
	text   []byte
	memory *memory // that of decoding, with what was decoded last
}

// reset forgets a request, but keeps the memory and the words.
func (at *At) reset() {
	at.edits.Reset()
	*at = At{Words: at.Words, Heard: at.Heard, edits: at.edits, text: at.text[:0], memory: at.memory}
}

// Rewrite says what the splice lane changes in a request.
type Rewrite struct {
	Model string // the name at the target; empty leaves it
	// Usage asks the upstream to end the stream with its usage although the
	// client did not (chat and completions only).
	Usage bool
}

// Tap is what was learnt from an answer that passed by. The zero value is
// ready.
type Tap struct {
	Usage    llm.Usage
	HasUsage bool
	Stop     llm.StopReason
	Model    string // as the upstream names it; filled once
	ID       string // of the answer, where the upstream keeps it and a client may come back for it (responses)
	Tokens   int    // content events seen, the fallback for an unreported output
	Ended    bool   // the dialect's own end passed (anthropic, converse); what comes behind it is no part of the answer

	last   string // the model of the answer before
	halves uint8  // converse: which of the two last events have passed
	called bool   // gemini: the answer has a function call, so its plain end is a stop for tools
	tier   string // the service tier that a chunk named
}

// Reset makes the tap ready for another answer. It remembers the model's name,
// which costs nothing when the next answer has the same.
func (t *Tap) Reset() {
	if t.Model != "" {
		t.last = t.Model
	}
	*t = Tap{last: t.last}
}

// Take notes what a decoded answer says, as TapReply does of its bytes.
func (t *Tap) Take(r *llm.Reply) {
	if r.HasUsage {
		t.Usage, t.HasUsage = r.Usage, true
	}
	for i := range r.Choices {
		if stop := r.Choices[i].Stop.Reason; stop != "" {
			t.Stop = stop
		}
	}
	if t.Model == "" {
		t.Model = r.Model
	}
}

// name notes the model that an answer names as a JSON string.
func (t *Tap) name(raw []byte) {
	if t.last != "" && wire.StringEquals(raw, t.last) {
		t.Model = t.last
		return
	}
	t.Model, _ = wire.Unquote(raw)
}

// Sight says what a tap saw in one event, as a set.
type Sight uint8

// The members of a Sight.
const (
	// SightContent: the event carries a token of the answer (text, thinking,
	// tool arguments) or its stop; the first one is the first token.
	SightContent Sight = 1 << iota
	// SightUsageOnly: the event exists only to report usage, so it is
	// withheld from a client that did not ask for it.
	SightUsageOnly
	// SightFault: the event is an error object.
	SightFault
	// SightEnd: the dialect's own end of a stream.
	SightEnd
)

// Has reports whether s contains all of t.
func (s Sight) Has(t Sight) bool { return s&t == t }
