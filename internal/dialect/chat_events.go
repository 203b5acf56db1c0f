package dialect

import (
	"io"
	"iter"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Rules for reading a chat stream:
//
//   - The first chunk that has an id, a model, a choice or usage is the start;
//     unknown members of it and of chunks before it (Azure's prompt filter) are
//     in Start.Extra. Later ones are an EventOther when their value is new:
//     Raw is an object of those members, Extra.Form otherChunk or otherChoice.
//   - Text, thinking and refusal open a part when the kind changes. A tool call
//     opens its part once its name is known. One part of a choice is open at a
//     time, but for calls whose arguments are not complete when another part
//     begins: they end when they are, or with the answer, because some servers
//     send the pieces of several calls by turns. Pieces for a call whose part has
//     closed are deltas to that part.
//   - A tool call without index is a new one when it brings a new id, else a
//     piece of the last one; so is one that reuses an index with another id.
//   - Where reasoning and reasoning_content differ in a chunk, the latter counts.
//   - A message beside a delta repeats it (older Perplexity) and is passed over,
//     as are obfuscation and values that are null.
//   - [DONE] is the end. So is the end of the bytes when every choice that
//     began has stopped, because some engines send no [DONE].

// Forms of an EventOther.
const (
	otherChunk  = 1 // Raw holds members of a chunk
	otherChoice = 2 // Raw holds members of a choice, its delta's under "delta"
)

// Events implements [Codec].
func (ChatCodec) Events(r io.Reader) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		c := &chatReader{dialect: llm.Chat}
		readChunks(r, yield, c)
	}
}

// chatReader is the state of one chat stream.
type chatReader struct {
	dialect llm.Dialect
	started bool
	seen    map[string]string // unknown members of chunks, with their last value
	held    []byte            // unknown members from before the start
	choices []*choiceReader   // in order of their first chunk
	named   bool              // a chunk has named the model
	tier    string            // that which a naming chunk, or one with usage, told last
}

func (c *chatReader) complete() bool { return allStopped(c.choices) }

func (c *chatReader) fault(data []byte) llm.ErrorBody { return openAIError(data) }

func (c *chatReader) finish(emit emitter) {
	for _, ch := range c.choices {
		ch.close(nil, emit)
		ch.endCalls(emit)
	}
}

func (c *chatReader) chunk(o *object, data []byte, emit emitter) {
	c.read(o, data, "chat.completion.chunk", c.choice, emit)
}

// read reads a chunk, whose object member is kind; each reads one of its
// choices.
func (c *chatReader) read(o *object, data []byte, kind string, each func(o *object, emit emitter), emit emitter) {
	var reply llm.Reply
	chatHead(&reply, o, kind)
	o.keep("obfuscation")
	at, _ := scanChunk(data)
	rawUsage := at.usage(data)
	if tier := tierWord(at.value(data, inTier)); tier != "" && (!c.named || rawUsage != nil) {
		c.tier = tier
	}
	c.named = c.named || reply.Model != ""
	o.raw("usage")
	items := o.list("choices")
	c.head(&reply, o, len(items) > 0 || rawUsage != nil, emit)
	for i, raw := range items {
		each(o.openItem("choices", i, raw), emit)
	}
	if rawUsage != nil {
		if u, ok := openAIUsage(rawUsage); ok {
			u.Tier = c.tier
			emit(llm.Event{Kind: llm.EventUsage, Usage: &u, Extra: usageExtra(rawUsage, c.dialect)})
		}
	}
}

// head emits the start, or what a later chunk says that is new. full says
// that the chunk has more than a head.
func (c *chatReader) head(reply *llm.Reply, o *object, full bool, emit emitter) {
	if c.seen == nil {
		c.seen = make(map[string]string)
	}
	var fresh []byte
	for i := range o.members {
		m := &o.members[i]
		if m.use != useLeft || wire.IsNull(m.value) || c.seen[m.name()] == string(m.value) {
			continue
		}
		c.seen[m.name()] = string(m.value)
		fresh = appendRaw(fresh, m.key, m.value)
	}
	fresh = closeRaw(fresh)
	switch {
	case c.started:
		if fresh != nil {
			emit(llm.Event{Kind: llm.EventOther, Raw: fresh, Extra: llm.Extra{Dialect: c.dialect, Form: otherChunk}})
		}
	case !full && reply.ID == "" && reply.Model == "":
		c.held = mergeMembers(c.held, fresh)
	default:
		c.started = true
		start := *reply
		start.Extra = llm.Extra{Dialect: c.dialect, Members: mergeMembers(c.held, fresh)}
		emit(llm.Event{Kind: llm.EventStart, Start: &start})
	}
}

func (c *chatReader) choice(o *object, emit emitter) {
	ch := choiceFor(&c.choices, o, c.dialect)
	o.raw("usage")
	word := o.str("finish_reason")
	name := "delta"
	if wire.IsNull(o.peek("delta")) || !o.has("delta") {
		if name = "message"; len(o.peek("message")) == 0 {
			name = "delta"
		}
	} else {
		o.keep("message")
	}
	if delta := o.sub(name); delta != nil {
		ch.delta(delta, emit)
	}
	ch.logprobs(o, emit)
	stop := llm.Stop{}
	if word != "" {
		stop = chatStops.stop(word)
		if s, ok := wire.Unquote(o.peek("stop_reason")); ok && s != "" && word == "stop" {
			o.raw("stop_reason")
			stop = llm.Stop{Reason: llm.StopSequence, Sequence: s, Wire: word, By: llm.Chat}
		}
	}
	if members := o.unsaid(); members != nil {
		emit(llm.Event{Kind: llm.EventOther, Choice: ch.index, Raw: members, Extra: llm.Extra{Dialect: llm.Chat, Form: otherChoice}})
	}
	if word != "" {
		ch.stop(stop, emit)
	}
}
