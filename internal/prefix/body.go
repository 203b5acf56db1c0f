package prefix

import (
	"bytes"
	"math"
)

// The parts of a body that are its prompt, in the order of the canonical stream:
// what is shared by many requests first, what a conversation appends last.
// Sampling, streaming, metadata, the model's name (the seed has it) and what
// only guides the answer are not the prompt.
const (
	partTools = iota // parts before partSystem go in as they stand
	partFunctions
	partToolConfig
	partDocuments
	partTemplate
	partTemplateArguments
	partCachedContent
	partSystem // parts from here on have their members in a fixed order
	partInstructions
	partPrompt
	partConversation
	partPrevious
	partMessages // parts from here on are lists of turns
	partInput
	partContents
	parts
)

// part is where the member of a body with this name belongs. Both spellings of
// Gemini's names are in use. The order of members inside of tools is left alone,
// because engines write it into the prompt.
func part(name []byte) (int, bool) {
	switch string(name) {
	case "tools":
		return partTools, true
	case "functions":
		return partFunctions, true
	case "toolConfig", "tool_config":
		return partToolConfig, true
	case "documents":
		return partDocuments, true
	case "chat_template":
		return partTemplate, true
	case "chat_template_kwargs":
		return partTemplateArguments, true
	case "cachedContent", "cached_content":
		return partCachedContent, true
	case "system", "systemInstruction", "system_instruction":
		return partSystem, true
	case "instructions":
		return partInstructions, true
	case "prompt":
		return partPrompt, true
	case "conversation":
		return partConversation, true
	case "previous_response_id":
		return partPrevious, true
	case "messages":
		return partMessages, true
	case "input":
		return partInput, true
	case "contents":
		return partContents, true
	}
	return 0, false
}

// found is where a part stands: its text, or its first node.
type found struct {
	text  []byte // as it stands
	root  int32  // node, if text is nil
	there bool
	tight bool // text has no white space to leave out
}

// FromBody makes c the chain of a request's body, in place of what it held:
// chat completions, completions, responses, Anthropic, Gemini and Converse.
//
// The stream is tools, then system, then the turns in order. The order of
// members does not matter, except inside of tools, nor does white space outside
// of strings; strings and numbers count as they are spelled. Marks that ask for
// caching are left out, since clients move them from turn to turn, text is the
// same whether it stands alone or in a list of parts, and long base64 is as short
// as what it costs (media.go). A body with none of the
// parts counts with all its members; one that is no JSON object, as it stands.
//
// It never fails, and its work is bounded by the length of body.
func FromBody(c *Chain, seed uint64, body []byte) {
	var w writer
	w.Start(seed, c)
	w.body = body[:min(len(body), math.MaxInt32)]
	w.scratch = &c.scratch
	w.prompt()
	w.Finish()
	c.Bytes += len(body) - len(w.body) + w.unread
}

// writer writes the canonical stream of one body.
type writer struct {
	Builder
	*scratch
	body     []byte
	unread   int // bytes behind the last piece that the scanner takes
	from, to int // in body, what write.go has not written yet
}

// scratch is the writer's memory.
type scratch struct {
	nodes   []node
	members []member // of the objects that are being written, innermost last
}

func (s *scratch) reset() {
	if cap(s.nodes) > keptNode {
		*s = scratch{}
	}
	s.nodes, s.members = s.nodes[:0], s.members[:0]
}

func (w *writer) prompt() {
	b := w.body
	start := skipTo(b, 0)
	if start == len(b) || b[start] != '{' {
		w.add(b)
		return
	}
	var all [parts]found
	rest, known := w.find(start+1, &all)
	if !known {
		w.nodes = w.nodes[:0]
		w.scan(b, start)
		w.value(0)
		w.flush()
		return
	}
	for p := range all {
		if all[p].there {
			w.part(p, &all[p])
		}
	}
	w.flush()
	w.add(rest)
}

// find looks through the members of the body, whose first begins at i. It
// returns what stands behind the point from which the text is no longer an
// object's, and whether a part was found. Of a member that is there twice the
// second counts, as for most parsers.
func (w *writer) find(i int, all *[parts]found) (rest []byte, known bool) {
	b := w.body
	for i = skipTo(b, i); i < len(b) && b[i] == '"'; i = skipTo(b, i) {
		end := stringEnd(b, i)
		name := b[i:end]
		i = skipTo(b, end)
		if i == len(b) || kinds[b[i]] == closing {
			break
		}
		p, ok := part(bytes.Trim(name, `"`))
		known = known || ok
		switch at := i; {
		case !ok:
			i, _ = valueEnd(b, i)
		case p < partSystem:
			f := found{there: true}
			i, f.tight = valueEnd(b, i)
			f.text = b[at:i]
			all[p] = f
		default:
			all[p] = found{there: true, root: int32(len(w.nodes))}
			i = w.scan(b, i)
		}
		if len(w.nodes) >= maxNodes {
			w.unread = len(b) - i
			return nil, known
		}
	}
	if i == len(b) || kinds[b[i]] == closing {
		return nil, known
	}
	return b[i:], known
}

// part writes one part behind a marker. Nothing closes it, so that the stream of
// a conversation goes on where that of its earlier turns ended.
func (w *writer) part(p int, f *found) {
	w.punct('\n')
	w.punct('A' + byte(p))
	switch {
	case f.text != nil && f.tight:
		w.flush()
		w.add(f.text)
	case f.text != nil:
		w.asItStands(f.text)
	case int(f.root) >= len(w.nodes):
	case p >= partMessages:
		w.turns(f.root)
	case w.at(f.root) == '[':
		w.list(f.root)
	default:
		w.value(f.root)
	}
}

// turns writes a list of turns, and marks the lane behind the first of the user.
func (w *writer) turns(root int32) {
	n := w.nodes[root]
	if w.at(root) != '[' { // Responses' input may be the user's words alone
		w.value(root)
		w.flush()
		if w.at(root) == '"' {
			w.MarkLane()
		}
		return
	}
	for i := root + 1; i < n.next; i = w.nodes[i].next {
		if w.isCacheMark(i) {
			continue
		}
		w.punct(',')
		w.value(i)
		if w.chain.Lane == 0 && w.isUser(i) {
			w.flush()
			w.MarkLane()
		}
	}
}

// isUser reports whether a turn is the user's: it says so, or, as Gemini allows,
// has parts and says nothing.
func (w *writer) isUser(turn int32) bool {
	if w.at(turn) != '{' {
		return w.at(turn) == '"'
	}
	parts := false
	end := w.nodes[turn].next
	for key := turn + 1; key+1 < end; key = w.nodes[key+1].next {
		switch string(w.text(key)) {
		case `"role"`:
			return string(w.text(key+1)) == `"user"`
		case `"parts"`:
			parts = true
		}
	}
	return parts
}
