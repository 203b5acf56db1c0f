package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tailplane/internal/httpd"
	"tailplane/internal/ledger"
	"tailplane/internal/llm"
	"tailplane/internal/llmtest"
)

const realtimeConfig = `
targets:
  a: {kind: openai, url: "http://a", key: "env:PROVIDER_KEY"}
  b: {kind: openai-compatible, url: "http://b"}
models:
  talk: {route: [a/gpt-realtime], fallback: [b/other], retry: {attempts: 1}}
keys: {static: [{name: app, key: "env:CLIENT_KEY"}]}
`

// text is a short text frame as a server sends it.
func textFrame(s string) string {
	if len(s) < 126 {
		return string([]byte{0x81, byte(len(s))}) + s
	}
	return string([]byte{0x81, 126, byte(len(s) >> 8), byte(len(s))}) + s
}

const (
	usageDone = `{"type":"response.done","response":{"id":"r","usage":{"total_tokens":30,"input_tokens":20,"output_tokens":10,` +
		`"input_token_details":{"cached_tokens":4,"text_tokens":8,"audio_tokens":12},"output_token_details":{"audio_tokens":9}}}}`
	goodbye    = "\x88\x02\x03\xe8"                 // 1000, from the server
	clientBye  = "\x88\x82\x00\x00\x00\x00\x03\xe8" // the same, masked with zeros
	clientText = "\x81\x85\x00\x00\x00\x00hello"
)

// talker is a target that speaks: what it is asked, then what the script says.
type talker struct {
	listener *llmtest.Listener
	running  sync.WaitGroup
	heard    *http.Request
	ended    chan struct{} // the gateway has closed the connection
}

func (r *rig) talker(name string, script func(c net.Conn, in *bufio.Reader)) *talker {
	k := &talker{listener: r.net.Listen(name), ended: make(chan struct{})}
	k.running.Go(func() {
		c, err := k.listener.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		in := bufio.NewReader(c)
		if k.heard, err = http.ReadRequest(in); err != nil {
			return
		}
		script(c, in)
		_, _ = io.Copy(io.Discard, in)
		close(k.ended)
	})
	return k
}

func (k *talker) stop() {
	_ = k.listener.Close()
	k.running.Wait()
}

const switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: realtime\r\n\r\n"

// servers are the two that the gateway stands behind.
var servers = map[string]func(r *rig, l net.Listener){
	"net/http": func(r *rig, l net.Listener) { r.serve(l) },
	"httpd": func(r *rig, l net.Listener) {
		s := &httpd.Server{Handler: r.gateway}
		r.running.Go(func() { _ = s.Serve(l) })
		r.closers = append(r.closers, func() { _ = s.Shutdown(context.Background()) })
	},
}

// talk opens a session as a browser does, with its key among the subprotocols.
func (r *rig) talk(t *testing.T, serve func(*rig, net.Listener)) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	serve(r, r.net.Listen("gateway"))
	conn, err := r.net.Dial(context.Background(), "tcp", "gateway:80")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /v1/realtime?model=talk&secret=1 HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"+
		"Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.%s\r\n\r\n", clientKey)
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn, in, resp
}

func TestARealtimeSessionPassesAndIsMetered(t *testing.T) {
	setSecrets(t)
	for name, serve := range servers {
		t.Run(name, func(t *testing.T) {
			bubble(t, realtimeConfig, func(t *testing.T, r *rig) {
				said := textFrame(`{"type":"session.created"}`) + textFrame(usageDone) + "\x82\x03abc" + textFrame(usageDone) + goodbye
				k := r.talker("a", func(c net.Conn, in *bufio.Reader) {
					_, _ = io.WriteString(c, switched+said[:10]) // a part comes with the head
					got := make([]byte, len(clientText))
					if _, err := io.ReadFull(in, got); err != nil || string(got) != clientText {
						t.Errorf("the target heard %q, %v", got, err)
					}
					_, _ = io.WriteString(c, said[10:])
					_ = c.Close()
				})
				conn, in, resp := r.talk(t, serve)
				if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" ||
					resp.Header.Get("Sec-Websocket-Protocol") != "realtime" || resp.Header.Get("X-Tailplane-Target") != "a" {
					t.Errorf("%v", resp)
				}
				_, _ = io.WriteString(conn, clientText)
				got, err := io.ReadAll(in)
				if string(got) != said || err != nil {
					t.Errorf("the client got %q, %v", got, err)
				}
				_ = conn.Close()
				k.stop()
				h := k.heard
				if h.URL.String() != "/v1/realtime?model=gpt-realtime" || h.Header.Get("Authorization") != "Bearer "+providerKey ||
					h.Header.Get("Sec-Websocket-Protocol") != "realtime" || h.Header.Get("Sec-Websocket-Extensions") != "" ||
					h.Header.Get("Sec-Websocket-Key") != "dGhlIHNhbXBsZSBub25jZQ==" || !strings.EqualFold(h.Header.Get("Upgrade"), "websocket") {
					t.Errorf("the target was asked %s %v", h.URL, h.Header)
				}
				ex := r.settled(t)
				u := ex.Usage
				if ex.Outcome != ledger.OutcomeOK || ex.Status != 101 || ex.Op != llm.OpRealtime || ex.Events != 3 || u.Source != llm.UsageReported ||
					u.Input != 40 || u.CacheRead != 8 || u.InputAudio != 24 || u.Output != 20 || u.OutputAudio != 18 {
					t.Errorf("%s", asJSON(t, ex))
				}
				if strings.Contains(string(asJSON(t, ex))+r.log.String(), clientKey) {
					t.Error("the key was shown")
				}
			})
		})
	}
}

// settled is the one record, once the session is over.
func (r *rig) settled(t *testing.T) *ledger.Exchange {
	t.Helper()
	for range 100 {
		if list := r.records(); len(list) == 1 && list[0].Outcome != "" {
			return list[0]
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the session was not settled")
	return nil
}

func TestRealtimeEndsOnBothSidesAtOnce(t *testing.T) {
	setSecrets(t)
	cases := map[string]struct {
		say    string
		leave  func(conn net.Conn, in *bufio.Reader)
		cut    bool // the target ends it
		within time.Duration
		want   ledger.Outcome
		fault  llm.FaultKind
		rest   string // what the client reads still
	}{
		"the client leaves":        {leave: func(c net.Conn, _ *bufio.Reader) { _ = c.Close() }, want: ledger.OutcomeGone, fault: llm.FaultClientGone},
		"the client says goodbye":  {leave: func(c net.Conn, _ *bufio.Reader) { _, _ = io.WriteString(c, clientBye); _ = c.Close() }, want: ledger.OutcomeOK},
		"the target leaves":        {cut: true, want: ledger.OutcomeBroken, fault: llm.FaultCut, rest: "\x88"},
		"nobody says anything":     {within: 5 * time.Minute, want: ledger.OutcomeBroken, fault: llm.FaultIdle, rest: "\x88"},
		"in the middle of a frame": {say: "\x81\x05he", cut: true, want: ledger.OutcomeBroken, fault: llm.FaultCut, rest: "\x81\x05he"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, realtimeConfig, func(t *testing.T, r *rig) {
				k := r.talker("a", func(conn net.Conn, _ *bufio.Reader) {
					_, _ = io.WriteString(conn, switched+c.say)
					if c.cut {
						_ = conn.Close()
					}
				})
				conn, in, _ := r.talk(t, servers["httpd"])
				begin := time.Now()
				if c.leave != nil {
					c.leave(conn, in)
				} else {
					got, _ := io.ReadAll(in)
					if !strings.HasPrefix(string(got), c.rest) || c.rest == c.say && string(got) != c.rest {
						t.Errorf("the client got %q", got)
					}
				}
				<-k.ended
				if took := time.Since(begin); took < c.within || took > c.within+time.Second {
					t.Errorf("it ended after %v", took)
				}
				_ = conn.Close()
				k.stop()
				if ex := r.settled(t); ex.Outcome != c.want || ex.Fault != c.fault {
					t.Errorf("%s", asJSON(t, ex))
				}
			})
		})
	}
}

func TestARefusedSessionFallsBack(t *testing.T) {
	setSecrets(t)
	bubble(t, realtimeConfig, func(t *testing.T, r *rig) {
		a := r.talker("a", func(c net.Conn, _ *bufio.Reader) {
			_, _ = io.WriteString(c, "HTTP/1.1 503 No\r\nContent-Type: application/json\r\nContent-Length: 33\r\n\r\n{\"error\":{\"message\":\"overloaded\"}}")
		})
		b := r.talker("b", func(c net.Conn, _ *bufio.Reader) {
			_, _ = io.WriteString(c, switched+goodbye)
			_ = c.Close()
		})
		conn, in, resp := r.talk(t, servers["httpd"])
		if rest, _ := io.ReadAll(in); resp.Header.Get("X-Tailplane-Target") != "b" || string(rest) != goodbye {
			t.Errorf("%v %q", resp, rest)
		}
		_ = conn.Close()
		a.stop()
		b.stop()
		if ex := r.settled(t); len(ex.Attempts) != 2 || ex.Attempts[0].Fault != llm.FaultOverloaded || ex.Outcome != ledger.OutcomeOK {
			t.Errorf("%s", asJSON(t, ex))
		}
	})
}

// TestASessionIsToldThatTheGatewayStops, by the status that RFC 6455 has for it.
func TestASessionIsToldThatTheGatewayStops(t *testing.T) {
	setSecrets(t)
	bubble(t, realtimeConfig, func(t *testing.T, r *rig) {
		k := r.talker("a", func(conn net.Conn, _ *bufio.Reader) { _, _ = io.WriteString(conn, switched) })
		s := &httpd.Server{Handler: r.gateway}
		_, in, _ := r.talk(t, func(r *rig, l net.Listener) { r.running.Go(func() { _ = s.Serve(l) }) })
		synctest.Wait()
		r.gateway.Cut()
		s.Interrupt()
		got, err := io.ReadAll(in)
		if err != nil || !strings.HasPrefix(string(got), "\x88") || !strings.HasPrefix(string(got[2:]), "\x03\xe9the gateway stopped") {
			t.Errorf("the client got %q, %v", got, err)
		}
		<-k.ended
		k.stop()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if ex := r.settled(t); ex.Outcome != ledger.OutcomeBroken || ex.Fault != llm.FaultStopped || ex.Attempts[0].Fault != llm.FaultStopped || ex.Attempts[0].Phase != llm.PhaseStream || !strings.HasPrefix(ex.Attempts[0].Message, "the gateway stopped") {
			t.Errorf("%s", asJSON(t, ex))
		}
	})
}
