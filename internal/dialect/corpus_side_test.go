package dialect_test

import (
	"strings"
	"testing"

	"tailplane/internal/dialect"
	"tailplane/internal/llmtest/corpus"
)

// TestCorpusGeminiCountsAndEmbeds reads every recorded exchange of Gemini's
// operations beside the conversation, and tells it to a client of OpenAI; and
// those of Bedrock's counts and Vertex' older vectors.
func TestCorpusGeminiCountsAndEmbeds(t *testing.T) {
	dir, ok := corpus.Dir()
	if !ok {
		t.Skip("no recordings: set TAILPLANE_CORPUS, or put them at ../shared/corpus beside the repository")
	}
	recordings, _, err := corpus.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	counts, embeds, predicts, images := 0, 0, 0, 0
	for i := range recordings {
		r := &recordings[i]
		if r.Request == nil || r.Status >= 400 {
			continue
		}
		switch {
		case strings.HasSuffix(r.Path, ":countTokens"):
			counts++
			if _, err := dialect.ReadCount(dialect.GeminiCodec{}, r.Request); err != nil {
				t.Errorf("%s: %v", r.Name(), err)
			}
			if n, err := (dialect.GeminiCodec{}).DecodeCountReply(r.Body); err != nil || n == 0 {
				t.Errorf("%s: %d %v", r.Name(), n, err)
			}
		case strings.HasSuffix(r.Path, "/count-tokens"):
			counts++
			call, err := dialect.ReadCount(dialect.ConverseCodec{}, r.Request)
			if err != nil {
				t.Errorf("%s: %v", r.Name(), err)
				continue
			}
			if _, _, err := (dialect.ConverseCodec{}).EncodeCount(nil, call); err != nil {
				t.Errorf("%s: %v", r.Name(), err)
			}
		case strings.HasSuffix(r.Path, ":predict"):
			if reply := (&dialect.EmbedReply{}); strings.Contains(r.Path, "text-embedding") {
				predicts++
				if err := dialect.DecodeVertexEmbedReply(reply, r.Body); err != nil || !reply.HasUsage {
					t.Errorf("%s: %v", r.Name(), err)
				}
			}
		case strings.HasSuffix(r.Path, "mbedContents") || strings.HasSuffix(r.Path, ":embedContent"):
			if strings.Contains(string(r.Request), "inline") { // vectors of images: OpenAI has none
				if _, err := dialect.DecodeGeminiEmbed(r.Request); err == nil {
					t.Errorf("%s: an image was taken for a text", r.Name())
				}
				images++
				continue
			}
			embeds++
			if d := embedTrip(r); d != "" {
				t.Errorf("%s: %s", r.Name(), d)
			}
		}
	}
	t.Logf("%d counts, %d requests for vectors, %d at Vertex, %d for vectors of images refused", counts, embeds, predicts, images)
}

// embedTrip says what is wrong with a request for vectors and its answer when
// both go to OpenAI's dialect and back.
func embedTrip(r *corpus.Recording) string {
	call, err := dialect.DecodeGeminiEmbed(r.Request)
	if err != nil {
		return err.Error()
	}
	call.Model = "m"
	reply, err := dialect.DecodeGeminiEmbedReply(r.Body)
	if err != nil {
		return err.Error()
	}
	if len(reply.Vectors) != len(call.Texts) {
		return "another number of vectors than of texts"
	}
	asked, _ := dialect.EncodeOpenAIEmbed(call)
	again, err := dialect.DecodeOpenAIEmbed(asked)
	if err != nil {
		return err.Error()
	}
	told, err := dialect.DecodeOpenAIEmbedReply(dialect.EncodeOpenAIEmbedReply(reply, again))
	if err != nil {
		return err.Error()
	}
	back := dialect.EncodeGeminiEmbedReply(told, call)
	if same, err := dialect.DecodeGeminiEmbedReply(back); err != nil || len(same.Vectors) != len(reply.Vectors) {
		return "the vectors did not come back"
	}
	for i := range reply.Vectors {
		if d := differ(reply.Vectors[i], told.Vectors[i]); d != "" {
			return d
		}
	}
	return ""
}
