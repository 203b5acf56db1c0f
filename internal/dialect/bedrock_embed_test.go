package dialect

import (
	"fmt"
	"strings"
	"testing"
)

func TestInvokeEmbeddingFamilies(t *testing.T) {
	for model, want := range map[string]InvokeEmbedding{
		"amazon.titan-embed-text-v1": InvokeTitanV1, "amazon.titan-embed-text-v2:0": InvokeTitanV2, "us.cohere.embed-v4:0": InvokeCohereV4,
		"cohere.embed-english-v3": InvokeCohereV3, "cohere.embed-multilingual-v3": InvokeCohereV3, "amazon.nova-lite-v1:0": InvokeNoEmbedding,
		"arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-embed-text-v2:0": InvokeTitanV2, "cohere.command-r-v1:0": InvokeNoEmbedding,
	} {
		if got := InvokeEmbeddingOf(model); got != want {
			t.Errorf("%s is %d, want %d", model, got, want)
		}
	}
}

func TestInvokeEmbeddingRequests(t *testing.T) {
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf(`"%d"`, i)
	}
	for _, c := range []struct {
		family InvokeEmbedding
		body   string
		bodies []string // the first, and how many
		n      int
		losses string
	}{
		{InvokeTitanV2, `{"model":"m","input":"a","dimensions":256}`, []string{`{"inputText":"a","dimensions":256}`}, 1, ""},
		{InvokeTitanV2, `{"model":"m","input":["a","b"],"encoding_format":"base64"}`, []string{`{"inputText":"a"}`, `{"inputText":"b"}`}, 2, ""},
		{InvokeTitanV1, `{"model":"m","input":"a","dimensions":256,"user":"u"}`, []string{`{"inputText":"a"}`}, 1, "dimensions user"},
		{InvokeCohereV3, `{"model":"m","input":["a","b"],"input_type":"search_query"}`, []string{`{"texts":["a","b"],"input_type":"search_query"}`}, 1, ""},
		{InvokeCohereV4, `{"model":"m","input":["a"],"dimensions":512}`, []string{`{"texts":["a"],"input_type":"search_document","output_dimension":512}`}, 1, ""},
		{InvokeCohereV4, `{"model":"m","input":[` + strings.Join(many, ",") + `]}`, nil, 2, ""},
	} {
		plan, err := c.family.Requests([]byte(c.body))
		if err != nil || len(plan.Bodies) != c.n {
			t.Errorf("%s: %d bodies, %v", c.body, len(plan.Bodies), err)
			continue
		}
		for i, want := range c.bodies {
			converseSame(t, plan.Bodies[i], []byte(want))
		}
		var losses []string
		for _, l := range plan.Losses {
			losses = append(losses, l.Feature)
		}
		if got := strings.Join(losses, " "); got != c.losses || plan.Base64 != strings.Contains(c.body, "base64") {
			t.Errorf("%s: losses %q, base64 %v", c.body, got, plan.Base64)
		}
	}
	for _, body := range []string{`{}`, `{"input":[]}`, `{"input":[1,2]}`, `{"input":[[1]]}`, `{"input":{}}`, `[`} {
		if plan, err := InvokeTitanV2.Requests([]byte(body)); err == nil {
			t.Errorf("%s becomes %s", body, plan.Bodies)
		}
	}
}

func TestInvokeEmbeddingReplies(t *testing.T) {
	for _, c := range []struct {
		family  InvokeEmbedding
		base64  bool
		answers []EmbedAnswer
		want    string
	}{
		{
			InvokeTitanV2, false,
			[]EmbedAnswer{{Body: []byte(`{"embedding":[0.5,-1.0E-4],"inputTextTokenCount":3}`)}, {Body: []byte(`{"embedding":[1,2],"inputTextTokenCount":4}`), Tokens: 4}},
			`{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-1.0E-4]},{"object":"embedding","index":1,"embedding":[1,2]}],"model":"m","usage":{"prompt_tokens":7,"total_tokens":7}}`,
		},
		{
			InvokeCohereV3, true,
			[]EmbedAnswer{{Body: []byte(`{"id":"i","embeddings":[[1,-2],[0.5,0]],"texts":["a","b"]}`), Tokens: 5}},
			`{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPwAAAMA="},{"object":"embedding","index":1,"embedding":"AAAAPwAAAAA="}],"model":"m","usage":{"prompt_tokens":5,"total_tokens":5}}`,
		},
		{
			InvokeCohereV4, false,
			[]EmbedAnswer{{Body: []byte(`{"embeddings":{"float":[[1]]}}`)}},
			`{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1]}],"model":"m","usage":{"prompt_tokens":0,"total_tokens":0}}`,
		},
	} {
		got, err := c.family.Reply("m", &EmbedPlan{Base64: c.base64}, c.answers)
		if err != nil {
			t.Fatal(err)
		}
		converseSame(t, got, []byte(c.want))
	}
	for _, body := range []string{`{}`, `{"embedding":"x"}`, `{"message":"no"}`, `{"embedding":["x"]}`, `{`} {
		if got, err := InvokeTitanV1.Reply("m", &EmbedPlan{Base64: true}, []EmbedAnswer{{Body: []byte(body)}}); err == nil {
			t.Errorf("%s becomes %s", body, got)
		}
	}
}

func TestInvokeEmbeddingClients(t *testing.T) {
	const answer = `{"data":[{"embedding":[0.5,2.50]}],"usage":{"prompt_tokens":3,"total_tokens":3}}`
	for _, c := range []struct {
		family       InvokeEmbedding
		body, asked  string
		answer, want string
		losses       int
	}{
		{InvokeTitanV2, `{"inputText":"a","dimensions":256,"normalize":true}`, `{"model":"m","input":"a","dimensions":256}`, answer, `{"embedding":[0.5,2.50],"inputTextTokenCount":3}`, 0},
		{InvokeTitanV1, `{"inputText":"a","normalize":false}`, `{"model":"m","input":"a"}`, `{"data":[{"embedding":"AACAPwAAAMA="}],"usage":{"prompt_tokens":3}}`, `{"embedding":[1,-2],"inputTextTokenCount":3}`, 1},
		{InvokeCohereV3, `{"texts":["a"],"input_type":"search_query"}`, `{"model":"m","input":["a"]}`, answer, `{"embeddings":[[0.5,2.50]],"response_type":"embeddings_floats"}`, 1},
		{InvokeCohereV4, `{"texts":["a"],"embedding_types":["float"],"output_dimension":512}`, `{"model":"m","input":["a"],"dimensions":512}`, answer, `{"embeddings":{"float":[[0.5,2.50]]},"response_type":"embeddings_by_type"}`, 0},
	} {
		asked, losses, err := c.family.OpenAIRequest("m", []byte(c.body))
		if err != nil || len(losses) != c.losses {
			t.Errorf("%s: %v, %v", c.body, losses, err)
			continue
		}
		converseSame(t, asked, []byte(c.asked))
		got, tokens, err := c.family.InvokeReply([]byte(c.answer))
		if err != nil || tokens != 3 {
			t.Errorf("%s: %d tokens, %v", c.answer, tokens, err)
			continue
		}
		converseSame(t, got, []byte(c.want))
	}
	for _, body := range []string{`{}`, `{"data":[]}`, `{"data":[{"embedding":[1]},{"embedding":[2]}]}`, `{"data":[{"embedding":"%"}]}`} {
		if got, _, err := InvokeTitanV1.InvokeReply([]byte(body)); err == nil {
			t.Errorf("%s becomes %s", body, got)
		}
	}
	for _, body := range []string{`{}`, `{"texts":[]}`, `{"texts":[1]}`, `{"texts":"a"}`} {
		if got, _, err := InvokeCohereV4.OpenAIRequest("m", []byte(body)); err == nil {
			t.Errorf("%s becomes %s", body, got)
		}
	}
}

func FuzzInvokeEmbedding(f *testing.F) {
	f.Add([]byte(`{"input":["a","b"],"dimensions":5}`), byte(3))
	f.Add([]byte(`{"embeddings":{"float":[[1]]},"texts":["a"]}`), byte(4))
	f.Add([]byte(`{"embedding":[1,2],"inputText":"a","data":[{"embedding":"AACAPw=="}]}`), byte(1))
	f.Fuzz(func(t *testing.T, body []byte, family byte) {
		e := InvokeEmbedding(family % 5)
		if plan, err := e.Requests(body); err == nil {
			for _, b := range plan.Bodies {
				anthropicJSON(t, b)
			}
		}
		if out, err := e.Reply("m", &EmbedPlan{Base64: family > 127}, []EmbedAnswer{{Body: body}}); err == nil {
			anthropicJSON(t, out)
		}
		if out, _, err := e.OpenAIRequest("m", body); err == nil {
			anthropicJSON(t, out)
		}
		if out, _, err := e.InvokeReply(body); err == nil {
			anthropicJSON(t, out)
		}
	})
}
