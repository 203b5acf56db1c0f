package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"tailplane/internal/ledger"
)

// TestAClientThatNeverReads does not hold a target's place longer than its request may
// take.
func TestAClientThatNeverReads(t *testing.T) {
	const config = `
targets: {a: {kind: vllm, url: "http://a", models: [m], limits: {in_flight: 1}}}
models: {m: {route: [a/m], timeouts: {total: 30s}}}
keys: {required: false}
`
	long := strings.Repeat("x", 20_000)
	for name, c := range map[string]struct{ path, body, answer string }{
		"whole": {"/v1/chat/completions", chatBody, "HTTP 200\ncontent-type: application/json\n\n{\"choices\":[{\"message\":{\"content\":\"" + long + "\"}}]}\n"},
		"translated": {
			"/v1/messages", `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}`,
			"HTTP 200\ncontent-type: application/json\n\n{\"choices\":[{\"message\":{\"content\":\"" + long + "\"},\"finish_reason\":\"stop\"}]}\n",
		},
		"forwarded": {"/v1/rerank", `{"model":"m","query":"q","documents":["d"]}`, "HTTP 200\ncontent-type: application/json\n\n{\"results\":[],\"x\":\"" + long + "\"}\n"},
		"stream":    {"/v1/chat/completions", streamBody, streamHead + strings.Replace(streamBegin, "hi", long, 1) + streamFinish},
	} {
		for server, serve := range servers {
			t.Run(name+" "+server, func(t *testing.T) {
				bubble(t, config, func(t *testing.T, r *rig) {
					serve(r, r.net.Listen("gateway"))
					r.host("a", reply(t, c.answer))
					conn, err := r.net.Dial(context.Background(), "tcp", "gateway:80")
					if err != nil {
						t.Fatal(err)
					}
					if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", c.path, len(c.body), c.body); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Minute)
					for name, n := range r.gauges() {
						if n != 0 {
							t.Errorf("%s is %v", name, n)
						}
					}
					if list := r.records(); len(list) != 1 || list[0].Outcome != ledger.OutcomeGone {
						t.Errorf("%s", asJSON(t, list))
					}
					_ = conn.Close()
				})
			})
		}
	}
}

// TestARealtimeClientThatNeverReads does not hold its session longer than one may be
// idle.
func TestARealtimeClientThatNeverReads(t *testing.T) {
	setSecrets(t)
	for name, serve := range servers {
		t.Run(name, func(t *testing.T) {
			bubble(t, realtimeConfig, func(t *testing.T, r *rig) {
				k := r.talker("a", func(c net.Conn, _ *bufio.Reader) {
					_, _ = io.WriteString(c, switched)
					for {
						if _, err := io.WriteString(c, textFrame(strings.Repeat("x", 4000))); err != nil {
							return
						}
					}
				})
				conn, _, _ := r.talk(t, serve)
				time.Sleep(3 * time.Hour)
				select {
				case <-k.ended:
				default:
					t.Error("the session goes on")
				}
				_ = conn.Close()
				k.stop()
				if list := r.records(); len(list) != 1 || list[0].Outcome != ledger.OutcomeBroken && list[0].Outcome != ledger.OutcomeGone {
					t.Errorf("%s", asJSON(t, list))
				}
			})
		})
	}
}
