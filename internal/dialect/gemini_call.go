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
	steps := [...]func(*llm.Call, *object, *uint32){
		gemDecodeModel, gemDecodeSystem, gemDecodeContents, gemDecodeTools, gemDecodeChoice, gemDecodeConfig,
	}
	for _, step := range steps {
		step(c, o, &form)
	}
	c.Metadata = stringMap(o, "labels")
	gemPair(c.Turns)
	c.Extra = gemExtra(o, form)
	return result(o, c)
}

// gemDecodeModel takes the model that some clients repeat in the body.
func gemDecodeModel(c *llm.Call, o *object, form *uint32) {
	name := o.str("model")
	if name == "" {
		return
	}
	*form |= gemModelBare
	if rest, ok := strings.CutPrefix(name, gemModels); ok {
		*form ^= gemModelBare | gemModelPath
		name = rest
	}
	c.Model = name
}

func gemDecodeSystem(c *llm.Call, o *object, _ *uint32) {
	in := gemSub(o, "systemInstruction")
	if in == nil {
		return
	}
	in.keep("role")
	c.System = gemDecodeParts(in, in.list("parts"))
}

func gemDecodeContents(c *llm.Call, o *object, _ *uint32) {
	list := o.list("contents")
	if list == nil {
		o.wrong("contents", "is required and must be a list")
	}
	o.take("contents")
	c.Turns = make([]llm.Turn, 0, len(list))
	for i, raw := range list {
		c.Turns = append(c.Turns, gemDecodeTurn(gemOpen(o, raw, o.under("contents").item(i))))
	}
	c.Turns = gemJoinThoughts(c.Turns)
}

func gemDecodeTurn(o *object) (t llm.Turn) {
	form := uint32(0)
	switch o.str("role") {
	case "user":
		t.Role = llm.RoleUser
	case "":
		t.Role, form = llm.RoleUser, gemNoRole
	case "model":
		t.Role = llm.RoleAssistant
	case "function":
		t.Role = llm.RoleTool
	default:
		o.wrong("role", `must be "user", "model" or "function"`)
	}
	list := o.list("parts")
	if list == nil {
		form |= gemNoParts
	}
	o.take("parts")
	t.Parts = gemDecodeParts(o, list)
	t.Extra = gemExtra(o, form)
	return t
}

func gemDecodeTools(c *llm.Call, o *object, form *uint32) {
	raw := o.peek("tools")
	if len(raw) > 0 && raw[0] == '{' {
		o.take("tools")
		*form |= gemToolsObject
		gemDecodeTool(c, gemOpen(o, raw, o.under("tools")), raw)
		return
	}
	for i, raw := range o.list("tools") {
		gemDecodeTool(c, gemOpen(o, raw, o.under("tools").item(i)), raw)
	}
}

// gemDecodeTool reads an object of tools: functions, and beside them tools
// that only this dialect knows, which stay raw.
func gemDecodeTool(c *llm.Call, o *object, raw []byte) {
	other := llm.Tool{Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Gemini}}
	list := o.list("functionDeclarations")
	if len(list) == 0 {
		c.Tools = append(c.Tools, other)
		return
	}
	form := uint32(0)
	if o.has("functionDeclarations") && bytes.Contains(raw, []byte(`"function_declarations"`)) {
		form = gemToolSnake
	}
	for i, item := range list {
		in := gemOpen(o, item, o.under("functionDeclarations").item(i))
		c.Tools = append(c.Tools, gemDecodeFunction(in, form))
		form |= gemToolMore
	}
	if other.Raw = o.left(); other.Raw != nil {
		other.Extra.Form = gemToolMore
		c.Tools = append(c.Tools, other)
	}
}

func gemDecodeFunction(o *object, form uint32) llm.Tool {
	t := llm.Tool{Name: o.need("name"), Description: o.str("description"), Schema: o.schema("parametersJsonSchema")}
	if t.Schema != nil {
		form |= gemToolJSON
	} else if raw := o.schema("parameters"); raw != nil {
		t.Schema = gemToSchema(raw)
		o.keep("parameters")
	}
	t.Extra = gemExtra(o, form)
	return t
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
func gemDecodeChoice(c *llm.Call, o *object, _ *uint32) {
	config := gemSub(o, "toolConfig")
	if config == nil {
		return
	}
	in := gemSub(config, "functionCallingConfig")
	if in == nil {
		return
	}
	c.Choice.Extra.Dialect = llm.Gemini
	word := in.str("mode")
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
	names := in.list("allowedFunctionNames")
	if c.Choice.Mode == llm.ToolRequired && len(names) == 1 {
		if name, ok := wire.String(names[0]); ok {
			c.Choice.Mode, c.Choice.Name = llm.ToolNamed, name
			return
		}
	}
	if len(names) > 0 {
		in.release("allowedFunctionNames")
	}
}
