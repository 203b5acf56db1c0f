// Operations without a conversation, and the simulator, through both SDKs.

import assert from "node:assert/strict";
import { connect as connectOpenAI } from "./openai.mjs";
import { connect as connectAnthropic } from "./anthropic.mjs";
import { connect as connectBedrock } from "./bedrock.mjs";
import { connect as connectGemini } from "./gemini.mjs";
import { InvokeModelCommand, InvokeModelWithResponseStreamCommand } from "@aws-sdk/client-bedrock-runtime";
import { brief, SCHEMA } from "./suite.mjs";

const TEXT = "The capital of France is Paris.";

let nonces = 0;
const fresh = (scenario) => `sc.${scenario}.w.x${++nonces}`;

function cell(label, scenarios) {
  const run = async (env) => {
    const at = { base: env.tailplane, key: env.clientKey };
    const all = (a) => ({ openai: connectOpenAI(a), anthropic: connectAnthropic(a), gemini: connectGemini(a), bedrock: connectBedrock(a) });
    const sdk = all(at);
    const direct = all({ base: env.replay, key: "direct" });
    const results = [];
    for (const [name, scenario] of Object.entries(scenarios)) {
      let error = "";
      try {
        await scenario(sdk, direct, env);
      } catch (e) {
        error = brief(e);
      }
      results.push({ name, error });
    }
    return results;
  };
  return [label, run];
}

const others = {
  async embeddings({ openai }, direct) {
    for (const input of ["one", ["one", "two"]]) {
      const model = fresh("plain");
      const got = await openai.embeddings.create({ model: `up-openai/${model}`, input });
      assert.deepEqual(got, await direct.openai.embeddings.create({ model, input }));
      assert.deepEqual(Array.from(got.data[0].embedding), [0.5, -0.25, 0]);
    }
    const floats = await openai.embeddings.create({ model: `up-openai/${fresh("plain")}`, input: "one", encoding_format: "float" });
    assert.deepEqual(floats.data[0].embedding, [0.5, -0.25, 0]);
  },
  async "embeddings of Azure, Gemini, Ollama"({ openai }) {
    for (const up of ["azure", "azure-classic", "gemini", "ollama"]) {
      const got = await openai.embeddings.create({ model: `up-${up}/${fresh("plain")}`, input: ["one", "two"] });
      assert.deepEqual(got.data.map((d) => Array.from(d.embedding)), [[0.5, -0.25, 0], [0.5, -0.25, 1]], up);
    }
  },
  async models({ openai, anthropic }) {
    const ids = [];
    for await (const m of openai.models.list()) ids.push(m.id);
    assert.ok(ids.includes("fallback-n1"), `fallback-n1 is not among ${ids.slice(0, 10)}`);
    const one = await openai.models.retrieve("fallback-n1");
    assert.equal(one.id, "fallback-n1");
    const theirs = await anthropic.get("/anthropic/v1/models");
    assert.ok(theirs.data.some((m) => m.id === "fallback-n1" && m.type === "model"), "Anthropic's form of the list");
  },
  async completions({ openai }, direct) {
    const model = fresh("plain");
    const got = await openai.completions.create({ model: `up-chat/${model}`, prompt: "Capital?" });
    assert.equal(got.choices[0].text, TEXT);
    assert.equal(got.usage.completion_tokens, 7);
    const join = async (sdk, name, options) => {
      let text = "";
      let usage;
      for await (const chunk of await sdk.completions.create({ model: name, prompt: "Capital?", stream: true, ...options })) {
        text += chunk.choices[0]?.text ?? "";
        usage = chunk.usage ?? usage;
      }
      return { text, usage };
    };
    for (const options of [{}, { stream_options: { include_usage: true } }]) {
      const name = fresh("plain");
      assert.deepEqual(await join(openai, `up-chat/${name}`, options), await join(direct.openai, name, options));
    }
  },
  async count_tokens({ anthropic }, direct) {
    const ask = (model) => ({ model, messages: [{ role: "user", content: "How long is this?" }] });
    const model = fresh("plain");
    const got = await anthropic.messages.countTokens(ask(`up-anthropic/${model}`));
    assert.deepEqual(got, await direct.anthropic.messages.countTokens(ask(model)));
    const guess = await anthropic.messages.countTokens(ask(`up-chat/${model}`));
    assert.ok(guess.input_tokens > 0, "no estimate for an upstream that cannot count");
  },
};

const bedrockEmbeddings = {
  async titan({ openai }) {
    const got = await openai.embeddings.create({ model: "up-bedrock/amazon.titan-embed-text-v2:0", input: "one" });
    assert.deepEqual(Array.from(got.data[0].embedding), [0.5, -0.25, 0]);
    assert.equal(got.usage.prompt_tokens, 3);
  },
};

/** What Google's and AWS's SDKs ask beside conversations. */
const clouds = {
  async "genai countTokens"({ gemini }, direct) {
    const ask = (model) => ({ model, contents: "How long is this?" });
    const model = fresh("plain");
    const got = await gemini.models.countTokens(ask(`up-gemini/${model}`));
    assert.equal(got.totalTokens, (await direct.gemini.models.countTokens(ask(model))).totalTokens);
    const guess = await gemini.models.countTokens(ask(`up-chat/${model}`));
    assert.ok(guess.totalTokens > 0, "no estimate for an upstream that cannot count");
  },
  async "genai embedContent"({ gemini }, direct) {
    for (const contents of ["one", ["one", "two"]]) {
      const model = fresh("plain");
      const got = await gemini.models.embedContent({ model: `up-gemini/${model}`, contents });
      assert.deepEqual(got.embeddings, (await direct.gemini.models.embedContent({ model, contents })).embeddings);
    }
  },
  async "genai models"({ gemini }) {
    const names = [];
    for await (const m of await gemini.models.list()) names.push(m.name);
    assert.ok(names.includes("models/fallback-n1"), `models/fallback-n1 is not among ${names.slice(0, 5)}`);
  },
  async "a stream as a JSON array"(_, __, env) {
    const body = JSON.stringify({ contents: [{ role: "user", parts: [{ text: "Capital?" }] }] });
    const head = { "x-goog-api-key": env.clientKey, "content-type": "application/json" };
    for (const up of ["gemini", "chat"]) {
      const url = `${env.tailplane}/v1beta/models/up-${up}/${fresh("plain")}:streamGenerateContent`;
      const list = await (await fetch(url, { method: "POST", headers: head, body })).json();
      assert.ok(Array.isArray(list) && list.length > 1, `${up}: not an array of pieces`);
      const text = list.flatMap((c) => c.candidates?.[0]?.content?.parts ?? []).map((p) => p.text ?? "").join("");
      assert.equal(text, TEXT, up);
    }
  },
  async "aws InvokeModel, Claude"({ bedrock }) {
    const body = JSON.stringify({ anthropic_version: "bedrock-2023-05-31", max_tokens: 9, messages: ask });
    const got = await bedrock.send(new InvokeModelCommand({ modelId: `up-bedrock/sc.plain.w.claude-x${++nonces}`, contentType: "application/json", body }));
    assert.equal(JSON.parse(Buffer.from(got.body).toString()).content[0].text, TEXT);
  },
  async "aws InvokeModelWithResponseStream, Claude"({ bedrock }) {
    const modelId = `up-bedrock/sc.plain.w.claude-x${++nonces}`;
    const body = JSON.stringify({ anthropic_version: "bedrock-2023-05-31", max_tokens: 9, messages: ask });
    let text = "";
    for await (const { chunk } of (await bedrock.send(new InvokeModelWithResponseStreamCommand({ modelId, contentType: "application/json", body }))).body) {
      text += JSON.parse(Buffer.from(chunk.bytes).toString()).delta?.text ?? "";
    }
    assert.equal(text, TEXT);
  },
};

const headers = {
  async "request id"({ openai, anthropic }) {
    const chat = await openai.chat.completions.create({ model: `up-chat/${fresh("plain")}`, messages: ask });
    assert.match(chat._request_id ?? "", /^req_/, "openai's _request_id");
    const message = await anthropic.messages.create({ model: `up-chat/${fresh("plain")}`, max_tokens: 9, messages: ask });
    assert.match(message._request_id ?? "", /^req_/, "anthropic's _request_id");
  },
  async "target and model"({ openai }) {
    const model = fresh("plain");
    const { response } = await openai.chat.completions.create({ model: `up-anthropic/${model}`, messages: ask }).withResponse();
    assert.equal(response.headers.get("x-tailplane-target"), "up-anthropic");
    assert.equal(response.headers.get("x-tailplane-model"), model);
    const { response: fell } = await openai.chat.completions.create({ model: "fallback-n1", messages: ask }).withResponse();
    assert.equal(fell.headers.get("x-tailplane-target"), "up-anthropic", "the fallback's name");
  },
  async "losses are declared"({ anthropic }) {
    const body = { max_tokens: 9, messages: ask, top_k: 7, system: [{ type: "text", text: "be brief", cache_control: { type: "ephemeral" } }] };
    const { response } = await anthropic.messages.create({ model: `up-chat/${fresh("plain")}`, ...body }).withResponse();
    const lost = response.headers.get("x-tailplane-loss") ?? "";
    for (const feature of [/top.?k/, /cache/]) assert.match(lost, feature);
    const { response: kept } = await anthropic.messages.create({ model: `up-anthropic/${fresh("plain")}`, ...body }).withResponse();
    assert.equal(kept.headers.get("x-tailplane-loss"), null, "a loss on a pass-through");
  },
  async "losses can be refused"({ anthropic }) {
    const model = fresh("plain");
    const call = anthropic.messages.create({ model: `up-chat/${model}`, max_tokens: 9, messages: ask, top_k: 7 }, { headers: { "x-tailplane-lossless": "1" } });
    await assert.rejects(call, (e) => e.status === 400 && /top.?k/.test(e.message));
  },
  async "the upstream's key is not the client's"({ openai }, direct, env) {
    const model = fresh("plain");
    await openai.chat.completions.create({ model: `up-openai/${model}`, messages: ask });
    const [seen] = await (await fetch(`${env.replay}/stats?model=${model}`)).json();
    assert.equal(seen.key, "sk-upstream");
  },
  async "retries of both sides do not multiply"(_, __, env) {
    const model = fresh("down");
    const sdk = connectOpenAI({ base: env.tailplane, key: env.clientKey }).withOptions({ maxRetries: 3 });
    await assert.rejects(sdk.chat.completions.create({ model: `up-down/${model}`, messages: ask }), (e) => e.status >= 500);
    const seen = await (await fetch(`${env.replay}/stats?model=${model}`)).json();
    assert.equal(seen.length, 2, "requests at the provider: Tailplane's own two attempts");
  },
  async "rate-limit headers in the client's words"({ openai }) {
    const model = fresh("plain");
    const { response } = await openai.chat.completions.create({ model: `up-anthropic/${model}`, messages: ask }).withResponse();
    assert.equal(response.headers.get("x-ratelimit-limit-requests"), "50");
  },
};

const ledger = {
  async "usage as the provider told it"({ openai, anthropic }, _, env) {
    for (const up of ["chat", "anthropic", "responses"]) {
      const stream = anthropic.messages.stream({ model: `up-${up}/${fresh("cache")}`, max_tokens: 9, messages: ask });
      await stream.finalMessage();
      const { usage, outcome } = await env.why(stream.response.headers.get("request-id"));
      assert.equal(outcome, "ok");
      assert.deepEqual([usage.input, usage.cache_read, usage.output, usage.source], [120, 100, 2, "reported"], `${up}: ${JSON.stringify(usage)}`);
    }
    const got = await openai.chat.completions.create({ model: `up-chat/${fresh("plain")}`, messages: ask, stream: true }).withResponse();
    for await (const chunk of got.data) void chunk;
    const { usage } = await env.why(got.response.headers.get("x-request-id"));
    assert.deepEqual([usage.input, usage.output], [12, 7], "of a stream whose client asked for no usage");
  },
  async "a fallback with its reason"({ openai }, _, env) {
    const { response } = await openai.chat.completions.create({ model: "fallback-n1", messages: ask }).withResponse();
    const record = await env.why(response.headers.get("x-request-id"));
    assert.equal(record.outcome, "ok");
    assert.equal(record.attempts.at(-1).target, "up-anthropic");
    assert.equal(record.attempts.at(-1).lane, "translate");
  },
  async "a caller that left"({ openai }, _, env) {
    const control = new AbortController();
    const { data, response } = await openai.chat.completions
      .create({ model: `up-chat/${fresh("slow")}`, messages: ask, stream: true }, { signal: control.signal })
      .withResponse();
    const reading = (async () => {
      let n = 0;
      for await (const chunk of data) if (chunk.choices[0]?.delta?.content && ++n === 4) control.abort();
    })();
    await reading.catch(() => {});
    const record = await env.why(response.headers.get("x-request-id"));
    assert.equal(record.outcome, "gone");
    assert.ok(record.usage.output >= 3 && record.usage.output <= 12, `an estimate of ${record.usage.output} tokens for 4 pieces`);
  },
  async "a stream that broke"({ openai }, _, env) {
    const { data, response } = await openai.chat.completions
      .create({ model: `up-chat/${fresh("cut")}`, messages: ask, stream: true })
      .withResponse();
    await assert.rejects(async () => {
      for await (const chunk of data) void chunk;
    });
    const record = await env.why(response.headers.get("x-request-id"));
    assert.equal(record.outcome, "broken");
    assert.ok(record.usage.input > 0 && record.usage.output > 0, `usage ${JSON.stringify(record.usage)}`);
  },
};

const ask = [{ role: "user", content: "Say something about Paris" }];
const weather = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const asksWeather = [{ role: "user", content: "Please call get_weather for Paris" }];

const simulatorOpenAI = {
  async plain({ openai }) {
    const got = await openai.chat.completions.create({ model: "sim/fast", messages: ask, max_tokens: 60 });
    assert.match(got.choices[0].message.content, /simulated/);
    assert.ok(got.usage.completion_tokens > 0);
  },
  async stream({ openai }) {
    const stream = openai.chat.completions.stream({ model: "sim/fast", messages: ask, max_tokens: 60, stream_options: { include_usage: true } });
    const got = await stream.finalChatCompletion();
    assert.match(got.choices[0].message.content, /simulated/);
    assert.ok(got.usage.completion_tokens > 0);
  },
  async tools({ openai }) {
    const tools = [{ type: "function", function: { name: "get_weather", parameters: weather } }];
    const got = await openai.chat.completions.create({ model: "sim/fast", messages: asksWeather, tools });
    assert.equal(got.choices[0].finish_reason, "tool_calls");
    assert.equal(JSON.parse(got.choices[0].message.tool_calls[0].function.arguments).city, "Paris");
  },
  async schema({ openai }) {
    const format = { type: "json_schema", json_schema: { name: "person", strict: true, schema: SCHEMA } };
    const got = await openai.chat.completions.create({ model: "sim/fast", messages: ask, response_format: format });
    assert.deepEqual(Object.keys(JSON.parse(got.choices[0].message.content)).sort(), ["age", "name"]);
  },
  async embeddings({ openai }) {
    const got = await openai.embeddings.create({ model: "sim/fast", input: ["one", "two"] });
    assert.equal(got.data.length, 2);
    assert.ok(got.data[0].embedding.length > 8);
  },
  async responses({ openai }) {
    const got = await openai.responses.create({ model: "sim/fast", input: "Say something about Paris", max_output_tokens: 60 });
    assert.match(got.output_text, /simulated/);
    const final = await openai.responses.stream({ model: "sim/fast", input: "Say something", max_output_tokens: 60 }).finalResponse();
    assert.match(final.output_text, /simulated/);
  },
};

const simulatorAnthropic = {
  async plain({ anthropic }) {
    const got = await anthropic.messages.create({ model: "sim/fast", max_tokens: 60, messages: ask });
    assert.match(got.content[0].text, /simulated/);
    assert.ok(got.usage.output_tokens > 0);
  },
  async stream({ anthropic }) {
    const got = await anthropic.messages.stream({ model: "sim/fast", max_tokens: 60, messages: ask }).finalMessage();
    assert.match(got.content[0].text, /simulated/);
    assert.ok(got.usage.output_tokens > 0);
  },
  async tools({ anthropic }) {
    const tools = [{ name: "get_weather", input_schema: weather }];
    const got = await anthropic.messages.stream({ model: "sim/fast", max_tokens: 200, messages: asksWeather, tools }).finalMessage();
    assert.equal(got.stop_reason, "tool_use");
    assert.equal(got.content.find((b) => b.type === "tool_use").input.city, "Paris");
  },
  async schema({ anthropic }) {
    const got = await anthropic.messages.create({
      model: "sim/fast", max_tokens: 200, messages: ask, output_config: { format: { type: "json_schema", schema: SCHEMA } },
    });
    assert.deepEqual(Object.keys(JSON.parse(got.content[0].text)).sort(), ["age", "name"]);
  },
};

export const extraCells = [
  cell("embeddings, models, completions, count_tokens (node)", others),
  cell("embeddings, counts and InvokeModel of the clouds (node)", clouds),
  cell("openai-node embeddings -> bedrock", bedrockEmbeddings),
  cell("headers and losses (node)", headers),
  cell("ledger (node)", ledger),
  cell("openai-node -> simulator", simulatorOpenAI),
  cell("anthropic-node -> simulator", simulatorAnthropic),
];
