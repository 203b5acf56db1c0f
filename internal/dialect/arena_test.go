package dialect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tailplane/internal/llm"
	"tailplane/internal/wire"
)

// Whatever an At was used for before, what is read with it is what is read with a
// new one.
func TestLentMemoryTellsNothingOfTheBodyBefore(t *testing.T) {
	turn := `{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"assistant","content":"c"},`
	longer := `{"model":"m","messages":[` + strings.Repeat(turn, mostTurns) + `{"role":"user","content":"d"}]}`
	var many strings.Builder
	many.WriteString(`{"model":"m","messages":[{"role":"user","content":"d"}]`)
	for i := range mostMembers + 1 {
		many.WriteString(fmt.Sprintf(`,"x_%d":{"a":%d}`, i, i))
	}
	many.WriteString("}")
	type read struct {
		codec Codec
		body  string
	}
	calls := []read{{ChatCodec{}, longer}, {AnthropicCodec{}, strings.Replace(longer, "{", `{"max_tokens":1,`, 1)}, {ChatCodec{}, many.String()}, {ChatCodec{}, string(benchCall(1 << 10))}}
	for _, c := range ownedCalls {
		calls = append(calls, read{c.codec, c.body})
	}
	var replies []read
	for _, c := range ownedReplies {
		replies = append(replies, read{c.codec, c.body})
	}
	tell := func(v any, err error) string {
		raw, _ := json.Marshal(v)
		return fmt.Sprintf("%s %v", raw, err)
	}
	callOf := func(c read, at *At) string {
		body := []byte(c.body)
		if err := validate(body, &at.Heard); err != nil {
			t.Fatal(err)
		}
		call, err := c.codec.DecodeCall(body, at)
		return tell(call, err)
	}
	replyOf := func(c read, at *At) string {
		reply, err := c.codec.DecodeReply([]byte(c.body), at)
		return tell(reply, err)
	}
	var at At
	for _, before := range append(calls, read{ChatCodec{}, `{"messages":[{"role":"odd","content":"x"}],"messages":1}`}) {
		for _, c := range calls {
			callOf(before, &at)
			if got, want := callOf(c, &at), callOf(c, new(At)); got != want {
				t.Fatalf("after %.60s\n%s\nwant\n%s", before.body, got, want)
			}
		}
		for _, c := range replies {
			callOf(before, &at)
			if got, want := replyOf(c, &at), replyOf(c, new(At)); got != want {
				t.Fatalf("after %.60s\n%s\nwant\n%s", before.body, got, want)
			}
		}
	}
}

// Encoders write to nothing of a call, which others may read at the same time.
func TestEncodersLeaveACallAsItIs(t *testing.T) {
	for name, c := range ownedCalls {
		call, err := ReadCall(c.codec, []byte(c.body))
		if err != nil {
			t.Fatal(err)
		}
		call.Turns = append(call.Turns, llm.Turn{Role: llm.RoleAssistant, Parts: []llm.Part{{Kind: llm.PartText, Text: quoted("prefill ")}}})
		before, _ := json.Marshal(call)
		for _, to := range []Codec{ChatCodec{}, CompletionsCodec{}, AnthropicCodec{}, ConverseCodec{}, GeminiCodec{}, ResponsesCodec{}} {
			out := *call
			out.Model = "claude-sonnet-4-5"
			_, _, _ = to.EncodeCall(nil, &out)
			if after, _ := json.Marshal(call); !bytes.Equal(before, after) {
				t.Errorf("%s call, written in %s:\n%s\nbecame\n%s", name, to.Name(), before, after)
			}
		}
	}
}

// An At that has read a long body holds on to nothing of it.
func TestALongBodyIsLetGo(t *testing.T) {
	pad := fmt.Sprintf(`{"x_pad":%q,`, strings.Repeat("x", mostLent))
	free := func(name string, m *memory) {
		t.Helper()
		l := &m.lent
		if l.calls.used+l.replies.used+l.turns.used+l.parts.used+l.choices.used > 0 || m.document.body != nil {
			t.Errorf("%s: what was read is lent memory", name)
		}
		kept := slices.ContainsFunc(m.document.objects.all, func(o object) bool { return o.members != nil }) ||
			slices.ContainsFunc(m.document.members.all, func(m member) bool { return m.key != nil || m.value != nil }) ||
			slices.ContainsFunc(m.document.items.all, func(item []byte) bool { return item != nil })
		if kept {
			t.Errorf("%s: a piece of the body is kept", name)
		}
	}
	for name, c := range ownedCalls {
		body := []byte(strings.Replace(c.body, "{", pad, 1))
		var at At
		if err := validate(body, &at.Heard); err != nil {
			t.Fatal(err)
		}
		if _, err := c.codec.DecodeCall(body, &at); err != nil {
			t.Fatal(err)
		}
		free(name+" call", at.memory)
	}
	for name, c := range ownedReplies {
		var at At
		if _, err := c.codec.DecodeReply([]byte(strings.Replace(c.body, "{", pad, 1)), &at); err != nil {
			t.Fatal(err)
		}
		free(name+" reply", at.memory)
	}
}

// Remembered or not, a string says what its JSON says.
func TestWordsAreWhatTheySay(t *testing.T) {
	var known words
	text := rapid.OneOf(rapid.StringMatching(`[ab]{0,3}`), rapid.StringMatching(`[ab\\"é]{0,6}`), rapid.StringN(longestWord-1, longestWord+2, -1))
	rapid.Check(t, func(t *rapid.T) {
		raw, err := json.Marshal(text.Draw(t, "text"))
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "cut") {
			raw = raw[:rapid.IntRange(0, 1).Draw(t, "length")]
		}
		want, wantOK := wire.Unquote(raw)
		if got, ok := known.of(raw); got != want || ok != wantOK {
			t.Fatalf("%s: %q %t, want %q", raw, got, ok, want)
		}
	})
}

// A small exchange is translated with next to no memory, and so is each piece of a
// stream.
func TestTranslatingTakesLittleMemory(t *testing.T) {
	body, answer := benchCall(1<<10), benchReply(1<<10)
	var at, replyAt At
	var out []byte
	exchange := testing.AllocsPerRun(100, func() {
		if _, err := (ChatCodec{}).Glance(body, &at); err != nil {
			t.Fatal(err)
		}
		call, err := ChatCodec{}.DecodeCall(body, &at)
		if err != nil {
			t.Fatal(err)
		}
		out, _, _ = AnthropicCodec{}.EncodeCall(out[:0], call)
		reply, err := AnthropicCodec{}.DecodeReply(answer, &replyAt)
		if err != nil {
			t.Fatal(err)
		}
		out, _, _ = ChatCodec{}.EncodeReply(out[:0], reply)
	})
	if exchange > 8 {
		t.Errorf("an exchange of 1 KB takes %v allocations", exchange)
	}
	for name, codecs := range map[string][2]Codec{"anthropic": {AnthropicCodec{}, ChatCodec{}}, "chat": {ChatCodec{}, AnthropicCodec{}}} {
		stream := func(pieces int) float64 {
			body := benchStreams(pieces)[name]
			return testing.AllocsPerRun(10, func() {
				w := codecs[1].Writer(io.Discard, nil)
				for ev, err := range codecs[0].Events(strings.NewReader(body)) {
					if err != nil || w.Write(ev) != nil {
						t.Fatal(err)
					}
				}
			})
		}
		if each := (stream(600) - stream(100)) / 500; each > 1 {
			t.Errorf("a piece of a stream of %s takes %v allocations", name, each)
		}
	}
}

// A conversation however long is taken apart in the memory of a short one.
func TestTurnsAreTakenApartInTheSameMemory(t *testing.T) {
	turn := `{"role":"user","content":[{"type":"text","text":"a"}]},{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},`
	body := []byte(`{"model":"m","messages":[` + strings.Repeat(turn, 10*mostObjects) + `{"role":"user","content":"d"}]}`)
	var at At
	if err := validate(body, &at.Heard); err != nil {
		t.Fatal(err)
	}
	o, err := openCall(body, &at)
	if err != nil {
		t.Fatal(err)
	}
	before, seen := o.doc.taken(), 0
	o.each("messages", o.list("messages"), func(m *object, raw []byte) {
		if chatTurn(m, raw); o.doc.objects.used == len(o.doc.objects.all) {
			t.Fatalf("there is no room for message %d", seen)
		}
		seen++
	})
	if after := o.doc.taken(); after.objects != before.objects || after.members != before.members || seen != 20*mostObjects+1 {
		t.Fatalf("%d messages took %v", seen, after)
	}
}
