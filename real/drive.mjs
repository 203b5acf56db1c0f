// Drives a real model through Tailplane with the Node SDKs. Reads {base, key,
// model} from standard input and writes [{name, error}] as JSON.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const need = createRequire(new URL("../conformance/node/package.json", import.meta.url));
const { default: OpenAI } = need("openai");
const { default: Anthropic } = need("@anthropic-ai/sdk");

const { base, key, model } = JSON.parse(readFileSync(0, "utf8"));
const openai = new OpenAI({ apiKey: key, baseURL: `${base}/v1`, maxRetries: 0 });
const anthropic = new Anthropic({ apiKey: key, baseURL: base, maxRetries: 0 });

const messages = [{ role: "user", content: "What is the capital of France? Answer in one sentence." }];
const ask = { model, messages, max_tokens: 24, temperature: 0 };

function sane(text, tokens) {
  if (!/[a-z]{3}/i.test(text)) throw new Error(`this is no text: ${JSON.stringify(text)}`);
  if (!(tokens > 0 && tokens <= 24)) throw new Error(`${tokens} output tokens`);
}

const checks = {
  async "openai-node chat"() {
    const got = await openai.chat.completions.create(ask);
    sane(got.choices[0].message.content, got.usage.completion_tokens);
  },
  async "openai-node chat, streamed"() {
    const got = await openai.chat.completions.stream({ ...ask, stream_options: { include_usage: true } }).finalChatCompletion();
    sane(got.choices[0].message.content, got.usage.completion_tokens);
  },
  async "openai-node completions"() {
    const got = await openai.completions.create({ model, prompt: "The capital of France is", max_tokens: 12, temperature: 0 });
    sane(got.choices[0].text, got.usage.completion_tokens);
  },
  async "openai-node responses (translated)"() {
    const got = await openai.responses.stream({ model, input: messages[0].content, max_output_tokens: 24, temperature: 0 }).finalResponse();
    sane(got.output_text, got.usage.output_tokens);
  },
  async "openai-node embeddings"() {
    const got = await openai.embeddings.create({ model, input: ["a cat", "a dog"] });
    if (got.data.length !== 2 || got.data[0].embedding.length !== 576) throw new Error(`${got.data.length} vectors of ${got.data[0]?.embedding.length}`);
  },
  async "anthropic-node messages (translated)"() {
    const got = await anthropic.messages.create(ask);
    sane(got.content[0].text, got.usage.output_tokens);
  },
  async "anthropic-node messages, streamed (translated)"() {
    const got = await anthropic.messages.stream(ask).finalMessage();
    sane(got.content[0].text, got.usage.output_tokens);
  },
};

const results = [];
for (const [name, check] of Object.entries(checks)) {
  let error = "";
  try {
    await check();
  } catch (e) {
    error = String(e.message).split("\n")[0];
  }
  results.push({ name, error });
}
console.log(JSON.stringify(results));
