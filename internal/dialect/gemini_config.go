package dialect

import (
	"bytes"
	"strings"

	"tailplane/internal/llm"
)

// generationConfig, read.

func gemDecodeConfig(c *llm.Call, o *object, form *uint32) error {
	in, err := gemSub(o, "generationConfig")
	if in == nil {
		return err
	}
	s := &c.Sampling
	floats := []struct {
		name string
		to   **float64
	}{
		{"temperature", &s.Temperature},
		{"topP", &s.TopP},
		{"frequencyPenalty", &s.FrequencyPenalty},
		{"presencePenalty", &s.PresencePenalty},
	}
	for _, f := range floats {
		if *f.to, err = in.float(f.name); err != nil {
			return err
		}
	}
	if s.TopK, err = in.intPointer("topK"); err != nil {
		return err
	}
	if s.N, err = in.count("candidateCount"); err != nil {
		return err
	}
	if s.MaxTokens, err = in.count("maxOutputTokens"); err != nil {
		return err
	}
	if s.Seed, err = in.integer("seed"); err != nil {
		return err
	}
	stops, err := in.list("stopSequences")
	if err != nil {
		return err
	}
	if s.Stop, err = takeStrings(stops, in.under("stopSequences")); err != nil {
		return err
	}
	if c.Logprobs.Want, err = in.flag("responseLogprobs"); err != nil {
		return err
	}
	if c.Logprobs.Top, err = in.intPointer("logprobs"); err != nil {
		return err
	}
	in.keepDefaults(gemDefaults)
	if err := gemDecodeOutput(c, in, form); err != nil {
		return err
	}
	return gemDecodeThinking(c, in)
}

// The types of an answer's text.
const (
	gemMimeJSON = "application/json"
	gemMimeText = "text/plain"
)

// gemDecodeOutput reads the shape of the answer. A schema for another type than
// JSON (text/x.enum) stays in Extra with that type.
func gemDecodeOutput(c *llm.Call, in *object, form *uint32) error {
	mime, err := in.str("responseMimeType")
	if err != nil {
		return err
	}
	out := &c.Output
	switch mime {
	case gemMimeJSON:
		out.Kind = llm.OutputJSON
	case gemMimeText:
		out.Kind = llm.OutputText
		return nil
	case "":
	default:
		in.release("responseMimeType")
		return nil
	}
	if out.Schema, err = takeSchema(in, "responseJsonSchema"); err != nil {
		return err
	}
	if out.Schema != nil {
		*form |= gemJSONSchema
	} else if raw, err := takeSchema(in, "responseSchema"); err != nil {
		return err
	} else if raw != nil {
		out.Schema = gemToSchema(raw)
		in.keep("responseSchema")
	}
	if out.Schema == nil {
		return nil
	}
	out.Kind, out.Extra = llm.OutputSchema, llm.Extra{Dialect: llm.Gemini}
	if mime == "" {
		*form |= gemNoMime
	}
	return nil
}

// gemDynamic is the thinking budget that leaves it to the model.
const gemDynamic = -1

func gemDecodeThinking(c *llm.Call, in *object) error {
	t, err := gemSub(in, "thinkingConfig")
	if t == nil {
		return err
	}
	r := &c.Reasoning
	r.Extra.Dialect = llm.Gemini
	shown, err := t.flag("includeThoughts")
	if err != nil {
		return err
	}
	if shown {
		r.Summary = "auto"
	}
	level, err := t.str("thinkingLevel")
	if err != nil {
		return err
	}
	if level == "THINKING_LEVEL_UNSPECIFIED" {
		t.keep("thinkingLevel")
	} else if r.Effort = strings.ToLower(level); r.Effort != level {
		t.keep("thinkingLevel")
	}
	budget, ok, err := t.whole("thinkingBudget")
	switch {
	case err != nil || !ok:
		return err
	case budget == 0:
		r.Mode = "disabled"
	case budget == gemDynamic:
		r.Mode = "adaptive"
	case budget > 0 && budget < 1<<31:
		r.Budget = int(budget)
	default:
		t.release("thinkingBudget")
	}
	return nil
}

// gemSame reports whether a kept schema still says what the canonical one does.
func gemSame(raw, schema []byte) bool { return raw != nil && bytes.Equal(gemToSchema(raw), schema) }
