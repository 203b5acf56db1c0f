package dialect_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"tailplane/internal/dialect"
	"tailplane/internal/llm"
)

// TestCorpusLawsHoldForMembersThatNobodyRecorded holds laws 1 and 3 over small
// written requests, one for each member that the recordings lack or have in
// few forms. It needs no recordings.
func TestCorpusLawsHoldForMembersThatNobodyRecorded(t *testing.T) {
	for _, c := range memberCases() {
		codec := dialect.CodecFor(c.dialect)
		for _, overlay := range c.members {
			body := merge(t, c.base, overlay)
			t.Run(fmt.Sprintf("%s %.60s", c.dialect, overlay), func(t *testing.T) {
				for _, d := range lawsOfRequest(codec, body) {
					t.Error(d)
				}
			})
		}
	}
}

// lawsOfRequest says how a request breaks laws 1 and 3.
func lawsOfRequest(codec dialect.Codec, body []byte) []string {
	call, err := dialect.ReadCall(codec, body)
	if err != nil {
		return []string{err.Error()}
	}
	if codec.Name() == llm.Converse {
		call.Model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0" // its path says it
	}
	if codec.Name() == llm.Gemini {
		call.Model = "gemini-2.5-flash"
	}
	again, losses, err := codec.EncodeCall(nil, call)
	if err != nil || len(losses) > 0 {
		return []string{fmt.Sprintf("encode: %v, losses %v", err, losses)}
	}
	if d := differ(body, again); d != "" {
		return []string{d}
	}
	var out []string
	for _, target := range conversations() {
		if target.Name() == codec.Name() {
			continue
		}
		want := callInventory(call, target.Name())
		said, losses, err := target.EncodeCall(nil, call)
		if err != nil {
			out = append(out, fmt.Sprintf("to %s: %v", target.Name(), err))
			continue
		}
		got, err := decodeSaid(target, said, call)
		if err != nil {
			out = append(out, fmt.Sprintf("to %s: its own reader refuses it: %v\n%s", target.Name(), err, said))
			continue
		}
		for _, missing := range want.missing(callSaid(got, said), losses) {
			out = append(out, fmt.Sprintf("to %s: silently lost: %s (losses: %s)\n%s", target.Name(), missing, lossText(losses), said))
		}
	}
	return out
}

// merge puts the members of overlay into base.
func merge(t *testing.T, base, overlay string) []byte {
	t.Helper()
	all := map[string]json.RawMessage{}
	for _, text := range []string{base, overlay} {
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	out, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

type memberCase struct {
	dialect llm.Dialect
	base    string
	members []string
}

func memberCases() []memberCase {
	return []memberCase{
		{llm.Chat, `{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}]}`, []string{
			`{"frequency_penalty":0,"presence_penalty":0.0}`, `{"frequency_penalty":0.5}`, `{"presence_penalty":-1}`, `{"seed":7}`, `{"stop":"x"}`,
			`{"stop":["a","b"]}`, `{"stop":[]}`, `{"n":2}`, `{"n":1}`, `{"logprobs":true,"top_logprobs":2}`, `{"logprobs":false}`, `{"logit_bias":{"5":1}}`,
			`{"user":"u"}`, `{"metadata":{"a":"b"}}`, `{"service_tier":"flex"}`, `{"store":true}`, `{"top_k":4}`, `{"min_p":0.1}`, `{"temperature":1.7}`,
			`{"top_p":0.5,"temperature":0.2}`, `{"max_tokens":9}`, `{"max_completion_tokens":9}`, `{"stream":true,"stream_options":{"include_usage":true}}`,
			`{"reasoning_effort":"none"}`, `{"reasoning_effort":"low"}`, `{"reasoning_effort":"minimal"}`, `{"reasoning_effort":"xhigh"}`, `{"reasoning":{"max_tokens":2000}}`,
			`{"verbosity":"low"}`, `{"parallel_tool_calls":false}`, `{"parallel_tool_calls":true}`, `{"tool_choice":"required"}`, `{"tool_choice":"none"}`,
			`{"tool_choice":{"type":"function","function":{"name":"f"}}}`, `{"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[]}}}`,
			`{"response_format":{"type":"json_object"}}`, `{"response_format":{"type":"text"}}`,
			`{"response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","strict":true,"schema":{"type":"object"}}}}`,
			`{"modalities":["text","audio"],"audio":{"voice":"v","format":"wav"}}`, `{"prediction":{"type":"content","content":"x"}}`,
			`{"functions":[{"name":"g","parameters":{}}],"function_call":"auto"}`, `{"web_search_options":{}}`, `{"web_search_options":{"search_context_size":"low"}}`,
			`{"prompt_cache_key":"k","safety_identifier":"s"}`, `{"extra_body":{"a":[1,2]}}`, `{"chat_template_kwargs":{"enable_thinking":false}}`,
			`{"messages":[{"role":"system","content":"be"},{"role":"user","name":"ann","content":"hi"}]}`,
			`{"messages":[{"role":"user","content":"a"},{"role":"developer","content":"b"},{"role":"user","content":"c"}]}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"https://x/y.png","detail":"low"}}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"aGk=","format":"wav"}},{"type":"text","text":"a"}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,aGk="}}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}},{"type":"text","text":"a"}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"video_url","video_url":{"url":"https://x/y.mp4"}},{"type":"text","text":"a"}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}]}]}`,
			`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"refusal":"no"},{"role":"user","content":"b"}]}`,
			`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","audio":{"id":"x"}},{"role":"user","content":"b"}]}`,
			`{"messages":[{"role":"user","content":"a"},{"role":"assistant","reasoning_content":"hm","content":"b"},{"role":"user","content":"b"}]}`,
			`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"x","tool_calls":[{"id":"c|1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"id":"c 1","type":"function","function":{"name":"f","arguments":""}}]},{"role":"tool","tool_call_id":"c 1","content":"two"},{"role":"tool","tool_call_id":"c|1","content":[{"type":"text","text":"one"}]}]}`,
			`{"messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"not json"}}]},{"role":"tool","tool_call_id":"c","content":"x"}]}`,
			`{"messages":[{"role":"user","content":"a"},{"role":"assistant","function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"x"}]}`,
			`{"tools":[{"type":"custom","custom":{"name":"c"}},{"type":"function","function":{"name":"f","strict":true,"description":"d","parameters":{"type":"object"}}}]}`,
		}},
		{llm.Anthropic, `{"model":"gpt-5","max_tokens":50,"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"f","input_schema":{"type":"object"}}]}`, []string{
			`{"stop_sequences":["a"]}`, `{"stop_sequences":[]}`, `{"top_k":5}`, `{"top_p":0.5}`, `{"temperature":0.5}`, `{"stream":true}`,
			`{"thinking":{"type":"enabled","budget_tokens":1024}}`, `{"thinking":{"type":"disabled"}}`, `{"thinking":{"type":"adaptive"}}`,
			`{"thinking":{"type":"adaptive","display":"summarized"},"output_config":{"effort":"max"}}`, `{"output_config":{"effort":"low"}}`,
			`{"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}}`, `{"output_format":{"type":"json_schema","schema":{"type":"object"}}}`,
			`{"metadata":{"user_id":"u"}}`, `{"metadata":{"user_id":"u","x":1}}`, `{"service_tier":"auto"}`, `{"container":"c"}`, `{"mcp_servers":[{"type":"url","url":"u","name":"n"}]}`,
			`{"context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}}`, `{"cache_control":{"type":"ephemeral"}}`, `{"inference_geo":"us"}`,
			`{"system":"be"}`, `{"system":[{"type":"text","text":"be","cache_control":{"type":"ephemeral","ttl":"5m"}}]}`, `{"speed":"fast"}`,
			`{"tool_choice":{"type":"any"}}`, `{"tool_choice":{"type":"auto","disable_parallel_tool_use":true}}`, `{"tool_choice":{"type":"tool","name":"f"}}`, `{"tool_choice":{"type":"none"}}`,
			`{"tools":[{"name":"f","description":"d","strict":true,"input_schema":{"type":"object"},"cache_control":{"type":"ephemeral"},"defer_loading":true,"input_examples":[{"a":1}]}]}`,
			`{"tools":[{"type":"web_search_20250305","name":"web_search","max_uses":2},{"type":"bash_20250124","name":"bash"}]}`,
			`{"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}},{"type":"image","source":{"type":"url","url":"https://x/y.png"}},{"type":"image","source":{"type":"file","file_id":"file_1"}}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"aGk="},"title":"t","context":"c","citations":{"enabled":true}}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"words"},"title":"t"}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"document","source":{"type":"url","url":"https://x/y.pdf"}},{"type":"text","text":"a"}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"document","source":{"type":"content","content":[{"type":"text","text":"x"}]}},{"type":"text","text":"a"}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"search_result","source":"s","title":"t","content":[{"type":"text","text":"x"}]},{"type":"text","text":"a"}]}]}`,
			`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"sig"},{"type":"redacted_thinking","data":"red"},{"type":"text","text":"x"}]},{"role":"user","content":"b"}]}`,
			`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"text","text":"x","citations":[{"type":"char_location","cited_text":"y"}]}]},{"role":"user","content":"b"}]}`,
			`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"f","input":{"a":1}},{"type":"tool_use","id":"t2","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t2","is_error":true,"content":"bad"},{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"ok"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}]},{"type":"text","text":"and"}]}]}`,
			`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1"}]}]}`,
			`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"server_tool_use","id":"s","name":"web_search","input":{"q":"x"}},{"type":"web_search_tool_result","tool_use_id":"s","content":[]},{"type":"text","text":"y"}]},{"role":"user","content":"b"}]}`,
			`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"prefill"}]}`,
		}},
		{llm.Gemini, `{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true}}}}]}]}`, []string{
			`{"generationConfig":{"temperature":0.5,"topP":0.9,"topK":40.0,"candidateCount":2,"maxOutputTokens":7,"seed":1,"presencePenalty":0.1,"frequencyPenalty":0.2}}`,
			`{"generation_config":{"max_output_tokens":7,"topP":0.5,"top_k":3,"stop_sequences":["a"]}}`, `{"generationConfig":{"stopSequences":[]}}`, `{"generationConfig":{}}`,
			`{"generationConfig":{"responseMimeType":"application/json"}}`, `{"generationConfig":{"responseMimeType":"text/plain"}}`,
			`{"generationConfig":{"responseMimeType":"application/json","responseSchema":{"type":"OBJECT","properties":{"n":{"type":"INTEGER","format":"int32"}},"propertyOrdering":["n"],"required":["n"]}}}`,
			`{"generationConfig":{"response_mime_type":"application/json","response_schema":{"type":6,"properties":{"n":{"type":1,"min_length":"2"}}}}}`,
			`{"generationConfig":{"responseMimeType":"application/json","responseJsonSchema":{"type":"object","additionalProperties":false,"properties":{"n":{"const":1}}}}}`,
			`{"generationConfig":{"responseMimeType":"text/x.enum","responseSchema":{"type":"STRING","enum":["a","b"]}}}`, `{"generationConfig":{"responseSchema":{"type":"STRING"}}}`,
			`{"generationConfig":{"responseLogprobs":true,"logprobs":2}}`, `{"generationConfig":{"responseModalities":["TEXT"]}}`, `{"generationConfig":{"responseModalities":["AUDIO"],"speechConfig":{"voiceConfig":{}}}}`,
			`{"generationConfig":{"thinkingConfig":{"thinkingBudget":0}}}`, `{"generationConfig":{"thinkingConfig":{"thinkingBudget":-1,"includeThoughts":true}}}`, `{"generationConfig":{"thinkingConfig":{"thinkingBudget":2048}}}`,
			`{"generationConfig":{"thinkingConfig":{"thinkingLevel":"HIGH","includeThoughts":false}}}`, `{"generationConfig":{"thinking_config":{"thinking_level":"low"}}}`, `{"generationConfig":{"mediaResolution":"MEDIA_RESOLUTION_LOW"}}`,
			`{"systemInstruction":{"parts":[{"text":"be"}]}}`, `{"system_instruction":{"role":"system","parts":[{"text":"be"},{"text":"brief"}]}}`, `{"systemInstruction":{"parts":[]}}`,
			`{"cachedContent":"cachedContents/1"}`, `{"labels":{"a":"b"}}`, `{"safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_NONE"}]}`, `{"model":"models/gemini-2.5-flash"}`, `{"model":"gemini-2.5-flash"}`,
			`{"toolConfig":{"functionCallingConfig":{"mode":"AUTO"}}}`, `{"toolConfig":{"functionCallingConfig":{"mode":"none"}}}`, `{"tool_config":{"function_calling_config":{"mode":"ANY","allowed_function_names":["f"]}}}`,
			`{"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f","g"]}}}`, `{"toolConfig":{"functionCallingConfig":{"mode":"VALIDATED"},"retrievalConfig":{"languageCode":"de"}}}`, `{"toolConfig":{"functionCallingConfig":{"mode":"ANY"}}}`,
			`{"tools":[{"googleSearch":{}},{"codeExecution":{}}]}`, `{"tools":[{"functionDeclarations":[{"name":"f"},{"name":"g","description":"d"}],"urlContext":{}},{"function_declarations":[{"name":"h","parameters_json_schema":{"type":"object","$defs":{}}}]}]}`,
			`{"tools":{"functionDeclarations":[{"name":"f","behavior":"BLOCKING","response":{"type":"STRING"}}]}}`, `{"tools":[]}`, `{"tools":[{"functionDeclarations":[]}]}`,
			`{"contents":[{"parts":[{"text":"a"}]},{"role":"model","parts":[{"text":"b","thoughtSignature":"c2ln"}]},{"role":"user","parts":[{"text":"c"}]}]}`,
			`{"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"image/png","data":"aGk="}},{"inline_data":{"mime_type":"audio/wav","data":"aGk="}},{"fileData":{"mimeType":"video/mp4","fileUri":"https://youtu.be/x"},"videoMetadata":{"fps":1}},{"fileData":{"mime_type":"application/pdf","file_uri":"gs://b/x.pdf","displayName":"n"}}]}]}`,
			`{"contents":[{"role":"user","parts":[{"text":"a"}]},{"role":"model","parts":[{"text":"hm","thought":true},{"functionCall":{"name":"f","args":{"a":"x"}},"thoughtSignature":"c2ln"},{"functionCall":{"name":"f"}}]},{"role":"function","parts":[{"functionResponse":{"name":"f","response":{"result":"one"}}},{"functionResponse":{"name":"f","response":{"a":[1,{"b":2}]}}}]}]}`,
			`{"contents":[{"role":"user","parts":[{"text":"a"}]},{"role":"model","parts":[{"function_call":{"id":"2","name":"g","args":{}}},{"functionCall":{"id":"1","name":"f","args":{"x":null}}}]},{"role":"user","parts":[{"functionResponse":{"id":"1","name":"f","response":{"error":"bad"}}},{"function_response":{"id":"2","name":"g","response":{"output":"ok"},"parts":[{"inline_data":{"mime_type":"image/png","data":"aGk="}}]}}]}]}`,
			`{"contents":[{"role":"user","parts":[{"text":"a"}]},{"role":"model","parts":[{"executableCode":{"language":"PYTHON","code":"1"}},{"codeExecutionResult":{"outcome":"OUTCOME_OK","output":"1"}},{"text":"y"}]},{"role":"user","parts":[{"text":"b"}]}]}`,
			`{"contents":[{"role":"user","parts":[{"text":"a"},{"functionResponse":{"name":"lost","response":{}}}]}]}`, `{"contents":[{"role":"user"},{"role":"user","parts":[{"text":""},{"text":"a"}]}]}`,
		}},
		{llm.Responses, `{"model":"m","input":"hi","tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]}`, []string{
			`{"instructions":"be"}`, `{"previous_response_id":"r"}`, `{"include":["reasoning.encrypted_content"]}`, `{"store":false}`, `{"truncation":"auto"}`,
			`{"reasoning":{"effort":"low","summary":"detailed"}}`, `{"reasoning":{"summary":"auto"}}`, `{"reasoning":{"effort":"none"}}`, `{"reasoning":{"generate_summary":"auto"}}`,
			`{"text":{"verbosity":"low"}}`, `{"text":{"format":{"type":"json_object"}}}`, `{"text":{"format":{"type":"text"}}}`,
			`{"text":{"format":{"type":"json_schema","name":"n","description":"d","strict":true,"schema":{"type":"object"}}}}`,
			`{"max_output_tokens":5}`, `{"max_tool_calls":2}`, `{"parallel_tool_calls":false}`, `{"temperature":1.5,"top_p":0.1}`, `{"top_logprobs":3}`, `{"metadata":{"a":"b"}}`, `{"user":"u"}`,
			`{"service_tier":"flex"}`, `{"prompt_cache_key":"k"}`, `{"prompt":{"id":"p"}}`, `{"background":true}`, `{"conversation":"c"}`, `{"safety_identifier":"s"}`, `{"stream":true,"stream_options":{"include_obfuscation":false}}`,
			`{"tool_choice":"required"}`, `{"tool_choice":"none"}`, `{"tool_choice":{"type":"function","name":"f"}}`, `{"tool_choice":{"type":"web_search_preview"}}`, `{"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[]}}`,
			`{"tools":[{"type":"function","name":"f","description":"d","strict":true,"parameters":{"type":"object"}},{"type":"web_search"},{"type":"custom","name":"c"}]}`,
			`{"input":[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"https://x/y.png","detail":"high"},{"type":"input_image","file_id":"f1","detail":"auto"}]}]}`,
			`{"input":[{"role":"user","content":[{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,aGk="},{"type":"input_file","file_id":"f"},{"type":"input_file","file_url":"https://x/y.pdf"}]}]}`,
			`{"input":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"aGk=","format":"wav"}},{"type":"input_text","text":"a"}]}]}`,
			`{"input":[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"developer","content":"d"},{"role":"user","content":"b"}]}`,
			`{"input":[{"role":"user","content":"a"},{"type":"reasoning","id":"rs","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"enc"},{"type":"message","role":"assistant","id":"m","status":"completed","content":[{"type":"output_text","text":"x","annotations":[{"type":"url_citation","url":"u"}]}]},{"role":"user","content":"b"}]}`,
			`{"input":[{"role":"user","content":"a"},{"type":"message","role":"assistant","content":[{"type":"refusal","refusal":"no"}]},{"role":"user","content":"b"}]}`,
			`{"input":[{"role":"user","content":"a"},{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},{"type":"function_call","call_id":"c2","name":"f","arguments":"{\"a\":1}"},{"type":"function_call_output","call_id":"c2","output":"two"},{"type":"function_call_output","call_id":"c1","output":[{"type":"input_text","text":"one"},{"type":"input_image","image_url":"data:image/png;base64,aGk="}]}]}`,
			`{"input":[{"role":"user","content":"a"},{"type":"item_reference","id":"x"}]}`, `{"input":[{"role":"user","content":"a"},{"type":"web_search_call","id":"w","status":"completed"},{"role":"user","content":"b"}]}`,
			`{"input":[{"role":"user","content":"a"},{"type":"custom_tool_call","call_id":"c","name":"c","input":"x"},{"type":"custom_tool_call_output","call_id":"c","output":"y"}]}`,
		}},
		{llm.Converse, `{"messages":[{"role":"user","content":[{"text":"hi"}]}],"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object"}}}}]}}`, []string{
			`{"system":[{"text":"be"},{"cachePoint":{"type":"default","ttl":"1h"}}]}`, `{"system":[]}`, `{"system":[{"guardContent":{"text":{"text":"be","qualifiers":["query"]}}}]}`,
			`{"inferenceConfig":{"maxTokens":5,"temperature":0.5,"stopSequences":["a"]}}`, `{"inferenceConfig":{"topP":1.0}}`, `{"inferenceConfig":{"stopSequences":[],"new":1}}`, `{"inferenceConfig":null}`,
			`{"additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":2000},"anthropic_beta":["x"]}}`, `{"additionalModelRequestFields":{"reasoning_config":{"type":"enabled","budget_tokens":2000}}}`,
			`{"additionalModelRequestFields":{"thinking":{"type":"adaptive"},"output_config":{"effort":"high"},"top_k":5}}`, `{"additionalModelRequestFields":{"reasoning_config":"high"}}`,
			`{"additionalModelRequestFields":{"reasoning_effort":"low","top_k":1.5}}`, `{"additionalModelRequestFields":{"reasoningConfig":{"type":"enabled","maxReasoningEffort":"low"},"inferenceConfig":{"topK":3}}}`,
			`{"additionalModelRequestFields":["any"]}`, `{"additionalModelRequestFields":{}}`, `{"additionalModelResponseFieldPaths":["/stop_sequence"]}`,
			`{"guardrailConfig":{"guardrailIdentifier":"g","guardrailVersion":"1","trace":"enabled","streamProcessingMode":"async"}}`, `{"promptVariables":{"a":{"text":"b"}}}`,
			`{"requestMetadata":{"team":"a","b":"c\"d"}}`, `{"requestMetadata":{}}`, `{"performanceConfig":{"latency":"optimized"}}`, `{"serviceTier":{"type":"flex"}}`,
			`{"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"{\"type\":\"object\"}","name":"n","description":"d"}}}}}`, `{"outputConfig":{"effort":"low"}}`,
			`{"toolConfig":{"tools":[{"toolSpec":{"name":"f","description":"d","strict":true,"inputSchema":{"json":{"type":"object"}}}},{"cachePoint":{"type":"default"}}],"toolChoice":{"any":{}}}}`,
			`{"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object","properties":{}}}}},{"systemTool":{"name":"nova_grounding"}}],"toolChoice":{"tool":{"name":"f"}}}}`,
			`{"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{}}}],"toolChoice":{"auto":{}}}}`, `{"toolConfig":{"tools":[{"toolSpec":{"name":"f"}}],"toolChoice":{"new":{}}}}`,
			`{"messages":[{"role":"user","content":[{"image":{"format":"png","source":{"bytes":"aGk="}}},{"image":{"format":"jpeg","source":{"s3Location":{"uri":"s3://b/k","bucketOwner":"1"}}}},{"text":"a"}]}]}`,
			`{"messages":[{"role":"user","content":[{"document":{"format":"pdf","name":"a b","source":{"bytes":"aGk="},"context":"c","citations":{"enabled":true}}},{"text":"a"},{"cachePoint":{"type":"default","ttl":"5m"}}]}]}`,
			`{"messages":[{"role":"user","content":[{"document":{"format":"txt","name":"n","source":{"text":"words"}}},{"document":{"name":"m","source":{"text":"words"}}},{"document":{"name":"o","source":{"content":[{"text":"x"}]}}},{"text":"a"}]}]}`,
			`{"messages":[{"role":"user","content":[{"video":{"format":"three_gp","source":{"bytes":"aGk="}}},{"audio":{"format":"wav","source":{"bytes":"aGk="}}},{"video":{"format":"new","source":{"bytes":"aGk="}}},{"text":"a"}]}]}`,
			`{"messages":[{"role":"user","content":[{"guardContent":{"text":{"text":"g","qualifiers":["query"]}}},{"guardContent":{"image":{"format":"png","source":{"bytes":"aGk="}}}},{"searchResult":{"source":"s","title":"t","content":[{"text":"x"}]}}]}]}`,
			`{"messages":[{"role":"user","content":[{"cachePoint":{"type":"default"}},{"text":"a"},{"cachePoint":{"type":"default"}},{"cachePoint":{"type":"default"}}]}]}`,
			`{"messages":[{"role":"user","content":[{"text":"a"}]},{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"hm","signature":"sig"}}},{"reasoningContent":{"redactedContent":"cmVk"}},{"reasoningContent":{"reasoningText":{"text":"bare"}}},{"text":"x"}]},{"role":"user","content":[{"text":"b"}]}]}`,
			`{"messages":[{"role":"user","content":[{"text":"a"}]},{"role":"assistant","content":[{"citationsContent":{"content":[{"text":"x"}],"citations":[{"title":"t","location":{"web":{"url":"u"}}}]}},{"citationsContent":{"content":[{"text":"x"},{"text":"y"}]}},{"citationsContent":{"citations":[{"title":"t"}]}}]},{"role":"user","content":[{"text":"b"}]}]}`,
			`{"messages":[{"role":"user","content":[{"text":"a"}]},{"role":"assistant","content":[{"toolUse":{"toolUseId":"t1","name":"f","input":{"a":1}}},{"toolUse":{"toolUseId":"t2","name":"f","input":{},"type":"tool_use"}}]},{"role":"user","content":[{"toolResult":{"toolUseId":"t2","status":"error","content":[{"text":"bad"}]}},{"toolResult":{"toolUseId":"t1","status":"success","content":[{"json":{"a":[1,2.0]}},{"image":{"format":"png","source":{"bytes":"aGk="}}},{"document":{"format":"pdf","name":"d","source":{"bytes":"aGk="}}}]}},{"text":"and"}]}]}`,
			`{"messages":[{"role":"user","content":[{"text":"a"}]},{"role":"assistant","content":[{"toolUse":{"toolUseId":"s1","name":"nova_code_interpreter","type":"server_tool_use","input":{"x":"1"}}},{"toolResult":{"toolUseId":"s1","type":"nova_code_interpreter_result","content":[{"json":{"out":"1"}}]}},{"text":"x"}]},{"role":"user","content":[{"text":"b"}]}]}`,
			`{"messages":[{"role":"user","content":[{"text":"a"},{"toolAddition":{"tool":{"name":"x"}}},{"toolRemoval":{"tool":{"name":"x"}}}]},{"role":"system","content":[{"text":"s"}]},{"role":"user","content":[{"text":"b","type":"text"}]}]}`,
		}},
	}
}
