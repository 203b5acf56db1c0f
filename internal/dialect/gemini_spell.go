package dialect

import (
	"bytes"

	"tailplane/internal/llm"
)

// Protobuf's JSON takes a member by two names, maxOutputTokens and
// max_output_tokens. The codec reads and writes the first. When an object is
// opened, a known name in the second spelling becomes the first, and a mark
// under the second one is kept among the object's spellings; gemEnd finds the
// marks and gives the object its names back.

// gemMark is the value of a mark, which no member that is kept for its
// spelling has.
const gemMark = `"\u0000"`

// gemCamel maps the second spelling of every name that the codec reads.
var gemCamel = map[string]string{
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

// gemParse is parseObject for both spellings.
func gemParse(body []byte) (*object, error) {
	o, err := parseObject(body)
	if err == nil {
		gemRename(o)
	}
	return o, err
}

// gemOpen is object.open for both spellings.
func gemOpen(o *object, raw []byte, at where) *object {
	in := o.open(raw, at)
	gemRename(in)
	return in
}

// gemSub is object.sub for both spellings.
func gemSub(o *object, name string) *object {
	raw := o.raw(name)
	if raw == nil {
		return nil
	}
	child := gemOpen(o, raw, o.under(name))
	o.members[o.find(name)].sub = child
	return child
}

func gemRename(o *object) {
	for i := range len(o.members) {
		key := o.members[i].key
		if bytes.IndexByte(key, '_') < 0 {
			continue
		}
		name := o.members[i].name()
		camel, known := gemCamel[name]
		if !known {
			continue
		}
		if o.has(camel) {
			o.note(o.where.wrong("member %q appears twice, also as %q: send it once", camel, name))
		}
		o.members[i].key, o.members[i].escaped = stringJSON(camel), false
		o.members = append(o.members, member{key: stringJSON(name), value: []byte(gemMark), use: useSpelled})
	}
}

// gemMarks takes the marks out of what a writer was given.
func gemMarks(w *objectWriter) (keys [][]byte) {
	if w.spelled == nil {
		return nil
	}
	for i := range w.spelled.members {
		if m := &w.spelled.members[i]; m.use == useLeft && string(m.value) == gemMark {
			m.use = useTaken
			keys = append(keys, m.key)
		}
	}
	return keys
}

// gemEnd is objectWriter.end, in the spelling that was marked.
func gemEnd(w *objectWriter) []byte {
	marks := gemMarks(w)
	w.end()
	gemRespell(w, marks)
	return w.buf[w.start:]
}

// gemEndSub is objectWriter.endSub, in the spelling that was marked.
func gemEndSub(w *objectWriter, name string, s *objectWriter) {
	marks := gemMarks(s)
	w.endSub(name, s)
	gemRespell(s, marks)
}

// gemRespell gives the object at the end of the buffer the names of marks.
func gemRespell(w *objectWriter, marks [][]byte) {
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
			if m.is(gemCamel[string(mark[1:len(mark)-1])]) {
				key = mark
			}
		}
		out = appendRaw(out, key, m.value)
	}
	if out != nil {
		w.buf = append(w.buf[:w.start], closeRaw(out)...)
	}
}

// gemExtra is object.extra; what Google's clients always say says nothing.
func gemExtra(o *object, form uint32) llm.Extra {
	o.keepDefaults(gemDefaults)
	return o.extra(llm.Gemini, form)
}

// gemDefaults are members with the values that they have when unsaid.
var gemDefaults = []defaultValue{
	{"responseModalities", `["TEXT"]`},
	{"responseModalities", `["text"]`},
}
