package engine

var lmdeploy = Engine{
	Kind: "lmdeploy", Port: 23333, Owner: "lmdeploy", Metrics: "/metrics",
	Signals: map[Signal][]Source{
		SignalRunning:   named("lmdeploy:num_requests_running"),
		SignalWaiting:   named("lmdeploy:num_requests_waiting"),
		SignalKVUsage:   named("lmdeploy:gpu_cache_usage_perc"),
		SignalPrompt:    named("lmdeploy:prompt_tokens_total"),
		SignalGenerated: named("lmdeploy:generation_tokens_total"),
		SignalPrefixCache: {
			{Name: "lmdeploy:cached_tokens_total", Per: &Source{Name: "lmdeploy:prompt_tokens_total"}},
		},
	},
	Moves:  []string{"lmdeploy:generation_tokens_total", "lmdeploy:prompt_tokens_total", "lmdeploy:gpu_cache_usage_perc"},
	Health: []Check{{Path: "/health", Proves: ProcessUp}},
}
