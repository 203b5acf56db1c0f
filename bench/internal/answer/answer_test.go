package answer

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func chunk(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }

func stamped(n int64) string {
	return fmt.Sprintf("data: {\"choices\":[{\"delta\":{\"content\":\"@%020d words\"}}]}\n\n", n)
}

const streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

func feed(r *Reader, pieces []string) (State, int) {
	used := 0
	for _, p := range pieces {
		n, s := r.Feed([]byte(p))
		used += n
		if s != Open {
			return s, used
		}
	}
	return Open, used
}

func TestResponses(t *testing.T) {
	usage := "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n"
	done := "data: [DONE]\n\n"
	for _, c := range []struct {
		name   string
		in     string
		state  State
		status int
		events int
		done   bool
	}{
		{"sized", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", Ended, 200, 0, false},
		{"empty", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Ended, 200, 0, false},
		{"no body by status", "HTTP/1.1 204 No Content\r\n\r\n", Ended, 204, 0, false},
		{"short body", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", Open, 200, 0, false},
		{"after an interim response", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", Ended, 200, 0, false},
		{"whole stream", streamHead + chunk(stamped(1)) + chunk(stamped(2)) + chunk(usage+done) + "0\r\n\r\n", Ended, 200, 2, true},
		{"clean but truncated", streamHead + chunk(stamped(1)) + "0\r\n\r\n", Ended, 200, 1, false},
		{"no final chunk", streamHead + chunk(stamped(1)+done), Open, 200, 1, true},
		{"events across chunks", streamHead + chunk(stamped(1)[:40]) + chunk(stamped(1)[40:]+done) + "0\r\n\r\n", Ended, 200, 1, true},
		{"bad chunk size", streamHead + "zz\r\n", Broken, 200, 0, false},
		{"chunk overrun", streamHead + "1\r\nabc\r\n", Broken, 200, 0, false},
		{"not HTTP", "SSH-2.0-x marks the spot\r\n", Broken, 0, 0, false},
	} {
		var r Reader
		r.Reset()
		state, _ := feed(&r, []string{c.in})
		if state != c.state || r.Status != c.status || r.Events != c.events || r.Done != c.done {
			t.Errorf("%s: state %v status %d events %d done %v (%s)", c.name, state, r.Status, r.Events, r.Done, r.Why)
		}
	}
}

func TestCloseEndsOnlyABodyFramedByIt(t *testing.T) {
	for in, want := range map[string]State{
		"HTTP/1.1 200 OK\r\n\r\nabc":                       Ended,
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc":  Broken,
		streamHead + chunk("data: [DONE]\n\n"):             Broken,
		"HTTP/1.1 200 OK\r\nContent-Type: text/event-stre": Broken,
	} {
		var r Reader
		r.Reset()
		feed(&r, []string{in})
		if got := r.End(); got != want {
			t.Errorf("%q: %v, want %v", in, got, want)
		}
	}
}

func TestAnyCuttingGivesTheSameEvents(t *testing.T) {
	whole := streamHead + chunk(stamped(11)) + chunk(stamped(22)+stamped(33)) + chunk("data: [DO") + chunk("NE]\n\n") + "0\r\n\r\n"
	rapid.Check(t, func(t *rapid.T) {
		var pieces []string
		rest := whole + "next"
		for rest != "" {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		var sent []int64
		r := Reader{OnEvent: func(at int64) { sent = append(sent, at) }}
		r.Reset()
		state, used := feed(&r, pieces)
		if state != Ended || used != len(whole) || !r.Done || !slices.Equal(sent, []int64{11, 22, 33}) {
			t.Fatalf("state %v used %d of %d done %v events %v", state, used, len(whole), r.Done, sent)
		}
	})
}

func TestHashIsOfTheBodyAlone(t *testing.T) {
	for _, in := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
	} {
		var r Reader
		r.Reset()
		if s, _ := feed(&r, []string{in}); s != Ended || r.Hash() != HashOf([]byte("hello")) {
			t.Errorf("%q: state %v hash %x", in, s, r.Hash())
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(streamHead+chunk(stamped(1))+"0\r\n\r\n"), 7)
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"), 1)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		var one, two Reader
		one.Reset()
		two.Reset()
		a, aUsed := feed(&one, []string{string(in)})
		cut = max(0, min(cut, len(in)))
		b, bUsed := feed(&two, []string{string(in[:cut]), string(in[cut:])})
		if a != b || aUsed != bUsed && a != Broken || one.Events != two.Events || one.Done != two.Done {
			t.Fatalf("one piece: %v %d, two pieces: %v %d", a, aUsed, b, bUsed)
		}
		if strings.Contains(one.Why, "\n") {
			t.Fatal("a reason of more than one line")
		}
	})
}
