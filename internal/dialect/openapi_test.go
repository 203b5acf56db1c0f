package dialect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"tailplane/internal/dialect"
	"tailplane/internal/llm"
	"tailplane/internal/llmtest/corpus"
	"tailplane/internal/llmtest/openapi"
	"tailplane/internal/wire"
)

// The codecs of OpenAI's surfaces are held to OpenAI's own description of them.
// What OpenAI itself answers against its description stands in the table allowed,
// what we do in the table own.
//
//	go test ./internal/dialect -run OpenAPI -v

// schemas are the components that describe a surface's answers.
var schemas = map[llm.Dialect]struct{ reply, event string }{
	llm.Chat:        {"CreateChatCompletionResponse", "CreateChatCompletionStreamResponse"},
	llm.Completions: {"CreateCompletionResponse", "CreateCompletionResponse"},
	llm.Responses:   {"Response", "ResponseStreamEvent"},
	llm.Embeddings:  {"CreateEmbeddingResponse", ""},
}

const errorSchema = "ErrorResponse"

// perSchema bounds how many recordings of one surface and kind are looked at;
// they repeat each other.
const perSchema = 400

// eventsEach bounds how many events of one stream are looked at beside its ends.
const eventsEach = 60

// holder validates bodies and keeps count.
type holder struct {
	t      *testing.T
	spec   *openapi.Spec
	counts map[string]int
	found  map[string]string // deviation: the first body that has it
	times  map[string]int
}

func newHolder(t *testing.T, spec *openapi.Spec) *holder {
	return &holder{t: t, spec: spec, counts: map[string]int{}, found: map[string]string{}, times: map[string]int{}}
}

func (h *holder) hold(schema, who string, body []byte) {
	found, err := h.spec.Deviations(schema, body)
	if err != nil {
		h.t.Fatal(err)
	}
	h.counts[schema]++
	for _, d := range found {
		h.times[d]++
		if h.found[d] == "" {
			h.found[d] = fmt.Sprintf("%s: %.1500s", who, body)
		}
	}
}

// holdStream validates the events of a stream.
func (h *holder) holdStream(surface dialect.Surface, who string, body []byte) {
	var r wire.EventReader
	r.ResetFrames(bytes.NewReader(body), surface.Framing(), 0)
	n := 0
	for {
		err := r.Fill()
		for ev, ok := r.Next(); ok; ev, ok = r.Next() {
			data := bytes.TrimSpace(ev.Data)
			if len(data) == 0 || string(data) == "[DONE]" {
				continue
			}
			n++
			if n > eventsEach && bytes.Contains(data, []byte(`delta"`)) && !bytes.Contains(data, []byte(`usage":{`)) {
				continue
			}
			schema := schemas[surface.Name()].event
			if surface.Name() != llm.Responses && hasMember(data, "error") {
				schema = errorSchema
			}
			h.hold(schema, who, data)
		}
		if err != nil {
			return
		}
	}
}

func TestOpenAPIDescribesWhatTheCodecsWrite(t *testing.T) {
	path, ok := openapi.Path()
	if !ok {
		t.Skip("no description: put OpenAI's openapi.yaml at ../shared/spec/openai beside the repository")
	}
	spec, err := openapi.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	dir, _ := corpus.Dir()
	recordings, _, err := corpus.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	samples := choose(newLedger(), recordings)
	theirs := newHolder(t, spec)
	recorded(theirs, samples)
	theirs.report("recordings", allowed)
	ours := newHolder(t, spec)
	written(ours, samples)
	embedded(ours, recordings)
	ours.report("ours", own)
	fmt.Printf("openapi: %d bodies validated (recorded: %s; ours: %s), %d deviations allowed, %d of them ours\n",
		total(theirs.counts)+total(ours.counts), countsText(theirs.counts), countsText(ours.counts), len(allowed)+len(own), len(own))
}

// report fails for each deviation that the table does not have, and for each
// entry that nothing needs.
func (h *holder) report(what string, table []deviation) {
	used := map[*deviation]bool{}
	for _, d := range slices.Sorted(maps.Keys(h.found)) {
		entry := find(table, d)
		if entry == nil {
			h.t.Errorf("%s, %d times: %s\n\t%s", what, h.times[d], d, h.found[d])
		}
		used[entry] = true
	}
	for i := range table {
		if !used[&table[i]] && corpusShare == 1 && os.Getenv("TAILPLANE_CORPUS") == "" {
			h.t.Errorf("%s: nothing deviates so any more: %s", what, table[i].begins)
		}
	}
}

// fromOpenAI reports whether OpenAI itself answered.
func fromOpenAI(s *sample) bool {
	return strings.Contains(s.URL, "//api.openai.com/") || strings.Contains(s.File, "/packages/openai/")
}

// recorded validates what OpenAI answered.
func recorded(h *holder, samples []sample) {
	seen := map[string]int{}
	for i := range samples {
		s := &samples[i]
		names, ours := schemas[s.Surface]
		if !ours || !fromOpenAI(s) || s.answer == "" {
			continue
		}
		key := string(s.Surface) + " " + string(s.answer)
		if seen[key]++; seen[key] > perSchema {
			continue
		}
		switch s.answer {
		case asReply:
			h.hold(names.reply, s.Name(), s.Body)
		case asStream:
			h.holdStream(s.surface, s.Name(), s.Body)
		case asError:
			if json.Valid(s.Body) {
				h.hold(errorSchema, s.Name(), s.Body)
			}
		}
	}
}

// written validates what the codecs of OpenAI's surfaces write of the answers
// of other dialects.
func written(h *holder, samples []sample) {
	seen := map[string]int{}
	for i := range samples {
		s := &samples[i]
		if s.answer == asError {
			tellError(h, s)
		}
		if s.codec == nil || s.answer == "" || s.answer == asError {
			continue
		}
		for _, target := range []dialect.Codec{dialect.ChatCodec{}, dialect.ResponsesCodec{}, dialect.CodecFor(llm.Completions)} {
			key := fmt.Sprint(s.Surface, s.answer, target.Name())
			if s.Surface == target.Name() || seen[key] >= perSchema {
				continue
			}
			seen[key]++
			who := s.Name() + " to " + string(target.Name())
			if s.answer == asStream {
				body, _, _ := rewrite(target, anyCall(s), s.codec.Events(bytes.NewReader(s.Body)))
				h.holdStream(target, who, body)
				continue
			}
			reply, err := s.codec.DecodeReply(s.Body, new(dialect.At))
			if err != nil {
				continue // the laws complain
			}
			if reply.ID == "" {
				reply.ID = "chatcmpl-1" // package gateway labels what its dialect leaves without
			}
			if reply.Model == "" {
				reply.Model = "model"
			}
			if body, _, err := target.EncodeReply(nil, reply); err == nil {
				h.hold(schemas[target.Name()].reply, who, body)
			}
		}
	}
}

// embedded validates what Google's vectors become on OpenAI's surface.
func embedded(h *holder, recordings []corpus.Recording) {
	for i := range recordings {
		r := &recordings[i]
		if r.Request == nil || r.Status >= 400 || !strings.HasSuffix(r.Path, "mbedContents") && !strings.HasSuffix(r.Path, ":embedContent") {
			continue
		}
		call, err := dialect.DecodeGeminiEmbed(r.Request)
		if err != nil {
			continue // vectors of images: OpenAI has none
		}
		reply, err := dialect.DecodeGeminiEmbedReply(r.Body)
		if err != nil {
			h.t.Errorf("%s: %v", r.Name(), err)
			continue
		}
		reply.Model = "model" // package gateway names it
		h.hold(schemas[llm.Embeddings].reply, r.Name(), dialect.EncodeOpenAIEmbedReply(reply, call))
	}
}

// tellError validates the envelopes in which an error is told.
func tellError(h *holder, s *sample) {
	body := s.surface.DecodeError(s.Body)
	fault := &llm.Fault{Kind: llm.FaultBadRequest, Status: s.Status, Type: body.Type, Code: body.Code, Param: body.Param, Message: body.Message}
	for name := range schemas {
		surface := dialect.For(name)
		h.hold(errorSchema, s.Name(), surface.EncodeError(fault, "req-1"))
		if schemas[name].event != "" {
			h.holdStream(surface, s.Name(), surface.AppendFault(nil, fault, "req-1"))
		}
	}
}

func total(counts map[string]int) int {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return sum
}

func countsText(counts map[string]int) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(list, ", ")
}

// deviation is how bodies may deviate: the name of a deviation or how several
// names begin, and the reason.
type deviation struct{ begins, why string }

// allowed are the ways in which OpenAI's own answers deviate from its
// description. They excuse the recordings, never us.
var allowed = []deviation{
	{"ChatCompletionResponseMessage lacks refusal", "answers of older models leave it out"},
	{"CreateChatCompletionResponse/choices/[] lacks logprobs", "answers of older models and of those for audio leave it out"},
	{"CreateChatCompletionResponse/system_fingerprint is null", "null where the description leaves it out"},
	{"CreateChatCompletionStreamResponse/system_fingerprint is null", "null where the description leaves it out"},
	{"CreateChatCompletionStreamResponse/object is ", "the chunk of Azure's filter, kept among OpenAI's fixtures, has an empty one"},
	{"ChatCompletionMessageToolCallChunk/function/arguments is null", "a variant that a client's author made up"},
	{"CompletionUsage is null", "each event before the last when usage is asked for; the description has it for chat alone"},
	{"CreateCompletionResponse/choices/[]/finish_reason is null", "each event before the last; the description knows no stream"},
	{"Embedding/embedding is string", "encoding_format base64, which the description leaves out of the answer"},
	{"FunctionShellCall lacks environment", "some answers leave it out"},
	{"ImageGenToolCall lacks result", "an image that is not there yet"},
	{"MCPTool/server_description is null", "the request's tool is given back with its defaults"},
	{"TextResponseFormatJsonSchema/description is null", "the request's format is given back with its defaults"},
	{"ModelResponseProperties/user is null", "null where the description leaves it out"},
	{"OutputTextContent lacks logprobs", "some answers leave it out"},
	{"Response lacks ", "fixtures of SDKs leave members out"},
	{"Response/status is complete", "a fixture that was made up"},
	{"ResponseAudioDeltaEvent/type is response.apply_patch_call_operation_diff.delta", "an event that the description does not have"},
	{"ResponseCodeInterpreterCallCompletedEvent/type is response.apply_patch_call_operation_diff.done", "an event that the description does not have"},
	{"ResponseErrorCode is insufficient_quota", "a code that the description does not have"},
	{"ResponseErrorEvent lacks ", "an error in an envelope of its own, as without a stream"},
	{"ResponseUsage is null", "an answer that has not ended"},
	{"ResponseUsage/input_tokens_details lacks cache_write_tokens", "some answers leave it out"},
	{"WebSearchActionSearch/sources/[]", "sources that are no address but a service"},
	{"WebSearchToolCall lacks action", "a search that has not begun"},
	{"ResponseFunctionCallArgumentsDoneEvent lacks name", "some answers leave it out"},
	{"ResponseTextDeltaEvent lacks logprobs", "some answers leave it out"},
	{"ResponseTextDoneEvent lacks logprobs", "some answers leave it out"},
	{"ResponseCompletedEvent lacks sequence_number", beforeNumbers},
	{"ResponseContentPartAddedEvent lacks sequence_number", beforeNumbers},
	{"ResponseContentPartDoneEvent lacks sequence_number", beforeNumbers},
	{"ResponseCreatedEvent lacks sequence_number", beforeNumbers},
	{"ResponseCustomToolCallInputDeltaEvent lacks sequence_number", beforeNumbers},
	{"ResponseFunctionCallArgumentsDeltaEvent lacks sequence_number", beforeNumbers},
	{"ResponseFunctionCallArgumentsDoneEvent lacks sequence_number", beforeNumbers},
	{"ResponseInProgressEvent lacks sequence_number", beforeNumbers},
	{"ResponseOutputItemAddedEvent lacks sequence_number", beforeNumbers},
	{"ResponseOutputItemDoneEvent lacks sequence_number", beforeNumbers},
	{"ResponseTextDeltaEvent lacks sequence_number", beforeNumbers},
	{"ResponseTextDoneEvent lacks sequence_number", beforeNumbers},
}

const beforeNumbers = "streams from before events had numbers"

// own are the ways in which we deviate.
var own = []deviation{
	{"ModelResponseProperties/user is null", "OpenAI writes it so"},
	{"ResponseUsage is null", "OpenAI writes it so while an answer has not ended"},
	{"ResponseErrorCode is ", "the provider's own code tells more than one of the description's would"},
	{"CreateChatCompletionResponse/choices/[] lacks finish_reason", "an answer that is still made in the background has not ended"},
	{"CreateCompletionResponse/choices/[]/finish_reason is null", "OpenAI writes it so before the last event"},
	{"CreateCompletionResponse/choices/[]/finish_reason is tool_calls", "an answer to a chat with tools, which no request for a completion asks for"},
	{"CreateCompletionResponse/choices/[]/finish_reason is error", "as in chat"},
	{"CreateCompletionResponse/choices/[] lacks finish_reason", "as in chat"},
	{"CompletionUsage/", "a usage object of chat passes as its provider spelled it, null details included"},
	{"CreateChatCompletionResponse/choices/[]/finish_reason is error", "chat has no word for an answer that its model spoiled, and stop would be a lie"},
}

// find is the entry of a table that names d; nil when none does.
func find(table []deviation, d string) *deviation {
	for i := range table {
		if strings.HasPrefix(d, table[i].begins) {
			return &table[i]
		}
	}
	return nil
}
