// The scenarios of the acceptance matrix, written once over a client (see
// openai.mjs, anthropic.mjs and their neighbours): a client turns an ask into its SDK's call and the
// SDK's answer into one common form, so that what is expected does not depend
// on who asks or who answers. It never knows how Tailplane works: it sees what
// SDKs return and what the replay provider received.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { UPS } from "./upstreams.mjs";

/** A 1x1 PNG. */
export const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

export const SCHEMA = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" } },
  required: ["name", "age"],
  additionalProperties: false,
};

export const TOOLS = [
  {
    name: "get_weather",
    description: "Weather of a city",
    schema: {
      type: "object",
      properties: { city: { type: "string" }, days: { type: "integer" } },
      required: ["city"],
    },
  },
  { name: "get_time", description: "Time in a zone", schema: { type: "object", properties: { zone: { type: "string" } } } },
  { name: "list_files", description: "Files", schema: { type: "object", properties: {} } },
];

/** What each scenario's reply must look like, whoever says it. */
const PLAIN = { text: "The capital of France is Paris.", calls: [], stop: "stop", usage: { in: 12, out: 7, cached: 0 } };
const TWO_CALLS = [
  { id: "call_1", name: "get_weather", args: { city: "Paris", days: 2 } },
  { id: "call_2", name: "get_time", args: { zone: "Europe/Paris" } },
];
const THOUGHT = "Six times seven.";
const SIGNATURE = "c2lnbmVkLWJ5LXJlcGxheQ==";
const CACHED_TEXT = "A long text that is worth keeping. ".repeat(40);

let nonces = 0;

/**
 * One cell: a client, through Tailplane, to an upstream. `model(scenario, mode,
 * fault)` names a fresh model there; `direct` asks the provider itself.
 */
export class Cell {
  constructor(spec, env, clients) {
    Object.assign(this, spec);
    this.env = env;
    this.at = UPS[this.up];
    this.more = clients.more;
    this.through = clients.make({ base: env.tailplane, key: env.clientKey });
    this.oracle = clients.make({ base: env.replay, key: "direct" });
  }

  fresh(scenario, mode = "w") {
    nonces++;
    return `sc.${scenario}.${mode}.${this.at.mark ?? ""}${this.id}${nonces}`;
  }

  /** What the provider received for a model. */
  async arrivals(model) {
    const answer = await fetch(`${this.env.replay}/stats?model=${encodeURIComponent(model)}`);
    return answer.json();
  }

  target(fault) {
    return fault ? `${this.id}-${fault}` : `up-${this.up}`;
  }

  /** Asks through Tailplane; on a pass cell the provider is asked too and must give the same. */
  async ask(scenario, input, { stream = false, mode = "w", compare = true } = {}) {
    const model = this.fresh(scenario, mode);
    const got = await this.through[stream ? "stream" : "whole"](`${this.target()}/${model}`, input);
    const seen = await this.arrivals(model);
    assert.equal(seen.length, 1, `the provider saw ${seen.length} requests`);
    const path = (stream && this.at.streams) || this.at.path;
    assert.equal(seen[0].path, path.replace("MODEL", model), "the upstream dialect");
    if (this.pass && compare) {
      const own = this.fresh(scenario, mode);
      const want = await this.oracle[stream ? "stream" : "whole"](own, input);
      const strip = (raw, name) => JSON.parse(JSON.stringify(raw).replaceAll(name, "MODEL"));
      assert.deepEqual(strip(got.raw, model), strip(want.raw, own), "the SDK's aggregate differs from the direct one");
    }
    got.unread = [...(this.without?.thoughts ? ["think"] : []), ...(stream && this.without?.["usage of streams"] ? ["usage"] : [])];
    got.sent = seen[0].body;
    got.model = model;
    return got;
  }
}

const same = (got, want, what) => assert.deepEqual(got, want, what);
const check = (got, want) => {
  for (const key of Object.keys(want)) if (!got.unread?.includes(key)) same(got[key], want[key], key);
};

export const SCENARIOS = {
  async plain(c) {
    check(await c.ask("plain", { prompt: "Capital of France?" }), PLAIN);
    const cut = await c.ask("length", { prompt: "Tell a story" });
    check(cut, { text: "Once upon a", stop: "length" });
  },

  async stream(c) {
    for (const mode of ["w", "b"]) {
      const got = await c.ask("plain", { prompt: "Capital of France?" }, { stream: true, mode });
      check(got, { text: PLAIN.text, stop: "stop" });
      assert.ok(got.deltas >= 2, `the text came in ${got.deltas} piece(s)`);
      assert.equal(got.unasked ?? 0, 0, "usage came though it was not asked for");
      if (c.at.says === "chat") assert.equal(got.sent.stream_options?.include_usage, true, "the provider was not asked for usage");
    }
  },

  async "stream with usage"(c) {
    check(await c.ask("plain", { prompt: "Capital of France?", usage: true }, { stream: true }), PLAIN);
  },

  async "parallel tool calls"(c) {
    for (const stream of [false, true]) {
      const ask = { prompt: "Weather and time in Paris?", tools: TOOLS };
      const got = await c.ask("tools", ask, { stream, mode: stream ? "b" : "w" });
      check(got, { text: "Let me look.", calls: TWO_CALLS, stop: "tools" });
      for (const t of TOOLS) assert.ok(JSON.stringify(got.sent.tools ?? got.sent.toolConfig).includes(t.name), `tool ${t.name} was not offered upstream`);
      const results = [
        { id: "call_1", text: "sunny, 21 degrees" },
        { id: "call_2", text: "12:05" },
      ];
      const next = await c.ask("plain", { ...ask, history: got.turn, results });
      check(next, PLAIN);
      const sent = JSON.stringify(next.sent);
      for (const part of ["call_1", "call_2", "sunny, 21 degrees", "12:05", "Let me look."]) {
        assert.ok(sent.includes(part), `${part} did not reach the provider in the second turn`);
      }
    }
  },

  async "tool call without arguments"(c) {
    for (const stream of [false, true]) {
      const got = await c.ask("noargs", { prompt: "List files", tools: TOOLS }, { stream });
      check(got, { text: "", calls: [{ id: "call_1", name: "list_files", args: {} }], stop: "tools" });
      const next = await c.ask("plain", { prompt: "List files", tools: TOOLS, history: got.turn, results: [{ id: "call_1", text: "a.txt" }] });
      check(next, PLAIN);
    }
  },

  async "JSON-schema output"(c) {
    for (const stream of [false, true]) {
      const got = await c.ask("schema", { prompt: "Who?", schema: SCHEMA }, { stream });
      same(JSON.parse(got.text), { name: "Ada", age: 36 });
      const { sent } = got;
      const at = {
        chat: sent.response_format?.json_schema?.schema,
        responses: sent.text?.format?.schema,
        anthropic: sent.output_config?.format?.schema ?? sent.output_format?.schema,
        gemini: sent.generationConfig?.responseJsonSchema ?? sent.generationConfig?.responseSchema,
        converse: JSON.parse(sent.outputConfig?.textFormat?.structure?.jsonSchema?.schema ?? "{}"),
      }[c.at.says];
      same(at?.properties, SCHEMA.properties, "the schema as the provider got it");
    }
  },

  async "image input"(c) {
    const got = await c.ask("image", { prompt: "What is this?", image: PIXEL });
    check(got, { text: "A red square.", stop: "stop" });
    const parts = (got.sent.messages ?? got.sent.input ?? got.sent.contents).flatMap((m) => m.content ?? m.parts);
    const found = {
      chat: () => parts.find((p) => p.type === "image_url")?.image_url.url,
      responses: () => parts.find((p) => p.type === "input_image")?.image_url,
      anthropic: () => {
        const source = parts.find((p) => p.type === "image")?.source;
        return `data:${source?.media_type};base64,${source?.data}`;
      },
      gemini: () => {
        const { inlineData } = parts.find((p) => p.inlineData) ?? {};
        return `data:${inlineData?.mimeType};base64,${inlineData?.data}`;
      },
      converse: () => {
        const { image } = parts.find((p) => p.image) ?? {};
        return `data:image/${image?.format};base64,${image?.source.bytes}`;
      },
    }[c.at.says]();
    assert.equal(found, `data:image/png;base64,${PIXEL}`, "the image as the provider got it");
  },

  async "reasoning round trip"(c) {
    for (const stream of [false, true]) {
      const ask = { prompt: "What is 6 x 7?", think: true };
      const got = await c.ask("think", ask, { stream });
      check(got, { text: "It is 42.", think: THOUGHT, stop: "stop" });
      const next = await c.ask("plain", { ...ask, history: got.turn, follow: "Sure?" });
      check(next, PLAIN);
      const sent = JSON.stringify(next.sent);
      const says = c.without?.thoughts || c.without?.signatures ? "chat" : c.at.says;
      if (says !== "chat") assert.ok(sent.includes(SIGNATURE), "the signature did not come back to the provider intact");
      if (says !== "chat" && says !== "gemini") assert.ok(sent.includes(THOUGHT), "the thought did not come back to the provider");
      assert.ok(!sent.includes("tp1."), "a wrapped signature reached the provider");
    }
  },

  async "prompt-cache fields"(c) {
    for (const stream of [false, true]) {
      const got = await c.ask("cache", { prompt: "Go on", cache: CACHED_TEXT, usage: true }, { stream });
      check(got, { text: "Cached.", usage: { in: 120, out: 2, cached: 100 } });
      assert.ok(JSON.stringify(got.sent).includes(CACHED_TEXT), "the text to cache did not arrive");
      const mark = { anthropic: "cache_control", converse: "cachePoint" }[c.at.says];
      const marks = c.at.says === "converse" ? /bedrock/ : /anthropic|bedrock/; // of Bedrock's models, not all take marks
      if (mark && marks.test(c.client)) assert.ok(JSON.stringify(got.sent).includes(mark), `${mark} is not there`);
    }
  },

  // The gateway's share of the time is there in every try, what a busy machine adds is not: the quickest of three counts.
  async "client abort"(c) {
    let took = Infinity;
    for (let tries = 0; tries < 3 && took > 100; tries++) took = Math.min(took, await aborted(c));
    assert.ok(took <= 100, `the provider saw the cancel after ${took} ms at best`);
    c.env.cancels.push(Math.max(0, took));
  },

  async "upstream errors"(c) {
    const flaky = c.fresh("flaky");
    check(await c.through.whole(`${c.target("flaky")}/${flaky}`, { prompt: "?" }), PLAIN);
    assert.equal((await c.arrivals(flaky)).length, 2, "requests at the provider: one that failed and its retry");

    for (const stream of [false, true]) {
      const got = await c.through[stream ? "stream" : "whole"](`fallback-${c.id}`, { prompt: "?" });
      check(got, { text: PLAIN.text, stop: "stop" });
    }

    const down = await raised(() => c.through.whole(`${c.target("down")}/${c.fresh("down")}`, { prompt: "?" }));
    assert.ok(down.status >= 500, `an outage came as status ${down.status}: ${down.message}`);
    const bad = await raised(() => c.through.whole(`${c.target()}/${c.fresh("bad")}`, { prompt: "?" }));
    assert.equal(bad.status, 400, `a refusal came as ${bad.status}: ${bad.message}`);
    assert.match(bad.message, /scripted refusal/, "the provider's words");

    for (const scenario of ["cut", "event"]) {
      const pieces = [];
      const broke = await raised(() =>
        c.through.stream(`${c.target("broken")}/${c.fresh(scenario)}`, { prompt: "?", onText: (t) => pieces.push(t) }),
      );
      assert.ok(pieces.length > 0, `${scenario}: no text came before the break (${broke.message})`);
      assert.ok(!/^(terminated|aborted)$/.test(broke.message), `${scenario}: the connection was cut instead of an error event`);
    }
  },

  async "rate limit"(c) {
    const limited = await raised(() => c.through.whole(`${c.target("limited")}/${c.fresh("limited")}`, { prompt: "?" }));
    assert.equal(limited.status, 429, `came as ${limited.status}: ${limited.message}`);
    assert.ok(limited.typed, `not the SDK's own error type: ${limited.name}`);
    if (!c.at.unhurried) assert.ok(limited.after >= 30 && limited.after <= 37, `retry-after is ${limited.after}, the provider said 37`);

    const once = c.fresh("once");
    check(await c.through.whole(`${c.target("once")}/${once}`, { prompt: "?" }), PLAIN);
    const seen = await c.arrivals(once);
    assert.equal(seen.length, 2, `${seen.length} requests at the provider`);
    const waited = seen[1].at - seen[0].at;
    if (!c.at.unhurried) assert.ok(waited >= 990, `asked again after ${waited} ms, the provider demanded 1 s`);
  },
};

/** The error that f throws, in the common form of the clients. */
async function raised(f) {
  let value;
  try {
    value = await f();
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    const headers = error.headers ?? error.responseHeaders ?? error.$response?.headers ?? {};
    const get = (name) => (typeof headers.get === "function" ? headers.get(name) : headers[name]);
    const message = String(error.message);
    const google = /"retryDelay"\s*:\s*\\?"(\d+)/.exec(message + (error.responseBody ?? ""))?.[1]; // in its body
    return {
      name: error.constructor.name,
      message,
      status: error.status ?? error.statusCode ?? error.$metadata?.httpStatusCode ?? error.lastError?.statusCode,
      after: Number(get("retry-after") ?? google),
      typed: /^(RateLimitError|ThrottlingException|ApiError)$|APICallError$/.test(error.constructor.name),
    };
  }
  throw new assert.AssertionError({ message: `no error was raised; the answer was ${JSON.stringify(value?.text ?? value)?.slice(0, 200)}` });
}

/** Runs a cell's scenarios and returns [{name, error}]. */
export async function runCell(cell) {
  const results = [];
  for (const [name, run] of Object.entries({ ...SCENARIOS, ...cell.more })) {
    if (cell.without?.[name]) continue;
    let error = "";
    try {
      await Promise.race([run(cell), sleep(30_000, null, { ref: false }).then(() => assert.fail("took longer than 30 s"))]);
    } catch (e) {
      error = brief(e);
    }
    results.push({ name, error });
  }
  return results;
}

/** Lets a client leave in the middle of a stream, and returns the milliseconds until the provider saw it. */
async function aborted(c) {
  const model = c.fresh("slow");
  const at = await c.through.abort(`${c.target()}/${model}`, { prompt: "Go on and on" });
  let seen;
  for (let i = 0; i < 60 && !seen?.cancelled; i++) {
    await sleep(20);
    [seen] = await c.arrivals(model);
  }
  assert.ok(seen?.cancelled, "the provider never saw the cancel");
  return seen.cancelled - at;
}

/** One line about an error. */
export function brief(e) {
  const lines = String(e?.message ?? e).split("\n").filter((l) => l.trim());
  let text = lines[0];
  if (e instanceof assert.AssertionError && typeof e.actual !== "undefined" && e.generatedMessage !== true) {
    const show = (v) => (JSON.stringify(v) ?? "undefined").slice(0, 1500);
    if (e.operator !== "==" && e.operator !== "match") text += `: got ${show(e.actual)}, want ${show(e.expected)}`;
  }
  if (e?.status) text += ` (status ${e.status})`;
  return text;
}
