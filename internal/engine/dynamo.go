package engine

// dynamo is its frontend: what it knows is of all of its workers together.
// queued_requests includes those in prefill. Its /health says 200 with an
// "unhealthy" in it when no worker is there.
var dynamo = Engine{
	Kind: "dynamo", Metrics: "/metrics", Model: "model",
	Signals: map[Signal][]Source{
		SignalRunning:     named("dynamo_frontend_inflight_requests"),
		SignalWaiting:     named("dynamo_frontend_queued_requests"),
		SignalPrompt:      named("dynamo_frontend_input_sequence_tokens_sum"),
		SignalGenerated:   {{Name: "dynamo_frontend_output_tokens_total"}, {Name: "dynamo_frontend_output_sequence_tokens_sum"}},
		SignalPrefixCache: {{Name: "dynamo_frontend_cached_sequence_length_sum", Per: &Source{Name: "dynamo_frontend_input_sequence_tokens_sum"}}},
	},
	Moves: []string{"dynamo_frontend_output_tokens_total", "dynamo_frontend_inter_token_latency_seconds_count", "dynamo_frontend_time_to_first_token_seconds_count"},
	Health: []Check{
		{Path: "/health", Proves: ModelLoaded, Sick: `"unhealthy"`},
	},
}
