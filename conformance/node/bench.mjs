// The bench on which the cells run: a replay provider, a Tailplane in front of
// it with a target for every fault that must not touch its neighbours, and the
// addresses of both. It starts processes and ends exactly those.

import { execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { target, UPS } from "./upstreams.mjs";

export const CLIENT_KEY = "sk-tp-conformance";

/** The targets that a cell breaks; each has its own breaker, cool-down and retry budget. */
const FAULTS = ["flaky", "down", "broken", "limited", "once"];

export function config(cells, replay, ports, dir) {
  const targets = {
    sim: { kind: "sim" },
    ...Object.fromEntries(Object.keys(UPS).map((up) => [`up-${up}`, target(up, replay)])),
    "up-chat": { ...target("chat", replay), dialects: ["chat", "completions", "embeddings"] },
    "up-down": target("chat", replay),
    "up-openai": { kind: "openai", url: `${replay}/v1`, key: "env:CONF_UPSTREAM_KEY" },
  };
  const models = {};
  for (const cell of cells.filter((c) => c.client)) {
    for (const fault of FAULTS) targets[`${cell.id}-${fault}`] = target(cell.up, replay);
    const other = cell.up === "anthropic" ? "up-chat" : "up-anthropic";
    models[`fallback-${cell.id}`] = { route: [`${cell.id}-down/sc.down.w.fb${cell.id}`, `${other}/sc.plain.w.fb${cell.id}`] };
  }
  return {
    version: 1,
    listen: { data: { addr: `127.0.0.1:${ports.data}` }, admin: { addr: `127.0.0.1:${ports.admin}` }, max_body: 8 << 20 },
    targets,
    models,
    keys: { static: [{ name: "conf", key: "env:CONF_CLIENT_KEY" }] },
    ledger: { dir: join(dir, "ledger") },
  };
}

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** Starts both servers. env names the two programs and the corpus folder. */
export async function open(cells, { replayBin, tailplaneBin, corpus }) {
  const dir = mkdtempSync(join(tmpdir(), "tailplane-conformance-"));
  const children = [];
  const start = (bin, args) => {
    const child = spawn(bin, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, CONF_UPSTREAM_KEY: "sk-upstream", CONF_CLIENT_KEY: CLIENT_KEY },
    });
    child.log = "";
    for (const s of [child.stdout, child.stderr]) {
      s.on("data", (d) => {
        child.log = (child.log + d).slice(-200_000);
        child.bug ??= /.*(panic:|a bug:|DATA RACE|fatal error:)[^]{0,600}/.exec(child.log)?.[0];
      });
    }
    children.push(child);
    return child;
  };
  const close = async () => {
    for (const child of children) if (child.exitCode === null) child.kill("SIGTERM");
    await sleep(300);
    for (const child of children) if (child.exitCode === null) child.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const replay = start(replayBin, corpus ? ["-corpus", corpus] : []);
    const at = await wait(() => /listening (\S+)/.exec(replay.log)?.[1], replay, "the replay provider");
    const env = { replay: `http://${at}`, clientKey: CLIENT_KEY, cancels: [], close };
    const ports = { data: await freePort(), admin: await freePort() };
    const file = join(dir, "tailplane.yaml");
    writeFileSync(file, JSON.stringify(config(cells, env.replay, ports, dir), null, 1));
    const tailplane = start(tailplaneBin, ["serve", "-c", file]);
    env.port = ports.data;
    env.tailplane = `http://127.0.0.1:${ports.data}`;
    env.admin = `http://127.0.0.1:${ports.admin}`;
    env.log = () => tailplane.log;
    env.bug = () => tailplane.bug ?? (tailplane.exitCode === null ? "" : `it ended with ${tailplane.exitCode}`);
    env.why = (id) => why(tailplaneBin, id, join(dir, "ledger"));
    env.cert = join(dir, "front.pem");
    const front = start(replayBin, ["-front", `127.0.0.1:${ports.data}`, "-cert", env.cert]);
    env.secure = `https://${await wait(() => existsSync(env.cert) && /listening (\S+)/.exec(front.log)?.[1], front, "the end of TLS")}`;
    const ready = () => fetch(`${env.tailplane}/readyz`).then((r) => r.ok, () => false);
    await wait(ready, tailplane, "tailplane");
    return env;
  } catch (error) {
    await close();
    throw error;
  }
}

/** The ledger's record of a request, as the command tells it. */
async function why(bin, id, state) {
  for (let i = 0; ; i++) {
    try {
      const { stdout } = await promisify(execFile)(bin, ["why", id, "-o", "json", "--state", state]);
      return JSON.parse(stdout);
    } catch (error) {
      if (i === 40) throw new Error(`no record of ${id}: ${error.message}`); // the journal drains in batches
      await sleep(50);
    }
  }
}

async function wait(ready, child, what) {
  for (let i = 0; i < 600; i++) {
    const value = await ready();
    if (value) return value;
    if (child.exitCode !== null) break;
    await sleep(50);
  }
  throw new Error(`${what} did not start:\n${child.log.slice(-3000)}`);
}
