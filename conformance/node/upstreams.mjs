// The upstreams of the matrix: what each speaks, under which path a request
// arrives there (MODEL stands for the model's name), and how it is configured.

const REGION = "us-east-1";

/** path is of whole answers, streams of streams where that differs. */
export const UPS = {
  chat: { says: "chat", path: "/v1/chat/completions" },
  responses: { says: "responses", path: "/v1/responses" },
  anthropic: { says: "anthropic", path: "/v1/messages" },
  gemini: { says: "gemini", path: "/v1beta/models/MODEL:generateContent", streams: "/v1beta/models/MODEL:streamGenerateContent" },
  bedrock: { says: "converse", path: "/model/MODEL/converse", streams: "/model/MODEL/converse-stream", unhurried: true },
  // Bedrock's Claude, of whom an Anthropic client is served in its own dialect.
  claude: { says: "anthropic", path: "/model/MODEL/invoke", streams: "/model/MODEL/invoke-with-response-stream", unhurried: true, mark: "claude-" },
  azure: { says: "chat", path: "/openai/v1/chat/completions" },
  "azure-classic": { says: "chat", path: "/openai/deployments/MODEL/chat/completions" },
  "azure-responses": { says: "responses", path: "/openai/v1/responses" },
  ollama: { says: "chat", path: "/v1/chat/completions" },
};

/** The target of the config that leads to an upstream. */
export function target(up, replay) {
  const key = "env:CONF_UPSTREAM_KEY";
  switch (up) {
    case "anthropic":
    case "gemini":
      return { kind: up, url: replay, key };
    case "bedrock":
    case "claude":
      return { kind: "bedrock", url: replay, region: REGION, key };
    case "azure":
      return { kind: "azure", url: replay, key };
    case "azure-classic":
      return { kind: "azure", url: replay, key, api_version: "2024-10-21" };
    case "azure-responses":
      return { kind: "azure", url: replay, key, dialects: ["responses"] };
    case "ollama":
      return { kind: "ollama", url: `${replay}/v1`, key };
  }
  return { kind: "openai-compatible", url: `${replay}/v1`, dialects: [up], key };
}
