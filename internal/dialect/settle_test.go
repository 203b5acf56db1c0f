package dialect

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"tailplane/internal/llm"
)

// Texts that are said as they stand are said as if each had been looked at.
func TestPlainTextsAreSaidAsTheyWereSettled(t *testing.T) {
	roles := rapid.SampledFrom([]llm.Role{llm.RoleSystem, llm.RoleUser, llm.RoleAssistant})
	text := rapid.SampledFrom([]string{`"a"`, `"b "`, `" "`, `""`, `"\n\t"`, `" "`, `"\u0020c"`})
	to := rapid.SampledFrom([]Codec{AnthropicCodec{}, ConverseCodec{}, GeminiCodec{}})
	rapid.Check(t, func(t *rapid.T) {
		plain := &llm.Call{Model: "claude-sonnet-4-5", Extra: llm.Extra{Dialect: llm.Chat}}
		looked := &llm.Call{Model: plain.Model, Extra: plain.Extra}
		for range rapid.IntRange(1, 4).Draw(t, "turns") {
			turn := llm.Turn{Role: roles.Draw(t, "role"), Extra: llm.Extra{Dialect: llm.Chat}}
			same := turn
			for range rapid.IntRange(0, 2).Draw(t, "parts") {
				p := llm.Part{Kind: llm.PartText, Text: llm.Text(text.Draw(t, "text")), Extra: llm.Extra{Dialect: llm.Chat, Form: systemList}}
				turn.Parts = append(turn.Parts, p)
				p.Extra.Members = []byte(`{"says_nothing":""}`)
				same.Parts = append(same.Parts, p)
			}
			plain.Turns, looked.Turns = append(plain.Turns, turn), append(looked.Turns, same)
		}
		codec := to.Draw(t, "to")
		got, gotLosses, gotErr := codec.EncodeCall(nil, plain)
		want, wantLosses, wantErr := codec.EncodeCall(nil, looked)
		if string(got) != string(want) || !reflect.DeepEqual(gotLosses, wantLosses) || (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("%s %v %v\nwant\n%s %v %v", got, gotLosses, gotErr, want, wantLosses, wantErr)
		}
		reply := func(c *llm.Call) *llm.Reply {
			r := &llm.Reply{Extra: llm.Extra{Dialect: llm.Chat}}
			for _, turn := range c.Turns {
				r.Choices = append(r.Choices, llm.Choice{Parts: turn.Parts})
			}
			return r
		}
		got, gotLosses, _ = codec.EncodeReply(nil, reply(plain))
		want, wantLosses, _ = codec.EncodeReply(nil, reply(looked))
		if string(got) != string(want) || !reflect.DeepEqual(gotLosses, wantLosses) {
			t.Fatalf("%s %v\nwant\n%s %v", got, gotLosses, want, wantLosses)
		}
	})
}

// The parts of a member of an assistant message are those in it, in their order.
func TestPartsOfAMemberKeepTheirOrder(t *testing.T) {
	kind := rapid.SampledFrom([]llm.PartKind{llm.PartText, llm.PartThinking, llm.PartRefusal, llm.PartToolCall, llm.PartOther})
	rapid.Check(t, func(t *rapid.T) {
		var parts []llm.Part
		for i, k := range rapid.SliceOfN(kind, 0, 6).Draw(t, "kinds") {
			parts = append(parts, llm.Part{Kind: k, Signature: string(rune('a' + i)), Extra: llm.Extra{Dialect: llm.Chat, Form: callItem}})
		}
		for m := chatContents; m <= chatCalls; m++ {
			var got, want string
			for _, p := range parts {
				if chatMemberOf(&p) == m {
					want += p.Signature
				}
			}
			in := partsIn(parts, m)
			for _, p := range in {
				got += p.Signature
			}
			if got != want {
				t.Fatalf("%d: %s, want %s", m, got, want)
			}
		}
	})
}
