package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tailplane/internal/ledger"
)

// titan answers each text, which is a number, with that number, later for
// smaller ones. It refuses those that refused says.
type titan struct {
	busy, most, asked atomic.Int64
	refused           func(n int) bool
}

func (s *titan) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	busy := s.busy.Add(1)
	defer s.busy.Add(-1)
	for most := s.most.Load(); busy > most && !s.most.CompareAndSwap(most, busy); most = s.most.Load() {
	}
	var body struct{ InputText string }
	_ = json.NewDecoder(r.Body).Decode(&body)
	var n int
	_, _ = fmt.Sscan(body.InputText, &n)
	time.Sleep(time.Duration(100-n) * time.Millisecond)
	w.Header().Set("Content-Type", "application/json")
	if s.refused != nil && s.refused(n) {
		w.Header().Set("X-Amzn-Errortype", "ModelErrorException")
		w.WriteHeader(http.StatusFailedDependency)
		_, _ = w.Write([]byte(`{"message":"no"}`))
		return
	}
	_, _ = fmt.Fprintf(w, `{"embedding":[%d],"inputTextTokenCount":2}`, n)
}

func (s *titan) serve(r *rig) {
	server := &http.Server{Handler: s}
	l := r.net.Listen("br")
	r.running.Go(func() { _ = server.Serve(l) })
	r.closers = append(r.closers, func() {
		r.client.CloseIdle()
		_ = server.Shutdown(context.Background())
	})
}

const titanConfig = `
targets:
  br: {kind: bedrock, url: "http://br", region: us-east-1}
models:
  m: {route: ["br/amazon.titan-embed-text-v2:0"]}
retry: {attempts: 1}
keys: {required: false}
`

// embed asks for the vectors of the numbers below n.
func (r *rig) embed(ctx context.Context, n int) *httptest.ResponseRecorder {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf("%q", fmt.Sprint(i))
	}
	w := httptest.NewRecorder()
	body := `{"model":"m","input":[` + strings.Join(texts, ",") + `]}`
	req := httptest.NewRequest(http.MethodPost, "/v1/embeddings", strings.NewReader(body)).WithContext(ctx)
	req.Host = "127.0.0.1:4600"
	r.gateway.ServeHTTP(w, req)
	return w
}

func TestPiecesOfARequestKeepTheirOrder(t *testing.T) {
	bubble(t, titanConfig, func(t *testing.T, r *rig) {
		s := &titan{}
		s.serve(r)
		w := r.embed(t.Context(), 20)
		var got struct {
			Data []struct {
				Index     int
				Embedding []int
			}
			Usage struct {
				PromptTokens int `json:"prompt_tokens"`
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.Data) != 20 || got.Usage.PromptTokens != 40 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for i, d := range got.Data {
			if d.Index != i || d.Embedding[0] != i {
				t.Errorf("vector %d is %+v", i, d)
			}
		}
		if most := s.most.Load(); most < 2 || most > 8 {
			t.Errorf("%d were asked at once", most)
		}
	})
}

func TestAPieceThatFailsEndsTheOthers(t *testing.T) {
	bubble(t, titanConfig, func(t *testing.T, r *rig) {
		s := &titan{refused: func(n int) bool { return n == 20 }}
		s.serve(r)
		w := r.embed(t.Context(), 60)
		if w.Code/100 != 5 || !strings.Contains(w.Body.String(), `"no"`) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if n := s.asked.Load(); n >= 60 {
			t.Errorf("%d were asked", n)
		}
		if ex := r.records(); len(ex) != 1 || ex[0].Outcome != ledger.OutcomeFailed || ex[0].Attempts[0].Fault == "" || ex[0].Attempts[0].Status != http.StatusFailedDependency ||
			ex[0].Usage.Input == 0 || ex[0].Usage.Source != "tapped" {
			t.Errorf("%+v", ex)
		}
	})
}

func TestAClientThatLeavesEndsItsPieces(t *testing.T) {
	bubble(t, titanConfig, func(t *testing.T, r *rig) {
		s := &titan{}
		s.serve(r)
		ctx, leave := context.WithTimeout(t.Context(), 150*time.Millisecond)
		defer leave()
		r.embed(ctx, 60)
		if n := s.asked.Load(); n >= 60 {
			t.Errorf("%d were asked", n)
		}
	})
}
