package dialect

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"tailplane/internal/llm"
)

// chatCallStreams are deltas of chat streams with two calls, and what else they say.
var chatCallStreams = map[string][]string{
	"one after the other": {
		`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]}`, `{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":\"}\\\"\"}"}}]}`,
		`{"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":""}}]}`, `{"tool_calls":[{"index":1,"function":{"arguments":"{\"y\":2}"}}]}`,
	},
	"announced together": {
		`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}},{"index":1,"id":"b","function":{"name":"g","arguments":""}}]}`,
		`{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":\"}\\\"\"}"}}]}`, `{"tool_calls":[{"index":1,"function":{"arguments":"{\"y\":2}"}}]}`,
	},
	"by turns": {
		`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}]}`, `{"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":"{\"y\""}}]}`,
		`{"tool_calls":[{"index":0,"function":{"arguments":":\"}\\"}}]}`, `{"tool_calls":[{"index":1,"function":{"arguments":":2}"}},{"index":0,"function":{"arguments":"\"\"}"}}]}`,
	},
	"with a text between": {
		`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}]}`, `{"content":"hm"}`,
		`{"tool_calls":[{"index":0,"function":{"arguments":":\"}\\\"\"}"}}]}`, `{"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":"{\"y\":2}"}}]}`,
	},
}

// A call is told once in every dialect, whatever the order of its pieces.
func TestCallsOfAChatStreamAreToldOnce(t *testing.T) {
	for name, deltas := range chatCallStreams {
		var in strings.Builder
		for _, d := range deltas {
			in.WriteString(stream(`{"id":"1","model":"m","choices":[{"index":0,"delta":` + d + `}]}`))
		}
		in.WriteString(stream(`{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`, "[DONE]"))
		for _, to := range []Codec{ChatCodec{}, ResponsesCodec{}, AnthropicCodec{}, ConverseCodec{}, GeminiCodec{}} {
			var out bytes.Buffer
			w := to.Writer(&out, &llm.Call{Stream: true})
			for ev, err := range (ChatCodec{}).Events(strings.NewReader(in.String())) {
				if err == nil {
					err = w.Write(ev)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			reply, err := Collect(to.Events(&out))
			if err != nil {
				t.Fatalf("%s to %s: %v", name, to.Name(), err)
			}
			var got []string
			for _, p := range reply.Choices[0].Parts {
				if p.Kind == llm.PartToolCall {
					got = append(got, p.Tool.Name+p.Tool.Arguments)
				}
			}
			if want := []string{`f{"x":"}\""}`, `g{"y":2}`}; !slices.Equal(got, want) || len(w.Losses()) > 0 {
				t.Errorf("%s to %s: %q, losses %v", name, to.Name(), got, w.Losses())
			}
		}
	}
}
