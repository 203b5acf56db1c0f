package engine

// Engines is the table of contents. A test fails when an engine of this package
// is missing from it. Several engines share a default port, so a port alone
// tells nothing: an engine is known by what it answers there.
//
// Sources of ports, owned_by values, metric names and health paths: each
// engine's own documentation and server source, as of November 2026.
func Engines() []*Engine {
	return []*Engine{
		&vllm, &triton, &llamaCPP, &tgi, &sglang, &lmdeploy, &ollama, &lmStudio, &tensorRT, &dynamo, &simulator,
	}
}
