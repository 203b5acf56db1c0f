package dialect

import (
	"io"

	"tailplane/internal/llm"
)

// respStream is a stream with every kind of item.
const respStream = `event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","created_at":7,"status":"in_progress","model":"m","output":[],"usage":null}}

event: response.in_progress
data: {"type":"response.in_progress","sequence_number":1,"response":{"id":"resp_1","object":"response","created_at":7,"status":"in_progress","model":"m","output":[],"usage":null}}

: keep-alive

data: {"type":"response.output_item.added","output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[]}}

data: {"type":"response.reasoning_summary_part.added","item_id":"rs_1","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""}}

data: {"type":"response.reasoning_summary_text.delta","item_id":"rs_1","output_index":0,"summary_index":0,"delta":"think"}

data: {"type":"response.reasoning_summary_text.done","item_id":"rs_1","output_index":0,"summary_index":0,"text":"thinking"}

data: {"type":"response.reasoning_summary_text.delta","item_id":"rs_1","output_index":0,"summary_index":1,"delta":"more"}

data: {"type":"response.output_item.done","output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"thinking"},{"type":"summary_text","text":"more"}],"encrypted_content":"sig"}}

data: {"type":"response.output_item.added","output_index":1,"item":{"id":"ws_1","type":"web_search_call","status":"in_progress"}}

data: {"type":"response.web_search_call.searching","item_id":"ws_1","output_index":1,"sequence_number":9}

data: {"type":"response.output_item.done","output_index":1,"item":{"id":"ws_1","type":"web_search_call","status":"completed"}}

data: {"type":"response.output_item.added","output_index":2,"item":{"id":"msg_1","type":"message","status":"in_progress","role":"assistant","phase":"final","content":[]}}

data: {"type":"response.content_part.added","item_id":"msg_1","output_index":2,"content_index":0,"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]}}

data: {"type":"response.output_text.delta","item_id":"msg_1","output_index":2,"content_index":0,"delta":"Hel","logprobs":[{"token":"Hel","logprob":-0.5,"top_logprobs":[]}]}

data: {"type":"response.output_text.delta","item_id":"other","output_index":2,"content_index":0,"delta":"lo"}

data: {"type":"response.output_text.done","item_id":"msg_1","output_index":2,"content_index":0,"text":"Hello!"}

data: {"type":"response.content_part.done","item_id":"msg_1","output_index":2,"content_index":0,"part":{"type":"output_text","text":"Hello!","annotations":[],"logprobs":[]}}

data: {"type":"response.refusal.delta","item_id":"msg_1","output_index":2,"content_index":1,"delta":"no"}

data: {"type":"response.output_item.done","output_index":2,"item":{"id":"msg_1","type":"message","status":"completed","role":"assistant","phase":"final","content":[{"type":"output_text","text":"Hello!","annotations":[],"logprobs":[]},{"type":"refusal","refusal":"no"}]}}

data: {"type":"response.output_item.added","output_index":3,"item":{"id":"fc_1","type":"function_call","status":"in_progress","call_id":"c1","name":"f","arguments":""}}

data: {"type":"response.output_item.added","output_index":4,"item":{"id":"fc_2","type":"function_call","status":"in_progress","call_id":"c2","name":"g","arguments":""}}

data: {"type":"response.function_call_arguments.delta","item_id":"fc_2","output_index":4,"delta":"{\"b\""}

data: {"type":"response.function_call_arguments.delta","item_id":"fc_1","output_index":3,"delta":"{}"}

data: {"type":"response.function_call_arguments.delta","item_id":"fc_2","output_index":4,"delta":":1}"}

data: {"type":"response.function_call_arguments.done","item_id":"fc_1","output_index":3,"arguments":"{}"}

data: {"type":"response.output_item.done","output_index":3,"item":{"id":"fc_1","type":"function_call","status":"completed","call_id":"c1","name":"f","arguments":"{}"}}

data: {"type":"response.output_item.done","output_index":4,"item":{"id":"fc_2","type":"function_call","status":"completed","call_id":"c2","name":"g","arguments":"{\"b\":1}"}}

data: {"type":"response.completed","response":{"id":"resp_1","object":"response","created_at":7,"status":"completed","model":"m","output":[],"usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":1},"output_tokens":4,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":7}}}

data: [DONE]

`

// respBroken is a stream whose provider gives up.
const respBroken = `data: {"type":"response.created","response":{"id":"resp_1","status":"in_progress","model":"m","output":[]}}

data: {"type":"error","sequence_number":2,"error":{"type":"insufficient_quota","code":"insufficient_quota","message":"You are out of money.","param":null}}

data: {"type":"response.failed","response":{"id":"resp_1","status":"failed","error":{"code":"insufficient_quota","message":"You are out of money."},"output":[]}}

`

// respCuts reads size bytes at a time.
type respCuts struct {
	data []byte
	size int
}

func (c *respCuts) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.data[:min(c.size, len(c.data))])
	c.data = c.data[n:]
	return n, nil
}

func respEvents(r io.Reader) ([]llm.Event, error) {
	var all []llm.Event
	for ev, err := range (ResponsesCodec{}).Events(r) {
		if err != nil {
			return all, err
		}
		all = append(all, ev)
	}
	return all, nil
}
