package sim

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"net/http"
)

// embeddingRequest is what the simulator reads of an embedding request.
type embeddingRequest struct {
	Model      string          `json:"model"`
	Input      json.RawMessage `json:"input"`
	Dimensions *int            `json:"dimensions"`
	Format     string          `json:"encoding_format"`
}

const (
	defaultDimensions = 384
	maxDimensions     = 4096
	maxInputs         = 2048
)

type embedding struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"`
}

// embeddings answers with one unit vector per input, a function of the input
// alone. The inputs are prefilled as one request without output.
func (s *Server) embeddings(w http.ResponseWriter, r *http.Request) {
	var q embeddingRequest
	err := s.read(w, r, &q)
	var m *model
	if err == nil {
		m, err = s.lookup(q.Model)
	}
	var inputs []input
	if err == nil {
		inputs, err = q.check()
	}
	if err != nil {
		writeError(w, err)
		return
	}
	seq := &sequencer{size: m.Profile.BlockSize}
	for _, in := range inputs {
		in.sequence(seq)
	}
	g := &generation{model: m, finish: reasonStop, req: Request{Prompt: seq.tokens, Hashes: seq.hashes}}
	s.embed(w, r, g, q.answer(inputs, seq.tokens))
}

func (q *embeddingRequest) check() ([]input, error) {
	inputs, err := parseInputs(q.Input, "input")
	switch {
	case err != nil:
		return nil, err
	case len(inputs) > maxInputs:
		return nil, badRequest("input", "input has %d texts: at most %d.", len(inputs), maxInputs)
	case q.Dimensions != nil && (*q.Dimensions < 1 || *q.Dimensions > maxDimensions):
		return nil, badRequest("dimensions", "dimensions must be between 1 and %d, got %d.", maxDimensions, *q.Dimensions)
	case q.Format != "" && q.Format != "float" && q.Format != "base64":
		return nil, badRequest("encoding_format", "encoding_format must be float or base64, got %q.", q.Format)
	}
	return inputs, nil
}

// answer is the response body.
func (q *embeddingRequest) answer(inputs []input, tokens int) any {
	size := defaultDimensions
	if q.Dimensions != nil {
		size = *q.Dimensions
	}
	data := make([]embedding, len(inputs))
	for i, in := range inputs {
		seq := &sequencer{size: math.MaxInt}
		in.sequence(seq)
		v := unitVector(seq.hash, size)
		data[i] = embedding{Object: "embedding", Index: i, Embedding: v}
		if q.Format == "base64" {
			data[i].Embedding = encodeVector(v)
		}
	}
	return map[string]any{
		"object": "list", "data": data, "model": q.Model,
		"usage": map[string]int{"prompt_tokens": tokens, "total_tokens": tokens},
	}
}

// unitVector is a point on the unit sphere drawn from the seed.
func unitVector(seed uint64, size int) []float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	v := make([]float64, size)
	var norm float64
	for i := range v {
		v[i] = rng.NormFloat64()
		norm += v[i] * v[i]
	}
	norm = math.Sqrt(norm)
	out := make([]float32, size)
	for i := range v {
		out[i] = float32(v[i] / norm)
	}
	return out
}

// encodeVector is base64 of little-endian 32-bit floats.
func encodeVector(v []float32) string {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(b)
}

// embed waits for the prefill and answers.
func (s *Server) embed(w http.ResponseWriter, r *http.Request, g *generation, body any) {
	f, err := s.pickFault(r, g.model)
	if err != nil {
		writeError(w, err)
		return
	}
	if answered := s.playEarly(w, r, f, g); answered {
		return
	}
	j := g.job(s.ids.Add(1))
	if err := s.start(r.Context(), j); err != nil {
		if r.Context().Err() == nil {
			writeError(w, err)
		}
		return
	}
	defer s.cancel(j, reasonAbort)
	for !j.done.Load() {
		if !s.awaitToken(r, j) {
			s.endEarly(r)
			return
		}
	}
	s.playWhole(w, r, f, appendJSON(nil, body))
}
