package dialect

import (
	"bytes"
	"fmt"
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
//     time; pieces for a call whose part has closed are deltas to that part.
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

// maxChoices bounds the index that a chunk may name.
const maxChoices = 256

// Events implements [Codec].
func (ChatCodec) Events(r io.Reader) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		c := &chatReader{dialect: llm.Chat}
		readStream(r, yield, c)
	}
}

// chunkReader turns the events of an OpenAI stream into canonical ones.
type chunkReader interface {
	// chunk reads one chunk. What it emits goes to emit, which reports false
	// when the receiver has enough.
	chunk(data []byte, emit emitter) error
	// finish closes what is open.
	finish(emit emitter)
	// complete reports whether every choice that began has stopped.
	complete() bool
	// fault reads the data of an event that is an error.
	fault(data []byte) llm.ErrorBody
}

type emitter func(llm.Event) bool

// readStream runs a stream to its end.
func readStream(r io.Reader, yield func(llm.Event, error) bool, c chunkReader) {
	gone := false
	emit := func(ev llm.Event) bool {
		gone = gone || !yield(ev, nil)
		return !gone
	}
	var er wire.EventReader
	er.Reset(r, 0)
	defer er.Release()
	for n := 0; ; {
		err := er.Fill()
		if err == io.EOF {
			if c.complete() && len(bytes.TrimSpace(er.Rest())) == 0 || endsDone(er.Rest()) {
				c.finish(emit)
				emit(llm.Event{Kind: llm.EventEnd})
				return
			}
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			yield(llm.Event{}, err)
			return
		}
		for !gone {
			ev, ok := er.Next()
			if !ok {
				break
			}
			switch {
			case ev.Data == nil:
				if bytes.IndexByte(ev.Raw, ':') >= 0 { // a comment, not a cut line end
					emit(llm.Event{Kind: llm.EventPing})
				}
				continue
			case isDone(ev.Data):
				if c.finish(emit); !gone {
					emit(llm.Event{Kind: llm.EventEnd})
				}
				return
			}
			n++
			if err := readChunk(ev, emit, c); err != nil {
				if !gone {
					yield(llm.Event{}, fmt.Errorf("event %d of the stream: %w", n, err))
				}
				return
			}
		}
		if gone {
			return
		}
	}
}

// endsDone reports whether rest is an end mark that lacks its empty line.
func endsDone(rest []byte) bool {
	rest, ok := bytes.CutPrefix(bytes.TrimSpace(rest), []byte("data:"))
	return ok && isDone(rest)
}

func readChunk(ev wire.Event, emit emitter, c chunkReader) error {
	data := ev.Data
	at, err := scanChunk(data)
	if string(ev.Name) == "error" || err == nil && at.isFault(data) {
		body := c.fault(data)
		emit(llm.Event{Kind: llm.EventFault, Fault: &body})
		return nil
	}
	return c.chunk(data, emit)
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

func allStopped(choices []*choiceReader) bool {
	for _, ch := range choices {
		if !ch.stopped {
			return false
		}
	}
	return len(choices) > 0
}

func (c *chatReader) finish(emit emitter) {
	for _, ch := range c.choices {
		ch.close(nil, emit)
	}
}

func (c *chatReader) chunk(data []byte, emit emitter) error {
	return c.read(data, "chat.completion.chunk", c.choice, emit)
}

// read reads a chunk, whose object member is kind; each reads one of its
// choices.
func (c *chatReader) read(data []byte, kind string, each func(raw []byte, at where, emit emitter) error, emit emitter) error {
	o, err := parseObject(data)
	if err != nil {
		return err
	}
	reply := &llm.Reply{}
	if _, err := chatHead(reply, o, kind); err != nil {
		return err
	}
	o.keep("obfuscation")
	at, _ := scanChunk(data)
	rawUsage := at.usage(data)
	if tier := tierWord(at.value(data, inTier)); tier != "" && (!c.named || rawUsage != nil) {
		c.tier = tier
	}
	c.named = c.named || reply.Model != ""
	o.raw("usage")
	items, err := o.list("choices")
	if err != nil {
		return err
	}
	c.head(reply, o, len(items) > 0 || rawUsage != nil, emit)
	for i, raw := range items {
		if err := each(raw, o.under("choices").item(i), emit); err != nil {
			return err
		}
	}
	if rawUsage != nil {
		if u, ok := openAIUsage(rawUsage); ok {
			u.Tier = c.tier
			emit(llm.Event{Kind: llm.EventUsage, Usage: &u, Extra: usageExtra(rawUsage, c.dialect)})
		}
	}
	return nil
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
		reply.Extra = llm.Extra{Dialect: c.dialect, Members: mergeMembers(c.held, fresh)}
		emit(llm.Event{Kind: llm.EventStart, Start: reply})
	}
}

func (c *chatReader) choice(raw []byte, at where, emit emitter) error {
	o, err := openObject(raw, at)
	if err != nil {
		return err
	}
	ch, err := choiceFor(&c.choices, o, c.dialect)
	if err != nil {
		return err
	}
	o.raw("usage")
	word, err := o.str("finish_reason")
	if err != nil {
		return err
	}
	name := "delta"
	if wire.IsNull(o.peek("delta")) || !o.has("delta") {
		if name = "message"; len(o.peek("message")) == 0 {
			name = "delta"
		}
	} else {
		o.keep("message")
	}
	delta, err := o.sub(name)
	if err != nil {
		return err
	}
	if delta != nil {
		if err := ch.delta(delta, emit); err != nil {
			return err
		}
	}
	ch.logprobs(o, emit)
	stop := llm.Stop{}
	if word != "" {
		stop = chatStops.stop(word)
		if s, ok := wire.String(o.peek("stop_reason")); ok && s != "" && word == "stop" {
			o.raw("stop_reason")
			stop = llm.Stop{Reason: llm.StopSequence, Sequence: s, Wire: word, By: llm.Chat}
		}
	}
	if members, _ := o.rest(); members != nil {
		emit(llm.Event{Kind: llm.EventOther, Choice: ch.index, Raw: members, Extra: llm.Extra{Dialect: llm.Chat, Form: otherChoice}})
	}
	if word != "" {
		ch.stop(stop, emit)
	}
	return nil
}

// choiceFor is the state of the choice that a chunk's element belongs to; an
// element without index belongs to the first.
func choiceFor(all *[]*choiceReader, o *object, d llm.Dialect) (*choiceReader, error) {
	n, err := o.integer("index")
	if err != nil {
		return nil, err
	}
	index := int64(0)
	if n != nil {
		index = *n
	}
	if index < 0 || index >= maxChoices {
		return nil, o.under("index").wrong("must be between 0 and %d", maxChoices-1)
	}
	for _, ch := range *all {
		if ch.index == int(index) {
			return ch, nil
		}
	}
	ch := &choiceReader{dialect: d, index: int(index), open: -1}
	*all = append(*all, ch)
	return ch, nil
}
