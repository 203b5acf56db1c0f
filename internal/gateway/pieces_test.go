package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tailplane/internal/llmtest"
)

// A long body that is spliced is sent in pieces where nobody looks at the whole. What
// arrives is the same for every place of the model, at every attempt and in every lane
// that edits it once more.
func TestLongBodiesArriveAsTheyWereSpliced(t *testing.T) {
	const config = `
targets:
  a: {kind: vllm, url: "http://a"}
  b: {kind: vllm, url: "http://b", quirks: [{models: [y], refuses: [seed]}]}
  c: {kind: anthropic, url: "http://c", key: "env:PROVIDER_KEY"}
  d: {kind: vllm, url: "http://d"}
models: {m: {route: [a/x], fallback: [c/claude-haiku-4-5, b/y, d/z], retry: {attempts: 4}}}
keys: {required: false}
`
	setSecrets(t)
	long := strings.Repeat("lift and weight, ", 2000)
	for _, form := range []string{
		`{"model":%[1]s,"seed":1,"messages":[{"role":"user","content":%[2]q}]}`,
		`{"messages":[{"role":"user","content":%[2]q}],"seed":1,"model":%[1]s}`,
		`{"messages":[{"role":"user","content":%[2]q}],"seed":1,"model":%[1]s,"metadata":{"a":%[2]q}}`,
	} {
		bubble(t, config, func(t *testing.T, r *rig) {
			fail := reply(t, failScript)
			hosts := map[string]*llmtest.Upstream{"a": r.host("a", fail), "b": r.host("b", fail), "c": r.host("c", fail), "d": r.host("d", reply(t, okScript))}
			if w := r.post(fmt.Sprintf(form, `"m"`, long)); w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			for host, want := range map[string]string{
				"a": fmt.Sprintf(form, `"x"`, long), "b": strings.Replace(fmt.Sprintf(form, `"y"`, long), `"seed":1,`, "", 1), "d": fmt.Sprintf(form, `"z"`, long),
			} {
				for _, heard := range hosts[host].Heard() {
					if got := string(heard.Body); got != want {
						t.Errorf("%s heard %d bytes, want %d: %.80s ... %s", host, len(got), len(want), got, got[max(0, len(got)-80):])
					}
				}
				if len(hosts[host].Heard()) == 0 {
					t.Errorf("%s was not asked", host)
				}
			}
			if heard := hosts["c"].Heard(); len(heard) == 0 || !strings.HasPrefix(string(heard[0].Body), `{"model":"claude-haiku-4-5","max_tokens":`) || !strings.Contains(string(heard[0].Body), long) {
				t.Errorf("c heard %.200s", heard)
			}
		})
	}
}
