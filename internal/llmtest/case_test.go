package llmtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const caseText = `A case.
-- config --
targets: {}
-- client.request --
POST /v1/x

{"a":1}
-- client.response --
HTTP 200 @took 1s 2s
x-request-id: {{id}}
!retry-after

one {{any}} two
-- client.response.2 --
HTTP 200

@json
{"a": [1, "{{any}}"]}
`

func loadText(t *testing.T, text string) (*Case, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "case.txtar")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path)
}

// TestExpectationsAreMetOrNot: a runner that lets everything pass would be worse
// than none.
func TestExpectationsAreMetOrNot(t *testing.T) {
	c, err := loadText(t, caseText)
	if err != nil {
		t.Fatal(err)
	}
	id := "req_" + strings.Repeat("0", 26)
	header := func(pairs ...string) map[string][]string {
		out := map[string][]string{}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i]] = []string{pairs[i+1]}
		}
		return out
	}
	cases := []struct {
		name    string
		section string
		status  string
		header  map[string][]string
		body    string
		met     bool
	}{
		{"as described", "client.response", "HTTP 200", header("X-Request-Id", id), "one and two\n", true},
		{"without the last newline", "client.response", "HTTP 200", header("X-Request-Id", id), "one and two", true},
		{"another status", "client.response", "HTTP 500", header("X-Request-Id", id), "one and two\n", false},
		{"no id", "client.response", "HTTP 200", header(), "one and two\n", false},
		{"no id but a word", "client.response", "HTTP 200", header("X-Request-Id", "x"), "one and two\n", false},
		{"a header too many", "client.response", "HTTP 200", header("X-Request-Id", id, "Retry-After", "1"), "one and two\n", false},
		{"another body", "client.response", "HTTP 200", header("X-Request-Id", id), "one and three\n", false},
		{"a longer body", "client.response", "HTTP 200", header("X-Request-Id", id), "one and two\nthree\n", false},
		{"the same JSON", "client.response.2", "HTTP 200", nil, `{ "a":[1,"x"]}`, true},
		{"a member more", "client.response.2", "HTTP 200", nil, `{"a":[1,"x"],"b":2}`, false},
		{"an element less", "client.response.2", "HTTP 200", nil, `{"a":[1]}`, false},
		{"no JSON", "client.response.2", "HTTP 200", nil, `{"a":[1`, false},
	}
	for _, x := range cases {
		if err := c.Expect(x.section, x.status, x.header, []byte(x.body)); (err == nil) != x.met {
			t.Errorf("%s: %v", x.name, err)
		}
	}
	if low, high, ok := c.Took(1); !ok || low.Seconds() != 1 || high.Seconds() != 2 {
		t.Errorf("took %v to %v, %v", low, high, ok)
	}
}

func TestACaseThatNobodyUnderstandsIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"an unknown section": "-- config --\na: 1\n-- client.respond --\n",
		"no config":          "-- client.request --\nGET /\n",
	} {
		if _, err := loadText(t, text); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, text := range []string{"HTTP/1.1 200\n\n", "HTTP 200\n\n@pause 1s\n", "@delay soon\nHTTP 200\n\n"} {
		if _, err := ParseReply(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}
