// Google's SDK as a client of the suite.

import assert from "node:assert/strict";
import { GoogleGenAI } from "@google/genai";
import { TOOLS } from "./suite.mjs";
import { abortAfter } from "./openai.mjs";

export function connect({ base, key }) {
  return new GoogleGenAI({ apiKey: key, vertexai: false, httpOptions: { baseUrl: base, timeout: 20_000 } });
}

export const generate = {
  make(at) {
    const sdk = connect(at);
    return {
      sdk,
      async whole(model, input) {
        return result([await sdk.models.generateContent(params(model, input))]);
      },
      async stream(model, input) {
        const chunks = [];
        let deltas = 0;
        for await (const chunk of await sdk.models.generateContentStream(params(model, input))) {
          chunks.push(chunk);
          const text = textOf(chunk);
          if (!text) continue;
          deltas++;
          input.onText?.(text);
        }
        return { ...result(chunks), deltas };
      },
      async abort(model, input) {
        const control = new AbortController();
        const ask = params(model, input);
        ask.config.abortSignal = control.signal;
        return abortAfter(await sdk.models.generateContentStream(ask), control, textOf);
      },
    };
  },
  more: {
    /** The SDK's chat forgets a turn in which a chunk is not as it knows them. */
    async "a chat that the SDK keeps"(c) {
      const model = c.fresh("plain");
      const chat = c.through.sdk.chats.create({ model: `${c.target()}/${model}` });
      for (const message of ["Capital of France?", "Sure?"]) {
        for await (const chunk of await chat.sendMessageStream({ message })) void chunk;
      }
      const sent = JSON.stringify((await c.arrivals(model))[1].body);
      for (const part of ["Capital of France?", "The capital", " is Paris.", "Sure?"]) assert.ok(sent.includes(part), `${part} is not in the second request`);
    },
  },
};

const partsOf = (chunk) => chunk.candidates?.[0]?.content?.parts ?? [];
const textOf = (chunk) => partsOf(chunk).filter((p) => p.text && !p.thought).map((p) => p.text).join("");

function params(model, input) {
  const parts = [{ text: input.prompt }];
  if (input.image) parts.push({ inlineData: { mimeType: "image/png", data: input.image } });
  const contents = [{ role: "user", parts }];
  if (input.history) contents.push(input.history);
  if (input.results) {
    const name = (id) => input.history.parts.find((p) => p.functionCall?.id === id)?.functionCall.name;
    contents.push({ role: "user", parts: input.results.map((r) => ({ functionResponse: { id: r.id, name: name(r.id), response: { output: r.text } } })) });
  }
  if (input.follow) contents.push({ role: "user", parts: [{ text: input.follow }] });
  return {
    model,
    contents,
    config: {
      ...(input.cache && { systemInstruction: input.cache }),
      ...(input.think && { thinkingConfig: { includeThoughts: true, thinkingBudget: 2048 } }),
      ...(input.tools && {
        tools: [{ functionDeclarations: TOOLS.map((t) => ({ name: t.name, description: t.description, parametersJsonSchema: t.schema })) }],
      }),
      ...(input.schema && { responseMimeType: "application/json", responseJsonSchema: input.schema }),
    },
  };
}

const STOPS = { STOP: "stop", MAX_TOKENS: "length" };

/** The parts of an answer, pieces of one text or thought joined up to its signature. */
function joined(pieces) {
  const parts = [];
  for (const p of pieces.filter((p) => p.functionCall || p.thoughtSignature || p.text)) {
    const last = parts.at(-1);
    const same = last?.text !== undefined && p.text !== undefined && last.thought === p.thought && !last.thoughtSignature;
    if (same) parts[parts.length - 1] = { ...last, ...p, text: last.text + p.text };
    else parts.push(p);
  }
  return parts;
}

/** What the pieces of an answer say together; the SDK joins none itself. */
function result(chunks) {
  const parts = joined(chunks.flatMap(partsOf));
  const last = chunks.findLast((c) => c.usageMetadata) ?? {};
  const stop = chunks.map((c) => c.candidates?.[0]?.finishReason).findLast(Boolean);
  const calls = parts.filter((p) => p.functionCall).map(({ functionCall: c }) => ({ id: c.id, name: c.name, args: c.args ?? {} }));
  const u = last.usageMetadata;
  return {
    raw: { parts, stop, usage: u, model: last.modelVersion, id: last.responseId },
    turn: { role: "model", parts },
    think: parts.filter((p) => p.thought).map((p) => p.text).join(""),
    text: chunks.map(textOf).join(""),
    calls,
    stop: calls.length && stop === "STOP" ? "tools" : (STOPS[stop] ?? stop),
    usage: u && {
      in: u.promptTokenCount,
      out: (u.candidatesTokenCount ?? 0) + (u.thoughtsTokenCount ?? 0),
      cached: u.cachedContentTokenCount ?? 0,
    },
  };
}
