package engine

// Engines of a desk: they have no metrics, and load models as they are asked
// for.
var (
	ollama = Engine{
		Kind: "ollama", Port: 11434, Owner: "library",
		Health:   []Check{{Path: "/api/version", Proves: ProcessUp}},
		Identity: "/api/tags",
	}
	lmStudio = Engine{
		Kind: "lmstudio", Port: 1234, Owner: "organization_owner",
		Health: []Check{{Path: "/v1/models", Proves: ProcessUp}},
	}
)

// simulator speaks vLLM's metrics.
var simulator = Engine{
	Kind: "sim", Metrics: "/metrics", Signals: vllmSignals, Moves: vllm.Moves,
	Health: []Check{{Path: "/health", Proves: ProcessUp}},
}
