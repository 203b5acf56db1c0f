// The AI SDK's providers as clients of the suite. They parse answers with strict
// schemas, so they see what the providers' own SDKs let pass; structured output
// is the SDK's own, and a tool that the SDK runs itself leads to a second step.

import assert from "node:assert/strict";
import { createAmazonBedrock } from "@ai-sdk/amazon-bedrock";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, Output, readUIMessageStream, stepCountIs, streamText, tool } from "ai";
import { SCHEMA, TOOLS } from "./suite.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;

/** Models by provider: name, and key and base of the service. */
const makers = {
  "ai-openai-chat": (at) => (model) => createOpenAI({ apiKey: at.key, baseURL: `${at.base}/v1` }).chat(model),
  "ai-openai-responses": (at) => (model) => createOpenAI({ apiKey: at.key, baseURL: `${at.base}/v1` }).responses(model),
  "ai-compatible": (at) => (model) =>
    createOpenAICompatible({ name: "tailplane", apiKey: at.key, baseURL: `${at.base}/v1`, includeUsage: true, supportsStructuredOutputs: true })(model),
  "ai-anthropic": (at) => (model) => createAnthropic({ apiKey: at.key, baseURL: `${at.base}/v1` })(model),
  "ai-google": (at) => (model) => createGoogleGenerativeAI({ apiKey: at.key, baseURL: `${at.base}/v1beta` })(`models/${model}`),
  "ai-bedrock": (at) => (model) => createAmazonBedrock({ apiKey: at.key, region: "us-east-1", baseURL: at.base })(model),
};

/** What asks for thinking, and for a schema in the provider's own words. */
const THINKING = {
  openai: { reasoningEffort: "low", reasoningSummary: "auto", forceReasoning: true, include: ["reasoning.encrypted_content"], store: false },
  anthropic: { thinking: { type: "enabled", budgetTokens: 2048 } },
  google: { thinkingConfig: { includeThoughts: true, thinkingBudget: 2048 } },
  bedrock: { reasoningConfig: { type: "enabled", budgetTokens: 2048 } },
};
const NATIVE = { openai: { store: false }, anthropic: { structuredOutputMode: "outputFormat" } };

function client(maker) {
  return {
    make(at) {
      const named = maker(at);
      return {
        async whole(model, input) {
          return result(await generateText(params(named(model), input)));
        },
        async stream(model, input) {
          const got = streamText({ ...params(named(model), input), onError() {} });
          let deltas = 0;
          for await (const part of got.fullStream) {
            if (part.type === "error") throw part.error;
            if (part.type !== "text-delta") continue;
            deltas++;
            input.onText?.(part.text);
          }
          const members = ["content", "text", "reasoningText", "toolCalls", "finishReason", "usage", "response"];
          const values = await Promise.all(members.map((m) => got[m]));
          return { ...result(Object.fromEntries(members.map((m, i) => [m, values[i]]))), deltas };
        },
        async abort(model, input) {
          const control = new AbortController();
          const got = streamText({ ...params(named(model), input), abortSignal: control.signal, onError() {} });
          let texts = 0;
          for await (const part of got.fullStream) {
            if (part.type === "error") throw part.error;
            if (part.type !== "text-delta" || ++texts < 4) continue;
            control.abort();
            return Date.now();
          }
          assert.fail("the stream ended by itself");
        },
        named,
      };
    },
    /** What only this client can be asked. */
    more: {
      async "a tool that the SDK runs"(c) {
        const run = { list_files: tool({ description: "Files", inputSchema: jsonSchema(TOOLS[2].schema), execute: () => "a.txt" }) };
        const model = c.fresh("agent");
        const ask = { model: c.through.named(`${c.target()}/${model}`), tools: run, prompt: "List files", maxRetries: 0 };
        const got = await generateText({ ...ask, stopWhen: stepCountIs(3) });
        assert.deepEqual(got.steps[0].toolResults.map((r) => r.output), ["a.txt"]);
        assert.equal(got.text, "The capital of France is Paris.");
        const seen = await c.arrivals(model);
        assert.equal(seen.length, 2, "requests at the provider: the question and the tool's result");
        assert.match(JSON.stringify(seen[1].body), /a\.txt/);
      },
      async "a stream for a user interface"(c) {
        const got = streamText({ model: c.through.named(`${c.target()}/${c.fresh("plain")}`), prompt: "Capital?", maxRetries: 0 });
        let message;
        for await (const m of readUIMessageStream({ stream: got.toUIMessageStream() })) message = m;
        const text = message.parts.filter((p) => p.type === "text").map((p) => p.text).join("");
        assert.equal(text, "The capital of France is Paris.");
      },
      async "the object of a schema"(c) {
        const model = c.through.named(`${c.target()}/${c.fresh("schema")}`);
        const got = await generateText({ model, output: Output.object({ schema: jsonSchema(SCHEMA) }), prompt: "Who?", maxRetries: 0 });
        assert.deepEqual(got.output, { name: "Ada", age: 36 });
      },
    },
  };
}

export const clients = Object.fromEntries(Object.entries(makers).map(([name, maker]) => [name, client(maker)]));

function params(model, input) {
  const content = [{ type: "text", text: input.prompt }];
  if (input.image) content.push({ type: "image", image: input.image, mediaType: "image/png" });
  const cached = { anthropic: { cacheControl: { type: "ephemeral" } }, bedrock: { cachePoint: { type: "default" } } };
  const messages = [{ role: "user", content }, ...(input.history ?? [])];
  if (input.results) {
    const name = (id) => input.history.flatMap((m) => m.content).find((p) => p.toolCallId === id)?.toolName;
    messages.push({
      role: "tool",
      content: input.results.map((r) => ({ type: "tool-result", toolCallId: r.id, toolName: name(r.id), output: { type: "text", value: r.text } })),
    });
  }
  if (input.follow) messages.push({ role: "user", content: input.follow });
  return {
    model,
    messages,
    maxRetries: 0,
    providerOptions: input.think ? THINKING : NATIVE,
    ...(input.cache && { system: { role: "system", content: input.cache, providerOptions: cached } }),
    ...(input.tools && { tools: Object.fromEntries(TOOLS.map((t) => [t.name, tool({ description: t.description, inputSchema: jsonSchema(t.schema) })])) }),
    ...(input.schema && { output: Output.object({ schema: jsonSchema(input.schema) }) }),
  };
}

const STOPS = { "tool-calls": "tools" };

function result({ content, text, reasoningText, toolCalls, finishReason, usage, response }) {
  return {
    raw: { content, finishReason, usage },
    turn: response.messages,
    think: reasoningText ?? "",
    text,
    calls: toolCalls.map((c) => ({ id: c.toolCallId, name: c.toolName, args: c.input })),
    stop: STOPS[finishReason] ?? finishReason,
    usage: { in: usage.inputTokens, out: usage.outputTokens, cached: usage.inputTokenDetails?.cacheReadTokens ?? 0 },
  };
}
