// Runs the conformance suite: node main.mjs REPLAY TAILPLANE PYTHON [FILTER].
// One line per cell, the failing scenarios below it, the totals last; exit
// status 1 when a scenario failed.

import "./quiet.mjs";
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { open } from "./bench.mjs";
import { Cell, runCell } from "./suite.mjs";
import * as openai from "./openai.mjs";
import * as anthropic from "./anthropic.mjs";
import * as bedrock from "./bedrock.mjs";
import * as gemini from "./gemini.mjs";
import { UPS } from "./upstreams.mjs";
import * as aisdk from "./aisdk.mjs";
import * as langchain from "./langchain.mjs";
import { extraCells } from "./extras.mjs";
import { rawCell } from "./raw.mjs";
import { recordingCells, translationCells } from "./recordings.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const CLIENTS = {
  "openai-chat": openai.chat, "openai-responses": openai.responses, "azure-classic": openai.azure,
  anthropic: anthropic.messages, gemini: gemini.generate, bedrock: bedrock.converse, ...aisdk.clients, ...langchain.clients,
};

/** Cells that run at the same time. */
const AT_ONCE = 3;

const [replayBin, tailplaneBin, python, filter = ""] = process.argv.slice(2);
const totals = { passed: 0, failed: 0, skipped: [] };

function report(label, results, note = "") {
  const failed = results.filter((r) => r.error);
  totals.passed += results.length - failed.length;
  totals.failed += failed.length;
  console.log(`${label}: ${results.length - failed.length}/${results.length}${note && ` (${note})`}`);
  for (const f of failed) console.log(`  FAIL ${f.name}: ${f.error}`);
}

function corpusDir() {
  const dir = process.env.TAILPLANE_CORPUS ?? join(here, "..", "..", "..", "shared", "corpus");
  return existsSync(dir) ? dir : "";
}

/** What a cell leaves out, with the reason. */
const without = (spec) => Object.entries(spec.without ?? {}).map(([name, why]) => `without ${name}: ${why}`).join("; ");

/** Runs a few cells at once, which mostly wait; tells the results in the list's order. */
async function inTurns(list, run, tell) {
  const running = [];
  const waiting = [...list];
  while (waiting.length || running.length) {
    while (waiting.length && running.length < AT_ONCE) {
      const spec = waiting.shift();
      running.push([spec, run(spec)]);
    }
    const [spec, results] = running.shift();
    tell(spec, await results);
  }
}

/** Python's cells come back as one JSON line each. */
async function pythonCells(env, cells, corpus) {
  const child = spawn(python, ["-W", "ignore", join(here, "..", "python", "run.py")], { stdio: ["pipe", "pipe", "inherit"] });
  const { replay, tailplane, secure, cert, clientKey: key } = env;
  child.stdin.end(JSON.stringify({ replay, tailplane, secure, cert, key, corpus, cells: cells.map((c) => ({ ...c, at: UPS[c.up] })) }));
  for await (const line of createInterface({ input: child.stdout })) {
    const { label, results, cancels = [], note } = JSON.parse(line);
    env.cancels.push(...cancels);
    report(label, results, note);
  }
  const code = child.exitCode ?? (await new Promise((done) => child.once("exit", done)));
  if (code !== 0) report("Python", [{ name: "runs to its end", error: `it ended with ${code}` }]);
}

async function main() {
  const cells = JSON.parse(readFileSync(join(here, "..", "cells.json"), "utf8"));
  const wanted = (label) => label.includes(filter);
  const corpus = corpusDir();
  const env = await open(cells, { replayBin, tailplaneBin, corpus });
  try {
    const theirs = cells.filter((c) => c.runner === "python" && !c.pending && wanted(c.label));
    let other = Promise.resolve(); // Python runs beside all of it
    if (!python) totals.skipped.push(`${theirs.length} Python cells: no Python given`);
    else if (theirs.length || /python/i.test(filter)) other = pythonCells(env, theirs, corpus);
    const mine = cells.filter((c) => c.client && !c.runner && !c.pending && wanted(c.label));
    await inTurns(mine, (spec) => runCell(new Cell(spec, env, CLIENTS[spec.client])), (spec, results) => report(spec.label, results, without(spec)));
    for (const [label, run] of [...extraCells, ["raw sockets", rawCell]]) {
      if (wanted(label) && !cells.some((c) => c.pending && c.label === label)) report(label, await run(env));
    }
    if (!corpus) totals.skipped.push("recorded traffic: no corpus; set TAILPLANE_CORPUS");
    for (const [name, run] of [["recordings", recordingCells], ["translations", translationCells]]) {
      if (!corpus || !wanted(name)) continue;
      for await (const { label, results, note } of run(env)) report(label, results, note);
    }
    await other;
    for (const c of cells.filter((c) => c.pending && wanted(c.label))) totals.skipped.push(`${c.label}: ${c.pending}`);
    report("tailplane itself", [{ name: "no panic, no data race, still running", error: env.bug() }]);
    if (env.cancels.length) {
      const worst = Math.max(...env.cancels);
      console.log(`client aborts reached the provider after ${worst} ms at most (${env.cancels.length} measured)`);
    }
  } finally {
    if (process.env.CONF_LOG) console.error(env.log());
    await env.close();
  }
  const why = totals.skipped.length ? ` (${totals.skipped.join("; ")})` : "";
  console.log(`conformance: ${totals.passed} passed, ${totals.failed} failed, ${totals.skipped.length} skipped${why}`);
  process.exitCode = totals.failed ? 1 : 0;
}

await main();
