package gateway_test

import (
	"strings"
	"time"

	"tailplane/internal/llm"
)

// words of every complete answer: the second shows that nothing is missing.
const firstWord, lastWord = "alpha", "omega"

// voice is how a provider speaks in one dialect. A stream is cut into events
// where a script may pause or end; the first word is in events[first].
type voice struct {
	whole  string
	events []string
	first  int
	half   string // of the first event
	fault  string // inside a stream
	head   string // of a stream
}

const (
	sseHead   = "HTTP 200\ncontent-type: text/event-stream\n\n"
	frameHead = "HTTP 200\ncontent-type: application/vnd.amazon.eventstream\n\n"
	jsonHead  = "HTTP 200\ncontent-type: application/json\n\n"
)

var voices = map[llm.Dialect]voice{
	llm.Chat: {
		whole: `{"id":"c1","object":"chat.completion","created":1,"model":"x","choices":[{"index":0,"message":{"role":"assistant","content":"alpha omega"},"finish_reason":"stop"}],"usage":{"prompt_tokens":4,"completion_tokens":3,"total_tokens":7}}`,
		events: []string{
			`data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"x","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}` + "\n\n",
			`data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"x","choices":[{"index":0,"delta":{"content":"alpha"}}]}` + "\n\n",
			`data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"x","choices":[{"index":0,"delta":{"content":" omega"}}]}` + "\n\n",
			`data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n",
		},
		first: 1, head: sseHead,
		half:  `data: {"id":"c1","object":"chat.comp` + "\n",
		fault: `data: {"error":{"message":"The server had an error.","type":"server_error"}}` + "\n\n",
	},
	llm.Responses: {
		whole: `{"id":"resp_1","object":"response","created_at":5,"status":"completed","error":null,"incomplete_details":null,"model":"x","output":[{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"alpha omega","annotations":[]}]}],"usage":{"input_tokens":4,"output_tokens":3,"total_tokens":7}}`,
		events: []string{
			event("response.created", `{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","created_at":5,"status":"in_progress","model":"x","output":[]}}`),
			event("response.output_item.added", `{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"msg_1","type":"message","status":"in_progress","role":"assistant","content":[]}}`),
			event("response.output_text.delta", `{"type":"response.output_text.delta","sequence_number":2,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"alpha"}`),
			event("response.output_text.delta", `{"type":"response.output_text.delta","sequence_number":3,"item_id":"msg_1","output_index":0,"content_index":0,"delta":" omega"}`),
			event("response.completed", `{"type":"response.completed","sequence_number":4,"response":{"id":"resp_1","object":"response","created_at":5,"status":"completed","model":"x","output":[{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"alpha omega","annotations":[]}]}],"usage":{"input_tokens":4,"output_tokens":3,"total_tokens":7}}}`),
		},
		first: 2, head: sseHead,
		half:  "event: response.created\n" + `data: {"type":"resp` + "\n",
		fault: event("error", `{"type":"error","sequence_number":2,"code":"server_error","message":"The server had an error.","param":null}`),
	},
	llm.Anthropic: {
		whole:  anthropicWhole,
		events: each(anthropicEvents, func(e string) string { return event(kindOf(e), e) }),
		first:  2, head: sseHead,
		half:  "event: message_start\n" + `data: {"type":"mess` + "\n",
		fault: event("error", `{"type":"error","error":{"type":"api_error","message":"Internal server error"}}`),
	},
	llm.Gemini: {
		whole: `{"candidates":[{"content":{"role":"model","parts":[{"text":"alpha omega"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":3,"totalTokenCount":7},"modelVersion":"gemini-x","responseId":"r1"}`,
		events: []string{
			`data: {"candidates":[{"content":{"role":"model","parts":[{"text":"alpha"}]},"index":0}],"modelVersion":"gemini-x","responseId":"r1"}` + "\r\n\r\n",
			`data: {"candidates":[{"content":{"role":"model","parts":[{"text":" omega"}]},"index":0}],"modelVersion":"gemini-x","responseId":"r1"}` + "\r\n\r\n",
			`data: {"candidates":[{"content":{"role":"model","parts":[{"text":""}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":3,"totalTokenCount":7},"modelVersion":"gemini-x","responseId":"r1"}` + "\r\n\r\n",
		},
		head:  sseHead,
		half:  `data: {"candidates":[{"con` + "\n",
		fault: `data: {"error":{"code":500,"message":"An internal error has occurred.","status":"INTERNAL"}}` + "\r\n\r\n",
	},
	llm.Converse: {
		whole: `{"output":{"message":{"role":"assistant","content":[{"text":"alpha omega"}]}},"stopReason":"end_turn","usage":{"inputTokens":4,"outputTokens":3,"totalTokens":7},"metrics":{"latencyMs":9}}`,
		events: []string{
			`@frame messageStart {"role":"assistant"}` + "\n",
			`@frame contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"alpha"}}` + "\n",
			`@frame contentBlockDelta {"contentBlockIndex":0,"delta":{"text":" omega"}}` + "\n",
			`@frame contentBlockStop {"contentBlockIndex":0}` + "\n" + `@frame messageStop {"stopReason":"end_turn"}` + "\n",
			`@frame metadata {"usage":{"inputTokens":4,"outputTokens":3,"totalTokens":7},"metrics":{"latencyMs":9}}` + "\n",
		},
		first: 1, head: frameHead,
		half:  `@half frame messageStart {"role":"assistant"}` + "\n",
		fault: `@exception internalServerException {"message":"The system encountered an unexpected error."}` + "\n",
	},
}

// chunked is Anthropic's dialect in the frames of Bedrock's InvokeModel.
var chunked = voice{
	whole:  anthropicWhole,
	events: each(anthropicEvents, func(e string) string { return "@chunk " + e + "\n" }),
	first:  2, head: frameHead,
	half:  "@half chunk " + anthropicEvents[0] + "\n",
	fault: voices[llm.Converse].fault,
}

const anthropicWhole = `{"id":"msg_1","type":"message","role":"assistant","model":"x","content":[{"type":"text","text":"alpha omega"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":4,"output_tokens":3}}`

var anthropicEvents = []string{
	`{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"x","content":[],"stop_reason":null,"usage":{"input_tokens":4,"output_tokens":1}}}`,
	`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
	`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"alpha"}}`,
	`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" omega"}}`,
	`{"type":"content_block_stop","index":0}`,
	`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":3}}`,
	`{"type":"message_stop"}`,
}

func event(name, data string) string { return "event: " + name + "\ndata: " + data + "\n\n" }

// kindOf is the type of an event of Anthropic's, which is its first member.
func kindOf(data string) string { return strings.Split(data, `"`)[3] }

func each(list []string, f func(string) string) []string {
	var out []string
	for _, s := range list {
		out = append(out, f(s))
	}
	return out
}

// well is the script of a complete answer, streamed or whole.
func (v voice) well(stream bool) string {
	if stream {
		return v.head + strings.Join(v.events, "")
	}
	return jsonHead + v.whole + "\n"
}

// upToFirst is a stream as far as its first token.
func (v voice) upToFirst() string { return v.head + strings.Join(v.events[:v.first+1], "") }

// want is the documented reaction to a fault: what it is, how far the attempt had
// come, what a retry may achieve, and what the upstream demands to wait.
type want struct {
	kind   llm.FaultKind
	phase  llm.Phase
	retry  llm.Retry
	after  time.Duration
	broken bool // the answer had begun
}

// statusOf is what the client is told when nothing could mend a fault.
var statusOf = map[llm.FaultKind]int{
	llm.FaultCredential: 502, llm.FaultQuota: 429, llm.FaultRateLimit: 429, llm.FaultOverloaded: 503, llm.FaultServer: 502,
	llm.FaultTooLong: 400, llm.FaultContentFilter: 400, llm.FaultUnknownModel: 404, llm.FaultUnsupported: 400,
	llm.FaultGarbage: 502, llm.FaultConnect: 502, llm.FaultConnectTime: 504, llm.FaultFirstToken: 504, llm.FaultTotal: 504, llm.FaultCut: 502,
}

// refusal is an error answer in the envelopes of the four families.
type refusal struct {
	name                           string
	want                           want
	openai, anthropic, google, aws string // status, header lines after a bar, body after a blank
}

func elsewhere(k llm.FaultKind) want {
	return want{kind: k, phase: llm.PhaseHead, retry: llm.RetryElsewhere}
}

func same(k llm.FaultKind, after time.Duration) want {
	return want{kind: k, phase: llm.PhaseHead, retry: llm.RetrySame, after: after}
}

var refusals = []refusal{
	{
		"bad key", elsewhere(llm.FaultCredential),
		`401 {"error":{"message":"Incorrect API key provided: ` + providerKey + `.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`,
		`401 {"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}`,
		`400 {"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}`,
		`403|x-amzn-errortype: UnrecognizedClientException {"message":"The security token included in the request is invalid."}`,
	},
	{
		"out of quota", elsewhere(llm.FaultQuota),
		`429 {"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`,
		`400 {"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}`,
		`429 {"error":{"code":429,"message":"Your prepayment credits are depleted.","status":"RESOURCE_EXHAUSTED"}}`,
		`400|x-amzn-errortype: ServiceQuotaExceededException {"message":"The request exceeds the service quota of your account."}`,
	},
	{
		"rate limit", same(llm.FaultRateLimit, 2*time.Second),
		`429|retry-after: 2 {"error":{"message":"Rate limit reached for x on requests per min.","type":"requests","param":null,"code":"rate_limit_exceeded"}}`,
		`429|retry-after: 2 {"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your rate limit."}}`,
		`429 {"error":{"code":429,"message":"Quota exceeded for requests per minute.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"2s"}]}}`,
		`429|x-amzn-errortype: ThrottlingException|retry-after: 2 {"message":"Too many requests, please wait before trying again."}`,
	},
	{
		"overloaded", same(llm.FaultOverloaded, 0),
		`503 {"error":{"message":"The engine is currently overloaded, please try again later.","type":"server_error","param":null,"code":null}}`,
		`529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`,
		`503 {"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}`,
		`503|x-amzn-errortype: ServiceUnavailableException {"message":"The service is temporarily unable to handle the request."}`,
	},
	{
		"failure", same(llm.FaultServer, 0),
		`500 {"error":{"message":"The server had an error while processing your request.","type":"server_error","param":null,"code":null}}`,
		`500 {"type":"error","error":{"type":"api_error","message":"Internal server error"}}`,
		`500 {"error":{"code":500,"message":"An internal error has occurred.","status":"INTERNAL"}}`,
		`500|x-amzn-errortype: InternalServerException {"message":"The system encountered an unexpected error."}`,
	},
	{
		"too long", elsewhere(llm.FaultTooLong),
		`400 {"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`,
		`400 {"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}`,
		`400 {"error":{"code":400,"message":"The input token count (1250074) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}`,
		`400|x-amzn-errortype: ValidationException {"message":"The model returned the following errors: prompt is too long: 210000 tokens > 200000 maximum"}`,
	},
	{
		"filtered", elsewhere(llm.FaultContentFilter),
		`400 {"error":{"message":"The response was filtered.","type":"invalid_request_error","param":"prompt","code":"content_filter"}}`,
		`400 {"type":"error","error":{"type":"invalid_request_error","message":"Output blocked by content filtering policy"}}`,
		`400 {"error":{"code":400,"message":"The prompt was blocked: PROHIBITED_CONTENT.","status":"INVALID_ARGUMENT"}}`,
		`400|x-amzn-errortype: ValidationException {"message":"Output blocked by content filtering policy"}`,
	},
	{
		"unknown model", elsewhere(llm.FaultUnknownModel),
		`404 {"error":{"message":"The model x does not exist or you do not have access to it.","type":"invalid_request_error","param":null,"code":"model_not_found"}}`,
		`404 {"type":"error","error":{"type":"not_found_error","message":"model: claude-x"}}`,
		`404 {"error":{"code":404,"message":"models/gemini-x is not found for API version v1beta.","status":"NOT_FOUND"}}`,
		`400|x-amzn-errortype: ValidationException {"message":"The provided model identifier is invalid."}`,
	},
	{
		"unsupported", elsewhere(llm.FaultUnsupported),
		`400 {"error":{"message":"Unsupported parameter: 'user' is not supported with this model.","type":"invalid_request_error","param":"user","code":"unsupported_parameter"}}`,
		`400 {"type":"error","error":{"type":"invalid_request_error","message":"This model does not support the effort parameter."}}`,
		`400 {"error":{"code":400,"message":"Function calling is not supported by this model.","status":"INVALID_ARGUMENT"}}`,
		`400|x-amzn-errortype: ValidationException {"message":"This model doesn't support tool use."}`,
	},
}

// script is an error answer as a script.
func (r refusal) script(k chaosKind) string {
	text := map[string]string{"openai": r.openai, "anthropic": r.anthropic, "google": r.google, "aws": r.aws}[k.family()]
	head, body, _ := strings.Cut(text, " {")
	return "HTTP " + strings.ReplaceAll(head, "|", "\n") + "\ncontent-type: application/json\n\n{" + body + "\n"
}

// breakage is what goes wrong with the connection or the bytes on it. A reaction
// without a kind means that there is no such fault in that shape.
type breakage struct {
	name            string
	script          func(v voice, stream bool) string
	streamed, whole want
}

func fixed(script string) func(voice, bool) string {
	return func(voice, bool) string { return script }
}

// inBody is the beginning of an answer before its first token, and then text.
func inBody(text string) func(voice, bool) string {
	return func(v voice, stream bool) string {
		if stream {
			return v.head + v.half + text
		}
		return jsonHead + v.whole[:len(v.whole)/2] + "\n" + text
	}
}

func afterFirst(text string) func(voice, bool) string {
	return func(v voice, _ bool) string { return v.upToFirst() + text }
}

func at(p llm.Phase, w want) want {
	w.phase = p
	return w
}

func begun(k llm.FaultKind, r llm.Retry) want {
	return want{kind: k, phase: llm.PhaseStream, retry: r, broken: true}
}

var breakages = []breakage{
	{"html", fixed("HTTP 200\ncontent-type: text/html\n\n<html><body>Welcome</body></html>\n"), elsewhere(llm.FaultGarbage), elsewhere(llm.FaultGarbage)},
	{"html failure", fixed("HTTP 502\ncontent-type: text/html\n\n<html><body>Bad Gateway</body></html>\n"), same(llm.FaultServer, 0), same(llm.FaultServer, 0)},
	{"empty", func(v voice, stream bool) string {
		if stream {
			return v.head
		}
		return jsonHead
	}, at(llm.PhaseFirstToken, same(llm.FaultCut, 0)), elsewhere(llm.FaultGarbage)},
	{"wrong content type", func(v voice, stream bool) string { return v.well(!stream) }, elsewhere(llm.FaultGarbage), elsewhere(llm.FaultGarbage)},
	{"refused", fixed("@refuse\n"), at(llm.PhaseConnect, same(llm.FaultConnect, 0)), at(llm.PhaseConnect, same(llm.FaultConnect, 0))},
	{"unreachable", fixed("@hang\n"), at(llm.PhaseConnect, same(llm.FaultConnectTime, 0)), at(llm.PhaseConnect, same(llm.FaultConnectTime, 0))},
	{"reset", fixed("@cut\n"), same(llm.FaultCut, 0), same(llm.FaultCut, 0)},
	{"silent", fixed("@stall\n"), elsewhere(llm.FaultFirstToken), want{kind: llm.FaultTotal, phase: llm.PhaseHead, retry: llm.RetryNever}},
	{"cut in head", fixed("HTTP 200\ncontent-type: text\n@cut\n"), same(llm.FaultCut, 0), same(llm.FaultCut, 0)},
	{"cut in body", inBody("@cut\n"), at(llm.PhaseFirstToken, same(llm.FaultCut, 0)), at(llm.PhaseStream, same(llm.FaultCut, 0))},
	{"stalled in body", inBody("@stall\n"), at(llm.PhaseFirstToken, elsewhere(llm.FaultFirstToken)), want{kind: llm.FaultTotal, phase: llm.PhaseStream, retry: llm.RetryNever}},
	{"ended in body", inBody(""), at(llm.PhaseFirstToken, same(llm.FaultCut, 0)), elsewhere(llm.FaultGarbage)},
	{"error in body", func(v voice, stream bool) string {
		if stream {
			return v.head + v.fault
		}
		return jsonHead + `{"error":{"message":"The server had an error.","type":"server_error","code":500}}` + "\n"
	}, at(llm.PhaseFirstToken, same(llm.FaultServer, 0)), same(llm.FaultServer, 0)},
	{"cut after token", afterFirst("@cut\n"), begun(llm.FaultCut, llm.RetrySame), want{}},
	{"ended after token", afterFirst(""), begun(llm.FaultCut, llm.RetrySame), want{}},
	{"stalled after token", afterFirst("@stall\n"), begun(llm.FaultIdle, llm.RetryElsewhere), want{}},
	{"error after token", func(v voice, _ bool) string { return v.upToFirst() + "@delay 1s\n" + v.fault }, begun(llm.FaultServer, llm.RetrySame), want{}},
}

// peculiar are the kinds that do not react as the others, with the reason. A
// reaction without a kind: it has no such fault.
var peculiar = map[string]map[string]want{
	"azureml/chat": full, "azureml/responses": full, "tgi/chat": full, // an engine has no accounts: its 429 is a queue that is full
	"azureml/anthropic": { // an engine behind Anthropic's dialect, without Anthropic's policies
		"out of quota": {}, "filtered": {}, "unsupported": {},
		"rate limit": full["rate limit"],
	},
	"vertex/gemini": patient, "vertex/anthropic": patient, "vertex/chat": patient, // Google's advice is to wait for a second at least
}

var (
	full = map[string]want{
		"out of quota": same(llm.FaultOverloaded, 0),
		"rate limit":   same(llm.FaultOverloaded, 2*time.Second),
	}
	patient = map[string]want{"overloaded": same(llm.FaultOverloaded, time.Second)}
)

// reacts is what the kind makes of a fault.
func (k chaosKind) reacts(fault string, w want) want {
	if own, ok := peculiar[k.kind.Name+"/"+string(k.dialect)][fault]; ok {
		return own
	}
	return w
}
