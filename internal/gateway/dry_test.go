package gateway_test

import (
	"fmt"
	"hash/maphash"
	"maps"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tailplane/internal/complexity"
	"tailplane/internal/h1"
	"tailplane/internal/meter"
	"tailplane/internal/policy"
)

// dryConfig has something of everything that a request could move.
const dryConfig = `
targets:
  a: {kind: vllm, url: "http://a"}
  b: {kind: vllm, url: "http://b", limits: {in_flight: 1}}
  c: {kind: vllm, url: "http://c"}
  p: {kind: vllm, url: "http://p"}
models:
  m: {pool: [a, b, c], served_as: x}
  turns: {pool: [a, b, c], served_as: y, policy: round_robin}
  stays: {pool: [a, b, c], served_as: z, policy: smetric}
  sql: {pool: [a, b], served_as: sql-lora, adapter_of: x}
  split: {pool: [a, b], served_as: w, prefill: {pool: [p], convention: llm-d, threshold: 1}}
  judged: {complexity: {file: TRAINED.tpc, weak: a/small, strong: b/large, strong_share: 0.4}, outcomes: true}
rules: [{name: ruled, when: 'model == "stays" && bytes > 2000', policy: p2c, only: [a, b]}]
keys: {required: false, static: [{name: k, key: env:CLIENT_KEY, may_route: true}]}
`

// TestExplainChangesNothing: whatever is asked, in any way, of what was used before
// and of what was not, all that the gateway knows is afterwards as it was.
func TestExplainChangesNothing(t *testing.T) {
	setSecrets(t)
	bubble(t, withTrained(t, dryConfig), func(t *testing.T, r *rig) {
		for _, name := range []string{"a", "b", "c", "p"} {
			r.host(name, reply(t, streamWhole))
		}
		body := func(model, more string) string {
			return `{"model":"` + model + `","stream":true` + more + `,"messages":[{"role":"user","content":"please tell me the time"}]}`
		}
		for _, model := range []string{"m", "turns", "judged", "b/other"} {
			if w := r.post(body(model, "")); w.Code != http.StatusOK {
				t.Fatalf("%s: %d %s", model, w.Code, w.Body)
			}
		}
		time.Sleep(10 * time.Second)
		long := strings.Repeat(" prove lemma derive bound", 200)
		bodies := []string{
			body("m", `,"provider":{"sort":"price","ignore":["c"]}`), body("turns", `,"models":["m","c/made-up"]`), body("a/made-up", ""), body("nobody", ""),
			strings.Replace(body("stays", ""), "please", long, 1), strings.Replace(body("judged", ""), "please", long, 1), `{`,
		}
		for _, model := range []string{"m", "turns", "stays", "sql", "split", "judged"} {
			bodies = append(bodies, body(model, ""))
		}
		counted := scrape(r.metrics) // which looks for room in every queue
		before := everything(r)
		for _, b := range bodies {
			for i := range 100 {
				h := http.Header{"X-Session-Id": {fmt.Sprint(i % 7)}}
				e := r.gateway.Explain(t.Context(), r.gateway.Plane().Keys.Named("k"), "/v1/chat/completions", h, []byte(b))
				if (e.Refused != "") != (b == "{" || strings.Contains(b, "nobody")) {
					t.Fatalf("%s: %+v", b, e)
				}
			}
			for path, is := range everything(r) {
				if was, ok := before[path]; !ok || was != is {
					t.Fatalf("%.200s: changed %s", b, path)
				}
			}
		}
		for name, v := range scrape(r.metrics) {
			if was, ok := counted[name]; !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") && (!ok || was != v) {
				t.Errorf("%s is %v, was %v", name, v, was)
			}
		}
		if n := len(r.records()); n != 4 {
			t.Errorf("%d exchanges are recorded, and 4 were made", n)
		}
	})
}

// everything is a hash of each part of what a gateway knows, by its way from the plane.
func everything(r *rig) map[string]uint64 {
	s := &snapshot{seen: map[visit]bool{}, parts: map[string]uint64{}}
	s.walk("plane", reflect.ValueOf(r.gateway.Plane()))
	s.walk("groups", reflect.ValueOf(&r.groups))
	s.walk("fleet", reflect.ValueOf(r.fleet))
	s.walk("accounts", reflect.ValueOf(r.account))
	s.walk("estimates", reflect.ValueOf(r.learned))
	return maps.Clone(s.parts)
}

// snapshot walks values and everything behind their pointers.
type snapshot struct {
	seen  map[visit]bool
	parts map[string]uint64
}

type visit struct {
	at uintptr
	of reflect.Type
}

// notState are types that are no state of decisions: memory that is used again,
// connections, and a book that nothing writes to.
var notState = map[reflect.Type]bool{
	reflect.TypeFor[sync.Pool](): true, reflect.TypeFor[sync.Mutex](): true, reflect.TypeFor[h1.Client](): true,
	reflect.TypeFor[meter.Book](): true, reflect.TypeFor[complexity.Model](): true,
}

// scratch are fields that hold what the latest decision was worked out in.
func scratch(of reflect.Type, field string) bool {
	switch of.String() {
	case "route.Group":
		return field == "seen" || field == "known"
	case "route.room":
		return field == "seen"
	}
	return false
}

func (s *snapshot) walk(path string, v reflect.Value) {
	if !v.IsValid() || notState[v.Type()] || strings.HasSuffix(v.Type().PkgPath(), "/telemetry") {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || s.seen[visit{v.Pointer(), v.Type()}] {
			return
		}
		s.seen[visit{v.Pointer(), v.Type()}] = true
		s.walk(path, v.Elem())
	case reflect.Interface:
		s.walk(path, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; !scratch(v.Type(), name) {
				s.walk(path+"."+name, v.Field(i))
			}
		}
	case reflect.Slice, reflect.Array:
		s.note(path+".len", uint64(v.Len()))
		for i := range v.Len() {
			s.walk(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	case reflect.Map:
		s.note(path+".len", uint64(v.Len()))
		keys := map[string]reflect.Value{} // in order: what has two ways is seen by the same one each time
		for it := v.MapRange(); it.Next(); {
			name := fmt.Sprint(it.Key())
			if it.Key().Kind() == reflect.Pointer {
				name = fmt.Sprint(it.Key().Pointer())
			}
			keys[name] = it.Value()
		}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			s.walk(path+"["+key+"]", keys[key])
		}
	default:
		s.leaf(path, v)
	}
}

var leafSeed = maphash.MakeSeed()

func (s *snapshot) leaf(path string, v reflect.Value) {
	switch {
	case v.CanInt():
		s.note(path, uint64(v.Int()))
	case v.CanUint():
		s.note(path, v.Uint())
	case v.CanFloat():
		s.note(path, math.Float64bits(v.Float()))
	case v.Kind() == reflect.Bool:
		n := uint64(0)
		if v.Bool() {
			n = 1
		}
		s.note(path, n)
	case v.Kind() == reflect.String:
		s.note(path, maphash.String(leafSeed, v.String()))
	case v.Kind() == reflect.Chan:
		s.note(path+".len", uint64(v.Len()))
	}
}

func (s *snapshot) note(path string, n uint64) { s.parts[path] = n }

// TestTheFirstQuestionKnowsAllThatLaterOnesDo: prices are of the tokens that are
// expected, also where nothing was asked before.
func TestTheFirstQuestionKnowsAllThatLaterOnesDo(t *testing.T) {
	const config = `
targets:
  dear: {kind: vllm, url: "http://a", price: {input: "5", output: "50"}}
  cheap: {kind: vllm, url: "http://b", price: {input: "1", output: "10"}}
models: {m: {pool: [dear, cheap], served_as: x}}
keys: {required: false}
`
	bubble(t, config, func(t *testing.T, r *rig) {
		for range 3 {
			e := r.gateway.Explain(t.Context(), policy.Anonymous(), "/v1/chat/completions", http.Header{}, []byte(chatBody))
			if e.Refused != "" || len(e.Candidates) != 2 || e.Candidates[0].Terms.Cost < e.Candidates[1].Terms.Cost+1 {
				t.Errorf("%+v, %+v", e, e.Candidates[0].Terms)
			}
		}
	})
}
