package prefix_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tailplane/internal/prefix"
)

// object and list are JSON whose members can be written in any order; other
// values are written as encoding/json does, or as they are if raw.
type (
	object []field
	field  struct {
		name  string
		value any
	}
	list []any
	raw  string
)

// render writes a value; order and space are asked for, so that a test decides.
func render(b *strings.Builder, v any, order func(object) object, space func() string) {
	b.WriteString(space())
	switch v := v.(type) {
	case object:
		b.WriteString("{" + space())
		for i, f := range order(v) {
			if i > 0 {
				b.WriteString(space() + ",")
			}
			b.WriteString(space() + quoted(f.name) + space() + ":")
			render(b, f.value, order, space)
		}
		b.WriteString("}")
	case list:
		b.WriteString("[" + space())
		for i, e := range v {
			if i > 0 {
				b.WriteString(",")
			}
			render(b, e, order, space)
		}
		b.WriteString("]")
	case raw:
		b.WriteString(string(v))
	default:
		b.WriteString(quoted(v))
	}
	b.WriteString(space())
}

func quoted(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// plainly renders members in the order in which they stand.
func plainly(v any) []byte {
	var b strings.Builder
	render(&b, v, func(o object) object { return o }, func() string { return "" })
	return []byte(b.String())
}

// anyhow renders them in some order, with some white space.
func anyhow(t *rapid.T, v any) []byte {
	var b strings.Builder
	spaces := rapid.SampledFrom([]string{"", "", " ", "\n\t", "\r\n    "})
	render(&b, v, func(o object) object { return rapid.Permutation(o).Draw(t, "order") },
		func() string { return spaces.Draw(t, "space") })
	return []byte(b.String())
}

func fromBody(body []byte) *prefix.Chain {
	c := new(prefix.Chain)
	prefix.FromBody(c, 1, body)
	return c
}

// words is text of up to some KB, with what JSON has to escape.
func words(t *rapid.T) string {
	return strings.Repeat(rapid.StringN(1, 40, -1).Draw(t, "text"), rapid.IntRange(1, 40).Draw(t, "times"))
}

// chat is a conversation of so many turns in OpenAI's form.
func chat(t *rapid.T, turns int) list {
	all := list{object{{"role", "system"}, {"content", words(t)}}}
	for i := range turns {
		switch {
		case i%2 == 0:
			all = append(all, object{{"role", "user"}, {"content", list{
				object{{"type", "text"}, {"text", words(t)}},
				object{{"type", "image_url"}, {"image_url", object{{"url", "https://x/y.png"}, {"detail", "low"}}}},
			}}})
		case rapid.Bool().Draw(t, "calls"):
			all = append(all,
				object{{"role", "assistant"}, {"content", nil}, {"tool_calls", list{object{
					{"id", fmt.Sprint("call", i)}, {"type", "function"}, {"function", object{{"name", "f"}, {"arguments", words(t)}}},
				}}}},
				object{{"role", "tool"}, {"tool_call_id", fmt.Sprint("call", i)}, {"content", words(t)}})
		default:
			all = append(all, object{{"role", "assistant"}, {"content", words(t)}})
		}
	}
	return all
}

// anthropic is one in Anthropic's form; the last turn asks for caching.
func anthropic(t *rapid.T, turns int) list {
	var all list
	for i := range turns {
		part := object{{"type", "text"}, {"text", words(t)}}
		role := [2]string{"user", "assistant"}[i%2]
		if i%3 == 1 {
			part = object{{"type", "tool_use"}, {"id", fmt.Sprint("t", i)}, {"name", "f"}, {"input", object{{"b", raw("1.50")}, {"a", list{raw("1"), raw("2")}}}}}
		}
		all = append(all, object{{"role", role}, {"content", list{part}}})
	}
	return all
}

// marked returns the turns with a mark for caching at the last part.
func marked(turns list) list {
	turns = append(list(nil), turns...)
	last := turns[len(turns)-1].(object)
	parts := append(list(nil), last[1].value.(list)...)
	part := append(object(nil), parts[len(parts)-1].(object)...)
	parts[len(parts)-1] = append(part, field{"cache_control", object{{"type", "ephemeral"}}})
	turns[len(turns)-1] = object{last[0], {"content", parts}}
	return turns
}

func TestOrderAndWhiteSpaceDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		turns := rapid.IntRange(1, 5).Draw(t, "turns")
		body := object{
			{"model", "m"},
			{"messages", chat(t, turns)},
			{"temperature", raw("0.7")},
			{"metadata", object{{"a", "b"}}},
			{"tools", list{object{{"type", "function"}}}}, // of one member, since the order of members counts there
		}
		if rapid.Bool().Draw(t, "anthropic") {
			body[1].value = anthropic(t, turns)
			body = append(body, field{"system", words(t)})
		}
		want := fromBody(plainly(body))
		if diff := cmp.Diff(want, fromBody(anyhow(t, body)), sameChain); diff != "" {
			t.Fatal(diff)
		}
		if want.Lane == 0 {
			t.Fatal("no lane")
		}
	})
}

func TestAGrowingConversationKeepsItsMarks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		short, more := rapid.IntRange(1, 5).Draw(t, "turns"), rapid.IntRange(1, 3).Draw(t, "more")
		var before, after object
		if rapid.Bool().Draw(t, "anthropic") {
			turns := anthropic(t, short+more)
			before = object{{"system", "Be kind."}, {"messages", marked(turns[:short])}}
			after = object{{"messages", marked(turns)}, {"max_tokens", raw("5")}, {"system", "Be kind."}}
		} else {
			turns := chat(t, short+more)
			short := max(2, len(turns)-more)
			before = object{{"messages", turns[:short]}, {"stream", raw("true")}}
			after = object{{"messages", turns}}
		}
		a, b := fromBody(anyhow(t, before)), fromBody(anyhow(t, after))
		if len(b.Marks) < len(a.Marks) || b.Bytes <= a.Bytes {
			t.Fatalf("%d marks of %d bytes, then %d of %d", len(a.Marks), a.Bytes, len(b.Marks), b.Bytes)
		}
		if !slices.Equal(a.Marks, b.Marks[:len(a.Marks)]) {
			t.Fatalf("%x, then %x", a.Marks, b.Marks)
		}
		if a.Lane != b.Lane || a.Lane == 0 {
			t.Fatalf("lane %x, then %x", a.Lane, b.Lane)
		}
	})
}

// long is enough text for a checkpoint behind it.
var long = strings.Repeat("long enough ", 30)

func TestWhatThePromptIs(t *testing.T) {
	const base = `{"model":"m","system":"S","messages":[{"role":"user","content":"LONG"},{"role":"assistant","content":"B"},{"role":"user","content":"LONG"}]}`
	same := map[string]string{
		"settings":            `{"temperature":1,"max_tokens":5,"stream":true,"user":"u","metadata":{"x":"LONG"},"tool_choice":"auto","model":"n",` + base[len(`{"model":"m",`):],
		"texts in lists":      `{"system":[{"type":"text","text":"S"}],"messages":[{"role":"user","content":[{"type":"text","text":"LONG"}]},{"role":"assistant","content":"B"},{"content":[{"text":"LONG"}],"role":"user"}]}`,
		"marks for caching":   `{"system":[{"type":"text","text":"S","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"text","text":"LONG"}]},{"role":"assistant","content":"B"},{"content":[{"text":"LONG"},{"cachePoint":{"type":"default"}}],"role":"user"}]}`,
		"the first of a name": `{"messages":[],` + base[1:],
	}
	other := map[string]string{
		"tools":          `{"tools":[{"name":"f"}],` + base[1:],
		"order of tools": `{"tools":[{"name":"f","type":"g"}],` + base[1:],
		"another order":  `{"tools":[{"type":"g","name":"f"}],` + base[1:],
		"system":         strings.Replace(base, `"S"`, `"T"`, 1),
		"no system":      strings.Replace(base, `"system":"S",`, ``, 1),
		"a word":         strings.Replace(base, `"B"`, `"C"`, 1),
		"a role":         strings.Replace(base, `assistant`, `user`, 1),
		"a turn less":    strings.Replace(base, `{"role":"assistant","content":"B"},`, ``, 1),
		"a member more":  strings.Replace(base, `"B"`, `"B","name":"n"`, 1),
		"a part more":    strings.Replace(base, `"B"`, `["B","B"]`, 1),
		"instructions":   strings.Replace(base, `"system"`, `"instructions"`, 1),
	}
	seen := map[uint64]string{}
	chain := func(body string) *prefix.Chain { return fromBody([]byte(strings.ReplaceAll(body, "LONG", long))) }
	want := chain(base)
	last := want.Marks[len(want.Marks)-1].Hash
	seen[last] = "base"
	for name, body := range same {
		if diff := cmp.Diff(want, chain(body), sameChain); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for name, body := range other {
		c := chain(body)
		hash := c.Marks[len(c.Marks)-1].Hash
		if seen[hash] != "" {
			t.Errorf("%s makes the same prompt as %s", name, seen[hash])
		}
		seen[hash] = name
	}
}

// TestLanes: a lane goes on while its conversation does, and what it depends on
// is all up to the end of the first user's turn.
func TestLanes(t *testing.T) {
	for name, forms := range map[string][4]string{ // two turns of a lane, another lane, and none
		"chat": {
			`{"messages":[{"role":"system","content":"S"},{"role":"user","content":"A"}]}`,
			`{"messages":[{"role":"system","content":"S"},{"role":"user","content":"A"},{"role":"assistant","content":"B"},{"role":"user","content":"C"}]}`,
			`{"messages":[{"role":"system","content":"T"},{"role":"user","content":"A"}]}`,
			`{"messages":[{"role":"system","content":"S"}]}`,
		},
		"responses": {
			`{"instructions":"S","input":"A"}`,
			`{"input":"A","instructions":"S","store":false}`,
			`{"instructions":"S","input":"B"}`,
			`{"instructions":"S"}`,
		},
		"responses with items": {
			`{"input":[{"role":"developer","content":"S"},{"role":"user","content":"A"}]}`,
			`{"input":[{"role":"developer","content":"S"},{"role":"user","content":[{"type":"input_text","text":"A"}]},{"type":"function_call","name":"f"}]}`,
			`{"input":[{"role":"developer","content":"S"},{"role":"user","content":"B"}]}`,
			`{"previous_response_id":"r","input":[{"type":"function_call_output","output":"x"}]}`,
		},
		"anthropic": {
			`{"system":"S","messages":[{"role":"user","content":[{"type":"text","text":"A","cache_control":{"type":"ephemeral"}}]}]}`,
			`{"system":"S","messages":[{"role":"user","content":"A"},{"role":"assistant","content":"B"}]}`,
			`{"system":"S","messages":[{"role":"user","content":"C"}]}`,
			`{"system":"S","messages":[]}`,
		},
		"gemini": {
			`{"systemInstruction":{"parts":[{"text":"S"}]},"contents":[{"parts":[{"text":"A"}]}]}`,
			`{"contents":[{"parts":[{"text":"A"}]},{"role":"model","parts":[{"text":"B"}]}],"system_instruction":{"parts":[{"text":"S"}]}}`,
			`{"contents":[{"parts":[{"text":"A"}]}]}`,
			`{"contents":[{"role":"model","parts":[{"text":"A"}]}]}`,
		},
		"converse": {
			`{"system":[{"text":"S"},{"cachePoint":{"type":"default"}}],"messages":[{"role":"user","content":[{"text":"A"},{"cachePoint":{"type":"default"}}]}]}`,
			`{"system":[{"text":"S"}],"messages":[{"role":"user","content":[{"text":"A"}]},{"role":"assistant","content":[{"text":"B"}]}]}`,
			`{"system":[{"text":"S"}],"messages":[{"role":"user","content":[{"text":"C"}]}]}`,
			`{"system":[{"text":"S"}]}`,
		},
		"completions": {`{"messages":[{"role":"user"}]}`, `{"messages":[{"role":"user"}]}`, `{"input":"A"}`, `{"prompt":"A"}`},
	} {
		var lane [4]uint64
		for i, body := range forms {
			lane[i] = fromBody([]byte(body)).Lane
		}
		if lane[0] == 0 || lane[0] != lane[1] || lane[2] == 0 || lane[2] == lane[0] || lane[3] != 0 {
			t.Errorf("%s: lanes %x", name, lane)
		}
	}
}

func TestPicturesCountAsPages(t *testing.T) {
	body := func(first byte) *prefix.Chain {
		data := noise(5, 300<<10)
		data[0] = first
		return fromBody(plainly(object{{"messages", list{object{
			{"role", "user"}, {"content", list{object{{"type", "image_url"}, {"image_url", object{{
				"url", "data:image/png;base64," + base64.StdEncoding.EncodeToString(data),
			}}}}}},
		}}}}))
	}
	a, b := body(1), body(2)
	if a.Bytes > 8<<10 || a.Bytes < 4<<10 {
		t.Errorf("a picture of 300 KB counts %d bytes", a.Bytes)
	}
	if a.Marks[3].Hash == b.Marks[3].Hash {
		t.Error("two pictures are the same")
	}
	prose := fromBody(plainly(object{{"prompt", strings.Repeat("Words of a text that is no picture. ", 1000)}}))
	if prose.Bytes < 36_000 {
		t.Errorf("36 KB of prose count %d bytes", prose.Bytes)
	}
}

// TestWorkIsBounded: each of these takes milliseconds, and minutes if something
// is done again for each byte of it.
func TestWorkIsBounded(t *testing.T) {
	const n = 1 << 20
	for name, body := range map[string]string{
		"depth":           `{"messages":` + strings.Repeat("[", n),
		"objects":         `{"messages":` + strings.Repeat(`{"a":`, n),
		"depth elsewhere": `{"a":` + strings.Repeat("[", n),
		"members":         `{"messages":[{` + strings.Repeat(`"a":1,`, n) + `"b":1}]}`,
		"members above":   `{` + strings.Repeat(`"messages":[1],`, n) + `"b":1}`,
		"elements":        `{"messages":[` + strings.Repeat("1, ", n) + `1]}`,
		"backslashes":     `{"messages":["` + strings.Repeat(`\`, n) + strings.Repeat(`\"`, n) + `"]}`,
		"white space":     `{"messages":` + strings.Repeat(" ", n) + `[]}`,
		"closers":         `{"messages":` + strings.Repeat("]", n),
		"deep tools":      `{"tools":` + strings.Repeat(" [", n) + strings.Repeat(" ]", n) + `}`,
	} {
		start := time.Now()
		c := fromBody([]byte(body))
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s took %v", name, took)
		}
		if c.Reset(); cap(c.Marks) > 4096 {
			t.Errorf("%s keeps %d marks", name, cap(c.Marks))
		}
	}
}
