package engine

// llamaCPP: with --metrics. It says 503 with an error of its own while it loads.
// Its token counters move when a request ends; n_decode_total with each step.
var llamaCPP = Engine{
	Kind: "llamacpp", Port: 8080, Owner: "llamacpp", Metrics: "/metrics",
	Signals: map[Signal][]Source{
		SignalRunning:   named("llamacpp:requests_processing"),
		SignalWaiting:   named("llamacpp:requests_deferred"),
		SignalPrompt:    named("llamacpp:prompt_tokens_total"),
		SignalGenerated: named("llamacpp:tokens_predicted_total"),
	},
	Moves:    []string{"llamacpp:n_decode_total", "llamacpp:prompt_tokens_total", "llamacpp:tokens_predicted_total"},
	Health:   []Check{{Path: "/health", Proves: ModelLoaded}},
	Identity: "/props",
}
