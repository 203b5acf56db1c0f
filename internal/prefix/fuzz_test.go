package prefix_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tailplane/internal/llmtest/corpus"
	"tailplane/internal/prefix"
)

// checkBody holds FromBody to what it says about any body, and returns the
// chain.
func checkBody(t *testing.T, body []byte) *prefix.Chain {
	t.Helper()
	c := fromBody(body)
	end := 0
	for i, m := range c.Marks {
		if m.End <= end || m.End > c.Bytes {
			t.Fatalf("mark %d at %d behind %d, of %d bytes", i, m.End, end, c.Bytes)
		}
		end = m.End
	}
	if c.Bytes-end >= 1024 && end < 2<<20 {
		t.Fatalf("no mark behind %d of %d bytes", end, c.Bytes)
	}
	if !json.Valid(body) || bytes.TrimLeft(body, " \t\r\n")[0] != '{' {
		return c
	}
	var spaced bytes.Buffer
	if err := json.Indent(&spaced, body, "\n", "\t "); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, fromBody(spaced.Bytes()), sameChain, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("with white space: %s", diff)
	}
	return c
}

func FuzzFromBody(f *testing.F) {
	for _, body := range []string{
		"", " ", "null", `"text"`, "[1, 2]", "{", "}", "{}", `{"`, `{"messages"`, `{"messages":`, `{"messages"}`, `{"messages":}`,
		`{"messages":[{"role":"user","content":"a"}]}`, `{"messages":[{"role":"user","content":"a`, `{"messages":[{]}]`,
		`{"messages":[{"role"}]}`, `{"messages":[{1:2,"a":3}]}`, `{"messages":[{"cachePoint":{}},{"cache_control":1,"cachePoint":2}]}`,
		`{"input":"a\\\"b"}`, `{"input":["a",["b"],{}, { }]}`, `{"prompt":[1,2,3],"x":[1, 2 ,3]} tail`, `{"a":1 "b" c`, `{"a":[[[]]],"b":{"c":{}}}`,
		`{"contents":[{"parts":[{"text":"a"},{"inlineData":{"data":"QUJD"}}]}]}`, `{"tools":[ {"a": "b c"} ],"system":[{"text":"x","cache_control":{}}]}`,
		`{"messages":` + string(bytes.Repeat([]byte(`[{"a":`), 100)),
		`{"messages":[` + string(bytes.Repeat([]byte("["), 80)) + string(bytes.Repeat([]byte(" ]"), 80)) + `]}`,
	} {
		f.Add([]byte(body))
	}
	f.Add(bodies[0].body)
	f.Fuzz(func(t *testing.T, body []byte) { checkBody(t, body) })
}

// TestCorpusOfBodies: what clients really send has a chain that white space does
// not change, and a lane if it has a user.
func TestCorpusOfBodies(t *testing.T) {
	if raceDetector {
		t.Skip("one goroutine computes for long: there is nothing to race with")
	}
	dir, ok := corpus.Dir()
	if !ok {
		t.Skip("no recordings: set TAILPLANE_CORPUS, or put them at ../shared/corpus beside the repository")
	}
	recordings, _, err := corpus.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	looked, lanes := 0, 0
	for _, r := range recordings {
		if len(r.Request) == 0 {
			continue
		}
		looked++
		if checkBody(t, r.Request).Lane != 0 {
			lanes++
		} else if asksAsUser(r.Request) {
			t.Errorf("%s has a user and no lane", r.Name())
		}
	}
	t.Logf("%d bodies, %d with a lane", looked, lanes)
	if looked == 0 {
		t.Error("no bodies")
	}
}

// asksAsUser reports whether a body is a chat with a user in it; a batch of
// such is none.
func asksAsUser(body []byte) bool {
	var chat struct {
		Messages []struct{ Role string }
	}
	if json.Unmarshal(body, &chat) != nil {
		return false
	}
	return slices.ContainsFunc(chat.Messages, func(m struct{ Role string }) bool { return m.Role == "user" })
}
