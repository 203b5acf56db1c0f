// What no SDK sends: broken, slow, hostile and old-fashioned requests on a bare
// socket. Each must get a clear error in its dialect, or an answer, and must
// leave the server well.

import assert from "node:assert/strict";
import http2 from "node:http2";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { brief } from "./suite.mjs";

/** Sends parts, a number being a pause in ms, and returns what came back. */
async function talk(env, parts, { half = false, limit = 8000 } = {}) {
  const socket = net.connect({ port: env.port, host: "127.0.0.1", allowHalfOpen: true });
  const chunks = [];
  const ended = new Promise((done) => {
    socket.on("data", (d) => chunks.push(d));
    socket.on("end", done);
    socket.on("close", done);
    socket.on("error", done);
  });
  for (const part of parts) {
    if (typeof part === "number") await sleep(part);
    else if (!socket.destroyed && socket.writable) socket.write(part);
  }
  if (half) socket.end();
  await Promise.race([ended, sleep(limit, null, { ref: false })]);
  socket.destroy();
  const bytes = Buffer.concat(chunks);
  const text = bytes.toString("utf8");
  const at = text.indexOf("\r\n\r\n");
  return { text, status: Number(/^HTTP\/1\.[01] (\d+)/.exec(text)?.[1]), head: text.slice(0, at), body: text.slice(at + 4) };
}

function head(env, path, length, more = "") {
  return (
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${env.clientKey}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${length}\r\nConnection: close\r\n${more}\r\n`
  );
}

const post = (env, path, body, more) => talk(env, [head(env, path, Buffer.byteLength(body), more), body]);
const json = (got) => JSON.parse(got.body.replace(/^[0-9a-f]+\r\n/i, "").replace(/\r\n0\r\n\r\n$/, ""));

/** The error object, in the form of the path's dialect. */
function errorOf(got, path) {
  const body = json(got);
  if (path.includes("messages")) {
    assert.equal(body.type, "error", `not Anthropic's form: ${got.body.slice(0, 200)}`);
    assert.equal(typeof body.error?.type, "string");
  }
  assert.ok(body.error?.message?.length > 10, `no message: ${got.body.slice(0, 200)}`);
  return body.error;
}

const PATHS = ["/v1/chat/completions", "/v1/responses", "/v1/messages"];
const good = (model = "up-chat/sc.plain.w.raw") => JSON.stringify({ model, max_tokens: 10, messages: [{ role: "user", content: "?" }] });

const named = (model) => JSON.stringify({ model, max_tokens: 9, input: "x", messages: [{ role: "user", content: "x" }] });

async function refused(env, bodyOf, status, words) {
  for (const path of PATHS) {
    const got = await post(env, path, bodyOf(path));
    assert.equal(got.status, status, `${path}: status ${got.status}: ${got.text.slice(0, 300)}`);
    const error = errorOf(got, path);
    assert.match(error.message, words, `${path}: ${error.message}`);
  }
}

const scenarios = {
  "malformed JSON": (env) => refused(env, () => `{"model": "sim/fast", "messages": [`, 400, /JSON|end|object/i),
  "not an object": (env) => refused(env, () => `[1,2]`, 400, /object/i),
  "empty body": (env) => refused(env, () => ``, 400, /./),
  "no model": (env) => refused(env, () => `{"messages":[],"input":"x"}`, 400, /model/),
  "duplicate members": (env) =>
    refused(env, () => `{"model":"sim/fast","model":"sim/slow","messages":[{"role":"user","content":"x"}],"input":"x","max_tokens":9}`, 400, /again|twice|duplicate/i),
  "invalid UTF-8": async (env) => {
    const body = Buffer.concat([Buffer.from(`{"model":"sim/fast","max_tokens":9,"input":"a`), Buffer.from([0xff, 0xfe]), Buffer.from(`","messages":[{"role":"user","content":"a`), Buffer.from([0xff]), Buffer.from(`"}]}`)]);
    for (const path of PATHS) {
      const got = await talk(env, [head(env, path, body.length), body]);
      assert.equal(got.status, 400, `${path}: ${got.text.slice(0, 300)}`);
      errorOf(got, path);
    }
  },
  "deep nesting": (env) => {
    const deep = "[".repeat(200_000) + "]".repeat(200_000);
    return refused(env, () => `{"model":"sim/fast","max_tokens":9,"x":${deep},"input":"x","messages":[]}`, 400, /deep|nest/i);
  },
  "unknown model": (env) => refused(env, () => named("fallbak-n1"), 404, /fallback-n1/),
  "unknown model of a target": (env) => refused(env, () => named("sim/fats"), 404, /fats/),
  "unknown target": (env) => refused(env, () => named("up-chta/x"), 404, /up-chta.*(up-chat|GET \/v1\/models)/),
  "wrong method": async (env) => {
    for (const path of PATHS) {
      const got = await talk(env, [`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${env.clientKey}\r\nConnection: close\r\n\r\n`]);
      assert.equal(got.status, 405, got.text.slice(0, 200));
      assert.match(got.head, /^allow: post/im);
      errorOf(got, path);
    }
  },
  "unknown path": async (env) => {
    const got = await post(env, "/v1/nothing/here", good());
    assert.equal(got.status, 404, got.text.slice(0, 200));
    errorOf(got, "/v1/nothing");
  },
  "no key, wrong key": async (env) => {
    for (const auth of ["", "Authorization: Bearer sk-other\r\n", "X-Api-Key: wrong\r\n"]) {
      for (const path of PATHS) {
        const body = good();
        const got = await talk(env, [`POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${auth}Content-Length: ${body.length}\r\nConnection: close\r\n\r\n`, body]);
        assert.equal(got.status, 401, got.text.slice(0, 200));
        assert.ok(!got.body.includes("sk-other") && !got.body.includes("wrong\""), "the key is repeated");
        errorOf(got, path);
      }
    }
  },
  "foreign Host": async (env) => {
    const body = good();
    const got = await talk(env, [`POST /v1/chat/completions HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer ${env.clientKey}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`, body]);
    assert.equal(got.status, 403, got.text.slice(0, 200));
  },
  "huge body": async (env) => {
    const got = await talk(env, [head(env, "/v1/chat/completions", 9 << 20), "{"]);
    assert.equal(got.status, 413, got.text.slice(0, 200));
    errorOf(got, "/v1/chat/completions");
    const piece = "x".repeat(1 << 20);
    const open = `POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${env.clientKey}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n`;
    const parts = [open];
    for (let i = 0; i < 10; i++) parts.push(`100000\r\n${piece}\r\n`);
    const chunked = await talk(env, parts);
    assert.equal(chunked.status, 413, chunked.text.slice(0, 200));
    errorOf(chunked, "/v1/messages");
  },
  "slow body": async (env) => {
    const body = good();
    const parts = [head(env, "/v1/chat/completions", body.length)];
    for (let i = 0; i < body.length; i += 20) parts.push(body.slice(i, i + 20), 60);
    const got = await talk(env, parts);
    assert.equal(got.status, 200, got.text.slice(0, 300));
    assert.match(got.body, /Paris/);
  },
  "chunked body": async (env) => {
    const body = good();
    const open = `POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${env.clientKey}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n`;
    const pieces = [...body].map((ch) => `1\r\n${ch}\r\n`).join("");
    const got = await talk(env, [open, pieces, "0\r\n\r\n"]);
    assert.equal(got.status, 200, got.text.slice(0, 300));
  },
  // A server cannot tell a caller that half-closed from one that left. It may
  // serve it or cut the connection, but not end with what looks complete.
  "half-close after the body": async (env) => {
    const body = good();
    const got = await talk(env, [head(env, "/v1/chat/completions", body.length), body], { half: true });
    assert.ok(got.text === "" || got.status >= 400 || /Paris/.test(got.body), `answered with ${JSON.stringify(got.text.slice(0, 120))}`);
  },
  "half-close within the body": async (env) => {
    const body = good();
    const got = await talk(env, [head(env, "/v1/chat/completions", body.length), body.slice(0, 20), 50], { half: true });
    assert.ok(got.text === "" || got.status >= 400, `a truncated request was answered with ${JSON.stringify(got.text.slice(0, 120))}`);
  },
  "half-close within a stream": async (env) => {
    for (const [path, up, end] of [["/v1/chat/completions", "chat", /\[DONE\]/], ["/v1/messages", "anthropic", /message_stop/]]) {
      const body = JSON.stringify({ ...JSON.parse(good(`up-${up}/sc.slow.w.half`)), stream: true });
      const got = await talk(env, [head(env, path, body.length), body, 300], { half: true, limit: 1500 });
      const looksWhole = /\r\n0\r\n\r\n$/.test(got.text) && !end.test(got.text) && !/"error"/.test(got.text);
      assert.ok(!looksWhole, `${path}: the stream ends as if it were whole: ${JSON.stringify(got.text.slice(-80))}`);
    }
  },
  "100-continue": async (env) => {
    const body = good();
    const socket = net.connect(env.port, "127.0.0.1");
    let text = "";
    socket.on("data", (d) => (text += d));
    socket.write(head(env, "/v1/chat/completions", body.length, "Expect: 100-continue\r\n"));
    for (let i = 0; i < 100 && !text.includes("100 Continue"); i++) await sleep(10);
    assert.match(text, /^HTTP\/1\.1 100 Continue/, "no 100 before the body");
    socket.write(body);
    await new Promise((done) => socket.on("close", done));
    assert.match(text, /HTTP\/1\.1 200/);
  },
  "HTTP/1.0": async (env) => {
    for (const stream of [false, true]) {
      const body = JSON.stringify({ ...JSON.parse(good()), stream });
      const got = await talk(env, [`POST /v1/chat/completions HTTP/1.0\r\nAuthorization: Bearer ${env.clientKey}\r\nContent-Length: ${body.length}\r\n\r\n`, body]);
      assert.equal(got.status, 200, got.text.slice(0, 300));
      assert.ok(!/transfer-encoding/i.test(got.head), "chunked to HTTP/1.0");
      if (stream) assert.match(got.body, /data: \[DONE\]\s*$/);
      else assert.match(got.body, /Paris/);
    }
  },
  "h2c, prior knowledge": async (env) => {
    const session = http2.connect(env.tailplane);
    try {
      const body = JSON.stringify({ ...JSON.parse(good()), stream: true });
      const stream = session.request({ ":method": "POST", ":path": "/v1/chat/completions", authorization: `Bearer ${env.clientKey}`, "content-type": "application/json" });
      stream.end(body);
      let status = 0;
      let text = "";
      stream.on("response", (h) => (status = h[":status"]));
      stream.on("data", (d) => (text += d));
      await new Promise((done, fail) => (stream.on("end", done), stream.on("error", fail), session.on("error", fail)));
      assert.equal(status, 200, text);
      assert.match(text, /data: \[DONE\]/);
    } finally {
      session.destroy();
    }
  },
  "pipelined requests": async (env) => {
    const body = good();
    const one = head(env, "/v1/chat/completions", body.length).replace("Connection: close\r\n", "") + body;
    const got = await talk(env, [one, head(env, "/v1/chat/completions", body.length) + body]);
    assert.equal(got.text.split("HTTP/1.1 200").length - 1, 2, got.text.slice(0, 400));
  },
  "smuggling: two lengths": async (env) => {
    const body = good();
    const got = await talk(env, [head(env, "/v1/chat/completions", body.length, "Transfer-Encoding: chunked\r\n"), body]);
    assert.notEqual(got.status, 200, "Content-Length with Transfer-Encoding was served");
  },
  "still well": async (env) => {
    const got = await post(env, "/v1/chat/completions", good());
    assert.equal(got.status, 200);
    const ready = await fetch(`${env.tailplane}/readyz`);
    assert.equal(ready.status, 200);
  },
};

export async function rawCell(env) {
  const results = [];
  for (const [name, run] of Object.entries(scenarios)) {
    let error = "";
    try {
      await run(env);
    } catch (e) {
      error = brief(e);
    }
    results.push({ name, error });
  }
  return results;
}
