package dialect

import (
	"tailplane/internal/llm"
)

// The items of a stream that is being read, from their announcement to their
// end.

// item returns the open item at index; kind is what it becomes when there is
// none.
func (s *responsesReader) item(index int, kind string) *responsesOpen {
	item := s.items[index]
	if item == nil {
		item = &responsesOpen{kind: kind, parts: make(map[int]*responsesLive)}
		s.items[index] = item
	}
	return item
}

// single is the part of an item that has only one.
func (s *responsesReader) single(index int, kind string) *responsesLive {
	item := s.items[index]
	if item == nil || item.kind != kind || len(item.order) == 0 {
		return nil
	}
	return item.order[0]
}

// textPart is the part of a message that an event speaks of, opened if it is
// new.
func (s *responsesReader) textPart(index int, e *responsesEvent, kind llm.PartKind) *responsesLive {
	item := s.item(index, "message")
	if item.kind != "message" {
		return nil
	}
	key := e.index(responsesContentIndex)
	if live := item.parts[key]; live != nil {
		return live
	}
	if item.ended {
		return nil
	}
	return s.openContent(item, key, llm.Part{Kind: kind, Extra: llm.Extra{Dialect: llm.Responses}})
}

// openContent opens a part of a message and ends the one before it.
func (s *responsesReader) openContent(item *responsesOpen, key int, p llm.Part) *responsesLive {
	if n := len(item.order); n > 0 {
		s.end(item.order[n-1], item.order[n-1].final)
	} else {
		p.Extra.Form |= responsesItemOpen
		p.Extra.Members = responsesWithItem(p.Extra.Members, item.added.Members)
		p.Extra.Spelled = responsesWithItem(p.Extra.Spelled, item.added.Spelled)
	}
	return s.open(item, key, p)
}

func (s *responsesReader) partAdded(index int, e *responsesEvent) {
	item := s.item(index, "message")
	key := e.index(responsesContentIndex)
	if item.kind != "message" || item.ended || item.parts[key] != nil {
		return
	}
	if p, ok := responsesStreamed(e.raw(responsesPartMember)); ok { // else the first piece of its text opens it
		s.openContent(item, key, p)
	}
}

func (s *responsesReader) partDone(index int, e *responsesEvent) {
	item := s.items[index]
	if item == nil || item.kind != "message" {
		return
	}
	live := item.parts[e.index(responsesContentIndex)]
	p, ok := responsesStreamed(e.raw(responsesPartMember))
	if live == nil || live.ended || !ok {
		return
	}
	s.rest(live, 0, unquoted(p.Text))
	live.final = &p
}

// responsesStreamed reads a part of a message; false when it is not as it should be.
func responsesStreamed(raw []byte) (llm.Part, bool) {
	o, err := openObject(raw, where{})
	if err != nil {
		return llm.Part{}, false
	}
	p := responsesPart(o, raw, llm.RoleAssistant)
	return p, o.err() == nil
}

func (s *responsesReader) itemAdded(index int, raw []byte) {
	if old := s.items[index]; old != nil {
		return
	}
	t, ok := responsesAnswerItem(raw)
	if !ok {
		if len(raw) == 0 {
			return
		}
		t = responsesOtherItem(raw, "")
	}
	switch {
	case t.Extra.Form&responsesMessage != 0:
		s.item(index, "message").added = t.Extra
	default:
		s.open(s.item(index, responsesKind(&t.Parts[0])), 0, t.Parts[0])
	}
}

// responsesKind is the type of the item whose first part is p.
func responsesKind(p *llm.Part) string {
	switch {
	case !responsesIsItem(p):
		return "message"
	case p.Kind == llm.PartToolCall:
		return "function_call"
	case p.Kind == llm.PartThinking:
		return "reasoning"
	}
	return "other"
}

// itemDone reads a finished item.
func (s *responsesReader) itemDone(index int, raw []byte) {
	if len(raw) == 0 || raw[0] != '{' {
		return
	}
	parts := responsesOutputItem(raw)
	kind := responsesKind(&parts[0])
	item := s.item(index, kind)
	if item.ended {
		return
	}
	item.ended = true
	if item.kind != kind { // it is not what it was announced as
		for _, live := range item.order {
			s.end(live, live.final)
		}
		return
	}
	if len(item.order) > 0 && parts[0].Extra.Form&responsesEmptyItem != 0 {
		parts[0].Extra.Form &^= responsesEmptyItem
	}
	for i := range parts { // by place: some count content_index from elsewhere
		s.finishPart(item, i, &parts[i])
	}
	for _, live := range item.order {
		s.end(live, live.final)
	}
}

// finishPart ends part number i of a finished item.
func (s *responsesReader) finishPart(item *responsesOpen, i int, p *llm.Part) {
	if i == len(item.order) {
		if i > 0 {
			s.end(item.order[i-1], item.order[i-1].final)
		}
		s.open(item, -1-i, *p)
	}
	live := item.order[i]
	text := unquoted(p.Text)
	if p.Tool != nil {
		text = p.Tool.Arguments
	}
	s.rest(live, 0, text)
	if p.Kind == llm.PartText {
		s.logprobs(live, responsesMember(p.Extra.Spelled, "logprobs"), true)
	}
	s.end(live, p)
}
