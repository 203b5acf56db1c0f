package dialect

import (
	"bytes"
	"strings"

	"tailplane/internal/llm"
)

// generationConfig, read.

func geminiDecodeConfig(c *llm.Call, o *object, form *uint32) {
	in := geminiSub(o, "generationConfig")
	if in == nil {
		return
	}
	s := &c.Sampling
	s.Temperature = in.float("temperature")
	s.TopP = in.float("topP")
	s.FrequencyPenalty = in.float("frequencyPenalty")
	s.PresencePenalty = in.float("presencePenalty")
	s.TopK = in.intPointer("topK")
	s.N = in.count("candidateCount")
	s.MaxTokens = in.count("maxOutputTokens")
	s.Seed = in.integer("seed")
	s.Stop = in.strings("stopSequences", in.list("stopSequences"))
	c.Logprobs.Want = in.flag("responseLogprobs")
	c.Logprobs.Top = in.intPointer("logprobs")
	in.keepDefaults(geminiDefaults)
	geminiDecodeOutput(c, in, form)
	geminiDecodeThinking(c, in)
}

// The types of an answer's text.
const (
	geminiMimeJSON = "application/json"
	geminiMimeText = "text/plain"
)

// geminiDecodeOutput reads the shape of the answer. A schema for another type than
// JSON (text/x.enum) stays in Extra with that type.
func geminiDecodeOutput(c *llm.Call, in *object, form *uint32) {
	mime := in.str("responseMimeType")
	out := &c.Output
	switch mime {
	case geminiMimeJSON:
		out.Kind = llm.OutputJSON
	case geminiMimeText:
		out.Kind = llm.OutputText
		return
	case "":
	default:
		in.release("responseMimeType")
		return
	}
	if out.Schema = in.schema("responseJsonSchema"); out.Schema != nil {
		*form |= geminiJSONSchema
	} else if raw := in.schema("responseSchema"); raw != nil {
		out.Schema = geminiToSchema(raw)
		in.keep("responseSchema")
	}
	if out.Schema == nil {
		return
	}
	out.Kind, out.Extra = llm.OutputSchema, llm.Extra{Dialect: llm.Gemini}
	if mime == "" {
		*form |= geminiNoMime
	}
}

// geminiDynamic is the thinking budget that leaves it to the model.
const geminiDynamic = -1

func geminiDecodeThinking(c *llm.Call, in *object) {
	t := geminiSub(in, "thinkingConfig")
	if t == nil {
		return
	}
	r := &c.Reasoning
	r.Extra.Dialect = llm.Gemini
	if t.flag("includeThoughts") {
		r.Summary = "auto"
	}
	level := t.str("thinkingLevel")
	if level == "THINKING_LEVEL_UNSPECIFIED" {
		t.keep("thinkingLevel")
	} else if r.Effort = strings.ToLower(level); r.Effort != level {
		t.keep("thinkingLevel")
	}
	budget, ok := t.whole("thinkingBudget")
	switch {
	case !ok:
	case budget == 0:
		r.Mode = "disabled"
	case budget == geminiDynamic:
		r.Mode = "adaptive"
	case budget > 0 && budget < 1<<31:
		r.Budget = int(budget)
	default:
		t.release("thinkingBudget")
	}
}

// geminiSame reports whether a kept schema still says what the canonical one does.
func geminiSame(raw, schema []byte) bool {
	return raw != nil && bytes.Equal(geminiToSchema(raw), schema)
}
