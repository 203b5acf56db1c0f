package dialect

import (
	"encoding/base64"
	"fmt"
	"testing"

	"tailplane/internal/llm"
)

func TestACountHoldsLessThanItsConversation(t *testing.T) {
	call := &llm.Call{
		Model: "m", Stream: true,
		Turns: []llm.Turn{{Role: llm.RoleUser, Parts: []llm.Part{{Kind: llm.PartText, Text: quoted("hi")}}}},
	}
	call.Sampling.MaxTokens = 9
	for want, encode := range map[string]func([]byte, *llm.Call) ([]byte, []llm.Loss, error){
		`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}`:                                                            AnthropicCodec{}.EncodeCount,
		`{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":9}}`:                                               GeminiCodec{}.EncodeVertexCount,
		`{"input":{"converse":{"messages":[{"role":"user","content":[{"text":"hi"}]}]}}}`:                                                               ConverseCodec{}.EncodeCount,
		`{"generateContentRequest":{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":9},"model":"models/m"}}`: GeminiCodec{}.EncodeCount,
	} {
		got, _, err := encode(nil, call)
		if err != nil || string(got) != want {
			t.Errorf("%s %v, want %s", got, err, want)
		}
	}
}

func TestCountTokensOfBedrock(t *testing.T) {
	own := base64.StdEncoding.EncodeToString([]byte(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"system":"x","messages":[{"role":"user","content":"hi"}]}`))
	for _, body := range []string{
		`{"input":{"converse":{"messages":[{"role":"user","content":[{"text":"hi"}]}],"system":[{"text":"x"}]}}}`,
		`{"input":{"invokeModel":{"body":"` + own + `"}}}`,
	} {
		call, err := ReadCount(ConverseCodec{}, []byte(body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		got, _, err := ConverseCodec{}.EncodeCount(nil, call)
		if want := `{"input":{"converse":{"messages":[{"role":"user","content":[{"text":"hi"}]}],"system":[{"text":"x"}]}}}`; err != nil {
			t.Error(err)
		} else {
			converseSame(t, got, []byte(want))
		}
	}
	for _, body := range []string{
		``, `[]`, `{}`, `{"input":1}`, `{"input":{}}`, `{"input":{"invokeModel":{}}}`, `{"input":{"invokeModel":{"body":"%"}}}`,
		`{"input":{"invokeModel":{"body":"e30="}}}`, `{"input":{"invokeModel":{"body":"WzFd"}}}`, `{"input":{"converse":{"messages":1}}}`,
	} {
		if _, err := ReadCount(ConverseCodec{}, []byte(body)); err == nil {
			t.Errorf("%s was read", body)
		}
	}
	if got := string(ConverseCodec{}.EncodeCountReply(7)); got != `{"inputTokens":7}` {
		t.Error(got)
	}
}

func TestVertexTakesAFewTextsEachTime(t *testing.T) {
	c := &EmbedCall{Model: "text-embedding-005", Dimensions: 8, User: "u"}
	for i := range 12 {
		c.Texts = append(c.Texts, fmt.Sprint(i))
	}
	bodies, losses := EncodeVertexEmbed(c)
	if len(bodies) != 3 || len(losses) != 1 || string(bodies[2]) != `{"instances":[{"content":"10"},{"content":"11"}],"parameters":{"outputDimensionality":8}}` {
		t.Errorf("%d bodies, %v, the last is %s", len(bodies), losses, bodies[len(bodies)-1])
	}
	c.Model = "gemini-embedding-001"
	if bodies, _ := EncodeVertexEmbed(c); len(bodies) != 12 {
		t.Errorf("%d bodies", len(bodies))
	}
	r := &EmbedReply{}
	for _, body := range []string{
		`{"predictions":[{"embeddings":{"values":[1,2],"statistics":{"token_count":3,"truncated":false}}},{"embeddings":{"values":[3]}}]}`,
		`{"predictions":[{"embeddings":{"values":[4],"statistics":{"token_count":2}}}]}`,
	} {
		if err := DecodeVertexEmbedReply(r, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.Vectors) != 3 || r.Usage.Input != 5 || !r.HasUsage || string(r.Vectors[2]) != "[4]" {
		t.Errorf("%+v", r)
	}
	for _, body := range []string{
		``, `{}`, `{"predictions":[]}`, `{"predictions":[1]}`, `{"predictions":[{}]}`, `{"predictions":[{"embeddings":{}}]}`,
		`{"predictions":[{"embeddings":{"values":["x"]}}]}`, `{"predictions":1}`,
	} {
		if err := DecodeVertexEmbedReply(&EmbedReply{}, []byte(body)); err == nil {
			t.Errorf("%s was read", body)
		}
	}
}

func FuzzSideQuestions(f *testing.F) {
	f.Add([]byte(`{"input":{"converse":{"messages":[{"role":"user","content":[{"text":"hi"}]}]}}}`))
	f.Add([]byte(`{"input":{"invokeModel":{"body":"e30="}}}`))
	f.Add([]byte(`{"predictions":[{"embeddings":{"values":[1],"statistics":{"token_count":3}}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if call, err := ReadCount(ConverseCodec{}, body); err == nil {
			call.Model = "m"
			for _, encode := range []func([]byte, *llm.Call) ([]byte, []llm.Loss, error){
				AnthropicCodec{}.EncodeCount, GeminiCodec{}.EncodeVertexCount, ConverseCodec{}.EncodeCount,
			} {
				if out, _, err := encode(nil, call); err == nil {
					anthropicJSON(t, out)
				}
			}
		}
		r := &EmbedReply{}
		if DecodeVertexEmbedReply(r, body) == nil {
			anthropicJSON(t, EncodeOpenAIEmbedReply(r, &EmbedCall{}))
		}
	})
}
