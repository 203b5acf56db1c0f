package engine

// tensorRT is trtllm-serve. Its /metrics is a JSON list of iterations; the page
// in Prometheus' format is elsewhere, and there only with return_perf_metrics.
var tensorRT = Engine{
	Kind: "tensorrt-llm", Port: 8001, Owner: "tensorrt_llm", Metrics: "/prometheus/metrics",
	Signals: map[Signal][]Source{
		SignalRunning:   named("trtllm_num_requests_running"),
		SignalWaiting:   named("trtllm_num_requests_waiting"),
		SignalKVUsage:   {{Name: "trtllm_kv_cache_utilization"}, {Name: "trtllm_kv_cache_used_blocks", Per: &Source{Name: "trtllm_kv_cache_max_blocks"}}},
		SignalKVTokens:  {{Name: "trtllm_kv_cache_max_blocks", Times: &Source{Name: "trtllm_kv_cache_tokens_per_block"}}},
		SignalPrompt:    named("trtllm_prompt_tokens_total"),
		SignalGenerated: named("trtllm_generation_tokens_total"),
		SignalPrefixCache: {
			{Name: "trtllm_prompt_cached_tokens_total", Per: &Source{Name: "trtllm_prompt_tokens_total"}},
		},
	},
	Moves: []string{
		"trtllm_generation_tokens_total", "trtllm_prompt_tokens_total", "trtllm_kv_cache_utilization", "trtllm_kv_cache_used_blocks",
	},
	Health: []Check{{Path: "/health", Proves: ProcessUp}},
}
