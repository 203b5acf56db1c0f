// OpenAI's SDK as a client of the suite: its chat and its responses surface.

import OpenAI, { AzureOpenAI } from "openai";
import { TOOLS } from "./suite.mjs";

export function connect({ base, key }) {
  return new OpenAI({ apiKey: key, baseURL: `${base}/v1`, maxRetries: 0, timeout: 20_000, logLevel: "off" });
}

const STOPS = { stop: "stop", tool_calls: "tools", length: "length" };

/** The chat completions surface, and below it Azure's classic one, whose path names the deployment. */
export const chat = { make: (at) => chatOf(connect(at)) };
export const azure = {
  make: ({ base, key }) =>
    chatOf(new AzureOpenAI({ apiKey: key, endpoint: base, apiVersion: "2024-10-21", maxRetries: 0, timeout: 20_000, logLevel: "off" })),
};

function chatOf(sdk) {
  return {
    sdk,
    async whole(model, input) {
      const raw = await sdk.chat.completions.create(chatParams(model, input));
      return chatResult(raw, input, raw.choices[0].message.reasoning_content);
    },
    async stream(model, input) {
      const seen = { think: "", deltas: 0, unasked: 0 };
      const params = { ...chatParams(model, input), ...(input.usage && { stream_options: { include_usage: true } }) };
      const stream = sdk.chat.completions.stream(params);
      for await (const chunk of stream) {
        const delta = chunk.choices[0]?.delta;
        seen.think += delta?.reasoning_content ?? "";
        if (delta?.content) seen.deltas++;
        if (delta?.content) input.onText?.(delta.content);
        if (!input.usage && chunk.usage) seen.unasked++;
      }
      const raw = await stream.finalChatCompletion();
      return { ...chatResult(raw, input, seen.think), ...seen };
    },
    async abort(model, input) {
      const control = new AbortController();
      const stream = await sdk.chat.completions.create({ ...chatParams(model, input), stream: true }, { signal: control.signal });
      return abortAfter(stream, control, (chunk) => chunk.choices[0]?.delta?.content);
    },
  };
}

/** Reads a few pieces of text, aborts, and returns when it did. */
export async function abortAfter(stream, control, textOf) {
  let texts = 0;
  let at = 0;
  try {
    for await (const chunk of stream) {
      if (!textOf(chunk) || ++texts < 4 || at) continue;
      at = Date.now();
      control.abort();
    }
  } catch (error) {
    if (!at) throw error;
  }
  return at;
}

function chatParams(model, input) {
  const content = input.image
    ? [
        { type: "text", text: input.prompt },
        { type: "image_url", image_url: { url: `data:image/png;base64,${input.image}` } },
      ]
    : input.prompt;
  const messages = [];
  if (input.cache) messages.push({ role: "system", content: input.cache });
  messages.push({ role: "user", content });
  if (input.history) messages.push(input.history);
  for (const r of input.results ?? []) messages.push({ role: "tool", tool_call_id: r.id, content: r.text });
  if (input.follow) messages.push({ role: "user", content: input.follow });
  return {
    model,
    messages,
    ...(input.think && { reasoning_effort: "low" }),
    ...(input.tools && {
      tools: TOOLS.map((t) => ({ type: "function", function: { name: t.name, description: t.description, parameters: t.schema } })),
    }),
    ...(input.schema && {
      response_format: { type: "json_schema", json_schema: { name: "person", strict: true, schema: input.schema } },
    }),
  };
}

function chatResult(raw, input, think) {
  const { message, finish_reason } = raw.choices[0];
  const { parsed, ...turn } = message;
  return {
    raw,
    turn,
    think: think ?? "",
    text: textOf(message),
    calls: (message.tool_calls ?? []).map((c) => ({ id: c.id, name: c.function.name, args: JSON.parse(c.function.arguments || "{}") })),
    stop: STOPS[finish_reason] ?? finish_reason,
    usage: raw.usage && {
      in: raw.usage.prompt_tokens,
      out: raw.usage.completion_tokens,
      cached: raw.usage.prompt_tokens_details?.cached_tokens ?? 0,
    },
    total: raw.usage?.total_tokens,
  };
}

/** What a message says: its text, a list of parts (Mistral), or its refusal. */
function textOf({ content, refusal }) {
  if (Array.isArray(content)) return content.filter((p) => p.type === "text").map((p) => p.text).join("");
  return content || refusal || "";
}

/** The responses surface. */
export const responses = {
  make(at) {
    const sdk = connect(at);
    return {
      sdk,
      async whole(model, input) {
        return responsesResult(await sdk.responses.create(responsesParams(model, input)));
      },
      async stream(model, input) {
        let deltas = 0;
        const stream = sdk.responses.stream(responsesParams(model, input));
        for await (const event of stream) {
          if (event.type === "error") throw new OpenAI.APIError(undefined, event, event.message, undefined);
          if (event.type === "response.failed") throw new OpenAI.APIError(undefined, event.response.error, event.response.error?.message, undefined);
          if (event.type !== "response.output_text.delta") continue;
          deltas++;
          input.onText?.(event.delta);
        }
        return { ...responsesResult(await stream.finalResponse()), deltas };
      },
      async abort(model, input) {
        const control = new AbortController();
        const stream = await sdk.responses.create({ ...responsesParams(model, input), stream: true }, { signal: control.signal });
        return abortAfter(stream, control, (event) => event.type === "response.output_text.delta");
      },
    };
  },
};

function responsesParams(model, input) {
  const content = [{ type: "input_text", text: input.prompt }];
  if (input.image) content.push({ type: "input_image", detail: "auto", image_url: `data:image/png;base64,${input.image}` });
  const items = [{ role: "user", content }];
  items.push(...(input.history ?? []));
  for (const r of input.results ?? []) items.push({ type: "function_call_output", call_id: r.id, output: r.text });
  if (input.follow) items.push({ role: "user", content: input.follow });
  return {
    model,
    input: items,
    ...(input.cache && { instructions: input.cache }),
    ...(input.think && { reasoning: { effort: "low", summary: "auto" }, include: ["reasoning.encrypted_content"], store: false }),
    ...(input.tools && {
      tools: TOOLS.map((t) => ({ type: "function", name: t.name, description: t.description, parameters: t.schema, strict: false })),
    }),
    ...(input.schema && { text: { format: { type: "json_schema", name: "person", strict: true, schema: input.schema } } }),
  };
}

function responsesResult(raw) {
  const messages = raw.output.filter((o) => o.type === "message");
  const calls = raw.output.filter((o) => o.type === "function_call");
  const finished = calls.length ? "tools" : "stop";
  return {
    raw,
    turn: raw.output.map(({ parsed_arguments, ...item }) => item),
    think: raw.output
      .filter((o) => o.type === "reasoning")
      .flatMap((o) => (o.summary.length ? o.summary : (o.content ?? [])))
      .map((s) => s.text)
      .join(""),
    text: messages.flatMap((m) => m.content).map((p) => p.text ?? p.refusal ?? "").join(""),
    calls: calls.map((c) => ({ id: c.call_id, name: c.name, args: JSON.parse(c.arguments || "{}") })),
    stop: raw.status === "incomplete" ? "length" : finished,
    usage: raw.usage && {
      in: raw.usage.input_tokens,
      out: raw.usage.output_tokens,
      cached: raw.usage.input_tokens_details?.cached_tokens ?? 0,
    },
  };
}
