package engine

// sglang: with --enable-metrics. Every rank of a replica shows the same gauges.
// Its token counters move when a request ends and its usage is rounded; what
// moves with each step is num_used_tokens.
var sglang = Engine{
	Kind: "sglang", Port: 30000, Owner: "sglang", Metrics: "/metrics",
	Signals: map[Signal][]Source{
		SignalRunning: named("sglang:num_running_reqs"),
		SignalWaiting: named("sglang:num_queue_reqs"),
		SignalKVUsage: {{Name: "sglang:token_usage"}, {Name: "sglang:num_used_tokens", Per: &Source{Name: "sglang:max_total_num_tokens"}}},
		SignalKVTokens: {
			{Name: "sglang:max_total_num_tokens", Least: 1},
			{Name: "sglang:cache_config_info", Product: []string{"page_size", "num_pages"}},
		},
		SignalPrompt:      named("sglang:prompt_tokens_total"),
		SignalGenerated:   named("sglang:generation_tokens_total"),
		SignalPrefixCache: {{Name: "sglang:cached_tokens_total", Per: &Source{Name: "sglang:prompt_tokens_total"}}},
		SignalPreemptions: {{Name: "sglang:num_retractions_sum"}, {Name: "sglang:num_retracted_reqs"}},
	},
	Moves: []string{
		"sglang:num_used_tokens", "sglang:kv_used_tokens", "sglang:token_usage", "sglang:gen_throughput", "sglang:realtime_tokens_total",
		"sglang:generation_tokens_total", "sglang:prompt_tokens_total",
	},
	Twins:    []string{"tp_rank", "pp_rank", "moe_ep_rank"},
	Health:   []Check{{Path: "/health", Proves: Generates}},
	Identity: "/model_info",
}
