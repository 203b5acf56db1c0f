package dialect

import (
	"bytes"
	"strings"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Requests of :generateContent, read. What generationConfig holds is read in
// gemini_config.go. Members of nested objects stay in the Extra of the call
// under the names of those objects.

// Forms of a call (llm.Call.Extra.Form).
const (
	gemModelBare   = 1 << iota // the body names the model
	gemModelPath               // the body names the model as models/NAME
	gemToolsObject             // tools is one object, not a list
	gemJSONSchema              // the schema of the answer stands in responseJsonSchema
	gemNoMime                  // a schema without responseMimeType
)

// Forms of a turn (llm.Turn.Extra.Form).
const (
	gemNoRole  = 1 << iota // role is absent or empty
	gemNoParts             // parts is absent
)

// Forms of a tool (llm.Tool.Extra.Form).
const (
	gemToolMore  = 1 << iota // it stands in the same object as the tool before
	gemToolSnake             // its object spells function_declarations
	gemToolJSON              // its schema stands in parametersJsonSchema
)

// gemModels is what precedes a model's name in resource names.
const gemModels = "models/"

// DecodeCall implements [Codec]. Model is empty unless the body names it, and
// Stream is false: the caller, who knows the path, sets both.
func (GeminiCodec) DecodeCall(body []byte) (*llm.Call, error) {
	o, err := gemParse(body)
	if err != nil {
		return nil, err
	}
	return gemDecodeRequest(o)
}

func gemDecodeRequest(o *object) (*llm.Call, error) {
	c := &llm.Call{WantUsage: true}
	var form uint32
	steps := [...]func(*llm.Call, *object, *uint32) error{
		gemDecodeModel, gemDecodeSystem, gemDecodeContents, gemDecodeTools, gemDecodeChoice, gemDecodeConfig,
	}
	for _, step := range steps {
		if err := step(c, o, &form); err != nil {
			return nil, err
		}
	}
	c.Metadata = stringMap(o, "labels")
	gemPair(c.Turns)
	c.Extra = gemExtra(o, form)
	return c, nil
}

// gemDecodeModel takes the model that some clients repeat in the body.
func gemDecodeModel(c *llm.Call, o *object, form *uint32) (err error) {
	name, err := o.str("model")
	if err != nil || name == "" {
		return err
	}
	*form |= gemModelBare
	if rest, ok := strings.CutPrefix(name, gemModels); ok {
		*form ^= gemModelBare | gemModelPath
		name = rest
	}
	c.Model = name
	return nil
}

func gemDecodeSystem(c *llm.Call, o *object, _ *uint32) error {
	in, err := gemSub(o, "systemInstruction")
	if in == nil {
		return err
	}
	in.keep("role")
	list, err := in.list("parts")
	if err != nil {
		return err
	}
	c.System, err = gemDecodeParts(list, in.under("parts"))
	return err
}

func gemDecodeContents(c *llm.Call, o *object, _ *uint32) error {
	list, err := o.list("contents")
	if err != nil {
		return err
	}
	if list == nil {
		return o.under("contents").wrong("is required and must be a list")
	}
	o.take("contents")
	c.Turns = make([]llm.Turn, 0, len(list))
	for i, raw := range list {
		t, err := gemDecodeTurn(raw, o.under("contents").item(i))
		if err != nil {
			return err
		}
		c.Turns = append(c.Turns, t)
	}
	c.Turns = gemJoinThoughts(c.Turns)
	return nil
}

func gemDecodeTurn(raw []byte, at where) (llm.Turn, error) {
	var t llm.Turn
	o, err := gemOpen(raw, at)
	if err != nil {
		return t, err
	}
	role, err := o.str("role")
	if err != nil {
		return t, err
	}
	form := uint32(0)
	switch role {
	case "user":
		t.Role = llm.RoleUser
	case "":
		t.Role, form = llm.RoleUser, gemNoRole
	case "model":
		t.Role = llm.RoleAssistant
	case "function":
		t.Role = llm.RoleTool
	default:
		return t, o.under("role").wrong(`must be "user", "model" or "function"`)
	}
	list, err := o.list("parts")
	if err != nil {
		return t, err
	}
	if list == nil {
		form |= gemNoParts
	}
	o.take("parts")
	if t.Parts, err = gemDecodeParts(list, o.under("parts")); err != nil {
		return t, err
	}
	t.Extra = gemExtra(o, form)
	return t, nil
}

func gemDecodeTools(c *llm.Call, o *object, form *uint32) error {
	raw := o.peek("tools")
	if len(raw) > 0 && raw[0] == '{' {
		o.take("tools")
		*form |= gemToolsObject
		return gemDecodeTool(c, raw, o.under("tools"))
	}
	list, err := o.list("tools")
	if err != nil {
		return err
	}
	for i, raw := range list {
		if err := gemDecodeTool(c, raw, o.under("tools").item(i)); err != nil {
			return err
		}
	}
	return nil
}

// gemDecodeTool reads an object of tools: functions, and beside them tools
// that only this dialect knows, which stay raw.
func gemDecodeTool(c *llm.Call, raw []byte, at where) error {
	o, err := gemOpen(raw, at)
	if err != nil {
		return err
	}
	other := llm.Tool{Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Gemini}}
	list, err := o.list("functionDeclarations")
	if err != nil {
		return err
	}
	if len(list) == 0 {
		c.Tools = append(c.Tools, other)
		return nil
	}
	form := uint32(0)
	if o.has("functionDeclarations") && bytes.Contains(raw, []byte(`"function_declarations"`)) {
		form = gemToolSnake
	}
	for i, item := range list {
		t, err := gemDecodeFunction(item, o.under("functionDeclarations").item(i), form)
		if err != nil {
			return err
		}
		c.Tools = append(c.Tools, t)
		form |= gemToolMore
	}
	if other.Raw = o.left(); other.Raw != nil {
		other.Extra.Form = gemToolMore
		c.Tools = append(c.Tools, other)
	}
	return nil
}

func gemDecodeFunction(raw []byte, at where, form uint32) (t llm.Tool, err error) {
	o, err := gemOpen(raw, at)
	if err != nil {
		return t, err
	}
	if t.Name, err = o.need("name"); err != nil {
		return t, err
	}
	if t.Description, err = o.str("description"); err != nil {
		return t, err
	}
	if t.Schema, err = takeSchema(o, "parametersJsonSchema"); err != nil {
		return t, err
	}
	if t.Schema != nil {
		form |= gemToolJSON
	} else if raw, err := takeSchema(o, "parameters"); err != nil {
		return t, err
	} else if raw != nil {
		t.Schema = gemToSchema(raw)
		o.keep("parameters")
	}
	t.Extra = gemExtra(o, form)
	return t, nil
}

// gemModes are the words of functionCallingConfig.mode.
var gemModes = [...]struct {
	mode llm.ToolMode
	word string
}{
	{llm.ToolAuto, "AUTO"},
	{llm.ToolNone, "NONE"},
	{llm.ToolRequired, "ANY"},
}

// gemDecodeChoice reads toolConfig. One allowed name is a named tool; several
// stay in Extra, as does the mode VALIDATED, which is auto with a check of the
// arguments.
func gemDecodeChoice(c *llm.Call, o *object, _ *uint32) error {
	config, err := gemSub(o, "toolConfig")
	if config == nil {
		return err
	}
	in, err := gemSub(config, "functionCallingConfig")
	if in == nil {
		return err
	}
	c.Choice.Extra.Dialect = llm.Gemini
	word, err := in.str("mode")
	if err != nil {
		return err
	}
	for _, m := range gemModes {
		if strings.EqualFold(m.word, word) {
			c.Choice.Mode = m.mode
		}
		if m.word != word && word != "" && c.Choice.Mode == m.mode {
			in.keep("mode")
		}
	}
	if c.Choice.Mode == "" && word != "" {
		in.release("mode")
		if strings.EqualFold(word, "VALIDATED") {
			c.Choice.Mode = llm.ToolAuto
		}
	}
	names, err := in.list("allowedFunctionNames")
	if err != nil {
		return err
	}
	if c.Choice.Mode == llm.ToolRequired && len(names) == 1 {
		if name, ok := wire.String(names[0]); ok {
			c.Choice.Mode, c.Choice.Name = llm.ToolNamed, name
			return nil
		}
	}
	if len(names) > 0 {
		in.release("allowedFunctionNames")
	}
	return nil
}
