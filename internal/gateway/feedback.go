package gateway

import (
	"encoding/json"
	"fmt"

	"tailplane/internal/complexity"
	"tailplane/internal/llm"
)

// verdictOf is what callers say of an answer: one of Score and Good.
type verdictOf struct {
	Request string   `json:"request_id"`
	Score   *float32 `json:"score"` // from 0 to 1
	Good    *bool    `json:"good"`
}

// feedback answers POST /v1/feedback: a caller judges the answer to a request of
// its own, or of its customer's. A later word about the same request replaces an
// earlier one.
func feedback(c *call) *llm.Fault {
	if f := c.read(); f != nil {
		return f
	}
	if f := c.prove(); f != nil {
		return f
	}
	var v verdictOf
	if err := json.Unmarshal(c.body, &v); err != nil {
		return &llm.Fault{Kind: llm.FaultBadRequest, Message: "the body is no feedback; send {\"request_id\": \"req_...\", \"score\": 0 to 1}"}
	}
	score, f := v.score()
	if f != nil {
		return f
	}
	asked, ok := c.judgeable(v.Request)
	if !ok {
		return &llm.Fault{
			Kind: llm.FaultNotFound, Param: "request_id",
			Message: fmt.Sprintf("no request %q of this key waits for feedback: its model keeps no outcomes, or it was too long ago", cut(v.Request, 64)),
		}
	}
	kept := c.gateway.learn(c.plane.learning, complexity.Outcome{
		Request: v.Request, Time: c.ex.Start, Customer: asked.Customer, Model: asked.Model, Good: score, Source: complexity.Feedback, Vector: asked.Vector,
	})
	if !kept {
		return &llm.Fault{Kind: llm.FaultInternal, Message: "the feedback could not be kept"}
	}
	return c.writeJSON(map[string]any{"request_id": v.Request, "model": asked.Model, "score": score})
}

// score is the judgement as a number.
func (v verdictOf) score() (float32, *llm.Fault) {
	switch {
	case v.Request == "":
		return 0, &llm.Fault{Kind: llm.FaultBadRequest, Param: "request_id", Message: "request_id is missing; it stands in the header of the answer"}
	case (v.Score == nil) == (v.Good == nil):
		return 0, &llm.Fault{Kind: llm.FaultBadRequest, Param: "score", Message: "send one of score and good"}
	case v.Good != nil && *v.Good:
		return 1, nil
	case v.Good != nil:
		return 0, nil
	case !(*v.Score >= 0 && *v.Score <= 1):
		return 0, &llm.Fault{Kind: llm.FaultBadRequest, Param: "score", Message: "a score is a number from 0 to 1"}
	}
	return *v.Score, nil
}

// judgeable finds a request that the caller may judge. One of somebody else is as
// unknown as one that never was.
func (c *call) judgeable(id string) (complexity.Asked, bool) {
	if c.plane.learning == nil {
		return complexity.Asked{}, false
	}
	asked, ok := c.plane.learning.pending.Find(id)
	own := asked.Key == c.key.ID || asked.Customer != "" && asked.Customer == c.ex.Customer
	return asked, ok && own
}
