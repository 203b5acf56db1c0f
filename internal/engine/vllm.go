package engine

// vllm: V1 and later. Names that it had before stand behind those of today.
// Queued for capacity is its congestion; what it defers for other reasons
// (chunked prefill, adapters, transfers) is not.
//
// Its /health says 200 while the engine core hangs, and its list of models comes
// from its configuration: only motion proves that it works.
var vllm = Engine{
	Kind: "vllm", Port: 8000, Owner: "vllm", Metrics: "/metrics",
	Signals: vllmSignals,
	Moves: []string{
		"vllm:generation_tokens_total", "vllm:prompt_tokens_total", "vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc",
		"vllm:num_preemptions_total", "vllm:iteration_tokens_total_count",
	},
	Health: []Check{{Path: "/health", Proves: ProcessUp}},
}

var vllmSignals = map[Signal][]Source{
	SignalRunning: named("vllm:num_requests_running"),
	SignalWaiting: {
		{Name: "vllm:num_requests_waiting_by_reason", Label: "reason", Value: "capacity"},
		{Name: "vllm:num_requests_waiting"},
	},
	SignalKVUsage:     {{Name: "vllm:kv_cache_usage_perc"}, {Name: "vllm:gpu_cache_usage_perc"}},
	SignalKVTokens:    {{Name: "vllm:cache_config_info", Product: []string{"num_gpu_blocks", "block_size"}}},
	SignalPrompt:      named("vllm:prompt_tokens_total"),
	SignalGenerated:   named("vllm:generation_tokens_total"),
	SignalPreemptions: named("vllm:num_preemptions_total"),
	SignalPrefixCache: {
		{Name: "vllm:prefix_cache_hits_total", Per: &Source{Name: "vllm:prefix_cache_queries_total"}},
		{Name: "vllm:gpu_prefix_cache_hits_total", Per: &Source{Name: "vllm:gpu_prefix_cache_queries_total"}},
	},
	SignalAdapters: {{Name: "vllm:lora_requests_info", Lists: []string{"running_lora_adapters", "waiting_lora_adapters"}, Most: "max_lora"}},
	SignalAwake:    {{Name: "vllm:engine_sleep_state", Label: "sleep_state", Value: "awake"}},
}
