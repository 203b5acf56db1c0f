package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/llmtest"
	"tailplane/internal/upstream"
)

// TestChaos injects every fault at every phase into every kind of provider, for
// each dialect that it converses in, streamed and whole, spliced and translated;
// where nothing else can help, where another target can, and where the same one
// can. Each cell has a target of its own, so that no cell cools another one down.
func TestChaos(t *testing.T) {
	setSecrets(t)
	if _, err := prices(); err != nil {
		t.Fatal(err)
	}
	cells, kinds := 0, map[string]bool{}
	for _, k := range chaosKinds() {
		kinds[k.kind.Name] = true
		for _, client := range k.clients() {
			for _, stream := range []bool{true, false} {
				batch := chaosBatch{kind: k, client: client, stream: stream}
				t.Run(batch.name(), func(t *testing.T) { cells += batch.run(t) })
			}
		}
	}
	t.Logf("chaos: %d cells ran (%d kinds, %d faults)", cells, len(kinds), len(refusals)+len(breakages))
}

// chaosKind is a kind of provider in one of the dialects that it converses in.
type chaosKind struct {
	kind    *upstream.Kind
	dialect llm.Dialect
}

// chaosKinds is all there are.
func chaosKinds() []chaosKind {
	var out []chaosKind
	for _, k := range upstream.Kinds() {
		for _, d := range slices.Concat(k.Dialects, k.Others) {
			if _, converses := voices[d]; converses {
				out = append(out, chaosKind{k, d})
			}
		}
	}
	return out
}

// voice is how it answers.
func (k chaosKind) voice() voice {
	if e := k.kind.Envelopes[k.dialect]; e != nil && e.Chunk != "" {
		return chunked
	}
	return voices[k.dialect]
}

// family is whose envelope its refusals come in.
func (k chaosKind) family() string {
	switch {
	case k.kind.Name == "bedrock":
		return "aws"
	case k.dialect == llm.Anthropic:
		return "anthropic"
	case k.dialect == llm.Gemini:
		return "google"
	}
	return "openai"
}

// clients are the dialects of those who call it: its own, whose bytes are passed
// on, and the others, which are translated. The race detector is slow, and gets
// along with one of those.
func (k chaosKind) clients() []llm.Dialect {
	out := []llm.Dialect{k.dialect}
	for _, d := range slices.Sorted(maps.Keys(voices)) {
		if d != k.dialect && (len(out) < 2 || !raceEnabled) {
			out = append(out, d)
		}
	}
	return out
}

// model is one that it serves in the dialect.
func (k chaosKind) model() string {
	switch k.dialect {
	case llm.Anthropic:
		return "anthropic.claude-x"
	case llm.Chat:
		return "openai.x"
	}
	return "x"
}

// chaosBatch is the cells that share a gateway.
type chaosBatch struct {
	kind   chaosKind
	client llm.Dialect
	stream bool
}

func (b chaosBatch) name() string {
	shape := "whole"
	if b.stream {
		shape = "stream"
	}
	return fmt.Sprintf("%s/%s/%s/%s", b.kind.kind.Name, b.kind.dialect, b.client, shape)
}

// Who can help in a cell.
const (
	nobody  = "nobody"  // there is one target, and it stays ill
	another = "another" // the next target is well
	itself  = "itself"  // the target is well when it is asked again
)

// chaosCell is one request that meets one fault.
type chaosCell struct {
	fault  string
	script string
	want   want
	help   string
	model  string // which is the name of its host and target, too
}

// cells is what there is to try.
func (b chaosBatch) cells() []chaosCell {
	var out []chaosCell
	add := func(fault, script string, w want) {
		if w.kind == "" {
			return
		}
		for _, help := range []string{nobody, another, itself} {
			if help == itself && (w.retry != llm.RetrySame || w.broken || w.phase == llm.PhaseConnect) {
				continue
			}
			out = append(out, chaosCell{fault, script, w, help, strings.ReplaceAll(fault, " ", "-") + "." + help})
		}
	}
	for _, r := range refusals {
		add(r.name, r.script(b.kind), b.kind.reacts(r.name, r.want))
	}
	for _, r := range breakages {
		w := r.whole
		if b.stream {
			w = r.streamed
		}
		add(r.name, r.script(b.kind.voice(), b.stream), b.kind.reacts(r.name, w))
	}
	return out
}

// config is a target and a model for each cell, and one target that is well.
func (b chaosBatch) config(cells []chaosCell) string {
	var targets, models strings.Builder
	place := ""
	if b.kind.kind.Needs.Has(upstream.MemberRegion) {
		place += ", region: us-east-1"
	}
	if b.kind.kind.Needs.Has(upstream.MemberProject) {
		place += ", project: p"
	}
	for _, c := range cells {
		fmt.Fprintf(&targets, "  %s: {kind: %s, url: \"http://%s\", key: env:PROVIDER_KEY, dialects: [%s]%s}\n", c.model, b.kind.kind.Name, c.model, b.kind.dialect, place)
		fallback := ""
		if c.help == another {
			fallback = ", fallback: [well/x]"
		}
		fmt.Fprintf(&models, "  %s: {route: [%s/%s]%s}\n", c.model, c.model, b.kind.model(), fallback)
	}
	return "targets:\n  well: {kind: openai-compatible, url: \"http://well\"}\n" + targets.String() + "models:\n" + models.String() + chaosRules
}

const chaosRules = `
timeouts: {connect: 1s, first_token: 3s, idle: 2s, total: 20s}
retry: {attempts: 2, backoff: 100ms, max_wait: 5s}
keys: {required: false}
`

// run tries every cell and returns how many there were.
func (b chaosBatch) run(t *testing.T) int {
	cells := b.cells()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, b.config(cells), nil)
		r.host("well", reply(t, voices[llm.Chat].well(b.stream)))
		hosts := make([]*llmtest.Upstream, len(cells))
		for i, c := range cells {
			replies := []*llmtest.Reply{reply(t, c.script)}
			if c.help == itself {
				replies = append(replies, reply(t, b.kind.voice().well(b.stream)))
			}
			hosts[i] = r.host(c.model, replies...)
		}
		r.serve(r.net.Listen("gateway"))
		answers := make([]answer, len(cells))
		for i, c := range cells {
			answers[i] = b.call(r, c)
		}
		r.stop() // and nothing is in flight
		records := map[string]*ledger.Exchange{}
		for _, ex := range r.recordsAfterStop() {
			if records[ex.Model] != nil {
				t.Errorf("%s: settled twice", ex.Model)
			}
			records[ex.Model] = ex
		}
		if len(records) != len(cells) {
			t.Errorf("%d exchanges are settled, %d were made", len(records), len(cells))
		}
		for i, c := range cells {
			ex := records[c.model]
			problems := append(c.checkRecord(ex), b.checkAnswer(c, answers[i], ex)...)
			if problem := b.checkHost(c, hosts[i], ex); problem != "" {
				problems = append(problems, problem)
			}
			for _, problem := range problems {
				t.Errorf("%s: %s\n%s\n%d %v %v\n%q", c.model, problem, asJSON(t, ex), answers[i].status, answers[i].header, answers[i].err, answers[i].body)
			}
		}
	})
	return len(cells)
}

// call makes the cell's request.
func (b chaosBatch) call(r *rig, c chaosCell) answer {
	conn, err := r.net.Dial(context.Background(), "tcp", "gateway:80")
	if err != nil {
		return answer{err: err}
	}
	defer conn.Close()
	path, body := b.request(c.model)
	if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body); err != nil {
		return answer{err: err}
	}
	return readAnswer(conn)
}

// request is a small one in the client's dialect.
func (b chaosBatch) request(model string) (path, body string) {
	named := fmt.Sprintf(`{"model":%q,"stream":%v,`, model, b.stream)
	switch b.client {
	case llm.Anthropic:
		return "/v1/messages", named + `"max_tokens":9,"messages":[{"role":"user","content":"hi"}]}`
	case llm.Responses:
		return "/v1/responses", named + `"input":"hi"}`
	case llm.Gemini:
		verb := ":generateContent"
		if b.stream {
			verb = ":streamGenerateContent?alt=sse"
		}
		return "/v1beta/models/" + model + verb, `{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}`
	case llm.Converse:
		verb := "/converse"
		if b.stream {
			verb = "/converse-stream"
		}
		return "/model/" + model + verb, `{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`
	}
	return "/v1/chat/completions", named + `"messages":[{"role":"user","content":"hi"}]}`
}

// expected is why each attempt is made, and how the exchange ends.
func (c chaosCell) expected() (whys []string, outcome ledger.Outcome) {
	w := c.want
	whys, outcome = []string{"first"}, ledger.OutcomeFailed
	switch {
	case w.broken:
		return whys, ledger.OutcomeBroken
	case w.retry == llm.RetryNever:
		return whys, outcome
	case w.retry == llm.RetrySame && (w.after == 0 || c.help != another): // a demanded wait is left for who can be asked sooner
		whys = append(whys, "retry")
	}
	switch c.help {
	case another:
		return append(whys, "fallback"), ledger.OutcomeOK
	case itself:
		return whys, ledger.OutcomeOK
	}
	return whys, outcome
}

// checkRecord compares the settled exchange with the documented reaction.
func (c chaosCell) checkRecord(ex *ledger.Exchange) (problems []string) {
	if ex == nil {
		return []string{"nothing is settled"}
	}
	fail := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	whys, outcome := c.expected()
	var got []string
	for _, a := range ex.Attempts {
		got = append(got, a.Why)
	}
	if ex.Outcome != outcome || !slices.Equal(got, whys) {
		fail("attempts %v are %s, want %v %s", got, ex.Outcome, whys, outcome)
	}
	if len(ex.Attempts) == 0 {
		return problems
	}
	a := ex.Attempts[0]
	if a.Fault != c.want.kind || a.Phase != c.want.phase || a.Retry != c.want.retry || a.After != c.want.after {
		fail("the fault is %s at %s, %s after %v, want %+v", a.Fault, a.Phase, a.Retry, a.After, c.want)
	}
	if len(ex.Attempts) > 1 && got[1] == "retry" && ex.Attempts[1].Waited < c.want.after {
		fail("asked again after %v, the target demands %v", ex.Attempts[1].Waited, c.want.after)
	}
	status := 200
	if outcome == ledger.OutcomeFailed {
		status = statusOf[c.want.kind]
	}
	told := c.want.kind
	if outcome == ledger.OutcomeOK {
		told = ""
	}
	if ex.Status != status || ex.Fault != told {
		fail("the client is told %d %q, want %d %q", ex.Status, ex.Fault, status, told)
	}
	if bytes.Contains(mustJSON(ex), []byte(providerKey)) {
		fail("the record holds the key")
	}
	return problems
}

func mustJSON(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

// checkHost looks at what the ill target was asked: as often as the ledger says,
// in the lane that the cell is about.
func (b chaosBatch) checkHost(c chaosCell, u *llmtest.Upstream, ex *ledger.Exchange) string {
	if ex == nil || len(ex.Attempts) == 0 {
		return ""
	}
	asked := 0
	for _, a := range ex.Attempts {
		if a.Target == c.model && a.Phase != llm.PhaseConnect {
			asked++
		}
	}
	lane := "translate"
	if b.client == b.kind.dialect {
		lane = "splice"
	}
	if n := len(u.Heard()); n != asked || ex.Attempts[0].Lane != lane {
		return fmt.Sprintf("asked %d times in lane %s, want %d times in lane %s", n, ex.Attempts[0].Lane, asked, lane)
	}
	return ""
}

// checkAnswer looks at what the client read.
func (b chaosBatch) checkAnswer(c chaosCell, a answer, ex *ledger.Exchange) (problems []string) {
	fail := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	_, outcome := c.expected()
	if a.err != nil {
		fail("the answer did not end as HTTP says")
	}
	if ex != nil && a.status != ex.Status {
		fail("the client got %d, the ledger says %d", a.status, ex.Status)
	}
	if bytes.Contains(a.body, []byte(providerKey)) {
		fail("the client got the key")
	}
	if outcome == ledger.OutcomeFailed {
		if !isError(b.client, a) {
			fail("this is no error of %s", b.client)
		}
		if c.want.kind == llm.FaultCredential && !bytes.Contains(a.body, []byte("refused the gateway's credential")) {
			fail("the client is told the provider's words about a credential that is not its own")
		}
		if want := int(c.want.after / time.Second); want > 0 && a.header.Get("Retry-After") != fmt.Sprint(want) {
			fail("the client is told to wait %q seconds, want %d", a.header.Get("Retry-After"), want)
		}
		return problems
	}
	first, last := bytes.Contains(a.body, []byte(firstWord)), bytes.Contains(a.body, []byte(lastWord))
	ended, broken := json.Valid(a.body) && !isError(b.client, a), false
	if b.stream {
		ended, broken = endOf(b.client, a.body)
	}
	ok := outcome == ledger.OutcomeOK
	if !first || last != ok || ended != ok || broken == ok {
		fail("first word %v, last word %v, ended %v, broken %v when the outcome is %s", first, last, ended, broken, outcome)
	}
	return problems
}

// isError reports whether an answer is an error in a dialect.
func isError(d llm.Dialect, a answer) bool {
	var body struct {
		Type, Message string
		Error         struct {
			Type, Message, Status string
			Code                  any
		}
	}
	if json.Unmarshal(a.body, &body) != nil || a.header.Get("Content-Type") != "application/json" {
		return false
	}
	e := body.Error
	switch d {
	case llm.Anthropic:
		return body.Type == "error" && e.Type != "" && e.Message != ""
	case llm.Gemini:
		return e.Code == float64(a.status) && e.Status != "" && e.Message != ""
	case llm.Converse:
		return body.Message != "" && strings.HasSuffix(a.header.Get("X-Amzn-Errortype"), "Exception")
	}
	return e.Type != "" && e.Message != "" && e.Code != nil
}

// endOf reports whether a stream ends as complete ones of its dialect do, and
// whether it ends with an error. One that does neither is truncated; each event
// must be whole.
func endOf(d llm.Dialect, body []byte) (ended, broken bool) {
	if d == llm.Converse {
		lines := strings.Split(strings.TrimSpace(string(llmtest.Frames(body))), "\n")
		last := lines[len(lines)-1]
		return strings.HasPrefix(last, "@frame metadata"), strings.HasPrefix(last, "@exception")
	}
	text := strings.ReplaceAll(string(body), "\r\n", "\n")
	events := strings.Split(strings.TrimSuffix(text, "\n\n"), "\n\n")
	if !strings.HasSuffix(text, "\n\n") {
		return false, false
	}
	var last struct {
		Type       string
		Error      json.RawMessage
		Candidates []struct{ FinishReason string }
	}
	for i, e := range events {
		_, data, found := strings.Cut("\n"+e, "\ndata: ")
		if data == "[DONE]" && d == llm.Chat && i == len(events)-1 {
			return true, false
		}
		last.Type, last.Error, last.Candidates = "", nil, nil
		if !found || json.Unmarshal([]byte(data), &last) != nil {
			return false, false
		}
		if last.Error != nil && i < len(events)-1 {
			return false, false
		}
	}
	switch d {
	case llm.Anthropic:
		return last.Type == "message_stop", last.Type == "error"
	case llm.Responses:
		return last.Type == "response.completed", last.Type == "error" || last.Type == "response.failed"
	case llm.Gemini:
		return len(last.Candidates) == 1 && last.Candidates[0].FinishReason != "", last.Error != nil
	}
	return false, last.Error != nil
}
