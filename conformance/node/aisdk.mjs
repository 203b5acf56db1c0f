// The AI SDK's providers: text, streams, tools with a second step, structured
// output. It parses answers with strict schemas, so it sees what the providers'
// own SDKs let pass.

import assert from "node:assert/strict";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { brief, PIXEL } from "./suite.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;

const TEXT = "The capital of France is Paris.";

const makers = {
  chat: (at) => (model) => createOpenAI({ apiKey: at.key, baseURL: `${at.base}/v1` }).chat(model),
  responses: (at) => (model) => createOpenAI({ apiKey: at.key, baseURL: `${at.base}/v1` }).responses(model),
  anthropic: (at) => (model) => createAnthropic({ apiKey: at.key, baseURL: `${at.base}/v1` })(model),
};

const tools = {
  get_weather: tool({ description: "Weather", inputSchema: z.object({ city: z.string(), days: z.number().optional() }) }),
  get_time: tool({ description: "Time", inputSchema: z.object({ zone: z.string() }) }),
  list_files: tool({ description: "Files", inputSchema: z.object({}) }),
};

const scenarios = {
  async plain(model) {
    const got = await generateText({ model: model("plain"), prompt: "Capital of France?", maxRetries: 0 });
    assert.equal(got.text, TEXT);
    assert.equal(got.finishReason, "stop");
    assert.equal(got.usage.inputTokens, 12);
    assert.equal(got.usage.outputTokens, 7);
  },
  async stream(model) {
    for (const mode of ["w", "b"]) {
      const got = streamText({ model: model("plain", mode), prompt: "Capital of France?", maxRetries: 0 });
      const pieces = [];
      for await (const piece of got.textStream) pieces.push(piece);
      assert.equal(pieces.join(""), TEXT);
      assert.ok(pieces.length >= 2, "the text came in one piece");
      assert.equal(await got.finishReason, "stop");
      assert.equal((await got.usage).outputTokens, 7);
    }
  },
  async "tools, parallel"(model) {
    for (const stream of [false, true]) {
      const ask = { model: model("tools"), tools, prompt: "Weather and time in Paris?", maxRetries: 0 };
      const got = stream ? streamText(ask) : await generateText(ask);
      const calls = (await got.toolCalls).map((c) => [c.toolName, c.input]);
      assert.deepEqual(calls, [["get_weather", { city: "Paris", days: 2 }], ["get_time", { zone: "Europe/Paris" }]]);
      assert.equal(await got.finishReason, "tool-calls");
    }
  },
  async "tools, two steps"(model) {
    const run = { ...tools, list_files: tool({ description: "Files", inputSchema: z.object({}), execute: () => "a.txt" }) };
    const got = await generateText({ model: model("noargs"), tools: run, prompt: "List files", stopWhen: stepCountIs(2), maxRetries: 0 });
    assert.equal(got.steps.length, 2, "the tool's result did not lead to a second step");
    assert.deepEqual(got.steps[0].toolResults.map((r) => r.output), ["a.txt"]);
  },
  async "structured output"(model) {
    const schema = z.object({ name: z.string(), age: z.number() });
    const got = await generateText({ model: model("schema"), output: Output.object({ schema }), prompt: "Who?", maxRetries: 0 });
    assert.deepEqual(got.output, { name: "Ada", age: 36 });
  },
  async "image input"(model) {
    const content = [{ type: "text", text: "What is this?" }, { type: "image", image: PIXEL, mediaType: "image/png" }];
    const got = await generateText({ model: model("image"), messages: [{ role: "user", content }], maxRetries: 0 });
    assert.equal(got.text, "A red square.");
  },
  async "error after the first byte"(model) {
    for (const scenario of ["cut", "event"]) {
      const errors = [];
      const got = streamText({ model: model(scenario, "w", true), prompt: "?", maxRetries: 0, onError: (e) => errors.push(e.error) });
      let finish;
      for await (const part of got.fullStream) if (part.type === "finish") finish = part.finishReason;
      assert.ok(errors.length > 0, `${scenario}: no error was reported`);
      assert.notEqual(finish, "stop", `${scenario}: it looks like a clean end`);
    }
  },
};

let nonces = 0;

function cell(label, client, up) {
  const run = async (env) => {
    const at = makers[client]({ base: env.tailplane, key: env.clientKey });
    const model = (scenario, mode = "w", faulty = false) =>
      at(`${faulty ? `${faultCells[up]}-broken` : `up-${up}`}/sc.${scenario}.${mode}.ai${++nonces}`);
    const results = [];
    for (const [name, scenario] of Object.entries(scenarios)) {
      let error = "";
      try {
        await scenario(model);
      } catch (e) {
        error = brief(e);
      }
      results.push({ name, error });
    }
    return results;
  };
  return [label, run];
}

/** Cells of whose broken targets these scenarios may make use. */
const faultCells = { chat: "n1", responses: "n4", anthropic: "n7" };

export const aiCells = [
  cell("ai-sdk openai chat -> chat", "chat", "chat"),
  cell("ai-sdk openai chat -> anthropic", "chat", "anthropic"),
  cell("ai-sdk openai responses -> responses", "responses", "responses"),
  cell("ai-sdk openai responses -> anthropic", "responses", "anthropic"),
  cell("ai-sdk anthropic -> anthropic", "anthropic", "anthropic"),
  cell("ai-sdk anthropic -> chat", "anthropic", "chat"),
];
