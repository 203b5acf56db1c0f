package dialect

import (
	"bytes"

	"tailplane/internal/llm"
)

// Protobuf's JSON takes a member by two names, maxOutputTokens and
// max_output_tokens. The codec reads and writes the first. When an object is
// opened, a known name in the second spelling becomes the first, and a mark
// under the second one is kept among the object's spellings; geminiEnd finds the
// marks and gives the object its names back.

// geminiMark is the value of a mark, which no member that is kept for its
// spelling has.
const geminiMark = `"\u0000"`

// geminiCamel maps the second spelling of every name that the codec reads.
var geminiCamel = map[string]string{
	"allowed_function_names":   "allowedFunctionNames",
	"candidate_count":          "candidateCount",
	"code_execution_result":    "codeExecutionResult",
	"display_name":             "displayName",
	"executable_code":          "executableCode",
	"file_data":                "fileData",
	"file_uri":                 "fileUri",
	"frequency_penalty":        "frequencyPenalty",
	"function_call":            "functionCall",
	"function_calling_config":  "functionCallingConfig",
	"function_declarations":    "functionDeclarations",
	"function_response":        "functionResponse",
	"generate_content_request": "generateContentRequest",
	"generation_config":        "generationConfig",
	"include_thoughts":         "includeThoughts",
	"inline_data":              "inlineData",
	"max_output_tokens":        "maxOutputTokens",
	"mime_type":                "mimeType",
	"output_dimensionality":    "outputDimensionality",
	"parameters_json_schema":   "parametersJsonSchema",
	"presence_penalty":         "presencePenalty",
	"response_json_schema":     "responseJsonSchema",
	"response_logprobs":        "responseLogprobs",
	"response_mime_type":       "responseMimeType",
	"response_modalities":      "responseModalities",
	"response_schema":          "responseSchema",
	"stop_sequences":           "stopSequences",
	"system_instruction":       "systemInstruction",
	"task_type":                "taskType",
	"thinking_budget":          "thinkingBudget",
	"thinking_config":          "thinkingConfig",
	"thinking_level":           "thinkingLevel",
	"thought_signature":        "thoughtSignature",
	"tool_config":              "toolConfig",
	"top_k":                    "topK",
	"top_p":                    "topP",
}

// geminiBody is openCall for both spellings.
func geminiBody(body []byte, at *At) (*object, error) {
	o, err := openCall(body, at)
	if err == nil {
		geminiRename(o)
	}
	return o, err
}

// geminiOpen is object.open for both spellings.
func geminiOpen(o *object, raw []byte, at where) *object {
	in := o.open(raw, at)
	geminiRename(in)
	return in
}

// geminiOpenItem is object.openItem for both spellings.
func geminiOpenItem(o *object, name string, i int, raw []byte) *object {
	return geminiOpen(o, raw, o.under(name).item(i))
}

// geminiSub is object.sub for both spellings.
func geminiSub(o *object, name string) *object {
	raw := o.raw(name)
	if raw == nil {
		return nil
	}
	child := geminiOpen(o, raw, o.under(name))
	o.members[o.find(name)].sub = child
	return child
}

func geminiRename(o *object) {
	for i := range len(o.members) {
		key := o.members[i].key
		if bytes.IndexByte(key, '_') < 0 {
			continue
		}
		name := o.members[i].name()
		camel, known := geminiCamel[name]
		if !known {
			continue
		}
		if o.has(camel) {
			o.note(o.where.wrong("member %q appears twice, also as %q: send it once", camel, name))
		}
		o.rename(i, camel)
		o.add(member{key: stringJSON(name), value: []byte(geminiMark), use: useSpelled}, nameHash(name))
	}
}

// geminiMarks takes the marks out of what a writer was given.
func geminiMarks(w *objectWriter) (keys [][]byte) {
	if w.spelled == nil {
		return nil
	}
	for i := range w.spelled.members {
		if m := &w.spelled.members[i]; m.use == useLeft && string(m.value) == geminiMark {
			m.use = useTaken
			keys = append(keys, m.key)
		}
	}
	return keys
}

// geminiEnd is objectWriter.end, in the spelling that was marked.
func geminiEnd(w *objectWriter) []byte {
	marks := geminiMarks(w)
	w.end()
	geminiRespell(w, marks)
	return w.buf[w.start:]
}

// geminiEndSub is objectWriter.endSub, in the spelling that was marked.
func geminiEndSub(s *objectWriter) {
	marks := geminiMarks(s)
	s.endSub()
	geminiRespell(s, marks)
}

// geminiRespell gives the object at the end of the buffer the names of marks.
func geminiRespell(w *objectWriter, marks [][]byte) {
	if marks == nil || len(w.buf) <= w.start {
		return
	}
	o, err := openObject(w.buf[w.start:], where{})
	if err != nil {
		return
	}
	var out []byte
	for i := range o.members {
		m := &o.members[i]
		key := m.key
		for _, mark := range marks {
			if m.is(geminiCamel[string(mark[1:len(mark)-1])]) {
				key = mark
			}
		}
		out = appendRaw(out, key, m.value)
	}
	if out != nil {
		w.buf = append(w.buf[:w.start], closeRaw(out)...)
	}
}

// geminiExtra is object.extra; what Google's clients always say says nothing.
func geminiExtra(o *object, form uint32) llm.Extra {
	o.keepDefaults(geminiDefaults)
	return o.extra(llm.Gemini, form)
}

// geminiDefaults are members with the values that they have when unsaid.
var geminiDefaults = []defaultValue{
	{"responseModalities", `["TEXT"]`},
	{"responseModalities", `["text"]`},
}
