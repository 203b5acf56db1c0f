package dialect

import (
	"errors"
	"io"
	"iter"

	"tailplane/internal/llm"
)

// Collect folds the events of one answer into a reply. The error is that of
// the sequence, an *llm.Fault for an error that the upstream reported inside
// the stream, or io.ErrUnexpectedEOF when the answer has no EventEnd; the reply
// then holds what had come. Unknown members of chat and gemini chunks end in the Extra of
// the reply or the choice; other events that only their dialect knows have no
// place in a reply and are left out.
func Collect(events iter.Seq2[llm.Event, error]) (*llm.Reply, error) {
	c := &collector{reply: &llm.Reply{}}
	ended := false
	for ev, err := range events {
		if err != nil {
			c.done()
			return c.reply, err
		}
		if ev.Kind == llm.EventEnd {
			ended = true
			continue
		}
		if err := c.event(&ev); err != nil {
			c.done()
			return c.reply, err
		}
	}
	c.done()
	if !ended {
		return c.reply, io.ErrUnexpectedEOF
	}
	return c.reply, nil
}

type collector struct {
	reply *llm.Reply
	text  [][]partText // for each choice and part
}

// partText gathers the pieces of one part.
type partText struct{ text, sign []byte }

// errPartOrder says that events do not follow the order that llm.EventKind states.
var errPartOrder = errors.New("an event names a choice or a part out of order")

func (c *collector) event(ev *llm.Event) error {
	r := c.reply
	switch ev.Kind {
	case llm.EventStart:
		start := *ev.Start
		start.Choices = r.Choices
		*r = start
	case llm.EventUsage:
		r.Usage, r.HasUsage, r.UsageExtra = *ev.Usage, true, ev.Extra
	case llm.EventFault:
		return &llm.Fault{
			Kind: llm.FaultServer, Phase: llm.PhaseStream,
			Type: ev.Fault.Type, Code: ev.Fault.Code, Param: ev.Fault.Param, Message: ev.Fault.Message, After: ev.Fault.After,
		}
	case llm.EventOther:
		return c.other(ev)
	case llm.EventPing:
	default:
		return c.inChoice(ev)
	}
	return nil
}

func (c *collector) choice(i int) (*llm.Choice, error) {
	if i < 0 || i >= maxChoices {
		return nil, errPartOrder
	}
	for len(c.reply.Choices) <= i {
		c.reply.Choices = append(c.reply.Choices, llm.Choice{})
		c.text = append(c.text, nil)
	}
	return &c.reply.Choices[i], nil
}

func (c *collector) other(ev *llm.Event) error {
	switch ev.Extra.Dialect {
	case llm.Chat, llm.Completions, llm.Gemini:
	default:
		return nil
	}
	into := &c.reply.Extra
	if ev.Extra.Form == otherChoice {
		choice, err := c.choice(ev.Choice)
		if err != nil {
			return err
		}
		into = &choice.Extra
	}
	into.Dialect = ev.Extra.Dialect
	into.Members = mergeMembers(into.Members, ev.Raw)
	return nil
}

func (c *collector) inChoice(ev *llm.Event) error {
	choice, err := c.choice(ev.Choice)
	if err != nil {
		return err
	}
	switch ev.Kind {
	case llm.EventStop:
		choice.Stop = ev.Stop
		c.atEnd(ev.Extra)
		return nil
	case llm.EventLogprobs:
		choice.Logprobs = append(choice.Logprobs, ev.Logprobs...)
		return nil
	case llm.EventPart:
		if ev.Part != len(choice.Parts) || ev.New == nil {
			return errPartOrder
		}
		c.open(choice, ev)
		return nil
	}
	if ev.Part < 0 || ev.Part >= len(choice.Parts) {
		return errPartOrder
	}
	pieces := &c.text[ev.Choice][ev.Part]
	switch ev.Kind {
	case llm.EventDelta:
		pieces.text = append(pieces.text, ev.Text...)
	case llm.EventSign:
		pieces.sign = append(pieces.sign, ev.Text...)
	case llm.EventPartEnd:
		endPart(&choice.Parts[ev.Part], pieces, ev.New)
	}
	return nil
}

// atEnd adds the members of an answer that its dialect tells with its stop.
func (c *collector) atEnd(e llm.Extra) {
	have := &c.reply.Extra
	if e.Dialect == "" {
		return
	}
	if have.Dialect != e.Dialect {
		*have = e
		return
	}
	have.Members = mergeMembers(have.Members, e.Members)
	have.Spelled = mergeMembers(have.Spelled, e.Spelled)
	have.Form |= e.Form
}

func (c *collector) open(choice *llm.Choice, ev *llm.Event) {
	part := *ev.New
	pieces := partText{text: []byte(unquoted(part.Text)), sign: []byte(part.Signature)}
	if part.Tool != nil {
		part.Tool = new(*part.Tool)
		pieces.text = []byte(part.Tool.Arguments)
	}
	choice.Parts = append(choice.Parts, part)
	c.text[ev.Choice] = append(c.text[ev.Choice], pieces)
}

// endPart adds what became known at the end of a part.
func endPart(p *llm.Part, pieces *partText, end *llm.Part) {
	if end == nil {
		return
	}
	if end.Signature != "" {
		pieces.sign = []byte(end.Signature)
	}
	if end.SignedBy != "" {
		p.SignedBy = end.SignedBy
	}
	if end.Cache != nil {
		p.Cache = end.Cache
	}
	if end.Raw != nil {
		p.Raw = end.Raw
	}
	if end.Tool != nil && len(pieces.text) == 0 {
		pieces.text = []byte(end.Tool.Arguments)
	}
	if end.Media != nil {
		p.Media = end.Media
	}
	if end.Result != nil {
		p.Result = end.Result
	}
	p.Redacted = p.Redacted || end.Redacted
	if e := end.Extra; e.Dialect != "" && (e.Members != nil || e.Spelled != nil || e.Form != 0) {
		p.Extra = e
	}
}

// done joins the pieces.
func (c *collector) done() {
	for i := range c.text {
		for k := range c.text[i] {
			p, pieces := &c.reply.Choices[i].Parts[k], &c.text[i][k]
			p.Signature = string(pieces.sign)
			if p.Tool != nil {
				p.Tool.Arguments = string(pieces.text)
			} else {
				p.Text = quoted(string(pieces.text))
			}
		}
	}
}

// Replay is a complete reply as the events of a stream, for a client that asked
// for one from a target that answered whole.
func Replay(reply *llm.Reply) iter.Seq[llm.Event] {
	return func(yield func(llm.Event) bool) {
		start := *reply
		start.Choices, start.Usage, start.HasUsage, start.UsageExtra = nil, llm.Usage{}, false, llm.Extra{}
		if !yield(llm.Event{Kind: llm.EventStart, Start: &start}) {
			return
		}
		for i := range reply.Choices {
			if !replayChoice(i, &reply.Choices[i], yield) {
				return
			}
		}
		if reply.HasUsage {
			ev := llm.Event{Kind: llm.EventUsage, Usage: new(reply.Usage), Extra: reply.UsageExtra}
			if !yield(ev) {
				return
			}
		}
		yield(llm.Event{Kind: llm.EventEnd})
	}
}

func replayChoice(i int, c *llm.Choice, yield func(llm.Event) bool) bool {
	for k := range c.Parts {
		if !replayPart(i, k, c.Parts[k], yield) {
			return false
		}
	}
	if c.Extra.Members != nil {
		ev := llm.Event{
			Kind: llm.EventOther, Choice: i, Raw: replayMembers(c.Extra),
			Extra: llm.Extra{Dialect: c.Extra.Dialect, Form: otherChoice},
		}
		if !yield(ev) {
			return false
		}
	}
	if len(c.Logprobs) > 0 && !yield(llm.Event{Kind: llm.EventLogprobs, Choice: i, Logprobs: c.Logprobs}) {
		return false
	}
	return c.Stop.Reason == "" || yield(llm.Event{Kind: llm.EventStop, Choice: i, Stop: c.Stop})
}

// replayMembers are the unknown members of a choice as a stream has them: what
// stands in the message of a chat answer stands in the delta of a chunk.
func replayMembers(e llm.Extra) []byte {
	if e.Dialect != llm.Chat {
		return e.Members
	}
	o, err := parseObject(e.Members)
	if err != nil {
		return e.Members
	}
	var out []byte
	for i := range o.members {
		key := o.members[i].key
		if o.members[i].name() == "message" {
			key = []byte(`"delta"`)
		}
		out = appendRaw(out, key, o.members[i].value)
	}
	return closeRaw(out)
}

func replayPart(i, k int, p llm.Part, yield func(llm.Event) bool) bool {
	text, sign := unquoted(p.Text), ""
	p.Text = nil
	if p.Tool != nil {
		p.Tool = new(*p.Tool)
		text, p.Tool.Arguments = p.Tool.Arguments, ""
	}
	if p.Kind == llm.PartThinking && !p.Redacted {
		sign, p.Signature = p.Signature, ""
	}
	if !yield(llm.Event{Kind: llm.EventPart, Choice: i, Part: k, New: &p}) {
		return false
	}
	if text != "" && !yield(llm.Event{Kind: llm.EventDelta, Choice: i, Part: k, Text: text}) {
		return false
	}
	if sign != "" && !yield(llm.Event{Kind: llm.EventSign, Choice: i, Part: k, Text: sign}) {
		return false
	}
	return yield(llm.Event{Kind: llm.EventPartEnd, Choice: i, Part: k})
}
