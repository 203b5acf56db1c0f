// LangChain's chat models as clients of the suite.

import assert from "node:assert/strict";
import { ChatAnthropic } from "@langchain/anthropic";
import { createAgent, HumanMessage, SystemMessage, tool, ToolMessage } from "langchain";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";
import { TOOLS } from "./suite.mjs";
import { abortAfter } from "./openai.mjs";

const openai = (more) => ({ base, key }) => (model, input) =>
  new ChatOpenAI({
    model, apiKey: key, maxRetries: 0, timeout: 20_000, configuration: { baseURL: `${base}/v1` }, ...more,
    ...(more.useResponsesApi ? { zdrEnabled: true } : { streamUsage: Boolean(input.usage) }),
    ...(input.think && { reasoning: { effort: "low", ...(more.useResponsesApi && { summary: "auto" }) } }),
  });

const anthropic = ({ base, key }) => (model, input) =>
  new ChatAnthropic({
    model, apiKey: key, maxRetries: 0, anthropicApiUrl: base, maxTokens: 4096,
    ...(input.think && { thinking: { type: "enabled", budget_tokens: 2048 } }),
  });

function client(maker, formOf) {
  return {
    make(at) {
      const made = maker(at);
      const asked = (model, input) => {
        const chat = made(model, input);
        return input.tools ? chat.bindTools(TOOLS.map((t) => ({ type: "function", function: { name: t.name, description: t.description, parameters: t.schema } }))) : chat;
      };
      const options = (input) => (input.schema ? formOf(input.schema) : {});
      return {
        async whole(model, input) {
          return result(await asked(model, input).invoke(messages(input), options(input)));
        },
        async stream(model, input) {
          let all;
          let deltas = 0;
          for await (const chunk of await asked(model, input).stream(messages(input), options(input))) {
            all = all ? all.concat(chunk) : chunk;
            if (!chunk.text) continue;
            deltas++;
            input.onText?.(chunk.text);
          }
          return { ...result(all), deltas };
        },
        async abort(model, input) {
          const control = new AbortController();
          return abortAfter(await asked(model, input).stream(messages(input), { signal: control.signal }), control, (chunk) => chunk.text);
        },
        made,
      };
    },
    more: {
      async "an agent with a tool"(c) {
        const model = c.fresh("agent");
        const files = tool(() => "a.txt", { name: "list_files", description: "Files", schema: z.object({}) });
        const agent = createAgent({ model: c.through.made(`${c.target()}/${model}`, {}), tools: [files] });
        const got = await agent.invoke({ messages: [new HumanMessage("List files")] });
        assert.equal(got.messages.at(-1).text, "The capital of France is Paris.", JSON.stringify(got.messages));
        const seen = await c.arrivals(model);
        assert.equal(seen.length, 2, "requests at the provider: the question and the tool's result");
        assert.match(JSON.stringify(seen[1].body), /a\.txt/);
      },
    },
  };
}

const chatForm = (schema) => ({ response_format: { type: "json_schema", json_schema: { name: "person", strict: true, schema } } });
const anthropicForm = (schema) => ({ outputConfig: { format: { type: "json_schema", schema } } });

export const clients = {
  "langchain-openai": client(openai({}), chatForm),
  "langchain-responses": client(openai({ useResponsesApi: true }), chatForm),
  "langchain-anthropic": client(anthropic, anthropicForm),
};

function messages(input) {
  const content = [{ type: "text", text: input.prompt }];
  if (input.image) content.push({ type: "image_url", image_url: { url: `data:image/png;base64,${input.image}` } });
  const list = [new HumanMessage({ content })];
  if (input.cache) list.unshift(new SystemMessage({ content: [{ type: "text", text: input.cache, cache_control: { type: "ephemeral" } }] }));
  if (input.history) list.push(input.history);
  for (const r of input.results ?? []) list.push(new ToolMessage({ tool_call_id: r.id, content: r.text }));
  if (input.follow) list.push(new HumanMessage(input.follow));
  return list;
}

const STOPS = { end_turn: "stop", tool_use: "tools", tool_calls: "tools", max_tokens: "length" };

/** A message of LangChain's; a stream's is the sum of its chunks. */
function result(message) {
  const { response_metadata: meta, usage_metadata: u, tool_calls: calls } = message;
  const stop = meta.finish_reason ?? meta.stop_reason ?? message.additional_kwargs.stop_reason;
  const thoughts = message.contentBlocks.filter((b) => b.type === "reasoning").map((b) => b.reasoning).join("");
  return {
    raw: { content: message.content, calls, stop, usage: u },
    turn: message,
    think: thoughts,
    text: message.text,
    calls: calls.map((c) => ({ id: c.id, name: c.name, args: c.args })),
    stop: STOPS[stop] ?? stop ?? (calls.length ? "tools" : meta.incomplete_details ? "length" : "stop"),
    usage: u && { in: u.input_tokens, out: u.output_tokens, cached: u.input_token_details?.cache_read ?? 0 },
  };
}
