package dialect

import (
	"bytes"
	"errors"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// The tap of chat and completions. Inside a JSON string a quote is escaped, so
// the bytes "usage" with both quotes and a colon behind them are always a
// member's name: a search for them classifies an event without parsing it, and
// only a hit on usage, an error or the first model is confirmed by a scan.

// TapEvent implements [Surface].
func (ChatCodec) TapEvent(t *Tap, ev wire.Event) Sight {
	return tapOpenAI(t, ev, chatContentIn(ev.Data))
}

// TapReply implements [Surface].
func (ChatCodec) TapReply(t *Tap, body []byte) (Sight, error) { return tapOpenAIReply(t, body) }

// chatContentIn reports whether a chunk has a piece of the answer.
func chatContentIn(data []byte) bool {
	for _, key := range [...]string{`"content"`, `"reasoning_content"`, `"reasoning"`, `"refusal"`, `"arguments"`, `"text"`} {
		for i := nextValue(data, key, 0); i >= 0; i = nextValue(data, key, i) {
			if hasContent(data[i:]) {
				return true
			}
		}
	}
	for _, key := range [...]string{`"tool_calls"`, `"function_call"`} {
		if i := nextValue(data, key, 0); i >= 0 && hasContent(data[i:]) {
			return true
		}
	}
	return false
}

// hasContent reports whether a value is a string, list or object that is not
// empty.
func hasContent(value []byte) bool {
	if len(value) < 2 {
		return false
	}
	switch value[0] {
	case '"':
		return value[1] != '"'
	case '[', '{':
		rest := bytes.TrimLeft(value[1:], " \t\r\n")
		return len(rest) > 0 && rest[0] != ']' && rest[0] != '}'
	}
	return false
}

// nextValue returns where the value of the next member called key (quotes
// included) starts, from offset i on; -1 when there is none.
func nextValue(data []byte, key string, i int) int {
	for {
		n := bytes.Index(data[i:], []byte(key))
		if n < 0 {
			return -1
		}
		i += n + len(key)
		for i < len(data) && isSpace(data[i]) {
			i++
		}
		if i == len(data) || data[i] != ':' {
			continue
		}
		for i++; i < len(data) && isSpace(data[i]); i++ {
		}
		if i < len(data) {
			return i
		}
		return -1
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// tapOpenAI looks at one event; content says that it carries some.
func tapOpenAI(t *Tap, ev wire.Event, content bool) Sight {
	data := ev.Data
	if len(data) == 0 {
		return 0
	}
	if data[0] == '[' && isDone(data) {
		return SightEnd
	}
	var sight Sight
	if ev.Name != nil && string(ev.Name) == "error" {
		sight |= SightFault
	}
	if content {
		sight |= SightContent
		t.Tokens++
	}
	for i := nextValue(data, `"finish_reason"`, 0); i >= 0; i = nextValue(data, `"finish_reason"`, i) {
		if data[i] == '"' {
			sight |= SightContent
			t.Stop = tapStop(data[i:])
		}
	}
	if i := nextValue(data, `"usage"`, 0); i >= 0 || t.Model == "" || bytes.Contains(data, []byte(`"error"`)) {
		if i >= 0 && data[i] != '{' && t.Model != "" && nextObject(data, `"usage"`, i) < 0 && !bytes.Contains(data, []byte(`"error"`)) {
			return sight // "usage": null
		}
		sight |= tapScan(t, data)
	}
	return sight
}

// nextObject is nextValue for members whose value is an object.
func nextObject(data []byte, key string, i int) int {
	for i = nextValue(data, key, i); i >= 0 && data[i] != '{'; i = nextValue(data, key, i) {
	}
	return i
}

// isDone reports whether data is the mark that ends a stream.
func isDone(data []byte) bool { return string(bytes.TrimSpace(data)) == "[DONE]" }

// tapStop reads the word that value starts with.
func tapStop(value []byte) llm.StopReason {
	end := bytes.IndexByte(value[1:], '"')
	if end < 0 {
		return llm.StopOther
	}
	return chatStops.reason(value[1 : 1+end])
}

// chunkAt is where the members of a chunk or a reply stand that the tap needs.
type chunkAt struct {
	at [len(chunkNames)]wire.Member
}

const (
	inModel = iota
	inUsage
	inChoices
	inGroq
	inError
	inObject
	inTier
)

var chunkNames = [...]string{"model", "usage", "choices", "x_groq", "error", "object", "service_tier"}

func scanChunk(data []byte) (c chunkAt, err error) {
	err = c.scan(data)
	return c, err
}

func (c *chunkAt) scan(data []byte) error {
	_, err := wire.Scan(data, chunkNames[:], c.at[:])
	return err
}

func (c *chunkAt) value(data []byte, i int) []byte {
	if c.at[i].IsZero() {
		return nil
	}
	return c.at[i].Value.Of(data)
}

// isFault reports whether the chunk is an error object.
func (c *chunkAt) isFault(data []byte) bool {
	e := c.value(data, inError)
	return e != nil && !wire.IsNull(e) || wire.StringEquals(c.value(data, inObject), "error")
}

// usage finds the usage object: the chunk's own, else one inside a choice
// (Moonshot), else Groq's older place. nil when there is none.
func (c *chunkAt) usage(data []byte) []byte {
	if u := c.value(data, inUsage); len(u) > 0 && u[0] == '{' {
		return u
	}
	names := [...]string{"usage"}
	var at [1]wire.Member
	if m := c.at[inChoices]; !m.IsZero() && data[m.Value.Start] == '[' {
		for item := range wire.Elements(data, m.Value) {
			if nested(data, wire.Member{Key: item, Value: item}, names[:], at[:]) && !at[0].IsZero() {
				if u := at[0].Value.Of(data); u[0] == '{' {
					return u
				}
			}
		}
	}
	if nested(data, c.at[inGroq], names[:], at[:]) && !at[0].IsZero() {
		if u := at[0].Value.Of(data); u[0] == '{' {
			return u
		}
	}
	return nil
}

// tapScan reads what the cheap search found. It allocates for the model name.
func tapScan(t *Tap, data []byte) Sight {
	var c chunkAt
	if err := c.scan(data); err != nil {
		return 0
	}
	if c.isFault(data) {
		return SightFault
	}
	raw := c.usage(data)
	if tier := tierWord(c.value(data, inTier)); tier != "" && (t.Model == "" || raw != nil) {
		t.tier = tier
	}
	if m := c.value(data, inModel); t.Model == "" && len(m) > 2 {
		t.name(m)
	}
	if raw == nil {
		return 0
	}
	u, ok := tapUsage(raw)
	if !ok {
		return 0
	}
	u.Tier = t.tier
	t.Usage, t.HasUsage = u, true
	if choices := c.value(data, inChoices); choices == nil || !hasContent(choices) {
		return SightUsageOnly
	}
	return 0
}

// tapOpenAIReply reads a complete answer in one scan.
func tapOpenAIReply(t *Tap, body []byte) (Sight, error) {
	var c chunkAt
	err := c.scan(body)
	choices := c.value(body, inChoices)
	switch {
	case err != nil:
		return 0, notJSON(err)
	case choices == nil && c.isFault(body):
		return SightFault, nil
	}
	if m := c.value(body, inModel); t.Model == "" {
		t.name(m)
	}
	if raw := c.value(body, inUsage); len(raw) > 0 {
		if u, ok := tapUsage(raw); ok {
			u.Tier = tierWord(c.value(body, inTier))
			t.Usage, t.HasUsage = u, true
		}
	}
	t.stopIn(choices)
	return SightContent, nil
}

// stopIn notes why the last of the choices stopped. It mostly stands at their end.
func (t *Tap) stopIn(choices []byte) {
	const key, near = `"finish_reason"`, 64
	at := max(len(choices)-near, 0)
	i := nextValue(choices, key, at)
	if i < 0 {
		i = nextValue(choices, key, 0)
	}
	for ; i >= 0; i = nextValue(choices, key, i) {
		if choices[i] == '"' {
			t.Stop = tapStop(choices[i:])
		}
	}
}

// notJSON is err, unless the text is JSON in which a member stands twice: such an
// answer is the client's to judge.
func notJSON(err error) error {
	if _, twice := errors.AsType[*wire.DuplicateError](err); twice {
		return nil
	}
	return err
}

// replyFault reports whether an answer is an error object in truth. The error
// says that it is no JSON object at all.
func replyFault(body []byte) (bool, error) {
	names := [...]string{"error"}
	var at [1]wire.Member
	if _, err := wire.Scan(body, names[:], at[:]); err != nil {
		return false, notJSON(err)
	}
	return !at[0].IsZero() && !wire.IsNull(at[0].Value.Of(body)), nil
}

// The places of a plain usage object.
const (
	plainInput = iota
	plainOutput
	plainTotal
	plainCached
	plainInputAudio
	plainReasoning
	plainOutputAudio
	plainFigures // how many figures there are

	plainPrompt     // the details of the input
	plainCompletion // and of the output
	plainUncounted  // says nothing that llm.Usage has a place for
	plainNowhere
)

// tapUsage reads the usage object of a body that has passed wire.Scan.
func tapUsage(raw []byte) (u llm.Usage, ok bool) {
	if u, ok = plainUsage(raw); ok {
		return u, true
	}
	return openAIUsage(raw)
}

// plainUsage reads the usage object of most answers: OpenAI's own figures as OpenAI
// spells them, each once and with nothing between them, where none is to be added
// to another. It is false for every other object; where it is true it says what
// openAIUsage says, in a fraction of the time. The object must have passed
// wire.Scan as part of a body.
func plainUsage(raw []byte) (u llm.Usage, ok bool) {
	var figures [plainFigures]int64
	seen, in := uint(0), plainNowhere
	for i := 1; i < len(raw); {
		if c := raw[i]; c == ',' || c == '}' {
			if i++; c == '}' {
				in = plainNowhere
			}
			continue
		}
		end := i + 1 + bytes.IndexByte(raw[i+1:], '"')
		if raw[i] != '"' || end+2 >= len(raw) || raw[end+1] != ':' {
			return u, false
		}
		place := plainPlace(in, raw[i+1:end])
		if place == plainNowhere || seen>>place&1 != 0 {
			return u, false
		}
		if place != plainUncounted {
			seen |= 1 << place
		}
		switch i = end + 2; {
		case raw[i] == 'n': // null
			i += 4
		case place == plainPrompt || place == plainCompletion:
			if raw[i] != '{' {
				return u, false
			}
			in = place
			i++
		default:
			n, end := plainNumber(raw, i)
			if end == i {
				return u, false
			}
			if i = end; place < plainFigures {
				figures[place] = n
			}
		}
	}
	u = llm.Usage{
		Source: llm.UsageReported, Input: figures[plainInput], Output: figures[plainOutput], CacheRead: figures[plainCached],
		InputAudio: figures[plainInputAudio], Reasoning: figures[plainReasoning], OutputAudio: figures[plainOutputAudio],
	}
	apart := u.InputAudio > 0 || u.Reasoning > 0
	return u, u.CacheRead <= u.Input && (!apart || figures[plainTotal] == u.Input+u.Output)
}

// plainPlace is where a member called name stands, inside of details or not.
func plainPlace(in int, name []byte) int {
	switch in {
	case plainPrompt:
		switch string(name) {
		case "cached_tokens":
			return plainCached
		case "audio_tokens":
			return plainInputAudio
		}
		return plainNowhere
	case plainCompletion:
		switch string(name) {
		case "reasoning_tokens":
			return plainReasoning
		case "audio_tokens":
			return plainOutputAudio
		case "accepted_prediction_tokens", "rejected_prediction_tokens":
			return plainUncounted
		}
		return plainNowhere
	}
	switch string(name) {
	case "prompt_tokens":
		return plainInput
	case "completion_tokens":
		return plainOutput
	case "total_tokens":
		return plainTotal
	case "prompt_tokens_details":
		return plainPrompt
	case "completion_tokens_details":
		return plainCompletion
	}
	return plainNowhere
}

// plainNumber reads digits that end with their member, and returns where that is; i
// if there are none, too many, or more than digits.
func plainNumber(raw []byte, i int) (n int64, end int) {
	for end = i; end < len(raw) && end-i < 16 && raw[end]-'0' <= 9; end++ {
		n = n*10 + int64(raw[end]-'0')
	}
	if end == len(raw) || end-i == 16 || raw[end] != ',' && raw[end] != '}' {
		return 0, i
	}
	return n, end
}
