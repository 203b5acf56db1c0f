package dialect_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"tailplane/internal/dialect"
	"tailplane/internal/llm"
	"tailplane/internal/llmtest/corpus"
)

// TestCorpusInvokeModel holds what goes through Bedrock's InvokeModel over its
// recordings: Anthropic's dialect in its envelope, and embeddings. The native
// bodies of other makers are no dialect of ours.
func TestCorpusInvokeModel(t *testing.T) {
	dir, ok := corpus.Dir()
	if !ok {
		t.Skip("no recordings: set TAILPLANE_CORPUS, or put them at ../shared/corpus beside the repository")
	}
	recordings, _, err := corpus.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	ran, left := map[string]int{}, map[string]int{}
	for i := range recordings {
		r := &recordings[i]
		if !strings.HasPrefix(r.Other, "bedrock: invoke") {
			continue
		}
		model := invokedModel(r)
		conversation := hasMember(r.Request, "messages") && strings.Contains(model, "claude")
		var bad string
		var kind string
		switch family := dialect.InvokeEmbeddingOf(model); {
		case r.Status >= 400:
			kind, bad = "error", invokeError(r)
		case conversation && r.Streamed:
			kind, bad = "anthropic stream", invokeStream(r)
		case conversation:
			kind, bad = "anthropic answer", invokeAnswer(r, model)
		case family != dialect.InvokeNoEmbedding:
			kind, bad = "embedding", invokeEmbedding(r, family, model)
		default:
			left["native body of "+maker(model)]++
			continue
		}
		ran[kind]++
		if bad != "" {
			t.Errorf("%s (%s): %s", r.Name(), kind, bad)
		}
	}
	fmt.Printf("corpus: InvokeModel ran %v, left out %v\n", ran, left)
}

func invokedModel(r *corpus.Recording) string {
	_, rest, _ := strings.Cut(r.Path, "/model/")
	name, _, _ := strings.Cut(rest, "/invoke")
	name, _ = url.PathUnescape(name)
	return name
}

func maker(model string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(model, "us."), ".")
	if strings.HasPrefix(name, "arn:") {
		return "an imported model"
	}
	return name
}

func invokeError(r *corpus.Recording) string {
	e := dialect.ReadError(dialect.ConverseCodec{}, r.Header.Get, r.Body)
	if e.Message == "" || e.Type == "" && r.Header.Get("x-amzn-errortype") != "" {
		return fmt.Sprintf("read as %+v", e)
	}
	return ""
}

// unwrapped is a stream of frames as Anthropic's events.
func unwrapped(r io.Reader) ([]byte, error) {
	var x dialect.InvokeReader
	x.Reset(r, 0)
	return io.ReadAll(&x)
}

func invokeStream(r *corpus.Recording) string {
	text, err := unwrapped(bytes.NewReader(r.Body))
	if err != nil {
		return err.Error()
	}
	for cut := 1; cut < len(r.Body); cut++ {
		again, err := unwrapped(&pieces{r.Body, []int{cut}})
		if err != nil || !bytes.Equal(text, again) {
			return fmt.Sprintf("cut at %d: %v, %s", cut, err, again)
		}
	}
	if again, err := unwrapped(iotest.OneByteReader(bytes.NewReader(r.Body))); err != nil || !bytes.Equal(text, again) {
		return fmt.Sprintf("byte by byte: %v", err)
	}
	codec := dialect.AnthropicCodec{}
	reply, err := dialect.Collect(codec.Events(bytes.NewReader(text)))
	if err != nil {
		return err.Error()
	}
	var tap dialect.Tap
	if !tapStream(codec, text, &tap) || tap.Usage != reply.Usage || reply.Usage.Output == 0 || tap.Stop != reply.Choices[0].Stop.Reason {
		return fmt.Sprintf("the tap has %+v, decoding %+v", tap, reply)
	}
	var frames bytes.Buffer
	if _, err := dialect.NewInvokeWriter(&frames).Write(text); err != nil {
		return err.Error()
	}
	if again, err := unwrapped(&frames); err != nil || !bytes.Equal(again, text) {
		return fmt.Sprintf("written again: %v, %s", err, again)
	}
	return ""
}

func invokeAnswer(r *corpus.Recording, model string) string {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(r.Request, &members); err != nil {
		return err.Error()
	}
	members["model"], _ = json.Marshal(model) // the envelope's work
	request, _ := json.Marshal(members)
	codec := dialect.AnthropicCodec{}
	call, err := dialect.ReadCall(codec, request)
	if err != nil {
		return err.Error()
	}
	again, losses, err := codec.EncodeCall(nil, call)
	if err != nil || len(losses) > 0 {
		return fmt.Sprint(err, losses)
	}
	if d := differ(request, again); d != "" {
		return "request: " + d
	}
	reply, err := codec.DecodeReply(r.Body, new(dialect.At))
	if err != nil {
		return err.Error()
	}
	if again, losses, err = codec.EncodeReply(nil, reply); err != nil || len(losses) > 0 {
		return fmt.Sprint(err, losses)
	}
	return differ(r.Body, again)
}

// invokeEmbedding takes an exchange to OpenAI's form and back.
func invokeEmbedding(r *corpus.Recording, family dialect.InvokeEmbedding, model string) string {
	asked, losses, err := family.OpenAIRequest(model, r.Request)
	if err != nil {
		return err.Error()
	}
	plan, err := family.Requests(asked)
	if err != nil || len(plan.Bodies) != 1 {
		return fmt.Sprintf("%d calls, %v", len(plan.Bodies), err)
	}
	silent := []string{"normalize", "embedding_types"} // with the values that they have unasked
	for _, l := range losses {
		silent = append(silent, l.Feature)
	}
	if d := differ(without(r.Request, silent), without(plan.Bodies[0], silent)); d != "" {
		return "request: " + d
	}
	counted, _ := strconv.ParseInt(r.Header.Get(dialect.InvokeTokenHeader), 10, 64)
	reply, err := family.Reply(model, plan, []dialect.EmbedAnswer{{Body: r.Body, Tokens: counted}})
	if err != nil {
		return err.Error()
	}
	var tap dialect.Tap
	dialect.For(llm.Embeddings).TapReply(&tap, reply)
	if tap.Usage.Input == 0 || tap.Usage.Input != counted {
		return fmt.Sprintf("%d tokens of %d", tap.Usage.Input, counted)
	}
	back, tokens, err := family.InvokeReply(reply)
	if err != nil || tokens != counted {
		return fmt.Sprintf("back: %d tokens, %v", tokens, err)
	}
	return differVectors(r.Body, back)
}

// without is an object without some members.
func without(body []byte, names []string) []byte {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return body
	}
	for _, n := range names {
		delete(members, n)
	}
	out, _ := json.Marshal(members)
	return out
}

// differVectors compares the vectors of two answers alone.
func differVectors(a, b []byte) string {
	var x, y struct {
		Embedding  json.RawMessage `json:"embedding"`
		Embeddings json.RawMessage `json:"embeddings"`
	}
	if err := json.Unmarshal(a, &x); err != nil {
		return err.Error()
	}
	if err := json.Unmarshal(b, &y); err != nil {
		return err.Error()
	}
	if !bytes.Equal(x.Embedding, y.Embedding) || !bytes.Equal(bytes.Join(bytes.Fields(x.Embeddings), nil), bytes.Join(bytes.Fields(y.Embeddings), nil)) {
		return "the vectors differ"
	}
	return ""
}
