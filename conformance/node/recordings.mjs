// Recorded traffic through the splice lane: what the SDK makes of an answer that
// came through Tailplane is what it makes of the same answer from the provider,
// errors included, and the request arrives there as it was sent.

import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { chat, connect as connectOpenAI, responses } from "./openai.mjs";
import { connect as connectAnthropic, messages } from "./anthropic.mjs";

const DEFAULTS = {
  chat: { messages: [{ role: "user", content: "?" }], stream_options: { include_usage: true } },
  responses: { input: "?" },
  anthropic: { max_tokens: 1024, messages: [{ role: "user", content: "?" }] },
};

const calls = {
  chat: {
    whole: (sdk, body) => sdk.openai.chat.completions.create(body),
    stream: (sdk, body) => sdk.openai.chat.completions.stream(body).finalChatCompletion(),
  },
  responses: {
    whole: (sdk, body) => sdk.openai.responses.create(body),
    stream: (sdk, body) => sdk.openai.responses.stream(body).finalResponse(),
  },
  anthropic: {
    whole: (sdk, body) => sdk.anthropic.messages.create(body),
    stream: (sdk, body) => sdk.anthropic.messages.stream(body).finalMessage(),
  },
};

const PATHS = { chat: "/v1/chat/completions", responses: "/v1/responses", anthropic: "/v1/messages" };

/** What an SDK makes of a call: its value, or that it raised and what. */
async function outcome(call) {
  try {
    return { value: JSON.parse(JSON.stringify(await call())) };
  } catch (error) {
    return { raised: error.constructor.name, message: String(error.message).slice(0, 300) };
  }
}

/** A recording as the SDK reads it from the provider itself, and the request that came. */
async function directly(env, sdk, rec) {
  const model = `rec.${rec.number}.w.d`;
  return { ...(await asked(sdk.direct, rec, model)), arrived: await arrived(env, model) };
}

function asked(sdk, rec, model) {
  const { model: _, stream: __, ...rest } = rec.request ?? DEFAULTS[rec.dialect];
  if (!rec.streamed) delete rest.stream_options;
  return outcome(() => calls[rec.dialect][rec.streamed ? "stream" : "whole"](sdk, { model, ...rest, ...(rec.streamed && { stream: true }) }));
}

async function arrived(env, model) {
  const seen = await (await fetch(`${env.replay}/stats?model=${model.split("/").at(-1)}`)).json();
  if (!seen.length) return undefined;
  const { model: _, stream_options, ...others } = seen[seen.length - 1].body;
  return JSON.stringify(others);
}

/** How the reading through Tailplane, in pieces of a mode, compares with the direct one. */
async function compare(env, sdk, rec, mode, direct) {
  const model = `up-${rec.dialect}/rec.${rec.number}.${mode}.t`;
  const through = await asked(sdk.through, rec, model);
  const [want, got] = [direct.arrived, await arrived(env, model)];
  if (want === undefined) return { skipped: `the SDK does not send it: ${direct.message}` };
  if (got === undefined) return { error: `it did not reach the provider: ${through.raised}: ${through.message}` };
  if (want !== got) return { error: "the request arrived changed" };
  if ("value" in direct) {
    if (!("value" in through) && direct.value.error && !direct.value.choices) return { refused: true };
    if (!("value" in through)) return { error: `raised ${through.raised}: ${through.message}` };
    if (!isDeepStrictEqual(direct.value, through.value)) return { error: difference(direct.value, through.value) };
    return { equal: true };
  }
  if ("value" in through) return { error: `no error, but directly ${direct.raised}: ${direct.message}` };
  return { bothRaised: true };
}

/** The path of the first member that differs. */
function difference(want, got, path = "$") {
  if (want === null || got === null || typeof want !== "object" || typeof got !== "object") {
    return `${path}: ${JSON.stringify(got)?.slice(0, 120)} instead of ${JSON.stringify(want)?.slice(0, 120)}`;
  }
  for (const key of new Set([...Object.keys(want), ...Object.keys(got)])) {
    if (!isDeepStrictEqual(want[key], got[key])) return difference(want[key], got[key], `${path}.${key}`);
  }
  return "equal";
}

/** An error inside a stream. */
const ERROR_EVENT = /(event: (error|response\.failed)\r?\n)?data: ?\{("type":"(error|response\.failed)"|"id":[^}]*?"error"|"error")/;

/** The bytes of a stream, through fetch: with usage asked for, nothing may differ. */
async function bytesEqual(env, rec) {
  const { model: _, ...rest } = rec.request ?? DEFAULTS[rec.dialect];
  const get = async (base, key, model) => {
    const body = { model, ...rest, stream: true, ...(rec.dialect === "chat" && { stream_options: { include_usage: true } }) };
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json", "anthropic-version": "2023-06-01" };
    const answer = await fetch(base + PATHS[rec.dialect], { method: "POST", headers, body: JSON.stringify(body) });
    try {
      return { status: answer.status, text: await answer.text() };
    } catch (error) {
      return { status: answer.status, text: `cut: ${error.message}` };
    }
  };
  const want = await get(env.replay, "direct", `rec.${rec.number}.w.bd`);
  const got = await get(env.tailplane, env.clientKey, `up-${rec.dialect}/rec.${rec.number}.w.bt`);
  if (want.text === got.text) return "equal";
  if (got.status >= 400 && JSON.parse(got.text).error && ERROR_EVENT.test(want.text)) return "refused";
  // An error event of the provider is said anew; everything before it is its own.
  const at = want.text.search(ERROR_EVENT);
  if (at >= 0 && got.text.startsWith(want.text.slice(0, at)) && ERROR_EVENT.test(got.text.slice(at))) return "reworded";
  return `status ${got.status}, ${got.text.length} bytes instead of ${want.text.length}: ...${got.text.slice(-160)}`;
}

export async function* recordingCells(env) {
  const list = await (await fetch(`${env.replay}/recordings`)).json();
  const at = { base: env.tailplane, key: env.clientKey };
  const direct = { base: env.replay, key: "direct" };
  const sdk = {
    through: { openai: connectOpenAI(at), anthropic: connectAnthropic(at) },
    direct: { openai: connectOpenAI(direct), anthropic: connectAnthropic(direct) },
  };
  for (const dialect of ["chat", "responses", "anthropic"]) {
    for (const streamed of [true, false]) {
      const mine = list.filter((r) => r.dialect === dialect && r.streamed === streamed);
      const results = [];
      const count = { equal: 0, bothRaised: 0, refused: 0, skipped: 0 };
      for (const rec of mine) {
        const direct = await directly(env, sdk, rec);
        for (const mode of streamed ? ["w", "b"] : ["w"]) {
          const r = await compare(env, sdk, rec, mode, direct);
          if (r.skipped) count.skipped++;
          else results.push({ name: `${rec.name} (${mode})`, error: r.error ?? "" });
          if (r.equal) count.equal++;
          if (r.bothRaised) count.bothRaised++;
          if (r.refused) count.refused++;
        }
      }
      const note = `${count.equal} aggregates equal, ${count.bothRaised} raise both ways, ${count.refused} are errors under status 200, ${count.skipped} not sendable`;
      yield { label: `recordings ${dialect}, ${streamed ? "streams, also byte by byte" : "whole answers"}`, results, note };
      if (!streamed) continue;
      const bytes = [];
      const fates = { equal: 0, reworded: 0, refused: 0 };
      for (const rec of mine) {
        const fate = await bytesEqual(env, rec);
        if (fate in fates) fates[fate]++;
        bytes.push({ name: rec.name, error: fate in fates ? "" : fate });
      }
      const told = `${fates.equal} identical, ${fates.reworded} but for their error event, ${fates.refused} refused before the first token`;
      yield { label: `recordings ${dialect}, streams as bytes`, results: bytes, note: told };
    }
  }
}

const CLIENTS = { chat, responses, anthropic: messages };

/** Without CONF_FULL, one in three recordings is read in translation: that keeps a run below five minutes. */
const STEP = process.env.CONF_FULL ? 1 : 3;

/**
 * Recorded answers through the translate lane: what another dialect's SDK reads
 * (text, calls, usage) is what the answer's own SDK reads directly.
 */
export async function* translationCells(env) {
  const list = await (await fetch(`${env.replay}/recordings`)).json();
  const clients = {};
  for (const [dialect, client] of Object.entries(CLIENTS)) {
    clients[dialect] = {
      direct: client.make({ base: env.replay, key: "direct" }),
      through: client.make({ base: env.tailplane, key: env.clientKey }),
    };
  }
  for (const up of Object.keys(CLIENTS)) {
    const all = list.filter((r) => r.dialect === up);
    const mine = all.filter((_, i) => i % STEP === 0);
    const direct = new Map();
    for (const rec of mine) direct.set(rec, await read(clients[up].direct, rec, `rec.${rec.number}.w.tr`));
    for (const dialect of Object.keys(CLIENTS).filter((d) => d !== up)) {
      const results = [];
      let raised = 0;
      for (const rec of mine) {
        const want = direct.get(rec);
        const got = await read(clients[dialect].through, rec, `up-${up}/rec.${rec.number}.w.tr${dialect}`);
        if (unread(rec, want)) {
          raised++;
          continue;
        }
        results.push({ name: `${rec.name}${rec.streamed ? " (stream)" : ""}`, error: translated(want, got) });
      }
      yield { label: `recordings ${up}, read as ${dialect}`, results, note: `left out: ${raised} that their own SDK does not read${STEP > 1 ? `, and all but one in ${STEP}; CONF_FULL=1 reads all` : ""}` };
    }
  }
}

/**
 * Whether the dialect's own SDK does not read an answer: it raises, or it joins
 * Mistral's streamed lists and unnumbered calls wrongly, or the recording is
 * several answers in one.
 */
function unread(rec, got) {
  if (got.raised || got.text.includes("[object Object]")) return true;
  if (got.stop === "tools" && got.calls.length === 0) return true;
  return rec.name.includes("reasoning-encrypted-content.1");
}

async function read(client, rec, model) {
  try {
    return await client[rec.streamed ? "stream" : "whole"](model, { prompt: "?", usage: true });
  } catch (error) {
    return { raised: `${error.constructor.name}: ${String(error.message).slice(0, 200)}` };
  }
}

/** Why a translated reading is not the direct one, or nothing. */
function translated(want, got) {
  if (got.raised) return `raised ${got.raised}`;
  const calls = (r) => r.calls.map((c) => [c.name, c.args]);
  if (got.text !== want.text) return `text: ${show(got.text)} instead of ${show(want.text)}`;
  if (!isDeepStrictEqual(calls(got), calls(want))) return `calls: ${show(calls(got))} instead of ${show(calls(want))}`;
  if (!want.usage) return "";
  // Some servers leave audio or reasoning tokens out of the two sums, but not out
  // of the total: then the total decides. And cached tokens that outnumber the
  // prompt's cannot be a part of them: then they come on top.
  const { in: input = 0, out = 0 } = got.usage ?? {};
  const { in: prompt = 0, out: said = 0, cached } = want.usage;
  const same = input === (cached > prompt ? prompt + cached : prompt) && out === said;
  return same || input + out === want.total ? "" : `usage ${show(got.usage)} instead of ${show(want.usage)}, in all ${want.total}`;
}

const show = (v) => (JSON.stringify(v) ?? "nothing").slice(0, 140);
