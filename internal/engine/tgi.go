package engine

// tgi: version 3. It has no figure for its cache but the tokens that the batch
// may grow to.
var tgi = Engine{
	Kind: "tgi", Port: 3000, Owner: "tgi", Metrics: "/metrics",
	Signals: map[Signal][]Source{
		SignalRunning:   named("tgi_batch_current_size"),
		SignalWaiting:   named("tgi_queue_size"),
		SignalKVUsage:   {{Name: "tgi_batch_current_max_tokens", Per: &Source{Name: "tgi_batch_max_total_tokens", Least: 1}}},
		SignalKVTokens:  {{Name: "tgi_batch_max_total_tokens", Least: 1}},
		SignalPrompt:    named("tgi_request_input_length_sum"),
		SignalGenerated: named("tgi_request_generated_tokens_sum"),
	},
	Moves:    []string{"tgi_batch_inference_count", "tgi_request_generated_tokens_sum"},
	Health:   []Check{{Path: "/health", Proves: ModelLoaded}},
	Identity: "/info",
}
