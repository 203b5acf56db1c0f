//go:build linux

package main

// stats is the body of GET /stats. Routed counts requests whose model carries
// the prefix that only a gateway with a route gives it; Plain all others.
type stats struct {
	Connections int   `json:"connections"`
	Overrun     int   `json:"overrun"`
	Routed      count `json:"routed"`
	Plain       count `json:"plain"`
}

// count is of requests to the two model endpoints.
type count struct {
	Requests         int64 `json:"requests"`
	Answers          int64 `json:"answers"` // whole answers, streamed or not
	Streams          int64 `json:"streams"`
	Live             int64 `json:"live"` // streams under way
	Left             int64 `json:"left"` // streams whose client went first
	Cut              int64 `json:"cut"`  // streams that the mock cut on purpose
	Faults           int64 `json:"faults"`
	Events           int64 `json:"events"`
	PromptTokens     int64 `json:"prompt_tokens"`
	CompletionTokens int64 `json:"completion_tokens"`
}

func (s *stats) of(routed bool) *count {
	if routed {
		return &s.Routed
	}
	return &s.Plain
}

// emit counts one answer's usage as told to the client.
func (c *count) emit() {
	c.PromptTokens += promptTokens
	c.CompletionTokens += completionTokens
}
