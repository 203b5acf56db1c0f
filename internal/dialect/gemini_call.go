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
	geminiModelBare   = 1 << iota // the body names the model
	geminiModelPath               // the body names the model as models/NAME
	geminiToolsObject             // tools is one object, not a list
	geminiJSONSchema              // the schema of the answer stands in responseJsonSchema
	geminiNoMime                  // a schema without responseMimeType
)

// Forms of a turn (llm.Turn.Extra.Form).
const (
	geminiNoRole  = 1 << iota // role is absent or empty
	geminiNoParts             // parts is absent
)

// Forms of a tool (llm.Tool.Extra.Form).
const (
	geminiToolMore  = 1 << iota // it stands in the same object as the tool before
	geminiToolSnake             // its object spells function_declarations
	geminiToolJSON              // its schema stands in parametersJsonSchema
)

// geminiModels is what precedes a model's name in resource names.
const geminiModels = "models/"

// DecodeCall implements [Codec]. Model is empty unless the body names it, and
// Stream is false: the caller, who knows the path, sets both.
func (GeminiCodec) DecodeCall(body []byte, at *At) (*llm.Call, error) {
	o, err := geminiBody(body, at)
	if err != nil {
		return nil, err
	}
	return geminiDecodeRequest(o)
}

func geminiDecodeRequest(o *object) (*llm.Call, error) {
	c := o.newCall()
	c.WantUsage = true
	var form uint32
	steps := [...]func(*llm.Call, *object, *uint32){
		geminiDecodeModel, geminiDecodeSystem, geminiDecodeContents, geminiDecodeTools, geminiDecodeChoice, geminiDecodeConfig,
	}
	for _, step := range steps {
		step(c, o, &form)
	}
	c.Metadata = stringMap(o, "labels")
	geminiPair(c.Turns)
	c.Extra = geminiExtra(o, form)
	return result(o, c)
}

// geminiDecodeModel takes the model that some clients repeat in the body.
func geminiDecodeModel(c *llm.Call, o *object, form *uint32) {
	name := o.str("model")
	if name == "" {
		return
	}
	*form |= geminiModelBare
	if rest, ok := strings.CutPrefix(name, geminiModels); ok {
		*form ^= geminiModelBare | geminiModelPath
		name = rest
	}
	c.Model = name
}

func geminiDecodeSystem(c *llm.Call, o *object, _ *uint32) {
	in := geminiSub(o, "systemInstruction")
	if in == nil {
		return
	}
	in.keep("role")
	c.System = geminiDecodeParts(in, in.list("parts"))
}

func geminiDecodeContents(c *llm.Call, o *object, _ *uint32) {
	list := o.list("contents")
	if list == nil {
		o.wrong("contents", "is required and must be a list")
	}
	o.take("contents")
	c.Turns = o.turns(len(list))
	o.each("contents", list, func(turn *object, _ []byte) {
		geminiRename(turn)
		c.Turns = append(c.Turns, geminiDecodeTurn(turn))
	})
	c.Turns = geminiJoinThoughts(c.Turns)
}

func geminiDecodeTurn(o *object) (t llm.Turn) {
	form := uint32(0)
	switch o.str("role") {
	case "user":
		t.Role = llm.RoleUser
	case "":
		t.Role, form = llm.RoleUser, geminiNoRole
	case "model":
		t.Role = llm.RoleAssistant
	case "function":
		t.Role = llm.RoleTool
	default:
		o.wrong("role", `must be "user", "model" or "function"`)
	}
	list := o.list("parts")
	if list == nil {
		form |= geminiNoParts
	}
	o.take("parts")
	t.Parts = geminiDecodeParts(o, list)
	t.Extra = geminiExtra(o, form)
	return t
}

func geminiDecodeTools(c *llm.Call, o *object, form *uint32) {
	raw := o.peek("tools")
	if len(raw) > 0 && raw[0] == '{' {
		o.take("tools")
		*form |= geminiToolsObject
		geminiDecodeTool(c, geminiOpen(o, raw, o.under("tools")), raw)
		return
	}
	for i, raw := range o.list("tools") {
		geminiDecodeTool(c, geminiOpenItem(o, "tools", i, raw), raw)
	}
}

// geminiDecodeTool reads an object of tools: functions, and beside them tools
// that only this dialect knows, which stay raw.
func geminiDecodeTool(c *llm.Call, o *object, raw []byte) {
	other := llm.Tool{Raw: bytes.Clone(raw), Extra: llm.Extra{Dialect: llm.Gemini}}
	list := o.list("functionDeclarations")
	if len(list) == 0 {
		c.Tools = append(c.Tools, other)
		return
	}
	form := uint32(0)
	if o.has("functionDeclarations") && bytes.Contains(raw, []byte(`"function_declarations"`)) {
		form = geminiToolSnake
	}
	for i, item := range list {
		in := geminiOpenItem(o, "functionDeclarations", i, item)
		c.Tools = append(c.Tools, geminiDecodeFunction(in, form))
		form |= geminiToolMore
	}
	if other.Raw = o.left(); other.Raw != nil {
		other.Extra.Form = geminiToolMore
		c.Tools = append(c.Tools, other)
	}
}

func geminiDecodeFunction(o *object, form uint32) llm.Tool {
	t := llm.Tool{Name: o.need("name"), Description: o.str("description"), Schema: o.schema("parametersJsonSchema")}
	if t.Schema != nil {
		form |= geminiToolJSON
	} else if raw := o.schema("parameters"); raw != nil {
		t.Schema = geminiToSchema(raw)
		o.keep("parameters")
	}
	t.Extra = geminiExtra(o, form)
	return t
}

// geminiModes are the words of functionCallingConfig.mode.
var geminiModes = [...]struct {
	mode llm.ToolMode
	word string
}{
	{llm.ToolAuto, "AUTO"},
	{llm.ToolNone, "NONE"},
	{llm.ToolRequired, "ANY"},
}

// geminiDecodeChoice reads toolConfig. One allowed name is a named tool; several
// stay in Extra, as does the mode VALIDATED, which is auto with a check of the
// arguments.
func geminiDecodeChoice(c *llm.Call, o *object, _ *uint32) {
	config := geminiSub(o, "toolConfig")
	if config == nil {
		return
	}
	in := geminiSub(config, "functionCallingConfig")
	if in == nil {
		return
	}
	c.Choice.Extra.Dialect = llm.Gemini
	word := in.str("mode")
	for _, m := range geminiModes {
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
		if name, ok := wire.Unquote(names[0]); ok {
			c.Choice.Mode, c.Choice.Name = llm.ToolNamed, name
			return
		}
	}
	if len(names) > 0 {
		in.release("allowedFunctionNames")
	}
}
