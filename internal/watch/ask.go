package watch

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"time"

	"tailplane/internal/fleet"
	"tailplane/internal/llm"
	"tailplane/internal/upstream"
	"tailplane/internal/wire"
)

// askTime is how long a target has for a single token.
const askTime = 30 * time.Second

// mostEvent bounds an event of the answer.
const mostEvent = 1 << 20

// Outcomes of tier 3, as the label has them.
const (
	tokenCame   = "token"
	tokenBusy   = "busy" // it has no room: that is no ill health
	tokenFailed = "no token"
)

// ask is tier 3: a token, streamed. It is asked of the target itself, not by way
// of the gateway: no key pays for it and no record tells of it.
func (c *checker) ask(ctx context.Context, t *Target) {
	outcome := askToken(ctx, t, c.look.Probe.Model)
	if ctx.Err() != nil {
		return
	}
	c.opt.Counts.Probed(t.Name, "token", outcome)
	now := time.Now()
	switch outcome {
	case tokenCame:
		c.noToken = 0
		t.State.Try(now)
		t.State.Ready(now)
	case tokenFailed:
		if c.noToken++; c.noToken >= failedChecks {
			t.State.Eject(now, fleet.CauseProbe)
		}
	}
}

// askToken asks for one token and waits for the end of the answer.
func askToken(ctx context.Context, t *Target, model string) string {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	path, body := question(t, model)
	resp, fault := t.Glimpse(ctx, upstream.Glimpse{Path: path, Body: body, Accept: "text/event-stream"})
	if fault != nil {
		return tokenFailed
	}
	defer resp.Close()
	switch resp.Status {
	case http.StatusOK:
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return tokenBusy
	default:
		return tokenFailed
	}
	var events wire.EventReader
	events.Reset(resp, mostEvent)
	defer events.Release()
	token := false
	for {
		for {
			e, ok := events.Next()
			if !ok {
				break
			}
			if bytes.HasPrefix(bytes.TrimSpace(e.Data), []byte("[DONE]")) {
				return outcomeOf(token)
			}
			token = token || isToken(e.Data)
		}
		if events.Fill() != nil {
			return tokenFailed // it was cut, or took too long
		}
	}
}

func outcomeOf(token bool) string {
	if token {
		return tokenCame
	}
	return tokenFailed
}

// isToken reports an event with a choice in it.
func isToken(data []byte) bool {
	var e struct {
		Choices []json.RawMessage `json:"choices"`
	}
	return json.Unmarshal(data, &e) == nil && len(e.Choices) > 0
}

// question is the tiniest request. It begins with digits that no other one had,
// always as many, so that a prefix cache does not answer it for the engine.
func question(t *Target, model string) (path string, body []byte) {
	const digits = 16
	text := make([]byte, 0, 2*digits+8)
	for range digits {
		text = append(text, '0'+byte(rand.N(10)), ' ')
	}
	prompt := string(append(text, "Say ok."...))
	if t.Speaks(llm.Chat) || !t.Speaks(llm.Completions) {
		body, _ = json.Marshal(map[string]any{ // it never fails: they are strings and numbers
			"model": model, "stream": true, "max_tokens": 1, "messages": []map[string]string{{"role": "user", "content": prompt}},
		})
		return t.API() + "/chat/completions", body
	}
	body, _ = json.Marshal(map[string]any{"model": model, "stream": true, "max_tokens": 1, "prompt": prompt}) // nor does this
	return t.API() + "/completions", body
}
