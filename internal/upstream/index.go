package upstream

// Kinds is the table of contents: every provider and engine there is. A test
// fails when a kind of this package is missing from it.
func Kinds() []*Kind {
	return []*Kind{
		&openAI, &anthropic,
		&azure, &azureML, &bedrock, &gemini, &vertex,
		&cohere, &deepSeek, &fireworks, &groq, &mistral, &openRouter, &perplexity, &together, &voyage, &xAI,
		&vllm, &sglang, &tgi, &lmdeploy, &tensorRT, &triton, &llamaCPP, &ollama, &lmStudio, &kserve,
		&compatible, &simulator,
	}
}
