package dialect

import (
	"strconv"
	"strings"

	"tailplane/internal/llm"
)

// Items and content parts of the Responses dialect, as they are written. A
// node that came from this dialect gets back exactly the members that it had;
// any other gets those that the dialect demands.

// responsesEncoder writes items. For a target (a request) foreign nodes get no
// identity and foreign thinking is left out; for a client (an answer) each
// item needs an id, which is made from base and the item's place.
type responsesEncoder struct {
	lossList
	client  bool
	base    string
	calls   int // foreign tool calls without an id
	results int // the same of results, which belong to them in order
}

const responsesHasNoPlace = "responses has no place for it"

// id is the id of a foreign item of an answer; kind is OpenAI's prefix.
func (e *responsesEncoder) id(kind string, index int) string {
	if !e.client {
		return ""
	}
	return kind + "_" + e.base + "_" + strconv.Itoa(index)
}

// responsesIsItem reports whether the part is an item of its own.
func responsesIsItem(p *llm.Part) bool {
	switch p.Kind {
	case llm.PartToolCall, llm.PartToolResult, llm.PartThinking:
		return true
	case llm.PartOther:
		return p.Extra.In(llm.Responses).Form&responsesContent == 0
	}
	return false
}

// items writes parts as items. Neighbours that are content become one message,
// which ends at a part that is marked as the last of its item.
func (e *responsesEncoder) items(parts []llm.Part, role llm.Role) [][]byte {
	var items [][]byte
	from := 0
	flush := func(to int) {
		if item := e.message(parts[from:to], role, e.id("msg", len(items))); item != nil {
			items = append(items, item)
		}
		from = to
	}
	for i := range parts {
		p := &parts[i]
		if responsesIsItem(p) {
			flush(i)
			from = i + 1
			if item := e.item(p, len(items)); item != nil {
				items = append(items, item)
			}
			continue
		}
		if p.Extra.In(llm.Responses).Form&responsesItemEnd != 0 {
			flush(i + 1)
		}
	}
	flush(len(parts))
	return items
}

// item writes a part that is an item of its own; nil when it cannot be said.
func (e *responsesEncoder) item(p *llm.Part, index int) []byte {
	switch p.Kind {
	case llm.PartToolCall:
		return e.call(p, e.id("fc", index), "completed")
	case llm.PartToolResult:
		return e.result(p)
	case llm.PartThinking:
		return e.reasoning(p, e.id("rs", index))
	}
	if p.Extra.Dialect != llm.Responses {
		e.add("content", "a part that only "+string(p.Extra.Dialect)+" knows was left out")
		return nil
	}
	return p.Raw
}

// message writes the message item that ends with the last of parts: a native
// one has its own members there.
func (e *responsesEncoder) message(parts []llm.Part, role llm.Role, id string) []byte {
	if len(parts) == 0 {
		return nil
	}
	last := &parts[len(parts)-1]
	if last.Extra.Dialect == llm.Responses && last.Extra.Form&responsesItemEnd != 0 {
		outer := newObject(responsesItemExtra(last.Extra))
		if last.Extra.Form&responsesEmptyItem != 0 {
			parts = nil
		}
		return e.messageItem(outer, role, responsesMessage, parts)
	}
	w := newObject(llm.Extra{})
	if id != "" {
		w.text("id", id)
		w.text("status", "completed")
	}
	var form uint32 = responsesMessage
	if !e.client && len(parts) == 1 && parts[0].Kind == llm.PartText {
		form |= responsesBare
	}
	content := e.sayable(parts, role)
	if len(content) == 0 {
		return nil
	}
	return e.messageItem(w, role, form, content)
}

// sayable leaves out what a message of the role cannot hold here.
func (e *responsesEncoder) sayable(parts []llm.Part, role llm.Role) []llm.Part {
	var out []llm.Part
	for i := range parts {
		p := &parts[i]
		media := p.Kind == llm.PartImage || p.Kind == llm.PartAudio || p.Kind == llm.PartFile
		switch {
		case p.Extra.Dialect == llm.Responses:
		case p.Kind == llm.PartOther:
			e.add("content", "a part that only "+string(p.Extra.Dialect)+" knows was left out")
			continue
		case media && (role == llm.RoleAssistant || role == llm.RoleSystem):
			e.add("content."+responsesMediaName(p.Kind), "a message of the "+string(role)+" is text in responses")
			continue
		case media && !e.placeable(p):
			continue
		}
		out = append(out, *p)
	}
	return out
}

func responsesMediaName(k llm.PartKind) string {
	switch k {
	case llm.PartImage:
		return "image"
	case llm.PartAudio:
		return "audio"
	}
	return "file"
}

// placeable reports whether foreign media can be said.
func (e *responsesEncoder) placeable(p *llm.Part) bool {
	m := p.Media
	name := "content." + responsesMediaName(p.Kind)
	switch {
	case m == nil:
		e.add(name, "it has no content")
	case p.Kind == llm.PartAudio && m.Data == "":
		e.add(name, "responses takes sound inline only")
	case m.Data == "" && m.URL == "" && p.Extra.Dialect == llm.Anthropic:
		e.add(name, "a file stored at another provider cannot be reached")
	default:
		return true
	}
	return false
}

// messageItem writes a message with the members that w keeps.
func (e *responsesEncoder) messageItem(w *objectWriter, role llm.Role, form uint32, parts []llm.Part) []byte {
	if form&responsesUntyped == 0 {
		w.text("type", "message")
	}
	word := string(role)
	if role == llm.RoleSystem && form&responsesDeveloper != 0 {
		word = "developer"
	}
	w.text("role", word)
	w.put("content", e.content(parts, role, form&responsesBare != 0))
	return w.end()
}

// content writes parts as a list, or as a bare string where that was so.
func (e *responsesEncoder) content(parts []llm.Part, role llm.Role, bare bool) []byte {
	if bare && len(parts) == 1 && parts[0].Kind == llm.PartText {
		e.foreign(&parts[0])
		return quoteJSON(parts[0].Text)
	}
	list := make([][]byte, 0, len(parts))
	for i := range parts {
		list = append(list, e.part(&parts[i], role))
	}
	return arrayJSON(list)
}

// foreign declares what a part of another dialect loses.
func (e *responsesEncoder) foreign(p *llm.Part) {
	e.extra("content", p.Extra, llm.Responses)
	if p.Cache != nil {
		e.cache()
	}
}

func (e *responsesEncoder) cache() {
	e.add("cache_control", "the provider caches by itself; the mark was left out")
}

// part writes one part of content.
func (e *responsesEncoder) part(p *llm.Part, role llm.Role) []byte {
	if p.Kind == llm.PartOther {
		return p.Raw
	}
	e.foreign(p)
	extra := p.Extra.In(llm.Responses)
	w := newObject(responsesPartExtra(extra))
	switch p.Kind {
	case llm.PartText:
		w.text("type", responsesTextType(extra.Form, role))
		w.quote("text", p.Text)
		if e.client && p.Extra.Dialect != llm.Responses {
			w.put("annotations", []byte("[]"))
			w.put("logprobs", []byte("[]"))
		}
	case llm.PartRefusal:
		w.text("type", "refusal")
		w.quote("refusal", p.Text)
	case llm.PartImage:
		responsesPutImage(w, p)
	case llm.PartFile:
		responsesPutFile(w, p)
	case llm.PartAudio:
		w.text("type", "input_audio")
		in := w.sub("input_audio")
		in.text("data", p.Media.Data)
		in.text("format", audioFormat(p.Media.Type))
		in.endSub()
	}
	return w.end()
}

func responsesTextType(form uint32, role llm.Role) string {
	switch {
	case form&responsesTextPlain != 0:
		return "text"
	case form&responsesTextOut != 0, role == llm.RoleAssistant && form&responsesTextIn == 0:
		return "output_text"
	}
	return "input_text"
}

func responsesPutImage(w *objectWriter, p *llm.Part) {
	m := p.Media
	w.text("type", "input_image")
	url := m.URL
	if m.Data != "" {
		url = responsesDataURL(p, "image/png")
	}
	w.str("image_url", url)
	w.str("file_id", m.FileID)
	w.str("detail", m.Detail)
}

// responsesDataURL writes inline data; a MIME type that is not known is guess.
func responsesDataURL(p *llm.Part, guess string) string {
	mime := p.Media.Type
	if p.Extra.Dialect != llm.Responses && !strings.Contains(mime, "/") {
		mime = guess
	}
	return inlineURL(mime, p.Media.Data)
}

func responsesPutFile(w *objectWriter, p *llm.Part) {
	m := p.Media
	data, name := m.Data, m.Name
	native := p.Extra.Dialect == llm.Responses
	if data != "" && (!native || m.Type != "") {
		data = responsesDataURL(p, "application/pdf")
	}
	if data != "" && !native && name == "" {
		name = "document" // the dialect demands a name beside inline data
	}
	w.text("type", "input_file")
	w.str("filename", name)
	w.str("file_data", data)
	w.str("file_url", m.URL)
	w.str("file_id", m.FileID)
	w.str("detail", m.Detail)
}

// call writes a function_call item; one that is still in_progress may have no
// arguments yet. A foreign call without an id gets one, because the dialect
// pairs calls and results by it.
func (e *responsesEncoder) call(p *llm.Part, id, status string) []byte {
	e.foreign(p)
	w := newObject(p.Extra.In(llm.Responses))
	native := p.Extra.Dialect == llm.Responses
	arguments, callID := p.Tool.Arguments, p.Tool.ID
	switch {
	case native || callID != "":
	case e.client:
		callID = "call_" + strings.TrimPrefix(id, "fc_")
	default:
		e.calls++
		callID = "call_" + strconv.Itoa(e.calls)
	}
	if !native && arguments == "" && status == "completed" {
		arguments = "{}"
	}
	if !native && id != "" {
		w.text("id", id)
		w.text("status", status)
	}
	w.text("type", "function_call")
	w.text("call_id", callID)
	w.text("name", p.Tool.Name)
	w.text("arguments", arguments)
	return w.end()
}

// result writes a function_call_output item.
func (e *responsesEncoder) result(p *llm.Part) []byte {
	e.foreign(p)
	if p.Result.Error {
		e.add("tool_result.is_error", "responses cannot mark a tool's output as an error; its text was kept")
	}
	extra := p.Extra.In(llm.Responses)
	w := newObject(extra)
	w.text("type", "function_call_output")
	callID := p.Result.CallID
	if p.Extra.Dialect != llm.Responses && callID == "" {
		e.results++
		callID = "call_" + strconv.Itoa(e.results)
	}
	w.text("call_id", callID)
	parts := p.Result.Parts
	if p.Extra.Dialect != llm.Responses {
		parts = e.sayable(parts, llm.RoleTool)
	}
	switch {
	case extra.Form&responsesList == 0 && len(parts) == 0:
		w.text("output", "")
	default:
		w.put("output", e.content(parts, llm.RoleTool, extra.Form&responsesList == 0))
	}
	return w.end()
}

// reasoning writes a reasoning item; nil when the target must not see it.
func (e *responsesEncoder) reasoning(p *llm.Part, id string) []byte {
	native := p.Extra.Dialect == llm.Responses
	ours := p.SignedBy == llm.Responses && (native || p.Signature != "")
	if !e.client && !ours && !(native && p.SignedBy == "") {
		e.add("thinking", "thinking that another provider signed, or nobody, means nothing to the target and was left out")
		return nil
	}
	e.foreign(p)
	extra := p.Extra.In(llm.Responses)
	w := newObject(extra)
	w.text("type", "reasoning")
	if !native && id != "" {
		w.text("id", id)
	}
	if extra.Form&responsesNoSummary == 0 && responsesMember(extra.Spelled, "summary") == nil {
		w.put("summary", responsesSummary(p.Text)) // else the spelling that was kept
	}
	signature := p.Signature
	if e.client {
		signature = signatureFor(llm.Responses, p)
	}
	if signature != "" {
		w.str("encrypted_content", signature)
	}
	return w.end()
}

// responsesSummary is the list of summaries that says text.
func responsesSummary(text llm.Text) []byte {
	if text.Empty() {
		return []byte("[]")
	}
	return append(append([]byte(`[{"type":"summary_text","text":`), text...), "}]"...)
}

// responsesItemExtra returns what a message item's last part keeps of the item.
func responsesItemExtra(e llm.Extra) llm.Extra {
	return llm.Extra{Members: responsesMember(e.Members, responsesItemName), Spelled: responsesMember(e.Spelled, responsesItemName)}
}

// responsesMember returns one member of an object that was kept.
func responsesMember(object []byte, name string) []byte {
	if len(object) == 0 {
		return nil
	}
	o, err := parseObject(object)
	if err != nil {
		return nil
	}
	return o.peek(name)
}

// responsesPartExtra returns what a part keeps for itself.
func responsesPartExtra(e llm.Extra) llm.Extra {
	if e.Form&(responsesItemEnd|responsesItemOpen) == 0 {
		return e
	}
	return llm.Extra{Members: responsesOuter(e.Members), Spelled: responsesOuter(e.Spelled)}
}

func responsesOuter(raw []byte) []byte {
	if len(raw) == 0 {
		return nil
	}
	o, err := parseObject(raw)
	if err != nil {
		return nil
	}
	o.take(responsesItemName)
	return o.left()
}

// responsesItemName is the member under which the last part of a message item
// keeps the item's own members.
const responsesItemName = "item"

// responsesEndItem makes the last of parts carry the members of its message item.
func responsesEndItem(parts []llm.Part, item llm.Extra) {
	e := &parts[len(parts)-1].Extra
	e.Form |= responsesItemEnd
	e.Members = responsesWithItem(e.Members, item.Members)
	e.Spelled = responsesWithItem(e.Spelled, item.Spelled)
}

func responsesWithItem(raw, item []byte) []byte {
	if item == nil {
		return raw
	}
	var out []byte
	if len(raw) > 0 {
		out = append(out, raw[:len(raw)-1]...)
	}
	return closeRaw(appendRaw(out, []byte(`"`+responsesItemName+`"`), item))
}
