package engine

// triton: the server with its TensorRT-LLM backend. Its metrics are on a port of
// their own (8002), which `watch.metrics` of a target names. Health is
// KServe's.
var triton = Engine{
	Kind: "triton", Port: 9000, Owner: "triton",
	Signals: map[Signal][]Source{
		SignalRunning: {{Name: "nv_trt_llm_request_metrics", Label: "request_type", Value: "scheduled"}},
		SignalWaiting: {
			{Name: "nv_trt_llm_request_metrics", Label: "request_type", Value: "waiting"},
			{Name: "nv_inference_pending_request_count"},
		},
		SignalKVUsage: {
			{Name: "nv_trt_llm_kv_cache_block_metrics", Label: "kv_cache_block_type", Value: "fraction"},
			{Name: "nv_trt_llm_kv_cache_block_metrics", Label: "kv_cache_block_type", Value: "used", Per: tritonBlocks("max")},
		},
		SignalKVTokens: {{Name: "nv_trt_llm_kv_cache_block_metrics", Label: "kv_cache_block_type", Value: "max", Times: tritonBlocks("tokens_per")}},
	},
	Moves: []string{"nv_trt_llm_general_metrics", "nv_trt_llm_kv_cache_block_metrics", "nv_inference_request_success"},
	Model: "model",
	Health: []Check{
		{Path: "/v2/health/ready", Proves: ModelLoaded},
		{Path: "/health/ready", Proves: ModelLoaded}, // of its OpenAI-compatible face
	},
}

func tritonBlocks(what string) *Source {
	return &Source{Name: "nv_trt_llm_kv_cache_block_metrics", Label: "kv_cache_block_type", Value: what}
}
