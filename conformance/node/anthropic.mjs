// Anthropic's SDK as a client of the suite.

import Anthropic from "@anthropic-ai/sdk";
import { TOOLS } from "./suite.mjs";
import { abortAfter } from "./openai.mjs";

export function connect({ base, key }) {
  return new Anthropic({ apiKey: key, baseURL: base, maxRetries: 0, timeout: 20_000, logLevel: "off" });
}

const STOPS = { end_turn: "stop", tool_use: "tools", max_tokens: "length" };

export const messages = {
  make(at) {
    const sdk = connect(at);
    return {
      sdk,
      async whole(model, input) {
        return result(await sdk.messages.create(params(model, input)));
      },
      async stream(model, input) {
        let deltas = 0;
        const stream = sdk.messages.stream(params(model, input));
        for await (const event of stream) {
          if (event.type !== "content_block_delta" || event.delta.type !== "text_delta") continue;
          deltas++;
          input.onText?.(event.delta.text);
        }
        return { ...result(await stream.finalMessage()), deltas };
      },
      async abort(model, input) {
        const control = new AbortController();
        const stream = await sdk.messages.create({ ...params(model, input), stream: true }, { signal: control.signal });
        return abortAfter(stream, control, (event) => event.type === "content_block_delta");
      },
    };
  },
};

function params(model, input) {
  const content = [{ type: "text", text: input.prompt }];
  if (input.image) content.unshift({ type: "image", source: { type: "base64", media_type: "image/png", data: input.image } });
  const list = [{ role: "user", content }];
  if (input.history) list.push({ role: "assistant", content: input.history });
  if (input.results) {
    list.push({ role: "user", content: input.results.map((r) => ({ type: "tool_result", tool_use_id: r.id, content: r.text })) });
  }
  if (input.follow) list.push({ role: "user", content: input.follow });
  return {
    model,
    max_tokens: 4096,
    messages: list,
    ...(input.cache && { system: [{ type: "text", text: input.cache, cache_control: { type: "ephemeral" } }] }),
    ...(input.think && { thinking: { type: "enabled", budget_tokens: 2048 } }),
    ...(input.tools && { tools: TOOLS.map((t) => ({ name: t.name, description: t.description, input_schema: t.schema })) }),
    ...(input.schema && { output_config: { format: { type: "json_schema", schema: input.schema } } }),
  };
}

function result(raw) {
  const of = (type) => raw.content.filter((b) => b.type === type);
  const u = raw.usage;
  return {
    raw,
    turn: raw.content.map(({ parsed_output, ...block }) => block),
    think: of("thinking").map((b) => b.thinking).join(""),
    text: of("text").map((b) => b.text).join(""),
    calls: of("tool_use").map((b) => ({ id: b.id, name: b.name, args: b.input })),
    stop: STOPS[raw.stop_reason] ?? raw.stop_reason,
    usage: {
      in: u.input_tokens + (u.cache_read_input_tokens ?? 0) + (u.cache_creation_input_tokens ?? 0),
      out: u.output_tokens,
      cached: u.cache_read_input_tokens ?? 0,
    },
  };
}
